"""Tests of ``pipeline/rebuild``."""
