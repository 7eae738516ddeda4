"""A file is there whole or not at all, and only its owner can read it."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.files import SHARED, Growing, write_whole

SLOW = """
import sys, time
from pathlib import Path
from pipeline import files
def waiting(*_, **_more):
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


@pytest.mark.parametrize("named", [False, True], ids=["without a name", "with a name"])
def test_a_growing_file_is_not_there_until_it_appears(
    tmp_path: Path, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named:
        monkeypatch.delattr(os, "O_TMPFILE")
    elif hasattr(os, "O_TMPFILE"):
        monkeypatch.delattr(tempfile, "NamedTemporaryFile")  # where the system can, nothing has a name before its end
    with Growing(tmp_path / "never.csv") as growing:
        growing.file.write(b"rows")
    assert list(tmp_path.iterdir()) == []
    with Growing(tmp_path / "rows.csv") as growing:
        growing.file.write(b"rows")
        assert not (tmp_path / "rows.csv").exists()
        growing.appear()
    assert [(path.name, path.read_bytes(), path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [
        ("rows.csv", b"rows", 0o600)
    ]


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
