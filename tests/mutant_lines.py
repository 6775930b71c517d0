"""Which test runs which line, also in child processes: what ``mutants.py`` chooses tests by."""

from __future__ import annotations

import os
import sys
from types import CodeType

FOLDER = "NEUROPRESS_MUTANTS"
"""Environment variable: the folder of a run of tests. Children of a test inherit it."""
LINES = "lines.txt"


class _Lines:
    """Appends file, line and test to one file, whatever process runs them."""

    def __init__(self, path: str, package: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._package = package
        monitoring = sys.monitoring
        monitoring.use_tool_id(monitoring.COVERAGE_ID, "mutants")
        monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, self._note)
        monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)

    def _note(self, code: CodeType, line: int) -> object:
        if code.co_filename.startswith(self._package):
            test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
            os.write(self._file, f"{code.co_filename[len(self._package) :]}\t{line}\t{test}\n".encode())
        return sys.monitoring.DISABLE  # once a line, until the next test


def trace_lines(package: str) -> None:
    """Note lines of a package from now on; ``sitecustomize`` calls it in every Python process of the tests."""
    _Lines(os.path.join(os.environ[FOLDER], LINES), package)
