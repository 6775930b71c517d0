"""The examples in docstrings run as they stand."""

import doctest
import importlib
from pathlib import Path

import pytest

import neuropress
from neuropress import Dataset
from neuropress.cli.demo_data import SETTINGS, fill_tables, make_files

MODULES = (
    "neuropress",
    "neuropress.api",
    "neuropress.model.finding",
    "neuropress.model.report",
    "neuropress.workspace",
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``demo`` is the example dataset, brought up to date."""
    folder = tmp_path_factory.mktemp("examples")
    dataset = Dataset.init(folder / "demo", "dendritic-consortium")
    make_files(folder / "demo/source")
    fill_tables(folder / "demo/tables")
    with (folder / "demo/neuropress.toml").open("a", encoding="utf-8") as settings:
        settings.write(SETTINGS)
    assert Dataset.open(dataset.config.root).run().ok
    return folder


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo)
    outcome = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_what_users_need_is_importable_from_the_package() -> None:
    for name in neuropress.__all__:
        assert getattr(neuropress, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        neuropress.nothing  # noqa: B018
