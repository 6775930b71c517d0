"""ND2: positions, loops, times, absent frames. Files but the corpus' are synthetic, in the layout of version 3."""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from microscope_files import write_nd2
from microscope_reading import CORPUS, find_problem, read_images, read_pixels, read_times

RANDOM = np.random.default_rng(3)
FRAMES = RANDOM.integers(0, 60000, (12, 5, 7, 2), dtype=np.uint16)
LOOPS = [("t", 2), ("p", 3), ("z", 2)]
TIMES = [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 70.5, 75.0, 80.0, 85.0, 90.0, 95.0]


@pytest.mark.corpus
def test_the_corpus_file_is_read_with_its_own_times() -> None:
    path = CORPUS / "nd2/soft-matter__pims/cluster.nd2"
    if not path.is_file():
        pytest.skip("needs the corpus")
    (image,) = read_images(path)
    pixels = read_pixels(image)
    # An oracle that knows only where uncompressed frames lie: behind each frame's name.
    data = path.read_bytes()
    for number in range(30):
        at = data.index(b"ImageDataSeq|%d!" % number) + 4072 + 8
        frame = np.frombuffer(data, "<u2", 31 * 38 * 2, at).reshape(31, 38, 2)
        assert np.array_equal(pixels[number // 10, number % 10], frame)
    assert image.channels == ("5-FAM/pH 9.0", "FM 4-64/2% CHAPS")
    assert image.spacing["z"] == Decimal("0.5")
    assert image.facts["objective_magn"] == "60x"
    # The time loop's period is 0.
    assert read_times(image) == pytest.approx([445.0835, 11086.1802, 21740.1779])
    assert image.facts["frame_rate"].startswith("0.09391")
    assert image.acquired == datetime(2014, 6, 18, 13, 55, 23, 392012, UTC)


def test_positions_are_images_of_their_own_with_their_own_times(tmp_path: Path) -> None:
    path = write_nd2(tmp_path / "a.nd2", FRAMES, LOOPS, times=TIMES, channels=("A", "B"))
    images = read_images(path)
    assert [(i.name, i.header.get("name", "")) for i in images] == [
        ("position1", ""), ("position2", "left"), ("position3", "right")
    ]  # fmt: skip
    expected = FRAMES.reshape(2, 3, 2, 5, 7, 2)
    for number, image in enumerate(images):
        assert image.arrays["pixels"].axes == ("t", "z", "y", "x", "c")
        assert np.array_equal(read_pixels(image), expected[:, number])
        assert read_times(image) == [TIMES[2 * number], TIMES[2 * number + 6]]
        assert (image.scale, image.facts["z"], image.spacing["z"]) == ("0.001", "4", Decimal("0.75"))
        assert image.header["frame_times_ms"] == [TIMES[i] for i in np.arange(12).reshape(2, 3, 2)[:, number].ravel()]
    assert [i.name for i in read_images(path, image="left")] == ["position2"]


@pytest.mark.parametrize("deflate", [False, True])
def test_rows_with_padding_and_colours(tmp_path: Path, deflate: bool) -> None:
    frames = RANDOM.integers(0, 255, (2, 4, 5, 3), dtype=np.uint8)
    (image,) = read_images(write_nd2(tmp_path / "a.nd2", frames, [("z", 2)], padding=3, deflate=deflate))
    assert image.arrays["pixels"].axes == ("z", "y", "x", "s")
    assert np.array_equal(read_pixels(image), frames)


def test_a_recording_that_was_stopped_ends_where_its_frames_end(tmp_path: Path) -> None:
    path = write_nd2(tmp_path / "a.nd2", FRAMES[:5, ..., :1], [("t", 9), ("z", 2)], times=TIMES[:5])
    (image,) = read_images(path)
    assert image.arrays["pixels"].shape == (3, 2, 5, 7)
    assert np.array_equal(read_pixels(image).reshape(6, 5, 7)[:5], FRAMES[:5, ..., 0])
    assert any("stopped after 3 of 9" in text for text in image.warnings)
    assert any("1 of its frames" in text for text in image.warnings)


def test_a_frame_that_was_never_written_is_zero_and_told(tmp_path: Path) -> None:
    (image,) = read_images(write_nd2(tmp_path / "a.nd2", FRAMES[:6, ..., :1], [("t", 6)], absent=[2]))
    pixels = read_pixels(image)
    assert not pixels[2].any()
    assert np.array_equal(np.delete(pixels, 2, 0), np.delete(FRAMES[:6, ..., 0], 2, 0))
    assert any("1 of its frames" in text for text in image.warnings)


def test_times_that_run_backwards_are_not_taken(tmp_path: Path) -> None:
    path = write_nd2(tmp_path / "a.nd2", FRAMES[:3], [("t", 3)], times=[0, 20, 10], channels=("A", "B"))
    (image,) = read_images(path)
    assert (image.timestamps, "frame_rate" in image.facts) == ("", False)
    assert any("do not increase" in text for text in image.warnings)


def test_what_is_no_whole_nd2_is_a_finding(tmp_path: Path) -> None:
    path = write_nd2(tmp_path / "a.nd2", FRAMES, [("t", 4)], channels=("A", "B"))
    assert find_problem(path)[0] == "microscope.damaged"  # more frames than loops
    path.write_bytes(path.read_bytes()[:-50])
    assert find_problem(path)[0] == "microscope.truncated"
    old = tmp_path / "old.nd2"
    old.write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100))
    assert find_problem(old)[0] == "image.unsupported"


@pytest.mark.parametrize("library", ["czifile", "liffile", "nd2", "oiffile"])
def test_a_library_that_is_missing_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    heads = {
        "czifile": ("a.czi", b"ZISRAWFILE"), "liffile": ("a.lif", b"\x70\0\0\0" + bytes(4) + b"\x2a"),
        "nd2": ("a.nd2", b"\xda\xce\xbe\x0a"), "oiffile": ("a.oif", b"\xff\xfe[\0"),
    }  # fmt: skip
    name, head = heads[library]
    (tmp_path / name).write_bytes(head + bytes(100))
    monkeypatch.setitem(sys.modules, library, None)
    id, message = find_problem(tmp_path / name)
    assert (id, library in message) == ("format.library", True)
