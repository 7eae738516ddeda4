"""Tests of ``pipeline/worker/guards``."""
