"""What ``docker-compose.yml`` starts: each command as its user, on a read-only root, in its environment."""

import base64
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.local import broker, jars
from tests.conftest import ROOT
from tests.stacks import Stack, eventually, free_ports

pytestmark = pytest.mark.xdist_group("compose")
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
USER = re.search(r"^USER (\d+)$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
IN_CONTAINER = """
mount --make-rprivate /
mount -t tmpfs tmpfs /run && mkdir -p /run/secrets /run/own
for name in clickhouse-password grafana-password; do
    touch /run/secrets/$name && mount --bind "$SECRETS/$name" /run/secrets/$name
done
if [ -n "$CLOSED" ]; then
    mount --bind "$OPEN" /run/own && mount -t tmpfs tmpfs "$CLOSED" && mkdir -p "$OPEN" && mount --move /run/own "$OPEN"
    chmod 755 "$CLOSED"
fi
mount -o remount,bind,ro / && mount -t tmpfs -o ro tmpfs /tmp_of_the_host 2>/dev/null
cd / && exec $DROP "$@"
"""


def closed_parent(path: Path) -> Path | None:
    """The first folder on the way that only its owner may pass: an interpreter at somebody's home."""
    return next((folder for folder in reversed(path.parents) if not folder.stat().st_mode & 0o001), None)


class Container:
    """What a container of a service is, as far as its processes see."""

    def __init__(self, stack: Stack, secrets: Path, metrics: int) -> None:
        self._secrets = secrets
        self._elsewhere = {
            "LOYALTY_KAFKA": stack.kafka, "LOYALTY_CLICKHOUSE": stack.warehouse, "LOYALTY_TOPIC_PREFIX": "composed-",
            "LOYALTY_DATABASE": "composed", "LOYALTY_WORKER_METRICS_PORT": str(metrics),
            "LOYALTY_SINK_METRICS_PORT": str(metrics + 1),
        }  # fmt: skip

    def environment(self, service: str) -> dict[str, str]:
        """Compose's own, with the addresses of this test; ours is not in it."""
        path = f"{Path(sys.executable).parent}:{ROOT / 'deploy'}:/usr/bin:/bin"
        own = {name: str(value) for name, value in SERVICES[service].get("environment", {}).items()}
        return {"PATH": path, "HOME": "/nonexistent"} | own | self._elsewhere

    def start(self, service: str, *words: str) -> subprocess.Popen[str]:
        """A service's command, or another one in its container."""
        root, base = os.geteuid() == 0, Path(sys.base_prefix)
        assert USER is not None
        closed = closed_parent(base) if root else None
        mounts = {
            "SECRETS": str(self._secrets), "CLOSED": str(closed or ""), "OPEN": str(base),
            "DROP": f"setpriv --reuid {USER[1]} --regid {USER[1]} --clear-groups --no-new-privs" if root else "",
        }  # fmt: skip
        described = SERVICES[service]
        command = words or (*described.get("entrypoint", ["loyalty"]), *described.get("command", []))
        own = ["unshare", "--mount"] if root else ["unshare", "--mount", "--map-root-user"]
        return subprocess.Popen(
            [*own, "sh", "-c", IN_CONTAINER, "container", *command], env=self.environment(service) | mounts,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def is_healthy(self, service: str) -> bool:
        """What the service's health check says."""
        check = self.start(service, *SERVICES[service]["healthcheck"]["test"][1:])
        return check.wait(30) == 0


def made_as_the_head_says(folder: Path) -> Path:
    """The secrets, made by the commands at the top of the file, under a careful umask."""
    head = COMPOSE[: COMPOSE.index("name:")]
    commands = re.findall(r"^#   (.*secrets.*)$", head, re.MULTILINE)
    subprocess.run(["sh", "-ec", "umask 077\n" + "\n".join(commands)], check=True, cwd=folder)
    return folder / "secrets"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Container, Path, Stack]]:
    """A container beside a broker and a warehouse."""
    stack = Stack(Path(sys.executable).parent / "loyalty", tmp_path_factory.mktemp("stack"))
    secrets = made_as_the_head_says(tmp_path_factory.mktemp("head"))
    try:
        stack.start(180)
        yield Container(stack, secrets, free_ports(2)[0]), secrets, stack
    finally:
        stack.end()


def ended(process: subprocess.Popen[str]) -> str:
    """Stop it and return all it said."""
    process.send_signal(signal.SIGTERM)
    return process.communicate(timeout=240)[0]


