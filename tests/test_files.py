"""A file is there whole or not at all, and only its owner can read it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.files import SHARED, write_whole

SLOW = """
import sys, time
from pathlib import Path
from pipeline import files
def waiting(*_):
    print("writing", flush=True)
    time.sleep(60)
files.os.link = waiting
files.write_whole(Path(sys.argv[1]), b"x" * 1_000_000)
"""


def test_a_file_is_its_owners_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "new.csv", b"rows")
    write_whole(tmp_path / "shared.json", b"{}", SHARED)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "new.csv": 0o600,
        "shared.json": 0o644,
    }


def test_an_older_file_is_replaced_and_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_bytes(b"before")
    (tmp_path / "old.csv").chmod(0o644)
    (tmp_path / "link.csv").symlink_to(tmp_path / "old.csv")
    write_whole(tmp_path / "link.csv", b"after")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "old.csv").read_bytes() == b"after"
    assert (tmp_path / "old.csv").stat().st_mode & 0o777 == 0o600


def test_a_folder_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="it is a folder"):
        write_whole(tmp_path / "folder", b"rows")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", b"rows")
    assert os.read(reader, 10) == b"rows"
    os.close(reader)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_who_is_killed_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, str(tmp_path / "killed.csv")], stdout=subprocess.PIPE, text=True
    ) as writing:
        assert writing.stdout is not None
        assert writing.stdout.readline() == "writing\n"
        writing.send_signal(signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []
