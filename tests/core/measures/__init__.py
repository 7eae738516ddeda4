"""Tests of ``pipeline/core/measures``."""
