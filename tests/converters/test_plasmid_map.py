"""A plasmid map of a file_asset row through the whole line: record, proof, validation, coverage, release, export."""

import hashlib
import json
from pathlib import Path

import pytest
from builder import Builder

from neuropress.cli.main import main

MAP = """LOCUS       pToy_1                    12 bp    DNA     circular SYN 05-MAR-2024
FEATURES             Location/Qualifiers
     source          1..12
     promoter        1..6
ORIGIN
        1 acgtacgtac gg
//
"""
KEY = "lin/20250501/file_asset/raw/toy.gb"
RECORD = "lin/file_asset/asset/ML_FA_0001.json"


@pytest.fixture
def made(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.put(KEY, MAP.encode())
    cells = {"asset_type": "plasmid map", "source_id": "ML_P_0001", "description": "toy", "notes": "a; b"}
    build.row("file_asset", file_asset_id="ML_FA_0001", file_path=KEY, **cells)
    assert main(["convert", str(build.root)]) == 0
    return build


def test_the_record_says_what_row_and_file_say(made: Builder) -> None:
    asset = json.loads((made.root / "output" / RECORD).read_text())["asset"]
    assert asset == {
        "id": "ML_FA_0001",
        "type": "plasmid map",
        "source": "ML_P_0001",
        "description": "toy",
        "notes": "a; b",
        "format": "genbank",
        "locus": "pToy_1",
        "molecule": "DNA",
        "topology": "circular",
        "date": "2024-03-05",
        "facts": {"length": 12, "features": 2, "gc_content": 0.583333},
        "files": [{"path": KEY, "size": len(MAP), "sha256": hashlib.sha256(MAP.encode()).hexdigest()}],
    }


def test_the_whole_line(made: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, release = str(made.root), str(tmp_path / "release")
    for verb in ("check", "plan", "convert", "verify", "validate"):
        assert main([verb, root]) == 0, verb
    capsys.readouterr()
    assert main(["status", root, "--json"]) == 0
    (state,) = (json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{"))
    assert (state["done"], state["verified"], state["validated"]) == ("up to date", True, True)
    assert main(["publish", root, "--to", release, "--release", "1.0.0"]) == 0
    assert (Path(release) / KEY).read_text() == MAP
    assert main(["releases", "verify", release, "--deep"]) == 0
    assert main(["releases", "rebuild", release]) == 0
    assert main(["export-tables", release, "--to", str(tmp_path / "tables")]) == 0
    assert (tmp_path / "tables/file_asset.csv").read_text() == (made.root / "tables/file_asset.csv").read_text()
    capsys.readouterr()
    assert main(["explain", root, "--cell", "file_asset.ML_FA_0001.source_id"]) == 0
    assert RECORD in capsys.readouterr().out
    assert main(["explain", str(made.root / "output" / RECORD), "--all"]) == 0
    assert "topology" in capsys.readouterr().out
    assert main(["coverage", root, "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    columns = {line["column"]: line["asset record"] for line in found if "column" in line}
    assert all(columns[f"file_asset.{name}"] == 1 for name in ("asset_type", "source_id", "description", "notes"))


def test_it_is_made_again_when_the_file_changes(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    made.put(KEY, MAP.replace("circular", "linear  ").encode())
    assert main(["verify", str(made.root)]) == 1
    assert "verify.input_changed" in capsys.readouterr().out
    assert main(["convert", str(made.root)]) == 0
    assert json.loads((made.root / "output" / RECORD).read_text())["asset"]["topology"] == "linear"
    assert main(["verify", str(made.root)]) == 0


@pytest.mark.parametrize(
    ("data", "id"),
    [
        (MAP[:-20].encode(), "genbank.damaged"),
        (b"LOCUS", "genbank.damaged"),
        (b"PK\3\4", "format.unknown"),
        (b"1 1 0 0 0 1 -1\n", "format.unknown"),
        (b"", "file.empty"),
        ((MAP + MAP).encode(), "asset.content"),
    ],
)
def test_what_is_no_map_withholds_its_row(
    made: Builder, data: bytes, id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made.put(KEY, data)
    capsys.readouterr()
    for verb in ("check", "convert"):
        assert main([verb, str(made.root)]) == 1
        out = capsys.readouterr().out
        assert id in out
        assert "ML_FA_0001" in out


def test_one_of_several_records_is_chosen(made: Builder) -> None:
    made.put(KEY, (MAP + MAP.replace("pToy_1", "pToy_2")).encode())
    with (made.root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write(f'\n[options."{KEY}"]\nimage = "pToy_2"\n')
    assert main(["convert", str(made.root)]) == 0
    assert main(["verify", str(made.root)]) == 0
    assert json.loads((made.root / "output" / RECORD).read_text())["asset"]["locus"] == "pToy_2"


def test_a_date_that_is_none_is_a_warning(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    made.put(KEY, MAP.replace("05-MAR", "31-FEB").encode())
    capsys.readouterr()
    assert main(["check", str(made.root)]) == 0
    assert "31-FEB-2024" in capsys.readouterr().out
    assert main(["convert", str(made.root)]) == 0
    assert "date" not in json.loads((made.root / "output" / RECORD).read_text())["asset"]


def test_files_of_other_kinds_are_kept_as_they_are(made: Builder) -> None:
    other = KEY.replace("toy.gb", "proteins.csv")
    made.put(other, b"LOCUS,1\n")
    made.change("file_asset", asset_type="proteomics", file_path=other)
    assert main(["convert", str(made.root)]) == 0
    asset = json.loads((made.root / "output/lin/file_asset/asset/ML_FA_0001.json").read_text())["asset"]
    assert (asset["type"], asset["format"]) == ("proteomics", "csv")
    (file,) = asset["files"]
    assert (file["path"], file["sha256"]) == (other, hashlib.sha256(b"LOCUS,1\n").hexdigest())
