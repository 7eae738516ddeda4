"""Tests of ``pipeline/warehouse``."""
