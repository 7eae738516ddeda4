"""The file of endpoints is its owner's alone, whole at every moment, and shows nothing secret."""

import multiprocessing
import os
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.pretty import pretty_repr

from pipeline.errors import Refused
from pipeline.webhooks.endpoints import Endpoint, EndpointFile, rotate, wants
from pipeline.webhooks.signing import Secret, key_of, new_secret
from tests.webhooks.alerts import NOW, SECRET, TRANSITIONS, alert_with, endpoint_at

HOUR = timedelta(hours=1)
HIDDEN = ("hunter2", "q-token", "h-token", "c-token", SECRET.value.removeprefix("whsec_"))
ENDPOINT = Endpoint(
    id="desk",
    url="https://desk:hunter2@hooks.example.com/loyalty?key=q-token",
    headers={"Authorization": "Bearer h-token"},
    secrets=(SECRET,),
    credentials={"routing_key": "c-token"},
    created_at=NOW,
)


def test_what_is_written_is_read_again_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "webhooks.json"
    file = EndpointFile(path)
    assert file.read() == {}
    assert file.stamp() == ()
    rotated = rotate(ENDPOINT, NOW)
    both = {"desk": rotated, "slack-desk": endpoint_at("https://s.example", "slack", "de")}
    file.change(lambda known: {**known, **both})
    assert file.read() == both
    assert path.stat().st_mode & 0o777 == 0o600
    assert [name for name in os.listdir(path.parent) if not name.endswith(".lock")] == ["webhooks.json"]


def test_a_change_is_seen_by_the_stamp(tmp_path: Path) -> None:
    file = EndpointFile(tmp_path / "webhooks.json")
    stamps = [file.stamp()]
    for language in ("en", "de", "en"):
        file.change(lambda known, to=language: {"desk": replace(ENDPOINT, language=to)})  # type: ignore[misc]
        stamps.append(file.stamp())
        assert file.stamp() == stamps[-1]
    assert len(set(stamps)) == 4


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_can_use_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "webhooks.json"
    EndpointFile(path).change(lambda known: {"desk": ENDPOINT})
    path.chmod(mode)
    with pytest.raises(Refused, match="chmod 600"):
        EndpointFile(path).read()
    with pytest.raises(Refused, match="chmod 600"):
        EndpointFile(path).change(lambda known: {})


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{}", b"\xff", b"[]", b'{"kind":"loyalty-webhooks","format":2,"endpoints":[]}',
        b'{"kind":"loyalty-webhooks","format":1,"endpoints":[{"id":"desk","url":"https://u:hunter2@e.example"}]}',
        b'{"kind":"loyalty-webhooks","format":1,"endpoints":[{"id":"DESK","url":"hunter2","created_at":"2026-01-06Z"}]}',
        b'{"kind":"loyalty-webhooks","format":1,"endpoints":[],"hunter2":1}',
    ],
)  # fmt: skip
def test_what_is_no_file_of_endpoints_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "webhooks.json"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(Refused, match="no file of webhook endpoints") as refusal:
        EndpointFile(path).read()
    assert "hunter2" not in str(refusal.value).replace("unknown field `hunter2`", "")


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    file = EndpointFile(tmp_path / "webhooks.json")
    file.change(lambda known: {"desk": ENDPOINT})
    stamp = file.stamp()
    with pytest.raises(ZeroDivisionError):
        file.change(lambda known: {"desk": 1 / 0})  # type: ignore[dict-item]
    assert file.stamp() == stamp
    assert file.read() == {"desk": ENDPOINT}


def _add(path: Path, first: int) -> None:
    for number in range(first, first + 10):
        name = f"desk-{number}"
        EndpointFile(path).change(lambda known, id=name: {**known, id: replace(ENDPOINT, id=id)})  # type: ignore[misc]


def test_of_changes_by_many_processes_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "webhooks.json"
    fork = multiprocessing.get_context("spawn")
    processes = [fork.Process(target=_add, args=(path, 10 * number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(EndpointFile(path).read()) == 30


def test_nothing_secret_is_shown_by_an_endpoint_its_secrets_or_an_error_about_it(tmp_path: Path) -> None:
    rotated = rotate(ENDPOINT, NOW)
    shown = [repr(rotated), str(rotated), pretty_repr(rotated), repr(rotated.secrets), pretty_repr(rotated.secrets)]
    shown += [repr({"desk": rotated}), rotated.shown_url, repr(EndpointFile(tmp_path / "webhooks.json"))]
    try:
        rotate(rotate(rotated, NOW), NOW)
    except Refused as refusal:
        shown.append("".join(traceback.format_exception(refusal)))
    hidden = (*HIDDEN, rotated.secrets[0].value.removeprefix("whsec_"))
    assert [text for text in shown if any(word in text for word in hidden)] == []
    assert rotated.shown_url == "https://hooks.example.com:443/loyalty"


@pytest.mark.parametrize("url", ["https://hooks.example/T0/B0/token", "https://x.example/workflows/1?sig=token"])
@pytest.mark.parametrize("shape", ["slack", "teams"])
def test_a_url_that_is_itself_a_secret_is_shown_as_its_host(shape: str, url: str) -> None:
    endpoint = replace(ENDPOINT, url=url, shape=shape)
    assert "token" not in repr(endpoint)
    assert ".example:443/…" in endpoint.shown_url


@pytest.mark.parametrize("url", ["http://[", "https://e.example:99999/", "", "x"])
def test_a_url_that_is_none_is_not_shown_either(url: str) -> None:
    assert replace(ENDPOINT, url=url).shown_url in ("(not a URL)", "://None:None", "://None:Nonex", "://None:None/x")


def test_a_rotation_leaves_the_old_secret_a_day_and_a_third_within_a_day_is_refused() -> None:
    once = rotate(ENDPOINT, NOW)
    assert [secret.until for secret in once.secrets] == [None, NOW + 24 * HOUR]
    assert once.secrets[1].value == SECRET.value
    assert len(key_of(once.secrets[0])) == 32
    twice = rotate(once, NOW + HOUR)
    assert [secret.until for secret in twice.secrets] == [None, NOW + 25 * HOUR, NOW + 24 * HOUR]
    with pytest.raises(Refused, match="two new secrets within a day"):
        rotate(twice, NOW + 23 * HOUR)
    again = rotate(twice, NOW + 24 * HOUR)
    assert [secret.until for secret in again.secrets] == [None, NOW + 48 * HOUR, NOW + 25 * HOUR]


def test_a_clock_set_back_makes_no_further_rotation_possible() -> None:
    twice = rotate(rotate(ENDPOINT, NOW), NOW)
    with pytest.raises(Refused):
        rotate(twice, NOW - 1000 * HOUR)


def test_an_endpoint_hears_of_its_severities_and_of_every_end() -> None:
    critical = replace(ENDPOINT, severities=("critical",))
    told = {
        transition for transition in TRANSITIONS if wants(critical, alert_with(transition=transition, severity="high"))
    }
    assert told == {"eased", "resolved", "closed", "withdrawn"}
    assert all(wants(critical, alert_with(transition=transition)) for transition in TRANSITIONS)
    assert all(wants(ENDPOINT, alert_with(transition=transition, severity="medium")) for transition in TRANSITIONS)
    assert not wants(replace(ENDPOINT, enabled=False), alert_with())


def test_secrets_made_at_one_moment_differ() -> None:
    made: set[str] = {new_secret(NOW).value for _ in range(20)}
    assert len(made) == 20
    assert isinstance(new_secret(NOW), Secret)
