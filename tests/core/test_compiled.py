"""The compiled core: it compiles, and the tests of the core pass on it as they do on the source."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.compiled import MODULES, build, clean, made
from tests.conftest import ROOT


@pytest.mark.extended
def test_the_tests_of_the_core_pass_on_compiled_modules(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    for name in ("pipeline", "tests", "schemas", "pyproject.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(source, tmp_path / name)
    package = tmp_path / "pipeline"
    assert len(build(package)) == len(MODULES) + 1
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    where = subprocess.run(
        [sys.executable, "-c", "import pipeline.core.fold, pipeline.flow; print(pipeline.core.fold.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=240,
    )  # fmt: skip
    assert where.stdout.strip().endswith(".so"), where.stdout
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--override-ini",
         "addopts=", "tests/core/test_fold.py", "tests/core/test_reconciliation.py",
         "tests/core/state/test_profile_fold.py",
         "tests/core/contract/test_decode.py", "tests/test_flow.py", "tests/sink/test_encoding.py",
         "tests/sink/test_writing.py", "tests/erasure/test_warehouse_search.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert clean(package) == len(MODULES) + 1
    assert not made(package)


def test_no_struct_is_compiled() -> None:
    """Compiled, it would lose what is said of its class and its fields: ``frozen``, constraints."""
    assert [module for module in MODULES if "(Struct" in (ROOT / "pipeline" / module).read_text()] == []
