"""Settings: read once from the environment, strictly, into one frozen value.

``SETTINGS`` is the only list of them; the table in `deploy/README.md` is held to it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs

from pipeline.errors import Refused

PREFIX = "LOYALTY_"


def _setting(default: Any, help_: str) -> Any:
    return field(default=default, metadata={"help": help_})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a process is told from outside."""

    kafka: str = _setting("127.0.0.1:19092", "Kafka bootstrap addresses, comma separated")
    kafka_security: str = _setting("plaintext", "plaintext, ssl, sasl_ssl, or sasl_plaintext (loopback only)")
    kafka_mechanism: str = _setting("SCRAM-SHA-512", "with SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
    kafka_user: str = _setting("", "with SASL: the user")
    kafka_password_file: str = _setting("", "with SASL: file that holds the user's password")
    kafka_ca_file: str = _setting("", "with TLS: file of the authorities that vouch for Kafka; empty: the system's")
    clickhouse: str = _setting("http://127.0.0.1:18123", "ClickHouse HTTP address, without credentials")
    clickhouse_user: str = _setting("default", "ClickHouse user")
    clickhouse_password_file: str = _setting("", "file that holds the ClickHouse password; empty: none")
    clickhouse_ca_file: str = _setting(
        "", "with https: file of the authorities that vouch for ClickHouse; empty: the system's"
    )
    clickhouse_plaintext: str = _setting(
        "refuse", "the password unencrypted (http) to another machine: refuse, or allow in a network of your own"
    )
    database: str = _setting("loyalty", "ClickHouse database; created when missing")
    clickhouse_cluster: str = _setting("", "cluster whose replicas get the tables, by its name; empty: one server")
    topic_prefix: str = _setting("", "put before every topic and consumer group name")
    partitions: int = _setting(4, "partitions of every topic; fixed once the topics exist")
    replication: int = _setting(1, "replicas of every topic")
    store: str = _setting("memory", "where a worker keeps its copy of the states: memory or disk")
    store_cache_mb: int = _setting(256, "memory for reading states from disk, per worker")
    fuse_percent: int = _setting(50, "a topic stands when more of a thousand records than this cannot be used")
    tick_seconds: int = _setting(60, "how often open alerts are looked at for a new day in event time")
    holdout_percent: int = _setting(
        0, "percent of alerts that are kept from the desk, drawn one by one, before the first experiment"
    )
    holdout_experiments: str = _setting(
        "", "hold-outs by customer, to measure what acting does: NAME@START=PERCENT, comma separated, oldest first"
    )
    risk_policy: str = _setting("", "file with the risk's coefficients, from `loyalty fit risk`; empty: the priors")
    purchase_model: str = _setting("", "file with what `loyalty fit purchases` learned, shown with a customer")
    instance: str = _setting("", "stable name of this process among its kind; lets a restart take its place at once")
    listen: str = _setting("127.0.0.1", "address the metrics servers listen on")
    worker_metrics_port: int = _setting(19101, "port of the worker's metrics")
    sink_metrics_port: int = _setting(19102, "port of the sink's metrics")
    warehouse_metrics_port: int = _setting(19103, "port of the embedded warehouse's metrics")
    up_metrics_port: int = _setting(19104, "port of the metrics of `loyalty up` itself")
    notifier_metrics_port: int = _setting(19105, "port of the notifier's metrics")
    webhooks_file: str = _setting(
        "", "file of the webhook endpoints and their secrets; empty: webhooks.json in the data directory"
    )
    inbound_port: int = _setting(0, "port on which a notifier takes outcomes from ticket systems; 0: it takes none")
    inbound_listen: str = _setting("127.0.0.1", "address on which it takes them")
    controller_port: int = _setting(19093, "port of the private broker's controller")
    data_dir: str = _setting("", "where the local stack keeps its data; empty: the platform's place")
    kafka_jars: str = _setting("", "folder with Kafka's jars; empty: fetch them once into the cache")

    def topic(self, name: str) -> str:
        """The topic's name at the broker."""
        return f"{self.topic_prefix}{name}"

    def logical(self, name: str) -> str:
        """The inverse of :meth:`topic`."""
        return name.removeprefix(self.topic_prefix)

    def group(self, process: str) -> str:
        """The consumer group of a kind of process."""
        return f"{self.topic_prefix}loyalty-{process}"

    @property
    def directory(self) -> Path:
        """The data directory.

        Raises
        ------
        Refused
            It depends on the user's home directory, and they have none.
        """
        return at_home(self.data_dir or platformdirs.user_data_dir("loyalty"))

    @property
    def webhooks(self) -> Path:
        """The file of the webhook endpoints."""
        return at_home(self.webhooks_file) if self.webhooks_file else self.directory / "webhooks.json"

    @property
    def kafka_signs_in(self) -> bool:
        """Whether Kafka is told a user and a password."""
        return self.kafka_security.startswith("sasl_")

    @property
    def kafka_uses_tls(self) -> bool:
        """Whether the way to Kafka is encrypted."""
        return self.kafka_security.endswith("ssl")

    def kafka_password(self) -> str:
        """The password for Kafka, read from its file."""
        password = self._secret("kafka_password_file")
        if not password:
            raise Refused(f"{variable('kafka_password_file')} names an empty file")
        return password

    def clickhouse_password(self) -> str:
        """The password for ClickHouse, read from its file, or an empty string."""
        return self._secret("clickhouse_password_file") if self.clickhouse_password_file else ""

    def _secret(self, name: str) -> str:
        try:
            return Path(getattr(self, name)).read_text(encoding="utf-8").strip()
        except OSError as missing:
            raise Refused(f"{variable(name)} cannot be read: {missing}") from None
        except UnicodeDecodeError:
            raise Refused(f"{variable(name)} names a file that is not text") from None

    def as_env(self) -> dict[str, str]:
        """The same settings as environment variables, for a child process."""
        return {variable(f.name): str(getattr(self, f.name)) for f in fields(self)}

    def with_changes(self, **changes: Any) -> "Settings":
        """A copy with some settings changed; ``None`` means unchanged."""
        given = {name: value for name, value in changes.items() if value is not None}
        return _checked(replace(self, **given))


SETTINGS: tuple[tuple[str, str, str], ...] = tuple(
    (f"{PREFIX}{f.name.upper()}", str(f.default), f.metadata["help"]) for f in fields(Settings)
)
"""Name, default and meaning of every setting."""


def at_home(path: str) -> Path:
    """A path whose ``~`` is the user's home directory.

    Raises
    ------
    Refused
        There is no such home directory.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise Refused(f"{path} lies in a home directory, and there is none; set HOME or LOYALTY_DATA_DIR") from None


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def from_env(env: Mapping[str, str], known: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment; ``known`` fills what the environment leaves out.

    Raises
    ------
    Refused
        An unknown ``LOYALTY_`` variable, or a value that cannot be meant.
    """
    names = {variable(f.name): f for f in fields(Settings)}
    unknown = sorted(name for name in env if name.startswith(PREFIX) and name not in names)
    if unknown:
        raise Refused(f"{unknown[0]} is not a setting; `loyalty doctor --settings` lists them")
    values: dict[str, Any] = {}
    for name, f in names.items():
        text = env.get(name, (known or {}).get(name))
        if text is not None:
            values[f.name] = _whole(name, text) if f.type in (int, "int") else text
    return _checked(Settings(**values))


def _whole(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise Refused(f"{name} must be a whole number, not {text!r}")
    return int(text)


def _is_http_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no port there is
        return False
    return known and not (parts.username or parts.password)


def _checked(settings: Settings) -> Settings:
    _check_numbers(settings)
    if settings.store not in ("memory", "disk"):
        raise Refused(f"{variable('store')} must be memory or disk, not {settings.store!r}")
    for address in settings.kafka.split(","):
        if not re.fullmatch(r"\s*(\[[0-9a-fA-F:]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}\s*", address):
            raise Refused(f"{variable('kafka')} must be host:port[,host:port...], not {settings.kafka!r}")
        if not 1 <= int(address.rpartition(":")[2]) <= 65535:
            raise Refused(f"{variable('kafka')} names a port that does not exist: {address.strip()}")
    _check_kafka_access(settings)
    _check_clickhouse_access(settings)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", settings.database):
        raise Refused(f"{variable('database')} must be a plain name, not {settings.database!r}")
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,64}", settings.clickhouse_cluster):
        raise Refused(f"{variable('clickhouse_cluster')} must be a plain name, not {settings.clickhouse_cluster!r}")
    if not re.fullmatch(r"[A-Za-z0-9._-]{0,60}", settings.topic_prefix):
        raise Refused(f"{variable('topic_prefix')} may hold letters, digits, '.', '_' and '-' only")
    return settings


def _check_numbers(settings: Settings) -> None:
    for name in (
        "worker_metrics_port",
        "sink_metrics_port",
        "warehouse_metrics_port",
        "up_metrics_port",
        "notifier_metrics_port",
        "controller_port",
    ):
        if not 1 <= getattr(settings, name) <= 65535:
            raise Refused(f"{variable(name)} must be a port from 1 to 65535, not {getattr(settings, name)}")
    if settings.inbound_port > 65535:
        raise Refused(f"{variable('inbound_port')} must be a port, or 0 for none, not {settings.inbound_port}")
    for name in ("partitions", "replication", "store_cache_mb", "tick_seconds"):
        if getattr(settings, name) < 1:
            raise Refused(f"{variable(name)} must be at least 1")
    for name, least in (("fuse_percent", 1), ("holdout_percent", 0)):
        if not least <= getattr(settings, name) <= 100:
            raise Refused(f"{variable(name)} must be {least} to 100, not {getattr(settings, name)}")


def _check_kafka_access(settings: Settings) -> None:
    _check_choice(settings, "kafka_security", ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"))
    _check_choice(settings, "kafka_mechanism", ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"))
    for name in ("kafka_user", "kafka_password_file"):
        if settings.kafka_signs_in and not getattr(settings, name):
            raise Refused(f"{variable('kafka_security')} is {settings.kafka_security}; it needs {variable(name)}")
        if getattr(settings, name) and not settings.kafka_signs_in:
            raise Refused(
                f"{variable(name)} is set, but {variable('kafka_security')} is {settings.kafka_security}: "
                "nobody would be asked for it"
            )
    if settings.kafka_ca_file and not settings.kafka_uses_tls:
        raise Refused(f"{variable('kafka_ca_file')} is set, but {variable('kafka_security')} has no TLS")
    hosts = [address.strip().rpartition(":")[0].strip("[]") for address in settings.kafka.split(",")]
    if settings.kafka_security == "sasl_plaintext" and not all(map(is_loopback, hosts)):
        raise Refused(
            f"{variable('kafka_security')} is sasl_plaintext, which would send the password over a network in plain "
            "text; use sasl_ssl"
        )


def _check_clickhouse_access(settings: Settings) -> None:
    if not _is_http_address(settings.clickhouse):
        raise Refused(f"{variable('clickhouse')} must be http(s)://host:port without credentials")
    _check_choice(settings, "clickhouse_plaintext", ("refuse", "allow"))
    address = urlsplit(settings.clickhouse)
    if address.scheme == "https":
        return
    if settings.clickhouse_ca_file:
        raise Refused(f"{variable('clickhouse_ca_file')} is set, but {variable('clickhouse')} is not https")
    told = settings.clickhouse_password_file and settings.clickhouse_plaintext == "refuse"
    if told and not is_loopback(address.hostname or ""):
        raise Refused(
            f"{variable('clickhouse')} is http, which would send the password over a network in plain text; use https, "
            f"or set {variable('clickhouse_plaintext')}=allow where the network is your own"
        )


def _check_choice(settings: Settings, name: str, choices: tuple[str, ...]) -> None:
    if getattr(settings, name) not in choices:
        raise Refused(f"{variable(name)} must be one of {', '.join(choices)}, not {getattr(settings, name)!r}")


def is_loopback(host: str) -> bool:
    """Whether an address never leaves this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
