"""Tests of ``pipeline/kafka``."""
