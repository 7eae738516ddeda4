"""Apache Kafka for tests: one node or three, with the same jars and Java runtime the product starts, on free ports.

Three nodes are brokers and controllers at once, replication 3, ``min.insync.replicas`` 2: the smallest cluster that
goes on when any one of them is gone.
"""

import base64
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.kafka import MAX_BYTES
from pipeline.local.broker import _LOG4J, java
from pipeline.local.jars import classpath, ensure
from pipeline.retries import GROUP, retry
from tests.faults.guard import Guard
from tests.stacks import PATIENCE, eventually, free_ports


class Node:
    """One Kafka process, broker and controller in one."""

    def __init__(self, number: int, directory: Path, properties: dict[str, str], jars: Path, heap: str) -> None:
        self.number = number
        self.port = int(properties["advertised.listeners"].split(",")[0].rsplit(":", 1)[1])
        self._directory = directory
        self._config = directory / "server.properties"
        directory.mkdir(parents=True)
        self._config.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        (directory / "log4j2.yaml").write_text(_LOG4J)
        self._java = [
            str(java()), f"-Xmx{heap}", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            f"-Dlog4j2.configurationFile={directory / 'log4j2.yaml'}", "-cp", ":".join(map(str, classpath(jars))),
        ]  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def formatting(self, cluster: str, users: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Prepare its storage, and the users it knows; the process that does."""
        tool = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self._config)]
        scram = [argument for user in users for argument in ("--add-scram", user)]
        with (self._directory / "format.log").open("ab") as log:
            return subprocess.Popen([*self._java, *tool, *scram], stdout=log, stderr=log)

    def start(self) -> None:
        """Start it; it takes seconds to be of use."""
        with (self._directory / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self._config)], stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """End it without a word."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end: it hands over what it leads."""
        self._end(signal.SIGTERM)

    def vote(self) -> tuple[int, int]:
        """The newest epoch of the controllers' quorum it knows of, and who leads it."""
        noted = json.loads((self._directory / "log/__cluster_metadata-0/quorum-state").read_text())
        return noted["leaderEpoch"], noted["leaderId"]

    def _end(self, number: int) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)


class Brokers:
    """A Kafka of ``count`` nodes that lives as long as its ``with`` block."""

    def __init__(self, directory: Path, count: int = 1, heap: str = "384m", guard: Guard | None = None) -> None:
        ports = free_ports(3 * count)
        self._ports, self._controllers, self._guarded = ports[:count], ports[count : 2 * count], ports[2 * count :]
        self._guard = guard
        jars = ensure("", lambda _done, _total: None)
        self.nodes = [
            Node(number + 1, directory / f"kafka-{number + 1}", self._properties(number, directory), jars, heap)
            for number in range(count)
        ]
        self.replication = count

    @property
    def bootstrap(self) -> str:
        """Every node's address."""
        return ",".join(f"127.0.0.1:{port}" for port in self._ports)

    @property
    def guarded(self) -> str:
        """Every node's address for clients that have to say who they are."""
        return ",".join(f"127.0.0.1:{port}" for port in self._guarded)

    def _properties(self, number: int, directory: Path) -> dict[str, str]:
        count = len(self._ports)
        voters = ",".join(f"{n + 1}@127.0.0.1:{port}" for n, port in enumerate(self._controllers))
        mine, controller = f"PLAINTEXT://127.0.0.1:{self._ports[number]}", self._controllers[number]
        guard = self._guard.properties() if self._guard else {}
        protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
        if self._guard:
            mine += f",GUARDED://127.0.0.1:{self._guarded[number]}"
            protocols += f",GUARDED:{self._guard.protocol}"
        return {
            "process.roles": "broker,controller",
            "node.id": str(number + 1),
            "controller.quorum.voters": voters,
            "listeners": f"{mine},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": mine,
            "listener.security.protocol.map": protocols,
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(directory / f"kafka-{number + 1}" / "log"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": str(count),
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": str(count),
            "transaction.state.log.min.isr": str(max(1, count - 1)),
            "min.insync.replicas": str(max(1, count - 1)),
            "share.coordinator.state.topic.replication.factor": str(count),
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "message.max.bytes": str(MAX_BYTES),
            "replica.fetch.max.bytes": str(MAX_BYTES),
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "replica.lag.time.max.ms": "5000",
            "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
            **guard,
        }

    def __enter__(self) -> "Brokers":
        cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
        users = self._guard.users() if self._guard else ()
        formats = [node.formatting(cluster, users) for node in self.nodes]
        assert [format_.wait(60) for format_ in formats] == [0] * len(formats), "Kafka's storage cannot be formatted"
        for node in self.nodes:
            node.start()
        try:
            self.wait_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.kill()

    def wait_ready(self, seconds: float = 60) -> None:
        """Wait until every node is a member of the cluster."""
        eventually(lambda: self._members() == len(self.nodes), seconds, "all brokers in the cluster")

    def mend(self) -> None:
        """Start the nodes that do not run."""
        for node in self.nodes:
            if node.process is None or node.process.poll() is not None:
                node.start()
        self.wait_ready()

    def _members(self) -> int:
        try:
            return len(self.admin().list_topics(timeout=2).brokers)
        except KafkaException:
            return 0

    def admin(self) -> AdminClient:
        """An admin client."""
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0, "error_cb": lambda _error: None})

    def leader(self, topic: str, partition: int) -> Node:
        """The node that leads a partition."""
        number = self.admin().list_topics(topic, timeout=10).topics[topic].partitions[partition].leader
        return next(node for node in self.nodes if node.number == number)

    def controller(self) -> Node:
        """The node that is the active controller; clients are told of any broker, the nodes' own notes are right."""
        votes = [node.vote() for node in self.nodes if node.process is not None and node.process.poll() is None]
        _, number = max(votes)
        return next(node for node in self.nodes if node.number == number)

    def coordinator(self, group: str) -> Node:
        """The node that coordinates a consumer group."""
        client = self.admin()  # must outlive its future
        group_now = retry(GROUP, KafkaException, lambda: client.describe_consumer_groups([group])[group].result(10))
        number = group_now.coordinator.id
        return next(node for node in self.nodes if node.number == number)

    def until_in_sync(self, topics: list[str], seconds: float = 60) -> None:
        """Wait until every replica of the topics is in sync."""
        client = self.admin()
        eventually(lambda: self._in_sync(client, topics), seconds, "every replica in sync")

    def _in_sync(self, client: AdminClient, topics: list[str]) -> bool:
        try:
            known = client.list_topics(timeout=5).topics
        except KafkaException:
            return False
        partitions = [p for topic in topics for p in known[topic].partitions.values()]
        return all(len(p.isrs) == self.replication for p in partitions)


def within(seconds: float, attempt: Callable[[], object], *failures: type[Exception]) -> None:
    """Try again until it works; on an ordinary machine that takes at most ``seconds``."""
    end = time.monotonic() + PATIENCE * seconds
    while True:
        try:
            attempt()
        except failures:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        else:
            return
