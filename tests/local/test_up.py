"""``loyalty up``: it goes on where it stood, leaves nothing running, and says clearly why it cannot start."""

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.faults.volume import Volume, live_through
from tests.stacks import QUIET, Stack, children_of, eventually


def refused(stack: Stack, *more: str) -> str:
    """Why it does not start: its one line on standard error."""
    done = subprocess.run(
        [str(stack.loyalty), *stack.arguments, *more], capture_output=True, text=True, timeout=240, check=False,
        env=stack.environment(), cwd="/",
    )  # fmt: skip
    assert done.returncode == 4, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def nothing_runs(stack: Stack) -> bool:
    return not children_of(stack.directory)


def purchases(stack: Stack) -> int:
    return int(stack.rows("SELECT sum(purchases) AS n FROM customers")[0]["n"])


def records(stack: Stack) -> int:
    return int(stack.rows("SELECT count() AS n FROM raw_purchases")[0]["n"])


@pytest.mark.extended
def test_it_goes_on_where_it_stood_after_every_way_to_stop(stack: Stack, volume: Volume) -> None:
    stack.settings = QUIET
    stack.start()
    live_through(volume, stack.kafka)
    wanted, stored = purchases(stack) + 6_919, records(stack)
    assert stack.run("replay", "cdnow", "--sample").returncode == 0
    eventually(lambda: purchases(stack) == wanted, 30, "the sample folded")
    before = stack.rows("SELECT customer_id, state FROM customer_states FINAL ORDER BY customer_id")
    assert "already runs" in refused(stack)

    assert stack.stop(signal.SIGINT) == 0
    assert nothing_runs(stack)

    stack.start()
    assert not any("created" in line for line in stack.lines)
    assert stack.rows("SELECT customer_id, state FROM customer_states FINAL ORDER BY customer_id") == before
    assert stack.run("replay", "cdnow", "--sample").returncode == 0
    eventually(lambda: records(stack) == stored + 2 * 6_919, 30, "the second replay")
    assert purchases(stack) == wanted

    assert stack.process is not None
    os.kill(stack.process.pid, signal.SIGKILL)
    stack.process.wait(10)
    eventually(lambda: nothing_runs(stack), 30, "children of a killed stack are gone")

    stack.start()
    assert purchases(stack) == wanted
    assert "stop it first" in stack.run("reset", "--yes").stderr
    assert stack.stop(signal.SIGHUP) == 0
    assert nothing_runs(stack)

    assert stack.run("reset", "--yes").returncode == 0
    assert list(stack.directory.iterdir()) == []


def test_a_taken_port_is_one_clear_line_with_the_option_that_changes_it(stack: Stack) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(stack.warehouse.rsplit(":", 1)[1])))
        taken.listen()
        assert "--warehouse-port" in refused(stack)
    assert nothing_runs(stack)


def test_missing_jars_are_one_clear_line_with_three_remedies(stack: Stack, tmp_path: Path) -> None:
    line = refused(stack, "--kafka-jars", str(tmp_path / "none"))
    assert all(remedy in line for remedy in ("--kafka HOST:PORT", "--kafka-jars DIR", "HTTPS_PROXY"))
    assert nothing_runs(stack)


def test_jars_that_cannot_be_fetched_are_the_same_line(stack: Stack, tmp_path: Path) -> None:
    unreachable = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HTTPS_PROXY": "http://127.0.0.1:1",
                   "https_proxy": "http://127.0.0.1:1"}  # fmt: skip
    done = subprocess.run(
        [str(stack.loyalty), *stack.arguments], capture_output=True, text=True, timeout=240, check=False,
        env=stack.environment() | unreachable, cwd="/",
    )  # fmt: skip
    assert done.returncode == 4
    lines = [line for line in done.stderr.splitlines() if line.startswith("loyalty:")]
    assert len(lines) == 1
    assert "HTTPS_PROXY" in lines[0]
    assert nothing_runs(stack)


