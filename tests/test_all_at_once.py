"""The first check tells everything that the last one would: no defect hides another, and none is told twice."""

from __future__ import annotations

import json
import random

import pytest
from builder import Builder
from campaigns import campaign
from planted import Defect, Place, choose_defects, make_clean, plant, repair_files

from neuropress.cli.main import main


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    folder = tmp_path_factory.mktemp("all")
    return make_clean(folder / "ds", folder)


def list_errors(build: Builder, capsys: pytest.CaptureFixture[str]) -> dict[Place, str]:
    """Where the check of the command line has errors: table, row (-1 for the header), column."""
    main(["check", str(build.root), "--json"])
    places: dict[Place, str] = {}
    for line in capsys.readouterr().out.splitlines():
        found = json.loads(line)
        if found.get("severity") != "error":
            continue
        where = found["location"]
        column = where.get("column", "")
        if found["id"] == "table.column_unknown":
            column = found["message"].rpartition(", and ")[2].removesuffix(" is missing")
        places[where.get("table", ""), where.get("line", 1) - 2, column] = f"{found['id']}: {found['message']}"
    return places


def is_told(defect: Defect, places: dict[Place, str]) -> bool:
    return defect.at in places


def test_the_clean_dataset_has_no_error(clean: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    plant(clean, [])
    assert list_errors(clean, capsys) == {}


@pytest.mark.parametrize("seed", range(campaign(8, 400)))
def test_every_planted_defect_is_told_at_once(seed: int, clean: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    random_ = random.Random(seed)
    defects = choose_defects(random_, random_.randint(2, 30))
    try:
        plant(clean, defects)
        places = list_errors(clean, capsys)
    finally:
        repair_files(clean)
    untold = [defect for defect in defects if not is_told(defect, places)]
    assert not untold
    planted = {place for defect in defects for place in (defect.at, *defect.also)}
    consequences = {place: text for place, text in places.items() if place not in planted}
    assert not consequences
