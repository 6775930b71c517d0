"""Tables damaged in any way: every verb goes on, coverage adds up, and an export gives back what was typed."""

from __future__ import annotations

import csv
import random
import shutil
from pathlib import Path

import pytest
from builder import DATE, Builder, abf, movie
from campaigns import campaign

from neuropress.api import Dataset
from neuropress.tables.fixes import read_fixes
from neuropress.verbs.export import canonical_tables, export_source

TEXTS = (
    "", "NA", " x", "20250620.0", "0.375", "#NAME?", "1-Mar", "RY_M_0001", "RY_S_0002", "RY_INJ_0001", "ry_m_1", "x\ny",
    "é", "\0", "TRUE", "-1", "99999999", f"yuste/{DATE}/ephys/raw/e1.abf", "../x",
)  # fmt: skip


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session(1, notes="two\nlines")
    build.session(2)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16), session=2)
    build.row("model", model_id="IS_MOD_0001", model_type="biophysical", model_version="1", description="d",
              file_path_model="segev/20250801/model/model/m.zip")  # fmt: skip
    build.row("injection", injection_id="RY_INJ_0001", mouse_id="RY_M_0001", virus_id="RY_V_0001", region="VISp")
    return build


def damage(folder: Path, random_: random.Random) -> None:
    """One to three cells, rows or column names of any table are changed, doubled or cut."""
    for _ in range(random_.randint(1, 3)):
        path = random_.choice(sorted(folder.glob("*.csv")))
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        if len(rows) < 2:
            continue
        row, how = random_.randrange(1, len(rows)), random_.randrange(6)
        if how <= 2:
            rows[row][random_.randrange(len(rows[row]))] = random_.choice(TEXTS)
        elif how == 3:
            rows.append(list(rows[row]))
        elif how == 4:
            rows[row] = rows[row][:-1]
        else:
            rows[0][random_.randrange(len(rows[0]))] = random_.choice(["x", "notes"])
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def sign_all(path: Path) -> int:
    """Put a name under every proposal that has a fix; how many there are."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    for line in lines:
        line[-1] = "Ada Example" if line[header.index("fix")] else ""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *lines])
    return sum(bool(line[-1]) for line in lines)


@pytest.mark.parametrize("seed", range(campaign(12)))
def test_whatever_is_damaged_nothing_is_lost(seed: int, lab: Builder, tmp_path: Path) -> None:
    damage(lab.root / "tables", random.Random(seed))
    dataset = Dataset.open(lab.root)
    for verb in (dataset.check, dataset.status, dataset.plan):
        assert not [f for f in verb().findings if f.id == "internal.error"]
    dataset.propose_fixes(tmp_path / "fixes.csv")
    signed = sign_all(tmp_path / "fixes.csv")
    assert dataset.apply_fixes(tmp_path / "fixes.csv").ok
    assert len(read_fixes(lab.root / "applied_fixes.csv")[0]) == signed
    report = dataset.convert(keep_going=True)
    assert not [f for f in report.findings if f.id in ("internal.error", "machine.failed")]
    covered = dataset.coverage().coverage
    assert sum(covered.totals().values()) == covered.cells
    wanted = dict(canonical_tables(lab.root / "tables", dataset.config.profile))
    shutil.move(lab.root / "output", tmp_path / "output")
    shutil.rmtree(lab.root)

    told = export_source(str(tmp_path / "output"), tmp_path / "out")
    assert not [f for f in told.findings if f.severity == "error"]
    for table, text in wanted.items():
        assert (tmp_path / f"out/{table}.csv").read_bytes().decode("utf-8") == text, table
