"""A Kafka that asks who is there: the right password works everywhere, a wrong one is one clear line, never a wait."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import kafka
from pipeline.config import Settings
from pipeline.errors import Refused
from tests.faults.brokers import Brokers
from tests.faults.field import Field, traffic
from tests.faults.guard import PASSWORD, USER, Guard
from tests.faults.oracle import check_kafka
from tests.faults.rows import check_rows
from tests.faults.warehouse import with_warehouse

pytestmark = pytest.mark.xdist_group("credentials")
WRONG = "wrong-horse-battery"
COMMANDS = (["worker"], ["sink"], ["topics", "create"], ["dead-letters", "list"])


class Guarded(Field):
    """A field whose processes have to say who they are; the test itself uses the open listener."""

    def __init__(self, directory: Path, brokers: Brokers, guard: Guard, mechanism: str) -> None:
        super().__init__(directory, brokers.bootstrap)
        self.open = self.settings
        tls = {"kafka_ca_file": str(guard.ca_file)} if guard.protocol == "SASL_SSL" else {}
        self.settings = self.settings.with_changes(
            kafka=brokers.guarded, kafka_security=guard.protocol.lower(), kafka_mechanism=mechanism, kafka_user=USER,
            kafka_password_file=str(guard.password_file), **tls,
        )  # fmt: skip

    def run(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run a command with some settings changed."""
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.run(
            [sys.executable, "-m", "pipeline", *arguments], env=env | self.settings.with_changes(**changes).as_env(),
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[pytest.param(False, id="plaintext"), pytest.param(True, id="tls", marks=pytest.mark.extended)],
)
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Brokers, Guard]]:
    """A Kafka with a guard, without and with TLS."""
    directory = tmp_path_factory.mktemp("guarded")
    guard = Guard(directory, tls=request.param)
    with Brokers(directory, heap="256m", guard=guard) as brokers:
        yield brokers, guard


@pytest.fixture
def guarded_field(guarded: tuple[Brokers, Guard], tmp_path: Path) -> Iterator[Guarded]:
    """Processes that sign in with SCRAM-SHA-512."""
    made = Guarded(tmp_path, *guarded, "SCRAM-SHA-512")
    try:
        yield made
    finally:
        made.end()


@pytest.mark.extended
def test_worker_sink_and_commands_work_with_the_right_password(guarded_field: Guarded) -> None:
    with_warehouse(guarded_field)
    running = [guarded_field.worker(), guarded_field.sink()]
    guarded_field.send(traffic(100))
    for process in running:
        process.wait_ready()
    guarded_field.wait_done("worker")
    guarded_field.wait_done("sink")
    doctor = guarded_field.run("doctor")
    assert "1 broker at" in doctor.stdout
    assert guarded_field.run("dead-letters", "list").returncode == 0
    said = doctor.stdout + doctor.stderr + "".join(process.log.read_text() for process in running)
    assert PASSWORD not in said
    guarded_field.settings = guarded_field.open.with_changes(clickhouse=guarded_field.settings.clickhouse)
    check_kafka(guarded_field.settings)
    check_rows(guarded_field)


@pytest.mark.extended
@pytest.mark.parametrize("mechanism", ["PLAIN", pytest.param("SCRAM-SHA-256", marks=pytest.mark.soak)])
def test_the_other_mechanisms_work_too(guarded_field: Guarded, mechanism: str) -> None:
    guarded_field.settings = guarded_field.settings.with_changes(kafka_mechanism=mechanism)
    guarded_field.send(traffic(20))
    guarded_field.worker().wait_ready()
    guarded_field.wait_done()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_wrong_password_is_one_clear_line(guarded_field: Guarded, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "wrong").write_text(WRONG)
    done = guarded_field.run(*command, kafka_password_file=str(tmp_path / "wrong"))
    check_one_line(done, "LOYALTY_KAFKA_PASSWORD_FILE")
    assert WRONG not in done.stderr


def check_one_line(done: subprocess.CompletedProcess[str], setting: str) -> None:
    """The program ended for the operator, with one line that names the setting."""
    assert done.returncode == 4
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("loyalty: ")
    assert setting in line


def test_a_kafka_that_speaks_otherwise_is_one_clear_line(guarded_field: Guarded) -> None:
    tls = guarded_field.settings.kafka_uses_tls
    done = guarded_field.run("worker", kafka_security="sasl_plaintext" if tls else "sasl_ssl", kafka_ca_file="")
    (line,) = done.stderr.strip().splitlines()
    assert done.returncode in (3, 4)
    assert "LOYALTY_KAFKA" in line


def test_the_private_broker_asks_nobody_and_says_so(guarded_field: Guarded) -> None:
    check_one_line(guarded_field.run("up"), "LOYALTY_KAFKA_SECURITY")


def test_a_certificate_that_nobody_vouches_for_is_one_clear_line(guarded_field: Guarded) -> None:
    if guarded_field.settings.kafka_uses_tls:
        check_one_line(guarded_field.run("worker", kafka_ca_file=""), "LOYALTY_KAFKA_CA_FILE")


def test_a_password_file_that_is_not_there_is_one_clear_line(guarded_field: Guarded) -> None:
    absent = {"kafka_password_file": "/nowhere"}
    check_one_line(guarded_field.run("sink", **absent), "LOYALTY_KAFKA_PASSWORD_FILE")


def test_a_password_stands_in_no_representation(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    settings = Settings().with_changes(
        kafka_security="sasl_plaintext", kafka_user=USER, kafka_password_file=str(tmp_path / "password")
    )
    assert kafka.client_config(settings, "test")["sasl.password"] == PASSWORD
    assert PASSWORD not in repr(settings) + str(settings.as_env())


REFUSED = {
    "a password over a network in plain text": {"kafka": "127.0.0.1:9092,broker:9092"},
    "an unknown protocol": {"kafka_security": "sasl"},
    "an unknown mechanism": {"kafka_mechanism": "GSSAPI"},
    "no user": {"kafka_user": ""},
    "no password": {"kafka_password_file": ""},
    "a user nobody asks for": {"kafka_security": "ssl"},
    "authorities without TLS": {"kafka_ca_file": "/ca.pem"},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
def test_settings_that_cannot_be_meant_are_refused(changes: dict[str, str]) -> None:
    signing_in = {"kafka_security": "sasl_plaintext", "kafka_user": USER, "kafka_password_file": "/password"}
    settings = Settings().with_changes(**signing_in)
    with pytest.raises(Refused, match="LOYALTY_KAFKA_"):
        settings.with_changes(**changes)
