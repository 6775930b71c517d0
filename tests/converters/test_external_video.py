"""Videos through the whole line: an external series whose path leads to the file in a release."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import h5py
import pynwb
import pytest
from builder import DATE, Builder
from video_files import write_video

from neuropress.cli.main import main
from neuropress.model.source import SourceRoots
from neuropress.proof.verify import _compare_contents
from neuropress.readers.raw import RawArrays
from neuropress.results.nwb.file import read_provenance
from neuropress.storage.roots import Folder


@pytest.fixture
def ds(tmp_path: Path) -> Builder:
    made = Builder(tmp_path / "ds")
    session = {"session_id": "JB_S_0001", "mouse_id": "JB_M_0001", "experimenter": "Ada Example"}
    made.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J", sex="F", birth_date="20250301", weight="24.50")
    made.row("session", **session, session_date=DATE, start_time="10:00", end_time="11:00")
    return made


def add_video(ds: Builder, path: Path, options: str = "", **cells: str) -> str:
    number = len(ds.rows.get("behavior", ())) + 1
    key = f"basu/{DATE}/behavior/raw/{path.name}"
    ds.put(key, path.read_bytes())
    row = {"behavior_id": f"JB_B_{number:04d}", "session_id": "JB_S_0001", "metric_type": "video"}
    ds.row("behavior", **row, file_path_raw=key, **cells)
    if options:
        with (ds.root / "neuropress.toml").open("a") as file:
            file.write(f'\n[options."{key}"]\n{options}\n')
    return key


def test_videos_become_external_series_and_lie_beside_them_in_a_release(
    ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = add_video(ds, write_video(tmp_path / "even.avi"), 'clock_offset = "2.5"', task="open field", notes="a note")
    add_video(ds, write_video(tmp_path / "uneven.mkv", times_ms=[0, 40, 90, 170]))
    root, release = str(ds.root), tmp_path / "release"
    for verb in ("check", "convert", "verify", "coverage"):
        assert main([verb, root]) == 0, (verb, capsys.readouterr().out)
    path = ds.output("JB_S_0001.nwb")
    assert path
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        found = io.read().acquisition
        even, uneven = found["JB_B_0001"], found["JB_B_0002"]
        assert (even.format, even.rate, even.starting_time, even.num_samples) == ("external", 25, 2.5, 12)
        assert even.external_file[:].tolist() == ["../../behavior/raw/even.avi"]
        assert (even.dimension[:].tolist(), even.starting_frame[:].tolist()) == ([32, 24], [0])
        assert even.description == (
            "Behaviour: video; task: open field. Video (mjpeg, 12 frames, 25 frames a second). "
            "Clock declared: time 0 of the file is 2.5 s after the session's start"
        )
        assert even.comments == "a note"
        assert uneven.timestamps[:].tolist() == [0, 0.04, 0.09, 0.17]
        assert "Alignment unknown" in uneven.description
    assert read_provenance(path).receipt.inputs[key].size == (ds.root / "source" / key).stat().st_size
    capsys.readouterr()
    assert main(["validate", root, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    external = [line for line in lines if "external_file_valid" in line.get("id", "")]
    assert {line["severity"] for line in external} <= {"info"}
    with (ds.root / "neuropress.toml").open("a") as file:
        file.write('\n[dataset]\ntitle = "T"\nlicense = "CC-BY-4.0"\n')
    assert main(["publish", root, "--to", str(release), "--release", "1.0.0"]) == 0, capsys.readouterr().out
    for nwb in release.rglob("*.nwb"):
        with h5py.File(nwb) as file:
            for name in ("JB_B_0001", "JB_B_0002"):
                (beside,) = file[f"acquisition/{name}/external_file"].asstr()[:]
                assert (nwb.parent / beside).is_file()


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001)])
def test_a_session_of_an_even_video_alone_is_proven(
    ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: Fraction
) -> None:
    """Nothing of it is an array: what its fields say is compared with the container."""
    key = add_video(ds, write_video(tmp_path / "a.mp4", rate, codec="mpeg4"))
    root = str(ds.root)
    assert main(["convert", root]) == 0, capsys.readouterr().out
    assert main(["verify", root]) == 0, capsys.readouterr().out
    path = ds.output("JB_S_0001.nwb")
    assert path
    made = read_provenance(path)
    rates = [field for name, field in made.fields.items() if name.endswith("/rate")]
    assert [field.value for field in rates] == [float(rate)]
    with RawArrays(SourceRoots((Folder(ds.root / "source"),))) as raw:
        assert not list(_compare_contents(made, raw))
        for name, told in (("rate", "24"), ("num_samples", "11"), ("dimension", "31")):
            (place,) = (one for one in made.fields if one.endswith(f"/{name}"))
            field = made.fields[place]
            wrong = replace(field, sources=(replace(field.sources[0], text=told), *field.sources[1:]))
            (found,) = _compare_contents(replace(made, fields={**made.fields, place: wrong}), raw)
            assert (found.id, key in found.message) == ("verify.different", True)


def test_a_video_that_changed_is_not_verified(ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = add_video(ds, write_video(tmp_path / "a.avi"))
    assert main(["convert", str(ds.root)]) == 0, capsys.readouterr().out
    write_video(tmp_path / "a.avi", count=13)
    ds.put(key, (tmp_path / "a.avi").read_bytes())
    assert main(["verify", str(ds.root)]) != 0


def test_a_video_that_is_none_withholds_the_session(
    ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_video(tmp_path / "a.mp4", codec="mpeg4")
    path.write_bytes(path.read_bytes()[:40])
    add_video(ds, path)
    assert main(["check", str(ds.root), "--json"]) == 1
    assert "video.damaged" in capsys.readouterr().out


def test_a_video_of_an_image_row_is_called_what_it_is(
    ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = f"basu/{DATE}/image/raw/a.avi"
    ds.put(key, write_video(tmp_path / "a.avi").read_bytes())
    ds.row("image", image_id="JB_IMG_0001", session_id="JB_S_0001", image_type="calcium", frame_rate="25", x="32",
           y="24", z="12", file_path_raw=key)  # fmt: skip
    assert main(["check", str(ds.root), "--json"]) == 1
    assert "is a video, whose frames are not decoded here; save them as TIFF" in capsys.readouterr().out
