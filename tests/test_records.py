"""What records.jsonl keeps, what it must never hold, and what an export and a release do about it."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from builder import Builder, abf, slices

from neuropress.api import Dataset
from neuropress.cli.main import main
from neuropress.planning.records import NAME
from neuropress.verbs.export import canonical_tables

SECRET = "D:/zqsecretqz/place"


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    """A session, a volume with a private cell, and a mouse that no result carries."""
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.sem(slices(tmp_path / "v"), file_path_local=SECRET)
    build.row("mouse", mouse_id="RY_M_0002", strain="C57BL/6J", notes="in no session")
    return build


def kept(build: Builder) -> str:
    return (build.root / "output" / NAME).read_text("utf-8")


def convert(build: Builder) -> int:
    return main(["convert", str(build.root)])


def export(source: Path, to: Path) -> int:
    return main(["export-tables", str(source), "--to", str(to)])


def same_tables(build: Builder, to: Path) -> bool:
    before = dict(canonical_tables(build.root / "tables", build.dataset.config.profile))
    return before == {path.stem: path.read_bytes().decode("utf-8") for path in to.glob("*.csv")}


def retype(build: Builder, table: str, change: Callable[[str], str]) -> None:
    path = build.root / f"tables/{table}.csv"
    path.write_bytes(change(path.read_bytes().decode("utf-8")).encode("utf-8"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(f",{SECRET}", f",,{SECRET}"),
        lambda text: text.replace(f"20250620,,{SECRET}", f"20250620,{SECRET}"),
        lambda text: text.replace("file_path_local", "File_Path_Local"),
        lambda text: text.replace("file_path_local", "section", 1),
        lambda text: text.replace("sem_dataset_id", "x", 1).replace("file_path_local", "sem_dataset_id", 1),
    ],
    ids=["shifted right", "shifted left", "misspelt", "named twice", "named as the key"],
)
def test_a_private_cell_is_in_no_output_however_the_table_is_damaged(
    lab: Builder, damage: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    retype(lab, "sem_dataset", damage)
    assert SECRET in (lab.root / "tables/sem_dataset.csv").read_text("utf-8")
    assert convert(lab) == 1
    assert "records.withheld" in capsys.readouterr().out
    assert export(lab.root, tmp_path / "out") == 0
    for path in (*(lab.root / "output").rglob("*"), *(tmp_path / "out").iterdir()):
        assert path.is_dir() or b"zqsecretqz" not in path.read_bytes(), path
    assert main(["coverage", str(lab.root)]) == 0
    assert "coverage.sum" not in capsys.readouterr().out


def test_every_cell_of_odd_rows_is_kept(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = "RY_M_0003,,,,,,,,,,twin\n"
    retype(lab, "mouse", lambda text: text + "," + twice + "," + twice + "RY_L_0009,RY_M_0009\n" + "a" + ",b" * 12)
    retype(
        lab,
        "virus",
        lambda text: "\n".join(f"{x},{y}" for x, y in zip(text.splitlines(), ("notes", "two"), strict=True)),
    )
    assert convert(lab) == 1
    said = kept(lab)
    assert said.count("twin") == 2
    for text in ('"RY_L_0009"', '"beyond the header (2)":"b"', '"notes (2)":"two"'):
        assert text in said
    assert export(lab.root, tmp_path / "out") == 0
    assert same_tables(lab, tmp_path / "out")
    capsys.readouterr()
    main(["coverage", str(lab.root)])
    assert "coverage.sum" not in capsys.readouterr().out


def test_rows_of_one_key_have_each_their_own_fate(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(lab) == 0
    lab.row("virus", virus_id="RY_V_0009", virus_name="one", notes="first")
    lab.row("virus", virus_id="RY_V_0009", virus_name="two", notes="second")
    assert main(["coverage", str(lab.root)]) == 0
    assert f"{NAME} is missing or not current" in capsys.readouterr().out
    assert convert(lab) == 1
    report = lab.dataset.coverage()
    covered = report.coverage
    assert covered.counts["virus.notes"]["catalogue only"] == 2
    assert not report.findings


@pytest.mark.parametrize("tail", [b"RY_M_0004,\xff\n", b'"never ends\n'])
def test_a_table_that_cannot_be_read_erases_nothing(
    lab: Builder, tail: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert convert(lab) == 0
    before = kept(lab)
    with (lab.root / "tables/mouse.csv").open("ab") as file:
        file.write(tail)
    assert convert(lab) == 1
    assert kept(lab) == before
    assert "records.kept" in capsys.readouterr().out


def test_an_export_never_goes_over_the_tables(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(lab) == 0
    assert export(lab.root, lab.root / "tables") == 1
    assert "export.over_tables" in capsys.readouterr().out
    assert SECRET in (lab.root / "tables/sem_dataset.csv").read_text("utf-8")


def forge(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        stored = file["general/neuropress/records_json"]
        text = stored.asstr()[()]
        assert "24.50" in text
        stored[()] = text.replace("24.50", "99.99")


def test_a_forged_row_is_told(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(lab) == 0
    assert main(["publish", str(lab.root), "--to", str(tmp_path / "rel"), "--release", "1.0.0"]) == 0
    assert export(tmp_path / "rel", tmp_path / "out") == 0
    for source in (tmp_path / "rel", lab.root):
        forge(next(source.rglob("RY_S_0001.nwb")))
        capsys.readouterr()
        assert export(source, tmp_path / "out") == 1
        assert "export.differs" in capsys.readouterr().out


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9])])
def test_a_release_takes_its_rows_from_the_tables_whatever_became_of_the_records(
    lab: Builder, spoil: Callable[[Path], object], tmp_path: Path
) -> None:
    assert convert(lab) == 0
    lab.change("mouse", 1, notes="changed after convert")
    spoil(lab.root / "output" / NAME)
    publish = ["publish", str(lab.root), "--to", str(tmp_path / "rel"), "--release", "1.0.0"]
    assert main(publish) == 0
    assert "changed after convert" in (tmp_path / "rel/dataset/RY/tables/mouse.csv").read_text("utf-8")
    assert export(tmp_path / "rel", tmp_path / "out") == 0


def test_damaged_records_are_told_and_made_anew(lab: Builder, tmp_path: Path) -> None:
    assert convert(lab) == 0
    path = lab.root / "output" / NAME
    good = path.read_bytes()
    start = b'{"about":{"format":1,"profile":"dendritic-consortium","results":'
    outside = good.replace(b'"results":{"', b'"results":{"../../')
    for bad in (b"", b"\xff", b"[]\n", b"{}\n", start + b'[],"version":"1"}}\n', good + b'{"table":1}\n', outside):
        path.write_bytes(bad)
        assert export(lab.root, tmp_path / "out") == 1, bad
    assert convert(lab) == 0
    assert path.read_bytes() == good


def test_a_part_that_is_converted_leaves_the_rest_kept(lab: Builder) -> None:
    assert convert(lab) == 0
    before = kept(lab)
    assert main(["convert", str(lab.root), "--lab", "JL"]) == 0
    assert kept(lab) == before


def test_ten_thousand_rows_come_back(lab: Builder, tmp_path: Path) -> None:
    """Texts of every kind in rows that results carry and in rows that none does; read back by another reader."""
    random_ = random.Random(3)
    odd = [
        "",
        " lead",
        'a "b"',
        "c,d",
        "\r\n",
        "x\ry",
        "\t",
        "é",
        "e\u0301",
        "日本",
        "\U0001f600",
        "\u2028",
        "=1+1",
        "'",
    ]
    typed = {
        f"RY_M_{n:04d}": "".join(random_.choices(odd, k=random_.randrange(6))) + ("n" * 20000 if n % 1999 == 0 else "")
        for n in range(3, 9999)
    }
    path = lab.root / "tables/mouse.csv"
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerows(["", key, "", "", "", "", "", "", "", "", notes] for key, notes in typed.items())
    convert(lab)
    before = dict(canonical_tables(lab.root / "tables", lab.dataset.config.profile))
    (lab.root / "tables").rename(tmp_path / "moved")
    assert export(lab.root / "output", tmp_path / "out") == 0
    assert before == {p.stem: p.read_bytes().decode("utf-8") for p in (tmp_path / "out").glob("*.csv")}
    with (tmp_path / "out/mouse.csv").open(encoding="utf-8", newline="") as file:
        back = {row["mouse_id"]: row["notes"] for row in csv.DictReader(file, strict=True)}
    assert len(back) == len(typed) + 2
    assert {key: back[key] for key in typed} == typed


def test_what_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    dataset = Dataset.init(tmp_path / "ds", "dendritic-consortium")
    left = dataset.config.output / "records.jsonl.12345.partial"
    left.write_text("half", "utf-8")
    assert dataset.convert().ok
    assert [p.name for p in dataset.config.output.iterdir()] == ["records.jsonl"]
