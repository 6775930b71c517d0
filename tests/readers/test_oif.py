"""OIF and OIB: synthetic only, in the layout of FluoView, since no real file is at hand."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import oiffile
import pytest
from microscope_files import make_oif_members, write_oib, write_oif
from microscope_reading import find_problem, read_images, read_pixels

STACK = np.random.default_rng(5).integers(0, 4000, (3, 2, 2, 6, 8), dtype=np.uint16)


@pytest.mark.parametrize("write", [write_oif, write_oib])
def test_planes_are_placed_by_their_names(tmp_path: Path, write) -> None:
    path = write(tmp_path / ("a.oif" if write is write_oif else "a.oib"), make_oif_members(STACK))
    (image,) = read_images(path)
    pixels = read_pixels(image)
    assert image.arrays["pixels"].axes == ("t", "z", "c", "y", "x")
    assert np.array_equal(pixels, STACK.transpose(0, 2, 1, 3, 4))
    assert np.array_equal(pixels, oiffile.imread(path))
    assert image.spacing == {"y": Decimal("0.207"), "x": Decimal("0.207"), "z": Decimal("0.5")}
    assert (image.channels, image.facts["frame_rate"]) == (("Alexa 488", "Cy3"), "2")
    assert image.acquired == datetime.fromisoformat("2025-06-20 09:10")
    assert np.array_equal(read_pixels(image), pixels)  # it opens anew what was closed


@pytest.mark.parametrize("write", [write_oif, write_oib])
def test_a_recording_that_was_stopped_and_one_with_holes(tmp_path: Path, write) -> None:
    name = "a.oif" if write is write_oif else "a.oib"
    (image,) = read_images(write(tmp_path / name, make_oif_members(STACK, absent=[11])))
    assert not read_pixels(image)[2, 1, 1].any()
    assert any("were never written" in text for text in image.warnings)
    assert find_problem(write(tmp_path / f"b{name}", make_oif_members(STACK, absent=[5])))[0] == "oif.member"


def test_the_folder_must_be_there_and_its_planes_alike(tmp_path: Path) -> None:
    members = make_oif_members(STACK)
    path = write_oif(tmp_path / "a.oif", members)
    other = make_oif_members(STACK[..., :5])
    (tmp_path / "a.oif.files/s_C002Z001T001.tif").write_bytes(other["s_C002Z001T001.tif"])
    assert find_problem(path)[0] == "oif.member"
    alone = tmp_path / "b.oif"
    alone.write_bytes(members[""])
    assert find_problem(alone)[0] == "oif.member"


def test_all_members_are_inputs(tmp_path: Path) -> None:
    from neuropress.model.source import Source
    from neuropress.readers import raw
    from neuropress.storage.roots import Folder

    write_oif(tmp_path / "a.oif", make_oif_members(STACK))
    source = Source("a.oif", Folder(tmp_path))
    raw.read(source, {})
    assert len(source.inputs) == 1 + 12 + 2
