"""Tests of ``pipeline/erasure``."""
