"""One file, one command: where its result may be written, and where not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from builder import DATE, Builder, abf, movie, slices

from neuropress.cli.main import main
from neuropress.storage.state import lock_result

ANIMAL = ("--timezone", "Europe/Berlin", "--subject", "rat 7", "--species", "Rattus norvegicus")
ANIMAL += ("--session-start", "2025-06-20T09:30")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = main([*map(str, arguments)])
    said = capsys.readouterr()
    return status, said.out + said.err


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_of_somebody_else_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw, to = abf(tmp_path / "cell1.abf"), tmp_path / "precious.nwb"
    with h5py.File(to, "w") as file:
        file["years of work"] = 1
    before = tree(tmp_path)
    status, said = run(capsys, "convert", raw, "--to", to, *ANIMAL)
    assert (status, tree(tmp_path)) == (2, before)
    assert "no result of ours" in said


def test_a_result_of_another_file_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "cell1.nwb"
    assert run(capsys, "convert", abf(tmp_path / "cell1.abf"), "--to", to, *ANIMAL)[0] == 0
    other = abf(tmp_path / "cell2.abf")
    before = tree(tmp_path)
    status, said = run(capsys, "convert", other, "--to", to, *ANIMAL)
    assert (status, tree(tmp_path)) == (2, before)
    assert "made of cell1.abf, not of cell2.abf" in " ".join(said.split())
    # Its own is written anew where what a person says of it has changed.
    assert run(capsys, "convert", tmp_path / "cell1.abf", "--to", to, *ANIMAL, "--sex", "F")[0] == 0
    assert to.read_bytes() != before["cell1.nwb"]


@pytest.mark.parametrize("to", ["stack/volume.ome.zarr", "stack/below/volume.ome.zarr"])
def test_a_raw_folder_is_not_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str) -> None:
    stack = slices(tmp_path / "stack")
    before = tree(tmp_path)
    status, said = run(capsys, "convert", stack, "--to", tmp_path / to)
    assert (status, tree(tmp_path)) == (2, before)
    assert "raw files are never written to" in said


def test_a_link_is_not_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw, outside = abf(tmp_path / "cell1.abf"), tmp_path / "outside"
    outside.write_bytes(b"precious")
    (tmp_path / "out.nwb").symlink_to(outside)
    status, said = run(capsys, "convert", raw, "--to", tmp_path / "out.nwb", *ANIMAL)
    assert (status, outside.read_bytes()) == (1, b"precious")
    assert "is a link" in said


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("stack/0000.tif", "not called like a PNG"),
        ("stack/new.png", "never written to"),
        ("frame.tif", "not called like a PNG"),
    ],
)
def test_a_picture_is_not_drawn_over_raw_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], to: str, told: str
) -> None:
    stack = slices(tmp_path / "stack")
    movie(tmp_path / "frame.tif")
    before = tree(tmp_path)
    status, said = run(capsys, "inspect", stack, "--png", tmp_path / to)
    assert (status, tree(tmp_path)) == (2, before)
    assert told in said


def test_options_that_a_person_wrote_are_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = Builder(tmp_path / "ds")
    build.session(12)
    raw = movie(tmp_path / "m.tif")
    text = (build.root / "neuropress.toml").read_text("utf-8")
    text += f'\n[options."yuste/{DATE}/image/raw/m.tif"]\naxes = "tyx"\n'
    (build.root / "neuropress.toml").write_text(text, "utf-8")
    before = tree(build.root)
    arguments = ("add", raw, "--lab", "RY", "--session", "RY_S_0012", "--dataset", build.root)
    status, said = run(capsys, *arguments, "--option", "axes=zyx")
    assert status == 1
    assert tree(build.root).items() >= before.items()
    assert not list(build.root.rglob("m.tif"))
    assert "add.options" in said
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write('\n[options."yuste/*/image/raw/*.tif"]\nimage = "1"\n')  # beside the file's own
    assert run(capsys, *arguments, "--option", "axes=tyx")[0] == 0
    status, said = run(capsys, *arguments, "--option", "axes=tyx")
    assert (status, "added before" in said) == (0, True)
    status, said = run(capsys, *arguments, "--option", "axes=zyx")  # added before, with other options
    assert (status, "add.options" in said) == (1, True)
    assert run(capsys, "check", build.root)[0] != 2


def test_profiles_waits_for_no_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    status, said = run(capsys, "profiles", tmp_path)
    assert status == 0
    assert "generic" in said


def test_two_runs_do_not_write_one_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = tmp_path / "tmp"
    locks.mkdir()
    monkeypatch.setattr("neuropress.storage.state.gettempdir", lambda: str(locks))
    raw, to = abf(tmp_path / "cell1.abf"), tmp_path / "cell1.nwb"
    with lock_result(to):
        status, said = run(capsys, "convert", raw, "--to", to, *ANIMAL)
        assert (status, to.exists()) == (1, False)
        assert "dataset.locked" in said
        assert run(capsys, "convert", raw, "--to", tmp_path / "other.nwb", *ANIMAL)[0] == 0
    assert run(capsys, "convert", raw, "--to", to, *ANIMAL)[0] == 0
    assert list(locks.iterdir()) == []


def test_a_result_is_called_as_it_was_named_and_its_gaps_have_a_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    abf(tmp_path / "cell1.abf")
    monkeypatch.chdir(tmp_path)
    status, said = run(capsys, "convert", "cell1.abf", "--to", "cell1.nwb", *ANIMAL)
    assert (status, str(tmp_path) in said) == (0, False)
    for option in ("--experiment-description", "--experimenter", "--institution", "--keywords"):
        assert option in said
    gaps = ("--experiment-description", "Steps.", "--keywords", "patch clamp; cortex", "--institution", "University")
    status, said = run(capsys, "convert", "cell1.abf", "--to", "cell1.nwb", *ANIMAL, *gaps)
    assert (status, "check_keywords" in said, "check_experiment_description" in said) == (0, False, False)
    with h5py.File("cell1.nwb") as file:
        assert file["general/experiment_description"].asstr()[()] == "Steps."
        assert list(file["general/keywords"].asstr()[()])[:2] == ["patch clamp", "cortex"]
    said = run(capsys, "validate", "cell1.nwb", "--json")[1]
    found = [json.loads(line) for line in said.splitlines()]
    assert {one["location"]["file"] for one in found if "location" in one} == {"cell1.nwb"}


def test_two_files_of_one_session_have_identifiers_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """NWB wants them unique, and `dandi organize` refuses two files whose object ids are the same."""
    identifiers, objects = set(), set()
    for name in ("cell1", "cell2"):
        to = tmp_path / f"{name}.nwb"
        raw = abf(tmp_path / f"{name}.abf")
        assert run(capsys, "convert", raw, "--to", to, *ANIMAL, "--session-id", "AB_S_0001")[0] == 0
        with h5py.File(to) as file:
            identifiers.add(file["identifier"].asstr()[()])
            objects.add(file.attrs["object_id"])
    assert len(identifiers) == len(objects) == 2


@pytest.mark.parametrize("to", ["a.ome.zarr", "a.nwb"])
@pytest.mark.parametrize("name", ["a.npy", "a.csv", "a.txt"])
def test_a_file_of_which_nobody_says_what_it_holds_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, to: str
) -> None:
    """A dataset keeps such a file; a result of it alone would hold nothing."""
    raw = tmp_path / name
    if name == "a.npy":
        np.save(raw, np.zeros((3, 4, 5)))
    else:
        raw.write_text("V,I\n1.5,2\n2.5,3\n3.5,4\n", "utf-8")
    status, said = run(capsys, "convert", raw, "--to", tmp_path / to, *ANIMAL)
    assert (status, (tmp_path / to).exists()) == (1, False)
    assert "arrays.undeclared" in said
    assert "--option NAME=VALUE" in said
    status, said = run(capsys, "inspect", raw, "--write-mapping")
    assert "needs no mapping" not in said


def test_what_a_header_says_beyond_a_column_is_no_mistake_of_a_person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Voxels of 2 mm, in tables whose pixels are at most 1 mm."""
    import nibabel
    import zarr

    image = nibabel.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([2, 2, 3, 1]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, tmp_path / "mri.nii")
    status, said = run(capsys, "convert", tmp_path / "mri.nii", "--to", tmp_path / "a.ome.zarr")
    assert status == 0, said
    ome = zarr.open_group(tmp_path / "a.ome.zarr", mode="r").attrs["ome"]
    scale = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"]  # type: ignore[index, call-overload]
    assert scale == [3000, 2000, 2000]
    wrong = ("--pixel-size", "2000")
    status, said = run(capsys, "convert", tmp_path / "mri.nii", "--to", tmp_path / "b.ome.zarr", *wrong)
    assert (status, "out of range" in said) == (2, True)


