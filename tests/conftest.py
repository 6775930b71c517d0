"""Shared fixtures: the corpus of real raw files."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test fails because the machine is slow: speed is measured in benchmarks/.
settings.register_profile("neuropress", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("neuropress")

ROOT = Path(__file__).resolve().parents[1]


def corpus_folder() -> Path | None:
    """The corpus, where it lies on this machine."""
    folder = Path(os.environ.get("NEUROPRESS_CORPUS", ROOT.parent / "shared" / "corpus"))
    return folder if (folder / "MANIFEST.tsv").is_file() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if corpus_folder() is None:
        for item in items:
            if "corpus" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no corpus: set NEUROPRESS_CORPUS"))


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Root of the corpus; tests that use it bear ``@pytest.mark.corpus``."""
    folder = corpus_folder()
    if folder is None:
        pytest.skip("no corpus: set NEUROPRESS_CORPUS")
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the reasons of skipped tests to the file that NEUROPRESS_REPORT names, for CI."""
    report = os.environ.get("NEUROPRESS_REPORT")
    if report:
        skipped = terminalreporter.stats.get("skipped", [])
        lines = [f"{item.nodeid}: {item.longrepr[2] if item.longrepr else ''}" for item in skipped]
        Path(report).write_text("\n".join(lines) + "\n", encoding="utf-8")
