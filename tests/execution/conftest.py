"""What tests of several machines share: a dataset, and its results by one run."""

from __future__ import annotations

import pytest
from builder import Builder, abf, slices
from shared_lab import take_digests


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> tuple[Builder, dict[str, str]]:
    """A dataset with a session and a volume of two units, and its results by one run."""
    folder = tmp_path_factory.mktemp("lab")
    build = Builder(folder / "ds")
    build.session(1)
    build.ephys(abf(folder / "e.abf"), "20000")
    build.sem(slices(folder / "v", (520, 40, 36)))
    assert build.dataset.convert().ok
    return build, take_digests(build.root)
