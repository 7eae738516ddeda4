"""How far a run of the tests is, every half minute: pytest's dots alone do not say what takes long."""

import threading
import time

import pytest

SECONDS = 30


class Progress:
    """Counts tests that ended, and knows which have begun and not ended."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter
        self._began = time.monotonic()
        self._running: dict[str, float] = {}
        self._ended = 0
        self._over = threading.Event()

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Begin to say it."""
        threading.Thread(target=self._say, args=(session,), daemon=True).start()

    def pytest_sessionfinish(self) -> None:
        """Nobody waits any more."""
        self._over.set()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self._running[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test has ended."""
        self._running.pop(nodeid, None)
        self._ended += 1

    def _say(self, session: pytest.Session) -> None:
        while not self._over.wait(SECONDS):
            self._reporter.ensure_newline()
            self._reporter.write_line(self.line(session.testscollected, time.monotonic()))

    def line(self, count: int, now: float) -> str:
        """What a person wants to know: how many of how many, since when, and what has been running for longest."""
        minutes, seconds = divmod(int(now - self._began), 60)
        done = f"{self._ended} of {count} tests after {minutes}:{seconds:02}" if count else "the tests are collected"
        running = list(self._running.items())
        if not running:
            return done
        name, since = min(running, key=lambda item: item[1])
        return f"{done}; for {now - since:.0f} s: {name.rpartition('@')[0] or name}"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Only the process that prints has something to say."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(reporter))
