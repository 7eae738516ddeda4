"""Tests of ``pipeline/core/contract``."""
