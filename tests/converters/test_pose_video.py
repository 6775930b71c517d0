"""Tracked points linked to the video that they were tracked in, where a row of the same session has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pynwb
import pytest
import tracking_files as track
from builder import Builder
from test_external_video import add_video, ds  # noqa: F401 - a fixture
from video_files import write_video

from neuropress.cli.main import main
from neuropress.results.nwb.file import read_provenance

SCORER = "DLC_resnet50_mazeMar1shuffle1_500"
RATE = 'frame_rate = "25"'


def write_points(path: Path, count: int = 12) -> Path:
    values = np.random.default_rng(1).normal(9, 3, (count, 3))
    labels = [(SCORER, *label[1:]) for label in track.make_labels(["nose"])]
    return track.write_table(path, values, labels)


def write_csv(path: Path, count: int = 12) -> Path:
    heads = [f"scorer{f',{SCORER}' * 3}", "bodyparts,nose,nose,nose", "coords,x,y,likelihood"]
    path.write_text("\n".join([*heads, *(f"{i},{i},{i / 7},0.5" for i in range(count))]) + "\n")
    return path


def write_sleap(path: Path, video: str = "") -> Path:
    return track.write_sleap(path, np.ones((12, 1, 2, 1)), ["nose"], video=video)


def find(build: Builder, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Findings on videos that `convert` tells."""
    capsys.readouterr()
    assert main(["convert", str(build.root), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if line.get("id") == "pose.video"]


def test_each_program_names_its_video(ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    add_video(ds, write_video(tmp_path / "cage 1.avi"))
    add_video(ds, write_points(tmp_path / f"cage 1{SCORER}_filtered.h5"), RATE)
    add_video(ds, write_csv(tmp_path / f"cage 1{SCORER}.csv"), RATE)
    add_video(ds, write_sleap(tmp_path / "s.analysis.h5", "D:\\videos\\Ada Example\\cage 1.avi"), RATE)
    add_video(ds, write_sleap(tmp_path / "other.analysis.h5"), f'{RATE}\nvideo = "cage 1.avi"')
    assert find(ds, capsys) == []
    for verb in ("check", "verify", "validate"):
        assert main([verb, str(ds.root)]) == 0, capsys.readouterr().out
    path = ds.output("JB_S_0001.nwb")
    assert path
    with pynwb.NWBHDF5IO(path, "r") as io:
        file = io.read()
        poses = [one for one in file.processing["behavior"].data_interfaces.values() if hasattr(one, "skeleton")]
        assert [one.name for one in poses] == [f"JB_B_{number:04d}" for number in range(2, 6)]
        assert all(one.source_video is file.acquisition["JB_B_0001"] for one in poses)
    # Folders of the machine where somebody tracked name people.
    assert "cage 1.avi" in repr(read_provenance(path).headers)
    assert "videos" not in repr(read_provenance(path).headers)


@pytest.mark.parametrize(
    ("video", "points", "options", "severity", "words"),
    [
        ("cage.avi", "cage", RATE + '\nvideo = "cave.avi"', "warning", ("'cave.avi'", "no rows")),
        ("cage.avi", "cave", RATE, "info", ("'cave'", "no rows")),
        ("cage.avi", "cage", 'frame_rate = "30"', "warning", ("stated as 30", "has 25 frames a second")),
    ],
)
def test_what_does_not_fit_is_said(
    ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str], video: str, points: str, options: str,  # noqa: F811
    severity: str, words: tuple[str, ...],
) -> None:  # fmt: skip
    add_video(ds, write_video(tmp_path / video))
    add_video(ds, write_csv(tmp_path / f"{points}{SCORER}.csv"), options)
    (found,) = find(ds, capsys)
    assert found["severity"] == severity
    assert all(word in found["message"] for word in words), found["message"]
    assert found["location"]["key"] == "JB_B_0002"


def test_points_of_more_frames_than_the_video_has_are_not_linked(
    ds: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]  # noqa: F811
) -> None:  # fmt: skip
    add_video(ds, write_video(tmp_path / "cage.avi", count=11))
    add_video(ds, write_points(tmp_path / f"cage{SCORER}.h5"), RATE)
    (found,) = find(ds, capsys)
    assert "points of 12 frames" in found["message"]
    assert "has 11, so it is not linked" in found["message"]
    with pynwb.NWBHDF5IO(ds.output("JB_S_0001.nwb"), "r") as io:
        assert io.read().processing["behavior"]["JB_B_0002"].source_video is None
