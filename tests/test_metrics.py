"""The port of the metrics."""

import urllib.error
import urllib.request

import pytest

from pipeline import metrics
from tests.stacks import free_ports


def test_a_metrics_port_answers_its_own_address_and_no_other() -> None:
    port = free_ports(1)[0]
    metrics.serve(metrics.registry("test"), "127.0.0.1", port)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert b"loyalty_build_info" in answer.read()
    for path in ("/", "/healthz", "/metrics/x", "/favicon.ico"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10)
        assert refused.value.code == 404
        refused.value.close()
