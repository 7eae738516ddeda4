"""Tests of ``pipeline/core/state``."""
