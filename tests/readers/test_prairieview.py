"""PrairieView's folders: synthetic only, in the layout of version 5 and with settings as version 4 writes them."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from folder_files import STACK, name_plane, write_prairieview
from microscope_reading import find_problem, read_images, read_pixels, read_times

from neuropress.readers.prairieview.scan import parse_date, read_state

TIMED = "TSeries Timed Element"
MOVIE = STACK[:, :, :1]


@pytest.mark.parametrize("is_multipage", [False, True])
def test_a_volume_over_time(tmp_path: Path, is_multipage: bool) -> None:
    (image,) = read_images(write_prairieview(tmp_path / "TSeries-1", is_multipage=is_multipage))
    assert image.arrays["pixels"].axes == ("t", "c", "z", "y", "x")
    np.testing.assert_array_equal(read_pixels(image), STACK)
    assert image.spacing == {"y": Decimal("1.16"), "x": Decimal("1.16"), "z": Decimal(5)}
    assert (read_times(image), image.scale, image.channels) == ([0.0, 0.5, 1.25], "1", ("Green", "Red"))
    assert str(image.acquired) == "2025-06-20 09:10:11.250000"
    assert (image.facts["objective_magn"], image.facts["numerical_aperture"]) == ("16x", "0.8")
    assert image.warnings == ()


@pytest.mark.parametrize("is_multipage", [False, True])
def test_a_movie(tmp_path: Path, is_multipage: bool) -> None:
    (image,) = read_images(write_prairieview(tmp_path / "a", MOVIE, TIMED, is_multipage=is_multipage))
    assert image.arrays["pixels"].axes == ("t", "c", "y", "x")
    np.testing.assert_array_equal(read_pixels(image), STACK[:, :, 0])
    assert read_times(image) == [0.0, 0.5, 1.25]


def test_a_stack(tmp_path: Path) -> None:
    (image,) = read_images(write_prairieview(tmp_path / "a", STACK[:1], "ZSeries"))
    assert image.arrays["pixels"].axes == ("c", "z", "y", "x")
    np.testing.assert_array_equal(read_pixels(image), STACK[0])
    assert not image.timestamps


def test_compressed_planes(tmp_path: Path) -> None:
    folder = write_prairieview(tmp_path / "a", MOVIE, TIMED, is_multipage=True)
    for channel in range(2):
        tifffile.imwrite(folder / name_plane(folder, 1, channel, 1), MOVIE[:, channel, 0], compression="zlib")
    (image,) = read_images(folder)
    np.testing.assert_array_equal(read_pixels(image), STACK[:, :, 0])


def test_cycles_that_run_both_ways_are_put_in_order(tmp_path: Path) -> None:
    (image,) = read_images(write_prairieview(tmp_path / "a", is_bidirectional=True))
    np.testing.assert_array_equal(read_pixels(image), STACK)
    folder = tmp_path / "a"
    change_xml(folder, lambda text: text.replace('index="ZAxis"><Sub', 'index="Other"><Sub'))
    assert find_problem(folder)[0] == "image.unsupported"


def test_a_recording_that_was_stopped_on_its_way_back(tmp_path: Path) -> None:
    folder = write_prairieview(tmp_path / "a", STACK[:2], is_bidirectional=True)
    change_xml(folder, lambda text: text[: text.rindex("<Frame ")] + "</Sequence></PVScan>")
    for channel in range(2):
        (folder / name_plane(folder, 2, channel, 2)).unlink()
    (image,) = read_images(folder)
    np.testing.assert_array_equal(read_pixels(image), STACK[0])
    assert any("left out" in text for text in image.warnings)


def change_xml(folder: Path, change: Callable[[str], str]) -> None:
    path = folder / f"{folder.name}.xml"
    changed = change(text := path.read_text("utf-8"))
    assert changed != text
    path.write_text(changed, encoding="utf-8")


def test_a_missing_file_and_one_that_no_frame_names(tmp_path: Path) -> None:
    folder = write_prairieview(tmp_path / "a")
    name = name_plane(folder, 2, 1, 1)
    kept = (folder / name).read_bytes()
    (folder / name).unlink()
    id, message = find_problem(folder)
    assert (id, name in message) == ("microscope.plane", True)
    (folder / name).write_bytes(kept)
    (folder / name_plane(folder, 9, 0, 1)).write_bytes(kept)
    id, message = find_problem(folder)
    assert (id, name_plane(folder, 9, 0, 1) in message) == ("microscope.plane", True)


def test_a_volume_that_was_stopped_is_left_out(tmp_path: Path) -> None:
    folder = write_prairieview(tmp_path / "a")
    lost = re.compile(rf'<File[^>]*filename="{name_plane(folder, 3, 1, 2)}"[^>]*/>')
    change_xml(folder, lambda text: lost.sub("", text))
    (folder / name_plane(folder, 3, 1, 2)).unlink()
    (image,) = read_images(folder)
    np.testing.assert_array_equal(read_pixels(image), STACK[:2])
    assert any("t=2 c=1 z=1" in text for text in image.warnings)
    inner = re.compile(rf'<File[^>]*filename="{name_plane(folder, 2, 0, 1)}"[^>]*/>')
    change_xml(folder, lambda text: inner.sub("", text))
    (folder / name_plane(folder, 2, 0, 1)).unlink()
    id, message = find_problem(folder)
    assert (id, "t=1 c=0 z=0" in message) == ("microscope.plane", True)


def test_relative_times_that_begin_anew_in_each_cycle(tmp_path: Path) -> None:
    folder = write_prairieview(tmp_path / "a", times=(0.0, 0.5, 1.0))
    change_xml(folder, lambda text: re.sub(r'relativeTime="[^"]*"', 'relativeTime="0"', text))
    (image,) = read_images(folder)
    assert read_times(image) == [0.0, 0.5, 1.0]
    change_xml(folder, lambda text: re.sub(r'absoluteTime="[^"]*"', 'absoluteTime="0"', text))
    (image,) = read_images(folder)
    assert not image.timestamps
    assert any("do not increase" in text for text in image.warnings)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("TSeries ZSeries Element", "Linescan"),
        lambda text: text.replace("<Sequence ", '<Sequence xYStageGridNumXPositions="2" ', 1),
        lambda text: text.replace("TSeries ZSeries Element", TIMED, 1),
    ],
)
def test_what_is_not_read(tmp_path: Path, change: Callable[[str], str]) -> None:
    folder = write_prairieview(tmp_path / "a")
    change_xml(folder, change)
    assert find_problem(folder)[0] == "image.unsupported"


def test_other_xml_of_the_program_is_passed_over(tmp_path: Path) -> None:
    folder = write_prairieview(tmp_path / "a")
    (folder / "a_Cycle00001_VoltageRecording_001.xml").write_text("<VRecSessionEntry/>")
    (folder / "empty.xml").write_text('<PVScan><Sequence type="VoltageRecording"/></PVScan>')
    (image,) = read_images(folder)
    assert any("empty.xml" in text for text in image.warnings)
    (folder / "a.xml").unlink()
    assert find_problem(folder)[0] == "microscope.plane"


@pytest.mark.parametrize(("old", "new"), [('channel="1"', 'channel="one"'), ('page="1"', 'page="0"')])
def test_a_file_without_a_channel_or_page(tmp_path: Path, old: str, new: str) -> None:
    folder = write_prairieview(tmp_path / "a")
    change_xml(folder, lambda text: text.replace(old, new, 1))
    assert find_problem(folder)[0] == "microscope.damaged"


def test_files_lie_in_the_folder(tmp_path: Path) -> None:
    folder = write_prairieview(tmp_path / "a")
    change_xml(folder, lambda text: text.replace('filename="a_Cycle00001', 'filename="../a/a_Cycle00001'))
    assert find_problem(folder)[0] == "microscope.plane"


def test_settings_of_version_4() -> None:
    shard = ElementTree.fromstring(
        '<PVStateShard><Key key="micronsPerPixel_XAxis" permissions="Read" value="1.5"/></PVStateShard>'
    )
    assert read_state(shard) == {"micronsPerPixel/XAxis": "1.5"}


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("6/20/2025 9:10:00 PM", "2025-06-20 21:10:00"),
        ("6/4/2025 12:10:00 AM", "2025-06-04 00:10:00"),
        ("20.06.2025 09:10:00", "2025-06-20 09:10:00"),
        ("20/06/2025 09:10:00", "2025-06-20 09:10:00"),
        ("2025-06-20 09:10:00", "2025-06-20 09:10:00"),
        ("4/6/2025 09:10:00", None),
        ("31/31/2025 09:10:00", None),
        ("", None),
    ],
)
def test_dates(text: str, date: str | None) -> None:
    assert str(parse_date(text)) == str(date)
