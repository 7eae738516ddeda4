"""Tests of ``pipeline/core/loyalty``."""
