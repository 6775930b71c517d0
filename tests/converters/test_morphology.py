"""A morphology of a model row through the whole line: record, proof, validation, coverage, release, export."""

import hashlib
import json
from pathlib import Path

import pytest
from builder import Builder

from neuropress.cli.main import main
from neuropress.model.columns_reader import decode
from neuropress.model.plan import digest

TREE = "1 1 0 0 0 1 -1\n2 3 0 0 0 1 1\n3 3 0 5 0 1 2\n"
KEY = "segev/20250801/model/model/cell.swc"
RECORD = "segev/model/asset/IS_MOD_0001.json"
SCRIPT = "segev/20250801/model/script/build.py"


@pytest.fixture
def made(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.put(KEY, TREE.encode())
    build.put(SCRIPT, b"import nothing\n")
    cells = {"model_type": "biophysical", "model_version": "v1", "description": "L5 cell", "notes": "a; b"}
    build.row("model", model_id="IS_MOD_0001", file_path_model=KEY, file_path_script=SCRIPT, **cells)
    assert main(["convert", str(build.root)]) == 0
    return build


def read_lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def test_the_record_says_what_row_and_file_say(made: Builder) -> None:
    asset = json.loads((made.root / "output" / RECORD).read_text())["asset"]
    assert {name: asset[name] for name in ("id", "type", "version", "description", "notes", "format")} == {
        "id": "IS_MOD_0001",
        "type": "biophysical",
        "version": "v1",
        "description": "L5 cell",
        "notes": "a; b",
        "format": "swc",
    }
    assert asset["facts"]["sections"] == 1
    assert asset["facts"]["total_length"] == 5.0
    tree, script = asset["files"]
    assert (tree["path"], tree["size"]) == (KEY, len(TREE))
    assert (script["path"], script["sha256"]) == (SCRIPT, hashlib.sha256(b"import nothing\n").hexdigest())


def test_the_whole_line(made: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, release = str(made.root), str(tmp_path / "release")
    for verb in ("check", "plan", "convert", "verify", "validate"):
        assert main([verb, root]) == 0, verb
    capsys.readouterr()
    assert main(["status", root, "--json"]) == 0
    (state,) = read_lines(capsys)
    assert (state["done"], state["verified"], state["validated"]) == ("up to date", True, True)
    assert main(["publish", root, "--to", release, "--release", "1.0.0"]) == 0
    assert main(["releases", "verify", release, "--deep"]) == 0
    assert main(["releases", "rebuild", release]) == 0
    assert main(["export-tables", release, "--to", str(tmp_path / "tables")]) == 0
    assert (tmp_path / "tables/model.csv").read_text() == (made.root / "tables/model.csv").read_text()
    capsys.readouterr()
    assert main(["explain", root, "--cell", "model.IS_MOD_0001.description"]) == 0
    assert f"{RECORD}" in capsys.readouterr().out
    assert main(["coverage", root, "--json"]) == 0
    assert '"asset record"' in capsys.readouterr().out


def test_it_is_made_again_when_row_or_file_change_and_not_otherwise(
    made: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made.root / "output" / RECORD
    before = path.stat().st_mtime_ns
    assert main(["convert", str(made.root)]) == 0
    assert path.stat().st_mtime_ns == before
    made.change("model", description="L6 cell")
    assert main(["convert", str(made.root)]) == 0
    assert json.loads(path.read_text())["asset"]["description"] == "L6 cell"
    made.put(KEY, f"{TREE}4 3 0 9 0 1 3\n".encode())
    capsys.readouterr()
    assert main(["verify", str(made.root)]) == 1
    assert "verify.input_changed" in capsys.readouterr().out
    assert main(["convert", str(made.root)]) == 0
    assert json.loads(path.read_text())["asset"]["facts"]["total_length"] == 9.0
    assert main(["verify", str(made.root)]) == 0


@pytest.mark.parametrize(
    ("change", "id"),
    [
        (lambda record: record["asset"]["facts"].update(sections=2), "verify.derived"),
        (lambda record: record["asset"].update(more=1), "verify.derived"),
        (lambda record: record.update(more=1), "verify.derived"),
        (lambda record: record["neuropress"]["headers"][KEY][""].update(comments=["x"]), "verify.different"),
        (lambda record: record["neuropress"]["receipt"].update(inputs=[]), "result.unreadable"),
        (lambda record: record["neuropress"]["receipt"].update(sources={}), "verify.unproven"),
        (lambda record: record["neuropress"]["receipt"].update(inputs={}), "verify.unproven"),
        (lambda record: record["neuropress"]["receipt"]["sources"].update({KEY: {"axes": []}}), "reader.option"),
        (lambda record: record["neuropress"]["receipt"]["sources"].update({KEY: []}), "result.unreadable"),
        (lambda record: record["neuropress"]["receipt"]["sources"].update({"../x": {}}), "path."),
        (lambda record: record["neuropress"]["fields"]["/asset/facts/sections"].__setitem__(0, 9), "verify.different"),
        (
            lambda record: record["neuropress"]["fields"]["/asset/facts/sections"][3][0].__setitem__(3, "9"),
            "verify.different",
        ),
        (lambda record: record["neuropress"]["fields"]["/asset/facts/sections"].append(9), "result.unreadable"),
        (lambda record: record["neuropress"].update(fields=[]), "result.unreadable"),
        (lambda record: record["neuropress"].pop("receipt"), "result.unreadable"),
        (lambda record: record["neuropress"]["about"].update(format=2), "result.unreadable"),
        (lambda record: record.pop("neuropress"), "result.foreign"),
    ],
)
def test_a_record_that_somebody_changed_is_found(
    made: Builder, change, id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made.root / "output" / RECORD
    record = json.loads(path.read_text())
    ours = record["neuropress"]
    ours |= {section: decode(ours[section]) for section in ("fields", "receipt")}
    change(record)
    path.write_text(json.dumps(record, sort_keys=True, indent=1))
    capsys.readouterr()
    assert main(["verify", str(made.root)]) == 1
    assert id in capsys.readouterr().out
    assert main(["publish", str(made.root), "--to", str(made.root.parent / "r"), "--release", "1.0.0"]) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda asset: asset.update(facts=[]),
        lambda asset: asset.update(facts=None),
        lambda asset: asset["facts"].update(points=10**400),
        lambda asset: asset["facts"].update(points=[1]),
        lambda asset: asset.update(files="x"),
        lambda asset: asset.update(description="another"),
    ],
)
def test_a_record_of_another_shape_is_not_valid(made: Builder, change, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where whoever changed it made the digest anew, so that the record agrees with its receipt."""
    path = made.root / "output" / RECORD
    record = json.loads(path.read_text())
    change(record["asset"])
    record["neuropress"]["receipt"]["derived"]["/asset"] = digest(record["asset"])
    path.write_text(json.dumps(record, sort_keys=True, indent=1))
    capsys.readouterr()
    assert main(["validate", str(path)]) == 1
    assert "asset.invalid" in capsys.readouterr().out
    assert main(["explain", str(path)]) == 0
    assert main(["publish", str(made.root), "--to", str(made.root.parent / "r"), "--release", "1.0.0"]) == 1


def test_a_record_of_another_id_is_not_valid(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    path = made.root / "output" / RECORD
    path.write_text(
        path.read_text().replace('"id": "IS_MOD_0001",\n  "model_file"', '"id": "IS_MOD_0002",\n  "model_file"')
    )
    assert main(["validate", str(path)]) == 1
    assert "asset.invalid" in capsys.readouterr().out


def test_what_is_no_tree_withholds_its_row(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    made.put(KEY, b"1 1 0 0 0 1 -1\n2 3 0 0 0 1 7\n")
    assert main(["check", str(made.root)]) == 1
    out = capsys.readouterr().out
    assert "swc.tree" in out
    assert "IS_MOD_0001" in out


def test_a_model_of_another_format_is_kept_as_it_is(made: Builder) -> None:
    made.put(KEY.replace("swc", "zip"), b"PK")
    made.change("model", file_path_model=KEY.replace("swc", "zip"))
    assert main(["convert", str(made.root)]) == 0
    asset = json.loads((made.root / "output" / RECORD).read_text())["asset"]
    assert (asset["format"], asset["file"], "facts" in asset) == ("zip", KEY.replace("swc", "zip"), False)
    assert [file["path"] for file in asset["files"]] == [KEY.replace("swc", "zip"), SCRIPT]
