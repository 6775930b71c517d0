"""Videos: what containers say, frames at uneven times, containers that lie, and damage."""

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from campaigns import spoil
from video_files import write_video

from neuropress.model.content import Content
from neuropress.model.finding import Finding, Problem
from neuropress.model.source import Source
from neuropress.readers.raw import choose_format, read
from neuropress.readers.video import read as video
from neuropress.storage.roots import Folder

NTSC = Fraction(30000, 1001)


def open_video(path: Path, **options: str) -> Content:
    (content,) = read(Source(path.name, Folder(path.parent)), options)
    return content


def expect_finding(path: Path) -> Finding:
    with pytest.raises(Problem) as caught:
        open_video(path)
    return caught.value.finding


@pytest.mark.parametrize(
    ("name", "codec"), [("a.avi", "mjpeg"), ("a.mkv", "mjpeg"), ("a.mov", "mjpeg"), ("a.mp4", "mpeg4")]
)
def test_what_a_container_says(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, NTSC, codec=codec)
    assert choose_format(Source(name, Folder(tmp_path))).format == "video"
    content = open_video(path)
    assert (content.facts["x"], content.facts["y"], content.facts["rows"]) == ("32", "24", "12")
    assert content.header["video"]["rate"] == "30000/1001"
    assert content.header["video"]["codec"] == codec
    assert Fraction(content.facts["duration"]) == pytest.approx(12 / NTSC)
    assert (content.header["start"], dict(content.arrays), content.warnings) == ("0", {}, ())


def test_frames_at_uneven_times(tmp_path: Path) -> None:
    times = [0, 40, 90, 120, 170, 171, 300]
    content = open_video(write_video(tmp_path / "a.mkv", times_ms=times))
    assert content.header["clock"] == "1/1000"
    assert content.arrays["time"].read((slice(0, 7),)).tolist() == times
    assert "frame_rate" not in content.facts


@pytest.mark.parametrize(("rate", "even"), [(Fraction(25), True), (Fraction(24), False), (None, True)])
def test_a_rate_is_believed_where_every_frame_is_at_its_place(rate: Fraction | None, even: bool) -> None:
    times = np.arange(1000) * 40
    found = video.find_even_rate(times, Fraction(1, 1000), rate)
    assert found == 25
    times[500:] += 7
    assert video.find_even_rate(times, Fraction(1, 1000), rate) is None


def test_a_container_that_states_another_number_of_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi")
    whole = path.read_bytes()
    at = whole.index(b"strh") + 8 + 32  # dwLength of the stream's header
    assert struct.unpack_from("<I", whole, at) == (12,)
    path.write_bytes(whole[:at] + struct.pack("<I", 40) + whole[at + 4 :])
    assert open_video(path).warnings == ("the container states 40 frames, and has 12",)


def test_the_library_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.avi")
    monkeypatch.setattr(video, "find_spec", lambda name: None)
    assert expect_finding(path).id == "video.extra"


def test_a_child_that_dies_or_hangs_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.avi")
    monkeypatch.setattr(video.budget, "VIDEO_BYTES", 1)
    assert expect_finding(path).id == "video.damaged"
    monkeypatch.setattr(video.budget, "VIDEO_SECONDS", 0)
    assert "more than 0 s" in expect_finding(path).message


def test_a_list_of_other_files_is_never_followed(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"ffconcat version 1.0\nfile '/etc/passwd'\n")
    assert expect_finding(tmp_path / "a.mp4").id == "format.unknown"
    (tmp_path / "b.mp4").write_bytes(b"\0\0\0\x08free#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    assert expect_finding(tmp_path / "b.mp4").id == "video.damaged"


@pytest.mark.parametrize("name", ["a.avi", "a.mkv", "a.mp4"])
def test_cut_and_spoilt_files_give_a_finding_or_a_reading(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in a child of its own, as everywhere: a crash of libav is a finding, too."""
    ids: set[str] = set()
    whole = write_video(tmp_path / name, count=4, codec="mpeg4" if name == "a.mp4" else "mjpeg").read_bytes()
    spoilt = list(spoil(whole, 7))
    for data in spoilt if len(spoilt) > 23 else spoilt[:2] + spoilt[-3:]:
        (tmp_path / name).write_bytes(data)
        try:
            open_video(tmp_path / name)
        except Problem as bad:
            ids.add(bad.finding.id)
    assert ids <= {"video.damaged", "format.unknown", "file.empty"}
