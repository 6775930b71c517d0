"""MicroManager's folders: synthetic only, in the layouts of versions 1.4 and 2.0."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import tifffile
from folder_files import ELAPSED, STACK, SUMMARY, write_micromanager, write_mmstack
from microscope_reading import find_problem, read_images, read_pixels, read_times
from test_ome_sets import NAMESPACE, UUIDS, make_document, make_tiff_data

from neuropress.model.source import Source
from neuropress.readers import raw
from neuropress.storage.roots import Folder


@pytest.mark.parametrize("version", [1, 2])
def test_planes_stand_where_the_index_places_them(tmp_path: Path, version: int) -> None:
    (image,) = read_images(write_micromanager(tmp_path / "Default", version=version))
    assert image.arrays["pixels"].axes == ("t", "c", "z", "y", "x")
    np.testing.assert_array_equal(read_pixels(image), STACK)
    assert image.spacing == {"y": Decimal("0.65"), "x": Decimal("0.65"), "z": Decimal("2.5")}
    assert image.channels == ("GFP", "RFP")
    assert (read_times(image), image.scale) == (list(ELAPSED), "0.001")
    assert image.acquired is not None
    assert image.acquired.isoformat() == "2025-06-20T09:10:11.250000+02:00"
    assert (image.facts["z"], image.facts["exposure_time"], image.warnings) == ("6", "10", ())


def test_all_files_are_inputs_and_those_that_nobody_read_are_named(tmp_path: Path) -> None:
    folder = write_micromanager(tmp_path / "Default", STACK[:, :1, :1])
    (folder / "DisplaySettings.json").write_text("{}")
    (folder / "notes").mkdir()
    (folder / "notes/day.txt").write_text("a")
    source = Source("Default/", Folder(tmp_path))
    (image,) = raw.read(source, {})
    assert image.arrays["pixels"].axes == ("t", "y", "x")
    assert len(source.inputs) == 3 + 1 + 2
    assert any("DisplaySettings.json, notes/day.txt" in text for text in image.warnings)


def test_positions_are_images_of_their_own(tmp_path: Path) -> None:
    for number in (0, 1, 10):
        write_micromanager(tmp_path / f"run/Pos{number}", STACK[:, :1, :1] + number, version=1)
    images = read_images(tmp_path / "run")
    assert [image.name for image in images] == ["position1", "position2", "position3"]
    assert images[0].header["name"] == "A"
    for image, number in zip(images, (0, 1, 10), strict=True):
        np.testing.assert_array_equal(read_pixels(image), STACK[:, 0, 0] + number)
    (chosen,) = read_images(tmp_path / "run", image="2")
    assert chosen.name == "position2"


def test_a_stopped_recording_has_the_frames_that_are_there(tmp_path: Path) -> None:
    folder = write_micromanager(tmp_path / "a", STACK[:2], summary={**SUMMARY, "IntendedDimensions": {"time": 9}})
    (image,) = read_images(folder)
    np.testing.assert_array_equal(read_pixels(image), STACK[:2])
    assert any("2 of 9 planned times" in text for text in image.warnings)
    (image,) = read_images(write_micromanager(tmp_path / "b", absent=[(2, 1, 0), (2, 1, 1)]))
    np.testing.assert_array_equal(read_pixels(image), STACK[:2])
    assert any("t=2 c=1 z=0" in text and "left out" in text for text in image.warnings)
    assert len(read_times(image)) == 2


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    id, message = find_problem(write_micromanager(tmp_path / "a", absent=[(1, 0, 1)]))
    assert id == "microscope.plane"
    assert "t=1 c=0 z=1" in message
    gone = write_micromanager(tmp_path / "b")
    (gone / "img_channel001_position000_time000000001_z000.tif").unlink()
    id, message = find_problem(gone)
    assert id == "microscope.plane"
    assert "img_channel001_position000_time000000001_z000.tif" in message
    alone = write_micromanager(tmp_path / "c")
    (alone / "metadata.txt").unlink()
    assert find_problem(alone)[0] == "microscope.plane"


def test_an_index_that_lost_planes_or_was_never_closed(tmp_path: Path) -> None:
    folder = write_micromanager(tmp_path / "a", STACK[:, :1, :1], version=1)
    text = (folder / "metadata.txt").read_text().rstrip()
    (folder / "metadata.txt").write_text(text[:-1].rstrip() + ",\n")
    (image,) = read_images(folder)
    np.testing.assert_array_equal(read_pixels(image), STACK[:, 0, 0])
    assert any("never closed" in text for text in image.warnings)
    document = json.loads(text)
    document.pop("FrameKey-2-0-0")
    (folder / "metadata.txt").write_text(json.dumps(document))
    id, message = find_problem(folder)
    assert id == "microscope.plane"
    assert "img_000000002_GFP_000.tif" in message


def test_a_plane_of_another_size_is_named(tmp_path: Path) -> None:
    folder = write_micromanager(tmp_path / "a")
    other = write_micromanager(tmp_path / "b", STACK[..., :5])
    name = "img_channel000_position000_time000000001_z001.tif"
    (folder / name).write_bytes((other / name).read_bytes())
    id, message = find_problem(folder)
    assert id == "microscope.plane"
    assert name in message


@pytest.mark.parametrize("stated", ["[1]", '{"Summary": []}', '{"FrameKey-0-0-0": 3}', "[" * 500, "{", '{"a": 1}'])
def test_an_index_that_is_none(tmp_path: Path, stated: str) -> None:
    folder = write_micromanager(tmp_path / "a", STACK[:1, :1, :1])
    (folder / "metadata.txt").write_text(stated)
    assert find_problem(folder)[0] in ("microscope.damaged", "image.hostile")


def test_version_1_states_its_clock_by_a_plane(tmp_path: Path) -> None:
    folder = write_micromanager(tmp_path / "a", STACK[:2, :1, :1], version=1, summary={"Time": "Wed May 06"})
    path = folder / "metadata.txt"
    document = json.loads(path.read_text())
    document["FrameKey-0-0-0"]["Time"] = "2012-12-04 14:16:45 -0500"
    path.write_text(json.dumps(document))
    (image,) = read_images(folder)
    assert str(image.acquired) == "2012-12-04 14:16:44.987500-05:00"


def test_whole_milliseconds_stay_whole(tmp_path: Path) -> None:
    (image,) = read_images(write_micromanager(tmp_path / "a", STACK[:, :1, :1], elapsed=(3, 36, 70)))
    assert image.arrays["times"].dtype == np.int64
    assert image.facts["frame_rate"] == "29.8507462687"


def test_a_stack_of_ome_tiff(tmp_path: Path) -> None:
    (image,) = read_images(write_mmstack(tmp_path / "run"))
    assert image.arrays["pixels"].axes == ("t", "c", "z", "y", "x")
    np.testing.assert_array_equal(read_pixels(image), STACK)
    assert (read_times(image), image.channels) == (list(ELAPSED), ("GFP", "RFP"))
    assert image.spacing["z"] == Decimal("2.5")
    assert image.warnings == ()
    (tmp_path / "run/run_MMStack_Pos0_metadata.txt").unlink()
    (image,) = read_images(tmp_path / "run")
    np.testing.assert_array_equal(read_pixels(image), STACK)
    assert any("no metadata.txt" in text for text in image.warnings)


def test_stacks_of_several_positions(tmp_path: Path) -> None:
    write_mmstack(tmp_path / "run", STACK[:, :, :1], "run_MMStack_Pos10")
    write_mmstack(tmp_path / "run", STACK[:, :, 1:], "run_MMStack_Pos2")
    first, second = read_images(tmp_path / "run")
    assert (first.name, first.header["name"]) == ("position1", "run_MMStack_Pos2")
    np.testing.assert_array_equal(read_pixels(first), STACK[:, :, 1])
    np.testing.assert_array_equal(read_pixels(second), STACK[:, :, 0])
    assert first.warnings == second.warnings == ()


def test_a_stack_in_several_files(tmp_path: Path) -> None:
    names = ("run_MMStack_Pos0.ome.tif", "run_MMStack_Pos0_1.ome.tif")
    movie = STACK[:, 0, 0]
    data = [make_tiff_data(0, 0, 2, names[0], UUIDS[9]), make_tiff_data(2, 0, 1, names[1], UUIDS[1])]
    sizes = 'SizeZ="1" SizeC="1" SizeT="3"'
    whole = make_document("".join(data), sizes).replace('SizeX="10" SizeY="12"', 'SizeX="8" SizeY="6"')
    stub = f'<OME xmlns="{NAMESPACE}" UUID="{UUIDS[1]}"><BinaryOnly MetadataFile="{names[0]}" UUID="{UUIDS[9]}"/></OME>'
    tifffile.imwrite(tmp_path / names[0], movie[:2], description=whole, metadata=None)
    tifffile.imwrite(tmp_path / names[1], movie[2:], description=stub, metadata=None)
    (image,) = read_images(tmp_path)
    np.testing.assert_array_equal(read_pixels(image), movie)
    tifffile.imwrite(tmp_path / "run_MMStack_Pos1_1.ome.tif", movie[2:], description=stub, metadata=None)
    id, message = find_problem(tmp_path)
    assert (id, "run_MMStack_Pos1_1.ome.tif" in message) == ("microscope.plane", True)


def test_slices_can_be_read_without_an_index(tmp_path: Path) -> None:
    folder = write_micromanager(tmp_path / "a", STACK[:, :1, :1])
    (folder / "metadata.txt").unlink()
    (image,) = read_images(folder, reader="slices", axes="tyx")
    np.testing.assert_array_equal(read_pixels(image), STACK[:, 0, 0])