def test_a_full_disk_is_one_clear_line(stack: Stack) -> None:
    mount = f"mount -t tmpfs -o size=8m tmpfs {stack.directory} && exec {stack.loyalty} {' '.join(stack.arguments)}"
    own_mounts = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    done = subprocess.run(
        [*own_mounts, "sh", "-c", mount], capture_output=True, text=True, timeout=240, check=False,
        env=stack.environment(), cwd="/",
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "MB free" in done.stderr
    assert "--data-dir" in done.stderr


def test_a_foreign_file_in_the_data_directory_survives_a_reset(stack: Stack) -> None:
    mine = stack.directory / "letter.txt"
    mine.write_text("mine")
    for folder in ("warehouse", "state/mine", "rebuild/a/b/c-0", "logs", "loyalty-worker-data"):
        (stack.directory / folder).mkdir(parents=True)
    kept = [mine, *(stack.directory / name for name in ("state/mine/x.txt", "rebuild/a/b/c-0/y.txt", "logs/z.txt"))]
    for path in kept:
        path.write_text("mine")
    for name in ("logs/sink.log", "logs/sink.log.1", "stack.json.part"):
        (stack.directory / name).write_text("ours")
    assert stack.run("reset", "--yes").returncode == 0
    assert {path for path in stack.directory.rglob("*") if path.is_file()} == set(kept)


def test_what_a_link_leads_to_survives_a_reset(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "worker.log").write_text("perhaps another's")
    (stack.directory / "logs").symlink_to(elsewhere)
    (stack.directory / "kafka").mkdir()
    done = stack.run("reset", "--yes")
    assert done.returncode == 4
    assert str(elsewhere) in done.stderr
    assert (elsewhere / "worker.log").exists()


@pytest.mark.extended
def test_after_a_reset_nothing_is_left_and_states_that_come_back_are_not_taken_for_ours(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As where the folder of states was kept, or restored from a copy."""
    stack.settings = {"LOYALTY_STORE": "disk"}
    stack.start()
    assert stack.run("replay", "cdnow", "--sample").returncode == 0
    eventually(lambda: purchases(stack) == 6_919, 30, "the sample folded")
    assert stack.stop() == 0
    copy = tmp_path_factory.mktemp("copy") / "state"
    shutil.copytree(stack.directory / "state", copy)
    assert any(copy.rglob("*.sst"))
    assert stack.run("reset", "--yes").returncode == 0
    assert list(stack.directory.iterdir()) == []

    shutil.copytree(copy, stack.directory / "state")
    stack.start()
    assert stack.rows("SELECT count() AS n FROM customers") == [{"n": 0}]
    assert stack.run("replay", "cdnow", "--sample").returncode == 0
    eventually(lambda: purchases(stack) == 6_919, 30, "the sample folded, and nothing hid it")
    assert stack.stop() == 0
    assert stack.run("reset", "--yes").returncode == 0
    assert list(stack.directory.iterdir()) == []


@pytest.mark.parametrize(("name", "value", "remedy"), [
    ("LOYALTY_KAFKA", "broker.example:9092", "--kafka broker.example:9092"),
    ("LOYALTY_CLICKHOUSE", "http://clickhouse.example:8123", "unset it")])  # fmt: skip
def test_an_address_elsewhere_is_not_mistaken_for_a_place_to_listen(
    stack: Stack, name: str, value: str, remedy: str
) -> None:
    stack.settings = {name: value}
    stack.arguments = ["up", "--data-dir", str(stack.directory)]
    assert remedy in refused(stack)


def test_reset_asks_first(stack: Stack) -> None:
    (stack.directory / "kafka").mkdir()
    done = subprocess.run(
        [str(stack.loyalty), "reset", "--data-dir", str(stack.directory)], input="n\n", capture_output=True, text=True,
        timeout=240, check=False, env=stack.environment(),
    )  # fmt: skip
    assert done.returncode == 1
    assert (stack.directory / "kafka").exists()


@pytest.mark.parametrize(("name", "value"), [
    ("LOYALTY_PARTITIONS", "many"), ("LOYALTY_KAFKA", "nowhere"), ("LOYALTY_CLICKHOUSE", "http://user:secret@host"),
    ("LOYALTY_TYPO", "1"), ("LOYALTY_WORKER_METRICS_PORT", "99999")])  # fmt: skip
def test_a_setting_that_cannot_be_meant_is_one_clear_line(stack: Stack, name: str, value: str) -> None:
    done = subprocess.run(
        [str(stack.loyalty), "status"], capture_output=True, text=True, timeout=240, check=False,
        env=stack.environment() | {name: value},
    )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert name in done.stderr
    assert "secret" not in done.stderr
