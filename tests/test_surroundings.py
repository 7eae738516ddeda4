"""What a process is started in changes neither what it does nor what it says."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import faust
import pytest
from faust.types.settings import Settings as FaustSettings

from pipeline import config, errors, surroundings
from pipeline.errors import Refused, Transient

KEPT = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
LATIN, ASCII = {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
FAUST_VARIABLES = sorted({setting.env_name for setting in FaustSettings.SETTINGS.values() if setting.env_name})


def loyalty(command: str, env: dict[str, str] | None = None, where: str = "{}") -> subprocess.CompletedProcess[bytes]:
    """Run a command in a shell that may send its output elsewhere."""
    line = where.format(f"{sys.executable} -m pipeline {command}")
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        capture_output=True,
        check=False,
        timeout=240,
        env=KEPT | (env or {}),
    )


@pytest.mark.parametrize("command", ["glossary", "--help", "doctor --settings", "topics list --json", "nonsense"])
def test_a_full_output_is_one_line_and_no_success(command: str) -> None:
    done = loyalty(command, where="{} > /dev/full")
    if command == "nonsense":  # says so on standard error and has no answer
        assert done.returncode == 2
        return
    assert done.returncode == 4
    assert done.stderr.decode().splitlines() == [
        "loyalty: standard output cannot be written: No space left on device; what was written is not all"
    ]


@pytest.mark.parametrize("command", ["glossary", "doctor --settings", "topics list --json"])
def test_a_closed_output_is_one_line_and_no_success(command: str) -> None:
    done = loyalty(command, where="{} >&-")
    assert (done.returncode, done.stderr.count(b"\n")) == (4, 1)
    assert b"Bad file descriptor" in done.stderr


@pytest.mark.parametrize("command", ["glossary", "--help", "doctor --settings", "topics list"])
def test_a_reader_who_has_seen_enough_is_no_failure(command: str) -> None:
    done = loyalty(command, where="{} | head -c 1")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_without_standard_error_the_exit_code_is_the_same(closed: str) -> None:
    assert loyalty("glossary nonsense", where="{} " + closed).returncode == 1


@pytest.mark.parametrize("env", [ASCII, LATIN, {"PYTHONIOENCODING": "ascii"}], ids=["C", "latin-1", "ascii"])
def test_a_terminal_that_is_not_utf8_gets_something_readable(env: dict[str, str]) -> None:
    done = loyalty("glossary Jürgen€", env)
    assert done.returncode == 1
    said = done.stderr.decode("latin-1")
    assert said.startswith(("loyalty: no term 'J\\xfcrgen\\u20ac'", "loyalty: no term 'Jürgen\\u20ac'")), said
    assert said.count("\n") == 1


def test_json_is_json_on_every_terminal() -> None:
    there = loyalty("glossary --json").stdout
    for env in (ASCII, LATIN, {"PYTHONIOENCODING": "ascii"}):
        assert json.loads(loyalty("glossary --json", env).stdout) == json.loads(there)


def test_variables_of_libraries_do_not_end_a_command() -> None:
    env = {"TERMINAL_WIDTH": "wide", "COLUMNS": "x", "LINES": "y", "PYTHONWARNINGS": "error", "UNICODE_VERSION": "x",
           "PROMETHEUS_MULTIPROC_DIR": "/nonexistent", "TYPER_USE_RICH": "maybe", "FORCE_COLOR": "1"}  # fmt: skip
    assert loyalty("--help", env).returncode == 0
    done = loyalty("audit --json", env | {"LOYALTY_KAFKA": "127.0.0.1:1"})
    assert (done.returncode, done.stderr.count(b"\n")) == (3, 1), done.stderr


@pytest.mark.parametrize("name", [
    *FAUST_VARIABLES, "F_DATADIR", "FAUST_DATADIR", "F_WORKDIR", "FAUST_LOOP", "F_LOOP", "NO_CYTHON", "DEVLOG",
    "DJANGO_SETTINGS_MODULE", "AIOKAFKA_NO_EXTENSIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS",
    "KAFKA_OPTS", "KAFKA_HEAP_OPTS", "LOG_DIR", "CLASSPATH", "CLICKHOUSE_HOST", "CLICKHOUSE_PASSWORD", "PYTHONWARNINGS",
    "PYTHONIOENCODING", "PROMETHEUS_MULTIPROC_DIR", "TERMINAL_WIDTH", "M2_REPO", "JGO_CONFIG_FILE"])  # fmt: skip
def test_a_variable_of_a_library_is_not_kept(name: str) -> None:
    assert surroundings.MACHINE.fullmatch(name) is None


@pytest.mark.parametrize(
    "name", [*(name for name, _, _ in config.SETTINGS), "HOME", "HTTPS_PROXY", "no_proxy", "LC_ALL"]
)
def test_ours_and_the_machines_are_kept(name: str) -> None:
    assert surroundings.MACHINE.fullmatch(name) is not None


def test_faust_is_told_everything_by_us() -> None:
    """Also where a test or another program makes the app in an environment that nobody cleaned."""
    assert faust.App("x", env={}).conf.env == {}
    script = (
        "import asyncio\nfrom prometheus_client import CollectorRegistry\nfrom pipeline import metrics\n"
        "from pipeline.config import Settings\nfrom pipeline.crashpoints import CrashPoints\n"
        "from pipeline.continuity import Topics\nfrom pipeline.kafka.stopped_inputs import Stopped\n"
        "from pipeline.worker.app import create_app\nfrom pipeline.worker.guards.fuses import Fuses\n"
        "class Nothing:\n    def read(self):\n        return Stopped({}, frozenset(), {})\n"
        "facts = metrics.WorkerMetrics(CollectorRegistry())\n"
        "conf = create_app(Settings(), facts, asyncio.new_event_loop(), CrashPoints(), Topics(Settings(), {}, {}), "
        "Fuses(Settings(), Nothing(), lambda *_: None)).conf\n"
        "print({name: str(getattr(conf, name)).split(' at 0x')[0] for name in conf.setting_names() - {'reply_to'}})"
    )
    hostile = dict.fromkeys(FAUST_VARIABLES, "7") | {"BROKER_URL": "redis://x", "PROCESSING_GUARANTEE": "exactly_once"}
    plain, foreign = (
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
            env=KEPT | env | {"PYTHONHASHSEED": "1"},
        ).stdout
        for env in ({}, hostile)
    )
    assert foreign == plain


def test_an_argument_is_utf8_whatever_the_locale_says() -> None:
    assert surroundings.typed("Jürgen") == "Jürgen".encode()
    assert surroundings.typed(b"J\xfcrgen".decode("utf-8", "surrogateescape")) == b"J\xfcrgen"


@pytest.mark.parametrize(("failed", "kind"), [
    (PermissionError(errno.EACCES, "Permission denied", "/root/x"), Refused),
    (OSError(errno.EROFS, "Read-only file system", "/x"), Refused),
    (OSError(errno.ENOSPC, "No space left on device"), Transient),
    (OSError(errno.EMFILE, "Too many open files"), Transient),
    (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), type(None))])  # fmt: skip
def test_what_the_system_refuses_is_the_operators_or_passes(failed: OSError, kind: type) -> None:
    assert type(errors.of_system(failed)) is kind


def test_without_a_home_directory_one_line_says_so() -> None:
    nobody = {"PATH": KEPT["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c",
         "import pwd\npwd.getpwuid = lambda _: (_ for _ in ()).throw(KeyError())\n"
         "from pipeline.config import Settings\nprint(Settings(data_dir='~/x').directory)"],
        capture_output=True, text=True, env=nobody, check=False, timeout=240,
    )  # fmt: skip
    assert "pipeline.errors.Refused: ~/x lies in a home directory, and there is none; set HOME" in done.stderr


def test_a_folder_that_may_not_be_read_is_one_line(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0)
    bound = "-dac_override,-dac_read_search"  # root is held to the same rights as everybody
    held = f"setpriv --bounding-set={bound} --inh-caps={bound} {{}}" if os.geteuid() == 0 else "{}"
    done = loyalty(f"reset --yes --data-dir {closed}/data", where=held)
    assert (done.returncode, done.stderr.decode()) == (
        4, f"loyalty: {closed}/data: Permission denied; check the path and who may use it\n"
    )  # fmt: skip
    found = loyalty(f"doctor --data-dir {closed}/data", where=held)
    assert (found.returncode, found.stderr) == (1, b"")
    assert f"BAD  disk           {closed}/data: Permission denied\n".encode() in found.stdout
    no_cache = loyalty("doctor", {"XDG_CACHE_HOME": f"{closed}/cache"}, where=held)
    assert b"Traceback" not in no_cache.stderr
