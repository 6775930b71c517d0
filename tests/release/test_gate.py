"""The gate of a release: nothing leaves that is wrong, unproven, or less than before without a word."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from builder import DATE, Builder, abf, movie, slices

from neuropress.cli.main import main
from neuropress.release import read_release

VOLUME = f"lichtman/{DATE}/sem_dataset/ome-zarr/JL_SD_0001.ome.zarr"
NWB = f"yuste/{DATE}/session/nwb/RY_S_0001.nwb"


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    """Two labs: a session with a recording and a movie, a volume; and an analysis table."""
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16), pixel_size="0.8")
    build.sem(slices(tmp_path / "v"))
    build.row("mouse", mouse_id="RY_M_0002", strain="C57BL/6J")
    return build


@pytest.fixture
def verified(build: Builder) -> Builder:
    assert main(["convert", str(build.root)]) == 0
    assert main(["verify", str(build.root)]) == 0
    return build


def publish(build: Builder, number: str = "1.0.0", *options: str) -> int:
    return main(["publish", str(build.root), "--to", str(get_release_folder(build)), "--release", number, *options])


def get_release_folder(build: Builder) -> Path:
    return build.root.parent / "release"


def list_finding_ids(text: str) -> set[str]:
    return {json.loads(line)["id"] for line in text.splitlines() if line.startswith("{") and '"severity"' in line}


def test_what_the_validators_refuse_is_not_published(build: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    build.change("image", pixel_size="500")  # nanometres, typed into a column of micrometres
    assert main(["convert", str(build.root)]) == 0
    assert main(["verify", str(build.root)]) == 0
    assert main(["validate", str(build.root)]) == 1
    capsys.readouterr()
    assert publish(build, "1.0.0", "--json") == 1
    assert {"nwb.pixel_size", "publish.errors"} <= list_finding_ids(capsys.readouterr().out)
    assert not list(get_release_folder(build).glob("releases/*.json"))
    assert main(["status", str(build.root), "--json"]) == 0
    states = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(s["verified"], s["validated"]) for s in states if s["target"] == NWB] == [(True, False)]
    assert publish(build, "1.0.0", "--allow-errors") == 0
    notes = json.loads((get_release_folder(build) / "releases/1.0.0.json").read_text())["notes"]
    assert [e["id"] for e in notes["errors"]] == ["nwb.pixel_size"]
    assert str(build.root) not in json.dumps(notes)


def find_shard(build: Builder) -> Path:
    return next((build.root / "output" / VOLUME / "0" / "c").rglob("0"))


def flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "id"),
    [
        (flip_bit, "result.unreadable"),
        (Path.unlink, "verify.missing_file"),
        (lambda path: path.with_name("notes.txt").write_text("stray"), "verify.stray_file"),
        (lambda path: (path.parents[3] / ".DS_Store").write_bytes(b"x"), "verify.stray_file"),
        (lambda path: path.with_name("1").symlink_to(path), "result.unsafe"),
    ],
)
def test_a_volume_that_is_damaged_after_it_was_verified_is_refused(
    verified: Builder, damage, id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", str(verified.root)]) == 0
    path = next(p for p in (verified.root / "output" / VOLUME / "0" / "c").rglob("*") if p.is_file())
    damage(path)
    capsys.readouterr()
    assert publish(verified, "1.0.0", "--json") == 1
    assert id in list_finding_ids(capsys.readouterr().out)
    assert not list(get_release_folder(verified).glob("releases/*.json"))
    assert main(["status", str(verified.root), "--json"]) == 0
    states = {json.loads(line)["target"]: json.loads(line) for line in capsys.readouterr().out.splitlines()}
    assert (states[VOLUME]["verified"], states[NWB]["verified"]) == (False, True)


def test_a_shard_of_zeros_that_is_gone_is_no_whole_volume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An absent shard reads as zeros, so samples alone would not show it."""
    import numpy as np
    import tifffile

    folder = tmp_path / "v"
    folder.mkdir()
    for z in range(3):
        tifffile.imwrite(folder / f"s_{z}.tif", np.zeros((20, 20), np.uint8), metadata=None)
    build = Builder(tmp_path / "ds")
    build.sem(folder)
    assert main(["convert", str(build.root)]) == 0
    next(p for p in (build.root / "output" / VOLUME / "0" / "c").rglob("*") if p.is_file()).unlink()
    capsys.readouterr()
    assert main(["verify", str(build.root), "--json"]) == 1
    assert "verify.missing_file" in list_finding_ids(capsys.readouterr().out)


