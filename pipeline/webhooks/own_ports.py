"""Where processes of ours listen: no endpoint may be one of these, or an alert would come back as something else."""

from urllib.parse import urlsplit

from pipeline.config import Settings

_METRICS = ("worker", "sink", "warehouse", "up", "notifier")


def own_ports(settings: Settings) -> list[tuple[str, int]]:
    """Every address and port that these settings say is ours."""
    brokers = [address.strip().rpartition(":") for address in settings.kafka.split(",")]
    clickhouse = urlsplit(settings.clickhouse)
    return [
        *((host.strip("[]"), int(port)) for host, _, port in brokers),
        (clickhouse.hostname or "", clickhouse.port or (443 if clickhouse.scheme == "https" else 80)),
        (settings.listen, settings.controller_port),
        *((settings.listen, getattr(settings, f"{name}_metrics_port")) for name in _METRICS),
        *([(settings.inbound_listen, settings.inbound_port)] if settings.inbound_port else []),
    ]
