"""A pytest plug-in for ``mutants.py``: notes what each test takes, or runs chosen tests only, each with a limit."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from mutant_lines import FOLDER

TIMES, CHOSEN = "times.json", "chosen.json"
LEAST_SECONDS = 90.0
"""What a test may always take, with the fixtures that it may be the first to need; and five times its own time."""


class Times:
    """Notes what each test takes, and has every line noted anew for each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._times: dict[str, float] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Before a test."""
        sys.monitoring.restart_events()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """After each of its parts."""
        self._times[report.nodeid] = self._times.get(report.nodeid, 0) + report.duration

    def pytest_sessionfinish(self) -> None:
        """After all tests."""
        self._path.write_text(json.dumps(self._times))


class Chosen:
    """Runs chosen tests only."""

    def __init__(self, path: Path) -> None:
        self._times: dict[str, float] = json.loads(path.read_text())

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave the others out."""
        items[:] = [item for item in items if item.nodeid in self._times]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A test that hangs ends the whole run: the signal is not caught, wherever the test waits."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, LEAST_SECONDS + 5 * self._times[item.nodeid])

    def pytest_sessionfinish(self) -> None:
        """What comes after the last test is not limited."""
        signal.setitimer(signal.ITIMER_REAL, 0)


def pytest_configure(config: pytest.Config) -> None:
    """Choose tests where `mutants.py` has chosen some."""
    folder = Path(os.environ[FOLDER])
    plugin = Chosen(folder / CHOSEN) if (folder / CHOSEN).exists() else Times(folder / TIMES)
    config.pluginmanager.register(plugin)
