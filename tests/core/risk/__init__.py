"""Tests of ``pipeline/core/risk``."""
