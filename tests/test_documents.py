"""What documents say is what the program does: tables are generated, names are those of the code."""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jsonschema_rs
import msgspec
import yaml

from pipeline import __version__, metrics, resources
from pipeline.config import SETTINGS
from pipeline.core.contract.events import REASONS_OF
from pipeline.core.risk.messages import ChurnAlert
from pipeline.core.state.customer import Customer
from pipeline.errors import Reason
from pipeline.exits import Exit
from pipeline.sink.rows import by_topic
from pipeline.topics import EVERY_TOPIC, INPUTS, TOPICS
from pipeline.webhooks.metrics import NotifierMetrics
from pipeline.webhooks.outbox import Attempt
from pipeline.webhooks.pending import PendingRecord
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
SCHEMAS = ROOT / "schemas"
TESTS = ROOT / "tests"


WORDS = 1_300
"""The README's most: who opens the page for the first time reads it to its end."""


def rows_between(name: str, page: str = "README.md") -> list[list[str]]:
    """The cells of the table between two markers in a page."""
    block = (ROOT / page).read_text().split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    lines = [line for line in block.strip().splitlines() if line.startswith("|")][2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


def test_the_readme_lists_every_topic_as_it_is() -> None:
    assert rows_between("topics") == [[t.name, t.role, t.schema, t.retention] for t in EVERY_TOPIC]


def test_operations_find_every_setting_as_it_is() -> None:
    assert rows_between("settings", "deploy/README.md") == [
        [name, default, meaning] for name, default, meaning in SETTINGS
    ]


def test_producers_find_every_reason_for_rejection() -> None:
    assert [row[0] for row in rows_between("reasons", "schemas/README.md")] == [reason.value for reason in Reason]


def test_producers_find_every_reason_of_an_outcome_beside_its_result() -> None:
    assert rows_between("outcome reasons", "schemas/README.md") == [
        [result, "`, `".join(reasons)] for result, reasons in REASONS_OF.items()
    ]


def test_operations_find_every_exit_code_with_its_one_meaning() -> None:
    assert rows_between("exits", "deploy/README.md") == [[str(code.value), code.meaning] for code in Exit]


def test_no_exit_code_is_written_anywhere_but_in_its_table() -> None:
    for module in sorted((ROOT / "pipeline").rglob("*.py")):
        if module.name == "exits.py":
            continue
        for node in ast.walk(ast.parse(module.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            ends = {"os._exit", "sys.exit", "exit", "SystemExit", "typer.Exit"}
            assert called not in ends, f"{module}: what ends a process is leave or end_process"
            if called in ("leave", "end_process"):
                assert not any(isinstance(a, ast.Constant) for a in node.args), f"{module}: {ast.unparse(node)}"


def test_the_readme_is_short_and_every_page_leads_somewhere() -> None:
    assert len(README.split()) <= WORDS
    pages = [path for path in ROOT.rglob("*.md") if not {".venv", ".pytest_cache"} & set(path.parts)]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), f"{page.name} names {target}, which is not there"


def test_the_first_screen_has_exactly_two_commands() -> None:
    screen = "\n".join(README.splitlines()[:45])
    blocks = re.findall(r"```sh\n(.*?)```", screen, re.DOTALL)
    assert len(blocks) == 2
    assert all(len([line for line in block.splitlines() if line.strip() and not line.startswith("#")]) == 1
               for block in (b.replace("\\\n", "") for b in blocks))  # fmt: skip


def test_ci_runs_the_test_command_of_the_readme() -> None:
    screen = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    commands = (ROOT / ".ci/run").read_text().partition(screen[1].strip())
    assert commands[1]
    assert commands[2].strip() == ".venv/bin/python -m tests --all"


def test_every_guarantee_is_held_by_a_quick_test() -> None:
    """Of what its row names, something runs without ``--all``."""
    rows = [line.split("|")[1:3] for line in (TESTS / "README.md").read_text().splitlines() if line.startswith("| ")]
    for guarantee, cell in rows[1:]:
        if "(soak)" not in cell:
            assert any(map(_has_a_quick_test, _named(cell))), guarantee


def _named(cell: str) -> Iterator[Path]:
    """The files a cell names: one without a folder lies in that of the file before it, or at the top."""
    folder = TESTS
    for name in re.findall(r"`([\w/]+(?:\.py|/))`", cell):
        folder = TESTS / Path(name).parent if "/" in name else folder if (folder / name).exists() else TESTS
        found = sorted((TESTS / name).glob("test_*.py")) if name.endswith("/") else [folder / Path(name).name]
        assert all(path.exists() for path in found), name
        yield from found


def _has_a_quick_test(path: Path) -> bool:
    """Whether a function of tests, or the module, is not marked as one for ``--all`` or for a soak."""
    module = ast.parse(path.read_text())
    marked = [ast.unparse(node) for node in module.body if isinstance(node, ast.Assign)]
    found = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    left_out = {"pytest.mark.extended", "pytest.mark.soak"}
    return not any(mark.startswith("pytestmark") and "soak" in mark for mark in marked) and any(
        left_out.isdisjoint(map(ast.unparse, node.decorator_list)) for node in found
    )


def test_every_topic_has_a_schema_an_example_and_rows() -> None:
    assert set(by_topic()) == {topic.name for topic in TOPICS}
    for topic in EVERY_TOPIC:
        if re.search(r"\.v\d+$", topic.schema):
            assert json.loads((SCHEMAS / f"events/{topic.schema}.json").read_text())["$id"].endswith(topic.schema)
    for topic in INPUTS:
        assert list((SCHEMAS / "examples" / str(topic.kind) / "valid").glob("*.json"))


def test_the_state_schema_is_that_of_the_state() -> None:
    written = json.loads((SCHEMAS / "events/customer_state.v2.json").read_text())
    made = msgspec.json.schema(Customer)
    assert {"$ref": written["$ref"], "$defs": written["$defs"]} == made
    assert ", ".join(Customer.__struct_fields__) in written["description"]


def test_the_alert_schema_names_the_fields_of_an_alert() -> None:
    written = json.loads((SCHEMAS / "events/churn_alert.v1.json").read_text())
    made = msgspec.json.schema(ChurnAlert)["$defs"]["ChurnAlert"]
    assert list(written["properties"]) == list(made["properties"])
    for field in ("transition", "status", "severity"):
        assert set(written["properties"][field]["enum"]) == set(made["properties"][field]["enum"])


def test_the_schemas_of_webhooks_name_the_fields_of_their_records() -> None:
    for name, struct in (("webhook_pending.v1", PendingRecord), ("webhook_attempt.v1", Attempt)):
        written = json.loads((SCHEMAS / f"events/{name}.json").read_text())
        assert list(written["properties"]) == list(struct.__struct_fields__)
        assert written["additionalProperties"] is False
        example = (SCHEMAS / f"examples/{name.split('.')[0]}/valid/full.json").read_bytes()
        jsonschema_rs.validator_for(written, validate_formats=True).validate(json.loads(example))
        assert msgspec.json.decode(example, type=struct)


def test_versions_agree() -> None:
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    assert f"loyalty-pipeline:{__version__}" in (ROOT / "docker-compose.yml").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "faust-streaming==0.15.3" in [d.split()[0] for d in project["project"]["dependencies"]]
    assert "faust-streaming==0.15.3" in (ROOT / "deploy/constraints.txt").read_text()


def test_every_metric_of_the_board_exists_in_the_code() -> None:
    board = (ROOT / "deploy/grafana/dashboards/operations.json").read_text()
    used = set(re.findall(r"\b(loyalty_[a-z_]+)", board))
    made = metrics.registry("test")
    for facts in (
        metrics.WorkerMetrics,
        metrics.SinkMetrics,
        metrics.WarehouseMetrics,
        metrics.UpMetrics,
        NotifierMetrics,
    ):
        facts(made)
    known = {metric.name for metric in made.collect()}
    names = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in used}
    assert names <= known, names - known
    assert all(metric.documentation for metric in made.collect())


def test_compose_runs_the_processes_with_known_settings_and_publishes_on_loopback_only() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services = compose["services"]
    assert {"kafka", "clickhouse", "topics", "worker", "sink", "notifier", "prometheus", "grafana"} == services.keys()
    settings = {name for name, _, _ in SETTINGS}
    for name, service in services.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert {s for s in service.get("environment", {}) if s.startswith("LOYALTY_")} <= settings
        assert "build" in service or re.search(r":[0-9v][\w.]+$", service["image"]), f"{name} is not pinned"
    targets = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    scraped = {target for job in targets for config in job["static_configs"] for target in config["targets"]}
    ports = {name: default for name, default, _ in SETTINGS}
    assert scraped == {f"{p}:{ports[f'LOYALTY_{p.upper()}_METRICS_PORT']}" for p in ("worker", "sink", "notifier")}
    for service in ("kafka",):
        maximum = services[service]["environment"]["KAFKA_MESSAGE_MAX_BYTES"]
        assert int(maximum) >= max(topic.max_record_bytes for topic in TOPICS)


def test_every_column_and_table_of_the_warehouse_says_what_it_means() -> None:
    for file in sorted((SCHEMAS / "clickhouse").glob("*.sql")):
        for statement in re.findall(r"CREATE TABLE (\w+\n\(.*?)\n\)", file.read_text(), re.DOTALL):
            for line in statement.splitlines()[2:]:
                assert "COMMENT '" in line, f"{file.name}: {line}"
        for line in re.findall(r".*ADD COLUMN.*", file.read_text()):
            assert "COMMENT '" in line, f"{file.name}: {line}"


def test_schemas_are_found_in_a_checkout() -> None:
    assert (resources.schemas() / "events").is_dir()
