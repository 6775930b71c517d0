"""The tables again, from results and records.jsonl alone: equal to the canonical form of what was typed."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest
from builder import DATE, Builder, abf, movie, slices
from hypothesis import given, settings
from hypothesis import strategies as st

from neuropress.api import Dataset
from neuropress.cli.main import main
from neuropress.model.profile import Profile
from neuropress.planning.records import NAME
from neuropress.verbs.export import canonical_tables, export_source


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    """Rows of every kind: in a session, in a volume, in neither, and a private cell."""
    build = Builder(tmp_path / "ds")
    build.session(1, notes='"quoted", with\ncomma; and\r\nline ends, é 日本 \U0001f600')
    build.ephys(abf(tmp_path / "e.abf"), "20000.0", notes="n" * 20000)
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16), pixel_size="0.80", exposure_time="2", laser_line="488")
    build.sem(slices(tmp_path / "v"), file_path_local="D:/secret/place", section="layer 5")
    key = f"segev/{DATE}/model/model/m.hoc"
    build.put(key, b"// hoc")
    build.row(
        "model",
        model_id="IS_MOD_0001",
        model_type="biophysical",
        model_version="1",
        file_path_model=key,
        description="d",
    )
    build.row("mouse", mouse_id="RY_M_0002", strain="C57BL/6J", notes="never used")
    return build


def expected(build: Builder) -> dict[str, str]:
    return dict(canonical_tables(build.root / "tables", build.dataset.config.profile))


def exported(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_bytes().decode("utf-8") for path in folder.glob("*.csv")}


def test_tables_come_back_from_the_output_alone(lab: Builder, tmp_path: Path) -> None:
    assert main(["convert", str(lab.root)]) == 0
    before = expected(lab)
    output = Path(shutil.move(lab.root / "output", tmp_path / "elsewhere"))
    shutil.rmtree(lab.root)
    assert main(["export-tables", str(output), "--to", str(tmp_path / "out")]) == 0
    assert exported(tmp_path / "out") == before
    assert "secret" not in "".join(exported(tmp_path / "out").values())
    assert '""quoted"", with\ncomma; and\r\nline ends' in before["session"]


def test_tables_come_back_from_a_release(lab: Builder, tmp_path: Path) -> None:
    to = str(tmp_path / "release")
    assert main(["convert", str(lab.root)]) == 0
    assert main(["publish", str(lab.root), "--to", to, "--release", "1.0.0"]) == 0
    before = expected(lab)
    shutil.rmtree(lab.root)
    assert main(["export-tables", to, "--to", str(tmp_path / "out")]) == 0
    assert exported(tmp_path / "out") == before


def test_rows_with_errors_are_kept_too(lab: Builder, tmp_path: Path) -> None:
    lab.change("ephys", sampling_rate="20 kHz")
    lab.row("mouse", mouse_id="RY_M_0002", strain="a twin of the same key")
    lab.row("virus", virus_name="no key at all")
    assert main(["convert", str(lab.root)]) == 1
    assert main(["export-tables", str(lab.root), "--to", str(tmp_path / "out")]) == 0
    assert exported(tmp_path / "out") == expected(lab)
    assert "20 kHz" in (lab.root / "output" / NAME).read_text("utf-8")


def test_records_hold_what_no_result_carries_and_are_left_alone_when_right(lab: Builder) -> None:
    assert main(["convert", str(lab.root)]) == 0
    path = lab.root / "output" / NAME
    about, *lines = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    assert {(line["table"], line["key"]) for line in lines} == {("mouse", "RY_M_0002")}
    assert len(about["about"]["results"]) == 3
    stamp = path.stat().st_mtime_ns
    assert main(["convert", str(lab.root)]) == 0
    assert path.stat().st_mtime_ns == stamp


def test_an_older_result_is_told(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(lab.root)]) == 0
    old = tmp_path / "old.nwb"
    path = lab.output("RY_S_0001.nwb")
    assert path
    shutil.copy(path, old)
    lab.change("mouse", weight="30")
    assert main(["convert", str(lab.root)]) == 0
    shutil.copy(old, path)
    assert main(["export-tables", str(lab.root), "--to", str(tmp_path / "out")]) == 1
    assert "export.differs" in capsys.readouterr().out


def test_a_place_without_tables_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-tables", str(tmp_path), "--to", str(tmp_path / "out")]) == 1
    assert "export.nothing" in capsys.readouterr().out


CELL = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40) | st.sampled_from(
    ["", " ", '"', "a,b", "x\r\ny", "x\ny", "\r", "\t", "é", "=1+1", "\u2028", "\ufeffx", "\U0001f9e0", "n" * 20_000]
)


def generated(cells: list[str], rows: int, shift: int, profile: Profile) -> Iterator[tuple[str, list[list[str]]]]:
    """Every published table with rows of own keys; all other cells are taken from `cells`, each row another way."""
    for at, (table, spec) in enumerate(profile.tables.items()):
        if spec.optional_table:
            continue
        lines = []
        for number in range(1, rows + 1):
            start = shift * number + at
            line = [cells[(start + i * (number % 7 + 1)) % len(cells)] for i in range(len(spec.columns))]
            line[spec.columns.index(spec.key)] = f"{spec.labs[0]}_{spec.prefix}_{number:04d}"
            lines.append(line)
        yield table, lines


def test_ten_thousand_generated_rows_come_back(tmp_path: Path) -> None:
    """Through convert, with the tables gone before the export."""
    seen = [0]

    @settings(max_examples=40, deadline=None, database=None)
    @given(cells=st.lists(CELL, min_size=5, max_size=40), shift=st.integers(1, 1000))
    def come_back(cells: list[str], shift: int) -> None:
        folder = Path(mkdtemp(dir=tmp_path))
        dataset = Dataset.init(folder / "ds", "dendritic-consortium")
        for table, lines in generated(cells, 24, shift, dataset.config.profile):
            with (folder / f"ds/tables/{table}.csv").open("a", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(lines)
            seen[0] += len(lines)
        wanted = dict(canonical_tables(folder / "ds/tables", dataset.config.profile))
        dataset.convert()
        shutil.rmtree(folder / "ds/tables")
        report = export_source(str(folder / "ds/output"), folder / "out")
        assert report.ok, report.findings
        assert exported(folder / "out") == wanted

    come_back()
    assert seen[0] >= 10_000
