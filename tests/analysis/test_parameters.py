"""Versions of parameters on record: once each, validated, the newest of a kind current."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from typer.testing import CliRunner

from pipeline.analysis.parameters import collect, opened
from pipeline.cli import cli
from pipeline.config import Settings
from pipeline.core.forecast.learned import encode
from pipeline.core.loyalty import loyalty_policy
from pipeline.core.risk.assessment import PRIORS
from pipeline.core.risk.messages import ChurnAlert
from pipeline.errors import NotFound, Refused
from pipeline.policy import write_policy
from pipeline.warehouse import model_registry
from pipeline.warehouse.client import Warehouse
from tests.analysis.alerting import told
from tests.core.forecast.test_learned import LEARNED
from tests.fitting.histories import simulated
from tests.storing import migrated, store_alerts

POLICY = replace(PRIORS.with_coefficients(contact=0.5), version="learned-2026-01-01-abcdef01", raise_at=0.4)
DAY = datetime(2026, 3, 1, tzinfo=UTC)


class Place(NamedTuple):
    settings: Settings
    warehouse: Warehouse


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with migrated(tmp_path_factory.mktemp("parameters")) as found:
        yield Place(*found)


@pytest.fixture(autouse=True)
def empty(place: Place) -> None:
    place.warehouse.command("TRUNCATE TABLE parameter_versions")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "parameters.json").write_bytes(encode(LEARNED))
    return tmp_path / "parameters.json"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    write_policy(tmp_path / "policy.json", POLICY, {"contacts": 4_000})
    return tmp_path / "policy.json"


def run(place: Place, *words: str) -> Any:
    """A command of ``loyalty warehouse``."""
    environment = {"LOYALTY_CLICKHOUSE": place.settings.clickhouse, "LOYALTY_DATABASE": place.settings.database}
    return CliRunner().invoke(cli, ["warehouse", *words], env=environment)


def listed(place: Place) -> dict[str, dict[str, Any]]:
    return {f"{row['kind']}/{row['version']}": row for row in collect(place.warehouse)["parameters"]}


def test_a_file_is_recorded_once_with_its_numbers_and_where_they_came_from(place: Place, model: Path) -> None:
    for _ in range(2):
        done = run(place, "parameters", str(model))
        assert done.exit_code == 0, done.output
    assert "It was known already" in done.output
    row = listed(place)[f"purchase_model/{LEARNED.version}"]
    numbers, origin = json.loads(row["parameters"]), json.loads(row["origin"])
    assert numbers["bg_nbd"] == {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}
    assert numbers["gamma_gamma"] == {"p": 6.25, "q": 3.74, "gamma": 15.44, "currency": "USD"}
    assert origin["data_sha256"] == LEARNED.data_sha256
    assert row["current"]
    assert len(listed(place)) == 3, "two kinds of priors beside it"


def test_the_priors_are_on_record_by_themselves_until_something_else_is(place: Place, policy: Path) -> None:
    assert run(place, "parameters").exit_code == 0
    found = listed(place)
    assert found[f"risk_policy/{PRIORS.version}"]["current"]
    assert json.loads(found[f"norms/{loyalty_policy.PRIORS.version}"]["parameters"])["usual_gap_days"] == 34.0
    assert model_registry.policy(place.warehouse, None) == PRIORS
    assert run(place, "parameters", str(policy)).exit_code == 0
    assert model_registry.policy(place.warehouse, None) == POLICY
    assert model_registry.policy(place.warehouse, PRIORS.version) == PRIORS
    model_registry.record_priors(place.warehouse, datetime.now(UTC))
    assert model_registry.policy(place.warehouse, None) == POLICY


def test_the_one_recorded_last_is_current_also_when_it_was_known(place: Place) -> None:
    other = replace(POLICY, version="other")
    first, second = (model_registry.of_policy(p, {}) for p in (POLICY, other))
    for number, made in enumerate((first, second, first)):
        model_registry.record(place.warehouse, made, DAY + timedelta(days=number))
    assert model_registry.policy(place.warehouse, None) == POLICY
    row = listed(place)[f"risk_policy/{POLICY.version}"]
    assert (row["recorded_at"][:10], row["current_from"][:10]) == ("2026-03-01", "2026-03-03")
    assert sum(found["current"] for found in listed(place).values()) == 1


def test_the_same_version_with_other_numbers_is_refused(place: Place) -> None:
    model_registry.record(place.warehouse, model_registry.of_policy(POLICY, {}), DAY)
    with pytest.raises(Refused, match=r"on record with other numbers.*another name"):
        model_registry.record(place.warehouse, model_registry.of_policy(replace(POLICY, raise_at=0.45), {}), DAY)
    assert model_registry.policy(place.warehouse, POLICY.version) == POLICY


BROKEN: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"hello", "holds no parameters"),
    "a list": (b"[1, 2]", "holds no parameters"),
    "something else": (b'{"kind": "recipe"}', "holds no parameters"),
    "a policy without numbers": (b'{"kind": "loyalty-risk-policy"}', "is no risk policy"),
    "a model without numbers": (b'{"purchases": []}', "cannot be used"),
    "far too much": (b'{"purchases": "' + b"x" * model_registry.LARGEST_FILE + b'"}', "holds no parameters"),
    "nested without end": (b"[" * 200_000, "holds no parameters"),
    "not UTF-8": (b'{"kind": "\xff"}', "holds no parameters"),
}


@pytest.mark.parametrize(("content", "said"), BROKEN.values(), ids=BROKEN)
def test_what_makes_no_sense_is_refused_in_one_line_and_nothing_is_recorded(
    place: Place, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "broken.json"
    file.write_bytes(content)
    done = run(place, "parameters", str(file))
    assert isinstance(done.exception, Refused)
    assert said in str(done.exception)
    assert len(str(done.exception)) < 500
    assert not listed(place)


def test_a_model_with_a_senseless_number_is_refused(place: Place, model: Path) -> None:
    content = json.loads(model.read_bytes())
    content["spend"]["parameters"]["q"] = 0.9
    model.write_text(json.dumps(content))
    done = run(place, "parameters", str(model))
    assert "parameter q = 0.9" in str(done.exception)
    assert not listed(place)


def test_a_file_that_is_not_there_is_refused(place: Place) -> None:
    assert "cannot read" in str(run(place, "parameters", "/nowhere/p.json").exception)


def test_a_policy_that_is_not_on_record_is_not_found(place: Place) -> None:
    with pytest.raises(NotFound, match="no risk policy 'unheard' is on record"):
        model_registry.policy(place.warehouse, "unheard")
    assert isinstance(run(place, "score", "--policy", "unheard").exception, NotFound)


def test_what_settings_name_is_recorded_when_it_is_new_and_never_stops_a_sink(
    place: Place, policy: Path, model: Path
) -> None:
    named = place.settings.with_changes(risk_policy=str(policy), purchase_model=str(model))
    model_registry.record_configured(place.warehouse, named, DAY)
    assert model_registry.policy(place.warehouse, None) == POLICY
    model_registry.record(
        place.warehouse, model_registry.of_policy(replace(POLICY, version="newer"), {}), DAY + timedelta(1)
    )
    model_registry.record_configured(place.warehouse, named, DAY + timedelta(2))
    assert model_registry.policy(place.warehouse, None).version == "newer", "a restart of the sink changes nothing"
    policy.write_text("{}")
    model_registry.record_configured(place.warehouse, named, DAY + timedelta(3))
    assert len(listed(place)) == 5


def test_versions_that_alerts_mention_and_nobody_recorded_are_named(place: Place) -> None:
    def alerts(version: str) -> list[ChurnAlert]:
        found = [said for life in simulated(20, 365, seed=2) for said in told(life)]
        return [msgspec.structs.replace(said.alert, rule_version=version) for said in found]

    store_alerts(place.warehouse, alerts("secret"))
    assert "alerts mention the risk policy secret, which is not on record" in run(place, "parameters").output
    model_registry.record(place.warehouse, model_registry.of_policy(replace(POLICY, version="secret"), {}), DAY)
    assert not collect(place.warehouse)["unrecorded"]


def test_the_command_lists_for_a_program(place: Place) -> None:
    found = json.loads(run(place, "parameters", "--json").stdout)
    assert {row["kind"] for row in found["parameters"]} == {"risk_policy", "norms"}
    assert found.keys() == {"parameters", "unrecorded"}


def test_scoring_says_under_which_policy_it_found_nothing_to_do(place: Place, policy: Path) -> None:
    run(place, "parameters", str(policy))
    assert f"scored already under {POLICY.version}" in run(place, "score").output
    done = json.loads(run(place, "score", "--policy", PRIORS.version, "--json").stdout)
    assert done == {"policy_version": PRIORS.version, "customers": 0, "scores": 0}


def test_a_warehouse_without_the_tables_says_how_to_get_them(place: Place) -> None:
    with pytest.raises(Refused, match="loyalty warehouse migrate"):
        opened(place.settings.with_changes(database="default"))


def test_recording_twice_leaves_one_row_in_the_table_itself(place: Place) -> None:
    made = model_registry.of_policy(POLICY, {})
    model_registry.record(place.warehouse, made, DAY)
    model_registry.record(place.warehouse, made, DAY)
    place.warehouse.command("OPTIMIZE TABLE parameter_versions FINAL")
    assert int(place.warehouse.value("SELECT count() FROM parameter_versions")) == 1
