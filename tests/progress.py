"""How far a run of the tests is, every half minute: pytest's dots alone do not say what takes long."""

import time

import pytest

SECONDS = 30


class Progress:
    """Counts tests that ended, and knows which have begun and not ended."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter
        self._began = self._said = time.monotonic()
        self._running: dict[str, float] = {}
        self._ended = 0

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins."""
        self._running[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """A test has ended."""
        now = time.monotonic()
        self._running.pop(nodeid, None)
        self._ended += 1
        if now - self._said >= SECONDS:
            self._said = now
            self._reporter.ensure_newline()
            self._reporter.write_line(self.line(now))

    def line(self, now: float) -> str:
        """What a person wants to know."""
        minutes, seconds = divmod(int(now - self._began), 60)
        done = f"{self._ended} tests after {minutes}:{seconds:02}"
        if not self._running:
            return done
        name, since = min(self._running.items(), key=lambda item: item[1])
        return f"{done}; for {now - since:.0f} s: {name.rpartition('@')[0] or name}"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Only the process that prints has something to say."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(reporter))
