"""Tests of ``pipeline/core/forecast``."""