def test_bytes_that_change_behind_the_stat_are_not_sent(
    verified: Builder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The digest is taken again of the bytes that go out, so a proof cannot be fooled by a stat."""
    from neuropress.proof import Proof
    from neuropress.workspace import Workspace

    assert main(["validate", str(verified.root)]) == 0
    flip_bit(verified.root / "output" / NWB)
    monkeypatch.setattr(Proof, "matches", lambda self, path: True)
    monkeypatch.setattr(Workspace, "standing", lambda *_: _Current())
    capsys.readouterr()
    assert publish(verified, "1.0.0", "--json") == 1
    assert list_finding_ids(capsys.readouterr().out) >= {"storage.changed"}
    assert not list(get_release_folder(verified).glob("releases/*.json"))


class _Current:
    from neuropress.planning.stale import State

    state, reason = State.CURRENT, ""


def test_a_proof_is_used_once_it_is_there(verified: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["validate", str(verified.root)]) == 0
    monkeypatch.setattr("neuropress.publishing.gate.prove_result", lambda *_: pytest.fail("was proven"))
    monkeypatch.setattr("neuropress.results.nwb.file.validate", lambda *_: pytest.fail("was validated"))
    assert publish(verified) == 0


def test_deleted_state_is_proven_again(verified: Builder) -> None:
    shutil.rmtree(verified.root / ".neuropress")
    assert publish(verified) == 0


def list_losses(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "publish.loss" in line or "lost:" in line)


def test_a_table_that_is_renamed_is_not_lost_quietly(verified: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    verified.row("analysis", analysis_id="RY_A_0001", description="a figure")
    assert main(["convert", str(verified.root)]) in (0, 1)
    assert publish(verified, "1.0.0", "--allow-errors") == 0
    path = verified.root / "tables/analysis.csv"
    path.rename(path.with_name("Analysis.csv"))
    assert main(["convert", str(verified.root)]) in (0, 1)
    capsys.readouterr()
    assert publish(verified, "1.1.0", "--allow-errors") == 1
    assert "analysis.RY_A_0001" in list_losses(capsys.readouterr().out)
    path.with_name("Analysis.csv").unlink()
    assert publish(verified, "1.1.0", "--allow-errors") == 1
    assert publish(verified, "1.1.0", "--allow-errors", "--accept-loss", "analysis") == 0
    notes = json.loads((get_release_folder(verified) / "releases/1.1.0.json").read_text())["notes"]
    assert "analysis.RY_A_0001" in notes["accepted_losses"]


def test_rows_cells_and_assets_are_not_lost_quietly(verified: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish(verified) == 0
    verified.rows["mouse"].pop(1)
    verified.change("mouse", weight="", sex="M")
    verified.rows["sem_dataset"].clear()
    verified.write("sem_dataset")
    assert main(["convert", str(verified.root)]) == 0
    capsys.readouterr()
    assert publish(verified, "1.1.0") == 1
    text = capsys.readouterr().out
    for name in ("mouse.RY_M_0002", "mouse.RY_M_0001.weight", "sem_dataset.JL_SD_0001", VOLUME, "v1"):
        assert name in list_losses(text), name
    assert "mouse.RY_M_0001.sex" not in list_losses(text)
    assert publish(verified, "1.1.0", "--accept-loss", "mouse.RY_M_0002", "--accept-loss", "mouse.*.weight") == 1
    text = list_losses(capsys.readouterr().out)
    assert "RY_M_0002" not in text
    assert VOLUME in text
    accept = ("mouse.RY_M_0002", "mouse.RY_M_0001.weight", "sem_dataset", f"lichtman/{DATE}")
    assert publish(verified, "1.1.0", *(o for name in accept for o in ("--accept-loss", name))) == 0
    assert VOLUME not in read_release(str(get_release_folder(verified))).assets


def test_dry_run_says_what_changes_and_sends_nothing(verified: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish(verified, "1.0.0", "--dry-run") == 0
    assert not get_release_folder(verified).exists()
    assert publish(verified) == 0
    before = set(get_release_folder(verified).rglob("*"))
    verified.change("mouse", weight="25.5")
    verified.row("mouse", mouse_id="RY_M_0003", strain="C57BL/6J")
    assert main(["convert", str(verified.root)]) == 0
    capsys.readouterr()
    assert publish(verified, "1.1.0", "--dry-run", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    changes = {(x["level"], x["what"], x["name"]): (x["before"], x["after"]) for x in lines if "level" in x}
    assert changes[("cell", "changed", "mouse.RY_M_0001.weight")] == ("24.50", "25.5")
    assert ("row", "added", "mouse.RY_M_0003") in changes
    assert {name for level, what, name in changes if level == "asset"} == {NWB, VOLUME}
    assert set(get_release_folder(verified).rglob("*")) == before


def test_what_is_not_selected_is_inherited(verified: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish(verified) == 0
    first = read_release(str(get_release_folder(verified)))
    verified.change("mouse", weight="25.5")
    shutil.rmtree(verified.root / "output/lichtman")  # another lab's results are not here
    shutil.rmtree(verified.root / "source/lichtman")
    verified.rows["sem_dataset"].clear()
    verified.write("sem_dataset")
    assert main(["convert", str(verified.root)]) == 0
    assert publish(verified, "1.1.0") == 1
    assert publish(verified, "1.1.0", "--lab", "RY") == 0
    second = read_release(str(get_release_folder(verified)))
    assert second.assets.keys() == first.assets.keys()
    changed = {name for name in first.assets if first.assets[name].sha256 != second.assets[name].sha256}
    assert changed == {NWB, "dataset/RY"}
    assert second.notes["selected"] == {"lab": ["RY"]}


def test_one_session_brings_its_rows_and_no_others(verified: Builder, tmp_path: Path) -> None:
    verified.session(2)
    verified.ephys(abf(tmp_path / "f.abf", sweeps=2), "20000", number=2, session=2)
    assert main(["convert", str(verified.root)]) == 0
    assert publish(verified) == 0
    verified.change("ephys", 0, notes="one")
    verified.change("ephys", 1, notes="two")
    assert main(["convert", str(verified.root)]) == 0
    assert publish(verified, "1.1.0", "--session", "RY_S_0002") == 0
    table = (get_release_folder(verified) / "dataset/RY.r2/tables/ephys.csv").read_text()
    assert "two" in table
    assert "one" not in table
    assert table.count("RY_E_000") == 2
    verified.rows["ephys"].pop(1)
    verified.write("ephys")
    assert main(["convert", str(verified.root)]) == 0
    assert publish(verified, "1.2.0", "--session", "RY_S_0002") == 1
    assert publish(verified, "1.2.0", "--session", "RY_S_0001") == 0
    table = (get_release_folder(verified) / "dataset/RY.r3/tables/ephys.csv").read_text()
    assert "two" in table
    assert "one" in table


def test_one_kind_of_data(verified: Builder) -> None:
    assert publish(verified, "1.0.0", "--only", "raw") == 0
    assert {e.kind for e in read_release(str(get_release_folder(verified))).assets.values()} == {"raw", "dataset"}
    assert publish(verified, "1.1.0", "--only", "nwb", "--only", "ome-zarr") == 0
    assert {e.kind for e in read_release(str(get_release_folder(verified))).assets.values()} == {
        "raw",
        "dataset",
        "nwb",
        "ome-zarr",
    }


def test_one_lab_s_errors_withhold_only_its_own_rows(verified: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    verified.change("sem_dataset", start_date="soon")
    assert publish(verified) == 1
    assert "--lab" in capsys.readouterr().out
    assert publish(verified, "1.0.0", "--lab", "RY") == 0
    assert publish(verified, "1.1.0", "--lab", "JL") == 1
    names = read_release(str(get_release_folder(verified))).assets
    assert NWB in names
    assert "dataset/JL" not in names
    # The rows of other labs that the selected ones depend on are there: without them nothing could be rebuilt.
    assert "dataset/ML" in names


def test_a_misspelt_selection_is_told(verified: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish(verified, "1.0.0", "--lab", "XX") == 1
    assert "dataset.selection" in capsys.readouterr().out
    assert not get_release_folder(verified).exists()
