"""The private broker's configuration."""

from pipeline.config import Settings
from pipeline.local import broker


def test_no_cluster_id_looks_like_an_option() -> None:
    assert not [made for made in (broker._cluster_id() for _ in range(2_000)) if made.startswith("-")]


def test_the_broker_listens_on_loopback_only() -> None:
    listeners = broker._properties(Settings())["listeners"]
    assert [part.split("//")[1].rsplit(":", 1)[0] for part in listeners.split(",")] == ["127.0.0.1", "127.0.0.1"]
