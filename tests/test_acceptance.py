"""What a suspicious data manager tries: broken settings, odd files, damage that shows late."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from builder import Builder, abf, movie, slices

from neuropress.cli.main import main


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    return build


@pytest.mark.parametrize("text", ["x = 1", "[[", "name = 5", "\ufeff=", "labs = 3"])
def test_a_broken_profile_is_wrong_usage(lab: Builder, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (lab.root / "mine.toml").write_text(text, "utf-8")
    (lab.root / "neuropress.toml").write_text('profile = "mine"\n', "utf-8")
    assert main(["check", str(lab.root)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "entry",
    ['[source]\nrots = ["x"]', '[source]\nroots = ["s3://b/p"]', '[labs.RY]\nregionn = "CA3"', "[labs.RY]\nregion = 7", '[labs.XX]\nregion = "CA3"',
     '[options]\na = "b"', '[options."a.tif"]\naxs = "tyx"', '[options."a.tif"]\naxes = 5', "[publish]\nwhere = 'x'", "[sauce]"],
)  # fmt: skip
def test_a_misspelt_setting_is_never_ignored(lab: Builder, entry: str, capsys: pytest.CaptureFixture[str]) -> None:
    (lab.root / "neuropress.toml").write_text(entry + "\n", "utf-8")
    assert main(["check", str(lab.root)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_complex_pixels_are_refused(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite(tmp_path / "c.tif", np.ones((5, 20, 16), np.complex64), photometric="minisblack", metadata=None)
    lab.movie(tmp_path / "c.tif", (5, 20, 16))
    assert main(["convert", str(lab.root)]) == 1
    assert "image.type" in capsys.readouterr().out
    assert lab.output("RY_S_0001.nwb") is None


def spoilt_page(path: Path) -> Path:
    """A compressed movie whose ninth page cannot be unpacked; its directories are in order."""
    movie(path, (12, 64, 64), compression="zlib")
    with tifffile.TiffFile(path) as file:
        page = file.pages[8]
        place, size = page.dataoffsets[0], page.databytecounts[0]  # type: ignore[union-attr]
    data = bytearray(path.read_bytes())
    data[place + 10 : place + size - 10] = bytes(size - 20)
    path.write_bytes(data)
    return path


def test_damage_that_shows_while_pixels_are_read_is_told_on_its_row(
    lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.movie(spoilt_page(tmp_path / "m.tif"), (12, 64, 64))
    assert main(["convert", str(lab.root), "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (found,) = [x for x in lines if x.get("severity") == "error" and x["id"] != "convert.withheld"]
    assert (found["location"]["table"], found["location"]["column"]) == ("image", "file_path_raw")
    assert lab.output("RY_S_0001.nwb") is None
    assert main(["convert", str(lab.root), "--keep-going"]) == 0
    assert "RY_IMG_0001 is left out" in capsys.readouterr().out
    assert lab.output("RY_S_0001.nwb") is not None
    assert main(["verify", str(lab.root)]) == 0


def test_edited_volume_metadata_is_found(lab: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab.sem(slices(tmp_path / "v"))
    assert main(["convert", str(lab.root)]) == 0
    path = lab.output("JL_SD_0001.ome.zarr")
    assert path
    text = (path / "zarr.json").read_text("utf-8")
    data = json.loads(text)
    data["attributes"]["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"][2] = 40.0
    (path / "zarr.json").write_text(json.dumps(data), "utf-8")
    assert main(["verify", str(path)]) == 1
    assert "zarr.json" in capsys.readouterr().out


def test_a_damaged_shard_is_one_finding_and_a_quiet_end(lab: Builder, tmp_path: Path) -> None:
    lab.sem(slices(tmp_path / "v", (70, 200, 200)))
    assert main(["convert", str(lab.root)]) == 0
    path = lab.output("JL_SD_0001.ome.zarr")
    assert path
    shard = next(p for p in (path / "0/c").rglob("*") if p.is_file())
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(data)
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-m", "neuropress", "verify", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert "result.unreadable" in done.stdout
        assert done.stderr == ""


def test_a_session_of_volumes_alone_has_a_file_that_says_whose_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.movie(movie(tmp_path / "m.tif"), (12, 20, 16), frame_rate="", image_type="structural")
    for verb in ("check", "plan", "convert", "verify", "validate", "status"):
        assert main([verb, str(build.root)]) == 0
        said = capsys.readouterr().out
        assert "has errors" not in said
        assert "blocked" not in said
    assert build.output("RY_IMG_0001.ome.zarr")
    path = build.output("RY_S_0001.nwb")
    assert path
    with h5py.File(path) as file:
        assert file["general/subject/subject_id"][()] == b"RY_M_0001"
        assert not len(file["acquisition"])
    build.change("session", start_time="", end_time="")
    path.unlink()
    assert main(["convert", str(build.root)]) == 0
    assert "nothing to convert" in capsys.readouterr().out  # no NWB file can be without a start


def test_status_says_what_stands_in_the_way(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    lab.change("ephys", sampling_rate="10000")
    assert main(["convert", str(lab.root)]) == 1
    capsys.readouterr()
    assert main(["status", str(lab.root)]) == 0
    assert "10000 in the table, 20000 in the file" in capsys.readouterr().out


def test_a_selection_that_is_not_there_is_told_by_every_verb(lab: Builder) -> None:
    for verb in ("check", "plan", "convert", "verify", "status"):
        assert main([verb, str(lab.root), "--session", "RY_S_0099"]) == 1, verb


def test_verify_takes_another_source_for_a_dataset(lab: Builder, tmp_path: Path) -> None:
    assert main(["convert", str(lab.root)]) == 0
    assert main(["verify", str(lab.root), "--source", str(tmp_path / "nowhere")]) == 1
    assert main(["verify", str(lab.root), "--source", str(lab.root / "source")]) == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_at_once(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    path = lab.raw(lab.rows["ephys"][0]["file_path_raw"])
    path.unlink()
    os.mkfifo(path)
    assert main(["check", str(lab.root)]) == 1
    assert "file.special" in capsys.readouterr().out


def test_a_dataset_that_may_only_be_read_is_checked_and_verified(lab: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["convert", str(lab.root)]) == 0
    for path in (lab.root / ".neuropress").iterdir():
        path.unlink()
    (lab.root / ".neuropress").rmdir()
    (lab.root / ".neuropress").write_text("in the way of a folder")  # works for root, too, unlike permissions
    assert main(["check", str(lab.root)]) == 0
    assert main(["verify", str(lab.root)]) == 0