def test_topics_worker_and_sink_start_work_and_stop(place: tuple[Container, Path, Stack]) -> None:
    container, _, stack = place
    topics = container.start("topics")
    said, _ = topics.communicate(timeout=240)
    assert topics.returncode == 0, said
    running = {name: container.start(name) for name in ("worker", "sink")}
    try:
        for name in running:
            eventually(lambda name=name: container.is_healthy(name), 90, f"{name} is healthy")  # type: ignore[misc]
        replay = container.start("worker", "loyalty", "replay", "cdnow", "--sample")
        assert replay.wait(60) == 0
        sql = "SELECT count() AS n FROM composed.customers"
        eventually(lambda: int(stack.rows(sql)[0]["n"]) == 2_357, 60, "the sample folded")
    finally:
        said = "".join(ended(process) for process in running.values())
    assert {process.returncode for process in running.values()} == {0}, said
    assert "Traceback" not in said


def test_what_needs_an_operator_stays_unhealthy_and_says_why(place: tuple[Container, Path, Stack]) -> None:
    container, secrets, _ = place
    assert container.start("topics").wait(60) == 0
    (secrets / "clickhouse-password").chmod(0)
    sink = container.start("sink")
    try:
        assert sink.stdout is not None
        line = sink.stdout.readline() if os.geteuid() == 0 else "LOYALTY_CLICKHOUSE_PASSWORD_FILE cannot be read"
        assert "LOYALTY_CLICKHOUSE_PASSWORD_FILE cannot be read" in line
        assert sink.poll() is None
        assert not container.is_healthy("sink")
    finally:
        (secrets / "clickhouse-password").chmod(0o444)
        ended(sink)


def test_grafana_does_not_start_without_its_password(place: tuple[Container, Path, Stack]) -> None:
    container, secrets, _ = place
    (secrets / "grafana-password").chmod(0)
    refused = container.start("grafana")
    said, _ = refused.communicate(timeout=240)
    (secrets / "grafana-password").chmod(0o444)
    assert (refused.returncode, said.count("\n")) == (1, 1), said
    assert "secrets/grafana-password cannot be read" in said


KAFKA = """
ip link set lo up
"$JAVA" -cp "$JARS" kafka.docker.KafkaDockerWrapper setup \\
    -D "$PLACE/default" -M "$PLACE/mounted" -F "$PLACE/final" || exit 1
"$JAVA" -Xmx384m -cp "$JARS" kafka.Kafka "$PLACE/final/server.properties" >"$PLACE/log" 2>&1 &
for i in $(seq 240); do
    "$@" 2>/dev/null && kill $! && exit 0
    kill -0 $! || break
    sleep 0.5
done
cat "$PLACE/log"
exit 1
"""


@pytest.mark.extended
def test_kafka_starts_with_composes_settings_and_its_health_check_sees_it(tmp_path: Path) -> None:
    """Apache's own class makes a configuration of the variables, formats the storage, and the broker starts with it."""
    service = SERVICES["kafka"]
    for name in ("default", "mounted", "final"):
        (tmp_path / name).mkdir()
    (tmp_path / "default/server.properties").touch()
    for name in ("log4j2.yaml", "tools-log4j2.yaml"):
        (tmp_path / "default" / name).write_text(broker._LOG4J)
    defaults = {name: re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", str(value)) for name, value in service["environment"].items()}
    own = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    done = subprocess.run(
        [*own, "sh", "-c", KAFKA, "kafka", *service["healthcheck"]["test"][1:]],
        capture_output=True, text=True, timeout=240, check=False,
        env=defaults | {
            "PATH": os.environ["PATH"], "JAVA": str(broker.java()), "PLACE": str(tmp_path),
            "JARS": ":".join(map(str, jars.classpath(jars.cache()))), "KAFKA_LOG_DIRS": str(tmp_path / "data"),
            "CLUSTER_ID": base64.urlsafe_b64encode(uuid.UUID(int=7).bytes).decode().rstrip("="),
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_is_made_once_of_what_it_needs() -> None:
    builders = [name for name, service in SERVICES.items() if "build" in service]
    assert builders == ["topics"]
    listed = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in listed if line.startswith("!")}
    copied = set()
    for line in (ROOT / "deploy/Dockerfile").read_text().splitlines():
        words = [word for word in shlex.split(line) if not word.startswith("--")]
        if words[:1] == ["COPY"] and "--from=build" not in line:
            copied |= set(words[1:-1])
    assert copied == allowed
    assert "*" in listed
    assert "**/*.so" in listed


@pytest.mark.parametrize("name", ["worker", "sink"])
def test_a_process_may_be_there_twice_and_says_whether_it_is_well(name: str) -> None:
    service = SERVICES[name]
    assert "LOYALTY_INSTANCE" not in service["environment"]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert shutil.which("sh")
