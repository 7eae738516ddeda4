"""Statements of a migration, from the same text for one server and for replicas.

The files say what a table is, not where it lives. With a cluster's name a statement is expanded when it is applied:

- ``ON CLUSTER`` after the name of what it creates, changes or drops
- an engine of the ``MergeTree`` family becomes its ``Replicated`` kind, on a path with ``{shard}`` and ``{replica}``
- ``non_replicated_deduplication_window`` becomes ``replicated_deduplication_window`` and the same in seconds

Anything else is refused: half an expansion would be a table on one replica only. Text in quotes is never touched.
"""

import re
from collections.abc import Callable, Sequence

from pipeline.errors import Refused

REMEMBERED_SECONDS = 604_800
"""How long replicas remember the tokens of inserts: a week."""
_PATH = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
_NAME = r"(?:`[^`]+`|[A-Za-z_]\w*)(?:\.(?:`[^`]+`|[A-Za-z_]\w*))?"
_HEAD = re.compile(
    r"(?P<verb>CREATE(?: OR REPLACE)? (?:TABLE|VIEW|MATERIALIZED VIEW|FUNCTION)(?: IF NOT EXISTS)?"
    r"|ALTER TABLE|(?:DROP|DETACH|TRUNCATE) (?:TABLE|VIEW|FUNCTION)(?: IF EXISTS)?)"
    rf"\s+(?P<name>{_NAME})(?=[\s(]|$)"
)
_LOCAL = re.compile(r"INSERT INTO\s")
_ENGINE = re.compile(r"\bENGINE\s*=\s*(?P<engine>\w+)(?P<arguments>\s*\([^)]*\))?")
_FAMILY = re.compile(r"(?:Replacing|Aggregating|Summing|Collapsing|VersionedCollapsing|Coalescing)?MergeTree")
_WINDOW = re.compile(r"\bnon_replicated_deduplication_window\s*=\s*(\d+)")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_CREATED = re.compile(r"CREATE (TABLE|VIEW|MATERIALIZED VIEW) (?!IF)")


def split(sql: str) -> list[str]:
    """The statements of a file; each ends with a semicolon at the end of a line."""
    bare = re.sub(r"^--.*$", "", sql, flags=re.MULTILINE)
    return [statement.strip() for statement in re.split(r";\s*$", bare, flags=re.MULTILINE) if statement.strip()]


def repeatable(statement: str) -> str:
    """The statement so that it can be run again after an interruption: ``CREATE`` skips what exists."""
    return _CREATED.sub(r"CREATE \1 IF NOT EXISTS ", statement, count=1) if _CREATED.match(statement) else statement


def expanded(statement: str, cluster: str) -> str:
    """The statement for the replicas of a cluster; unchanged when there is none.

    Raises
    ------
    Refused
        There is no rule for it.
    """
    return _outside_quotes(statement, lambda text: _replicated(text, cluster)) if cluster else statement


def _outside_quotes(statement: str, change: Callable[[str], str]) -> str:
    kept: list[str] = []

    def put_away(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"'{len(kept) - 1}'"

    changed = change(_QUOTED.sub(put_away, statement))
    return re.sub(r"'(\d+)'", lambda match: kept[int(match[1])], changed)


def _replicated(text: str, cluster: str) -> str:
    if _LOCAL.match(text):
        return text
    head = _HEAD.match(text)
    if head is None or "ON CLUSTER" in text:
        raise _no_rule(text)
    rest = text[head.end() :]
    if re.match(r"CREATE(?: OR REPLACE)? TABLE", head["verb"]):
        rest = _replicated_engine(rest, text)
    rest = _WINDOW.sub(rf"replicated_deduplication_window = \1, {_WINDOW_SECONDS}", rest)
    if "non_replicated" in rest:
        raise _no_rule(text)
    return f"{head['verb']} {head['name']} ON CLUSTER `{cluster}`{rest}"


_WINDOW_SECONDS = f"replicated_deduplication_window_seconds = {REMEMBERED_SECONDS}"


def _replicated_engine(rest: str, text: str) -> str:
    engines: Sequence[re.Match[str]] = list(_ENGINE.finditer(rest))
    if len(engines) != 1 or not _FAMILY.fullmatch(engines[0]["engine"]):
        raise _no_rule(text)
    (engine,) = engines
    own = (engine["arguments"] or "").strip().removeprefix("(").removesuffix(")").strip()
    arguments = ", ".join(filter(None, (_PATH_MARK, own)))
    clause = f"ENGINE = Replicated{engine['engine']}({arguments})"
    return (rest[: engine.start()] + clause + rest[engine.end() :]).replace(_PATH_MARK, _PATH)


_PATH_MARK = "\0path\0"


def _no_rule(text: str) -> Refused:
    return Refused(
        f"a migration holds a statement that cannot be expanded for replicas: {' '.join(text.split())[:60]!r}. "
        "Nothing was changed; write it as one CREATE, ALTER TABLE, DROP or INSERT without ON CLUSTER"
    )