def test_a_setting_of_a_dataset_is_an_option_of_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two sweeps of an ATF whose starts nobody states."""
    lines = ["ATF\t1.0", "0\t3", '"Time (s)"\t"Trace #1 (mV)"\t"Trace #2 (mV)"']
    lines += [f"{i / 1000}\t{-70 + i % 3}\t{-71 + i % 2}" for i in range(50)]
    (tmp_path / "a.atf").write_text("\n".join(lines) + "\n", "ascii")
    command = ("convert", tmp_path / "a.atf", "--to", tmp_path / "a.nwb", *ANIMAL)
    status, said = run(capsys, *command)
    assert (status, "--option NAME=VALUE" in said) == (1, True), said
    status, said = run(capsys, *command, "--option", "sweep_interval=2")
    assert status == 0, said


def test_why_the_only_row_is_withheld_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import tifffile

    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for extent in (20, 30):
            file.write(np.zeros((extent, 25), np.uint8), photometric="minisblack", metadata=None)
    status, said = run(capsys, "convert", tmp_path / "a.tif", "--to", tmp_path / "a.ome.zarr", "--json")
    lines = [json.loads(line) for line in said.splitlines()]
    assert (status, [one["id"] for one in lines if one.get("severity") == "error"]) == (1, ["volume.scenes"])
    assert "--keep-going" not in said
    assert run(capsys, "convert", tmp_path / "a.tif", "--to", tmp_path / "a.ome.zarr", "--option", "image=2")[0] == 0


def test_regions_alone_are_no_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import roi_files

    (tmp_path / "RoiSet.zip").write_bytes(
        roi_files.make_set({"1.roi": roi_files.make_polygon(((1, 1), (5, 1), (3, 4)))})
    )
    status, said = run(capsys, "convert", tmp_path / "RoiSet.zip", "--to", tmp_path / "a.nwb", *ANIMAL)
    assert (status, "file_path_roi" in said, "--frame-rate" in said) == (2, True, False), said


def test_a_mask_of_which_nobody_says_the_axes_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack, mask = slices(tmp_path / "stack"), tmp_path / "cells.npy"
    np.save(mask, np.zeros((2, 3, 4), np.uint8))
    status, said = run(capsys, "convert", stack, "--to", tmp_path / "a.ome.zarr", "--labels", mask)
    assert (status, "nobody says what its arrays are" in said) == (1, True), said


@pytest.mark.parametrize(
    ("data", "name", "way_out"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a.nii", "git lfs pull"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a.csv", "git lfs pull"),
        (b"/annex/objects/MD5E-s3--900150983cd24fb0d6963f7d28e17f72.tif\n", "a.tif", "git annex get"),
        (b"<!DOCTYPE html>\n<html>404</html>", "a.txt", "download that again"),
        (b"PK\x03\x04" + bytes(60), "a.zip", "Unpack it"),
        (b"BZh91AY&SY" + bytes(60), "a.nrrd.bz2", "bunzip2"),
        (b"\x5c\x01\0\0" + bytes(344), "a.hdr", "NIfTI"),
        (bytes(60), "a.img", "(.hdr)"),
    ],
)
def test_what_lies_in_place_of_a_file_is_called_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, name: str, way_out: str
) -> None:
    (tmp_path / name).write_bytes(data)
    status, said = run(capsys, "inspect", tmp_path / name)
    assert (status, "format.unknown" in said) == (1, True), said
    assert way_out in said


def test_a_table_of_which_no_cell_says_anything_is_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, to = tmp_path / "run.csv", tmp_path / "run.nwb"
    raw.write_text("time_ms,speed (cm/s)\n0,1.5\n10,2.5\n", "utf-8")
    status, said = run(capsys, "convert", raw, "--to", to, *ANIMAL)
    assert status == 0, said
    with h5py.File(to) as file:
        (series,) = file["processing/behavior/BehavioralTimeSeries"].values()
        assert series["data"][()].tolist() == [1.5, 2.5]
        assert series.attrs["description"].startswith("Columns of the file: speed (cm/s)")
