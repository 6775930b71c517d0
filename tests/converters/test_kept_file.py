"""Files that no converter takes: kept as they are, with a digest in the result of their row."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import h5py
import pytest
from builder import DATE, Builder, abf, movie
from test_behavior_table import WALK, add_table, ds  # noqa: F401

from neuropress.cli.main import main
from neuropress.results import load_kind

SCRIPT = f"yuste/{DATE}/image/script/roi.py"
PROCESSED = f"yuste/{DATE}/image/processed/corrected"
ANALYSIS = f"yuste/{DATE}/analysis/processed/rates.xlsx"
SESSION = f"output/yuste/{DATE}/session/nwb/RY_S_0001.nwb"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    """A movie with a script and a folder of processed files, a recording, an analysis of another format."""
    build = Builder(tmp_path / "ds")
    build.session()
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.put(SCRIPT, b"print(1)\n")
    build.put(f"{PROCESSED}/a.txt", b"a")
    build.put(f"{PROCESSED}/deep/b.txt", b"bb")
    build.put(ANALYSIS, b"cells")
    cells = {"file_path_script": SCRIPT, "file_path_processed": PROCESSED, "processing_methods": "NoRMCorre 1.2"}
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16), notes="dim", **cells)
    about = {"source_type": "ephys", "source_id": "RY_E_0001", "description": "rates", "file_path": ANALYSIS}
    build.row("analysis", analysis_id="RY_A_0001", **about)
    return build


def list_findings(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict]:  # type: ignore[type-arg]
    capsys.readouterr()
    main([*arguments, "--json"])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_session_names_them_beside_what_their_row_made(lab: Builder) -> None:
    assert main(["convert", str(lab.root)]) == 0
    files = ((path, data, sha256(data)) for path, data in (("a.txt", b"a"), ("deep/b.txt", b"bb")))
    manifest = "".join(
        json.dumps({"path": path, "sha256": digest, "size": len(data)}, separators=(",", ":")) + "\n"
        for path, data, digest in files
    )
    with h5py.File(lab.root / SESSION) as file:
        assert file["acquisition/RY_IMG_0001"].attrs["comments"].split("\n")[0] == "dim"
        said = file["acquisition/RY_IMG_0001"].attrs["comments"]
        assert f"script: {SCRIPT} (kept as it is; 9 bytes, SHA-256 {sha256(b'print(1)\n')})" in said
        assert f"{PROCESSED}/ (kept as it is; 2 files, 3 bytes, SHA-256 of their manifest" in said
        assert sha256(manifest.encode()) in said
        others = [one.attrs["comments"] for name, one in file["acquisition"].items() if "_E_" in name]
        assert not any("kept as it is" in text for text in others)
    made = load_kind("nwb").read_provenance(lab.root / SESSION)
    assert made.receipt.kept == (PROCESSED, SCRIPT)
    assert made.receipt.inputs[SCRIPT].sha256 == sha256(b"print(1)\n")
    assert SCRIPT not in made.receipt.sources


def test_a_row_without_a_session_has_a_record(lab: Builder) -> None:
    assert main(["convert", str(lab.root)]) == 0
    asset = json.loads((lab.root / "output/yuste/analysis/asset/RY_A_0001.json").read_text())["asset"]
    assert asset["files"] == [{"path": ANALYSIS, "size": 5, "sha256": sha256(b"cells")}]
    assert (asset["source"], asset["source_type"], asset["format"]) == ("RY_E_0001", "ephys", "xlsx")


def test_the_whole_line(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, release = str(lab.root), str(tmp_path / "release")
    for verb in ("check", "plan", "convert", "verify", "coverage"):
        assert main([verb, root]) == 0, (verb, capsys.readouterr().out)
    assert "2 kept files as stated" in capsys.readouterr().out
    states = {entry["target"]: entry["done"] for entry in list_findings(capsys, "status", root, "--files")}
    assert {key for key, done in states.items() if done == "kept as it is"} == {SCRIPT, PROCESSED, ANALYSIS}
    assert main(["explain", str(lab.root / SESSION), "/acquisition/RY_IMG_0001/comments"]) == 0
    assert "column file_path_script" in capsys.readouterr().out
    assert main(["publish", root, "--to", release, "--release", "1.0.0"]) == 0, capsys.readouterr().out
    lab.raw(SCRIPT).unlink()
    assert main(["releases", "verify", release, "--deep"]) == 0
    assert main(["releases", "rebuild", release]) == 0, capsys.readouterr().out
    assert "2 of 2 results are equal" in capsys.readouterr().out


def test_a_changed_script_makes_the_result_again(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(lab.root)]) == 0
    lab.put(SCRIPT, b"print(2)\n")
    capsys.readouterr()
    assert main(["verify", str(lab.root)]) == 1
    assert "verify.input_changed" in capsys.readouterr().out
    assert main(["convert", str(lab.root)]) == 0
    assert main(["verify", str(lab.root)]) == 0
    lab.put(f"{PROCESSED}/deep/c.txt", b"c")
    assert main(["convert", str(lab.root)]) == 0
    with h5py.File(lab.root / SESSION) as file:
        assert sha256(b"print(2)\n") in file["acquisition/RY_IMG_0001"].attrs["comments"]
        assert "3 files" in file["acquisition/RY_IMG_0001"].attrs["comments"]


def test_a_missing_one_is_a_finding_and_withholds_nothing(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    data = lab.raw(SCRIPT).read_bytes()
    lab.raw(SCRIPT).unlink()
    for verb in ("check", "convert"):
        lacking = [f for f in list_findings(capsys, verb, str(lab.root)) if f.get("id") == "file.missing"]
        assert [(f["severity"], f["location"]["line"], f["location"]["column"]) for f in lacking] == [
            ("warning", 2, "file_path_script")
        ]
    with h5py.File(lab.root / SESSION) as file:
        assert SCRIPT not in file["acquisition/RY_IMG_0001"].attrs["comments"]
    assert "up to date" in str(list_findings(capsys, "convert", str(lab.root)))
    lab.put(SCRIPT, data)
    assert main(["convert", str(lab.root)]) == 0
    with h5py.File(lab.root / SESSION) as file:
        assert SCRIPT in file["acquisition/RY_IMG_0001"].attrs["comments"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_one_is_a_finding(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    lab.raw(SCRIPT).chmod(0)
    (found,) = [f for f in list_findings(capsys, "convert", str(lab.root)) if f.get("id") == "file.unreadable"]
    assert found["location"]["column"] == "file_path_script"


def test_what_may_not_be_read_is_a_finding(
    lab: Builder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from neuropress.model.source import Source

    as_it_was = Source.open

    def refuse(self: Source, key: str | None = None) -> object:
        if (key or self.key) == SCRIPT:
            raise PermissionError(13, "Permission denied")
        return as_it_was(self, key)

    monkeypatch.setattr(Source, "open", refuse)
    (found,) = [f for f in list_findings(capsys, "check", str(lab.root)) if f.get("id") == "file.unreadable"]
    assert (found["severity"], found["location"]["column"]) == ("warning", "file_path_script")


def test_a_file_beside_the_data_that_nothing_is_made_of_is_kept(
    lab: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    """A converter takes the name, and what the file holds is for none: that withholds no session."""
    key = f"yuste/{DATE}/image/roi/rois.zip"
    lab.put(key, b"%PDF-1.7 no zip at all")
    lab.change("image", file_path_roi=key, roi_tool="x")
    kept = [f for f in list_findings(capsys, "convert", str(lab.root)) if f.get("id") == "file.kept"]
    assert [(f["severity"], f["location"]["column"]) for f in kept] == [("warning", "file_path_roi")]
    with h5py.File(lab.root / SESSION) as file:
        assert f"roi: {key} (kept as it is; 22 bytes" in file["acquisition/RY_IMG_0001"].attrs["comments"]
    assert "up to date" in str(list_findings(capsys, "convert", str(lab.root)))
    assert main(["verify", str(lab.root)]) == 0


def test_a_row_that_no_converter_takes_has_its_file_in_the_notes(ds: Builder) -> None:  # noqa: F811
    key = f"basu/{DATE}/behavior/raw/licks.dat"
    add_table(ds, WALK)
    ds.put(key, b"MATLAB")
    ds.row("behavior", behavior_id="JB_B_0002", session_id="JB_S_0001", metric_type="event", file_path_raw=key)
    assert main(["convert", str(ds.root)]) == 0
    path = ds.output("JB_S_0001.nwb")
    assert path
    with h5py.File(path) as file:
        notes = file["general/data_collection"][()].decode()
    assert f"raw of JB_B_0002: {key} (kept as it is; 6 bytes, SHA-256 {sha256(b'MATLAB')})" in notes
