"""The whole stack where everything around it is against it at once."""

import os
import sys
from pathlib import Path

from faust.types.settings import Settings as FaustSettings

from pipeline.local import jars
from tests.stacks import Stack, children_of, eventually

NOWHERE = "http://127.0.0.1:9"
ELSEWHERE = {
    **dict.fromkeys((setting.env_name for setting in FaustSettings.SETTINGS.values() if setting.env_name), "7"),
    **dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"), NOWHERE),
    **dict.fromkeys(("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "KAFKA_OPTS"), "-Xmx1m -Xnonsense"),
    "APP_VERSION": "1.4.2", "BROKER_URL": "redis://x", "PROCESSING_GUARANTEE": "exactly_once", "F_DATADIR": "/nowhere",
    "FAUST_LOOP": "eventlet", "F_WORKDIR": "/nowhere", "NO_CYTHON": "1", "DEVLOG": "1", "LOG_DIR": "/nowhere",
    "CLASSPATH": "/nowhere", "CLICKHOUSE_HOST": "nowhere", "CLICKHOUSE_PASSWORD": "x", "TZ": "America/New_York",
    "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONWARNINGS": "error", "TERMINAL_WIDTH": "wide",
    "COLUMNS": "x", "NO_PROXY": "", "no_proxy": "", "HOME": "/nonexistent", "TMPDIR": "/nowhere",
    "XDG_DATA_HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent",
}  # fmt: skip
NAME = 'Jürgen\'s, data\\u00e4%41;"q"?x=1&{a}*:#\nend'
READ_ONLY = """
mount --make-rprivate / && mount --bind "$1" "$1" && mount -o remount,bind,ro / || exit 99
cd / && umask 077 && ulimit -Sn 128 && shift && exec "$@"
"""


class Hostile(Stack):
    """A stack on a read-only root, in a directory whose name has everything, with other programs' variables."""

    def environment(self) -> dict[str, str]:
        return ELSEWHERE | {"PATH": os.environ["PATH"], "LOYALTY_KAFKA_JARS": str(jars.cache())} | self.settings

    def command(self) -> list[str]:
        own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
        return [*own, "sh", "-c", READ_ONLY, "hostile", str(self.directory)]


def test_up_traffic_questions_and_reset_where_everything_is_hostile(tmp_path: Path) -> None:
    directory = tmp_path / NAME
    directory.mkdir()
    stack = Hostile(Path(sys.executable).parent / "loyalty", directory)
    try:
        _lives_a_day(stack)
    finally:
        stack.end()
    assert [path.name for path in tmp_path.iterdir()] == [NAME], "nothing was written beside the directory"
    assert not list(directory.iterdir())


def _lives_a_day(stack: Hostile) -> None:
    stack.arguments = [*stack.command(), str(stack.loyalty), *stack.arguments]
    stack.loyalty, real = Path("/usr/bin/env"), stack.loyalty
    stack.start(180)
    stack.loyalty = real
    assert stack.run("replay", "cdnow", "--sample").returncode == 0
    eventually(lambda: int(stack.rows("SELECT count() AS n FROM customers")[0]["n"]) == 2_357, 60, "the sample folded")
    assert stack.json("query", "SELECT count() AS n FROM customers_known_at(at = now64(3))")[0]["n"] == 2_357
    assert stack.rows("SELECT timezone() AS zone, serverTimezone() AS machine") == [{"zone": "UTC", "machine": "UTC"}]
    assert all(finding["ok"] for finding in stack.json("doctor")), stack.run("doctor").stdout
    eventually(lambda: stack.json("audit")["ok"], 30, "the audit agrees")
    said = stack.run("customer", "Jürgen").stderr
    assert "J\\xfcrgen" in said
    assert "Traceback" not in said
    assert stack.stop() == 0
    assert not children_of(stack.directory)
    assert stack.run("reset", "--yes").returncode == 0
