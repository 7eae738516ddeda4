"""Tests that share a broker, a cluster or a demo run on one worker; else each worker starts its own."""

import os

import pytest


@pytest.mark.xdist_group("groups")
def test_groups_are_kept_together(request: pytest.FixtureRequest) -> None:
    """xdist knows a group by a suffix of the test's id; a pytest that gives ids in another way breaks that silently."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        assert request.node.nodeid.endswith("@groups")
