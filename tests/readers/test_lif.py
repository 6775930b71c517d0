"""LIF: all images of a project, any order of dimensions. Files but the corpus' are synthetic, in the layout of LAS X."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from microscope_files import write_lif
from microscope_reading import CORPUS, find_problem, read_images, read_pixels, read_times

RANDOM = np.random.default_rng(4)
SIZES = [(1, 7, "6e-6 m"), (2, 5, "4e-6 m"), (3, 3, "1.5e-6 m"), (4, 2, "1 s")]
TICKS = 133948800000000000


@pytest.mark.corpus
def test_the_corpus_file_has_three_images_with_wavelengths_as_channels() -> None:
    path = CORPUS / "lif/nimne__readlif/LeicaLASX_wavelength-sweep_example.lif"
    if not path.is_file():
        pytest.skip("needs the corpus")
    images = read_images(path)
    assert [image.header["name"] for image in images] == ["x_y_lambdaEmi", "x_y_lambdaExc", "x_y_z_t_lambdaEmi"]
    # An oracle that knows only the last block's place: its bytes are the end of the file.
    data = np.frombuffer(path.read_bytes(), np.uint8)
    assert np.array_equal(read_pixels(images[2]).ravel(), data[-901120:])
    assert images[2].arrays["pixels"].axes == ("t", "c", "z", "y", "x")
    assert images[0].channels[:2] == ("550 nm", "560 nm")
    assert images[1].channels[0] == "490 nm excitation"
    assert images[2].spacing["x"] == Decimal("0.104814428571")
    assert (read_times(images[2]), images[2].scale) == ([0, 809100000], "0.0000001")
    assert images[2].acquired == datetime(2021, 1, 29, 14, 43, 39, 392000, UTC)
    assert images[0].facts["numerical_aperture"] == "1.3"


def test_channels_behind_each_other(tmp_path: Path) -> None:
    data = RANDOM.integers(0, 60000, (2, 2, 3, 5, 7), dtype=np.uint16)
    stamps = [TICKS + n * 100_000_000 for n in range(6)]
    (image,) = read_images(write_lif(tmp_path / "a.lif", [("s", data, SIZES)], channels=2, stamps=stamps))
    assert image.arrays["pixels"].axes == ("t", "c", "z", "y", "x")
    assert np.array_equal(read_pixels(image), data.transpose(1, 0, 2, 3, 4))
    assert image.spacing == {"y": Decimal("1"), "x": Decimal("1"), "z": Decimal("0.75")}
    assert (read_times(image), image.facts["frame_rate"]) == ([0, 300_000_000], "0.0333333333333")


def test_each_stage_position_is_an_image_and_is_chosen_by_name(tmp_path: Path) -> None:
    data = RANDOM.integers(0, 255, (4, 5, 7), dtype=np.uint8)
    sizes = [*SIZES[:2], (10, 4, "0 m")]
    path = write_lif(tmp_path / "a.lif", [("s", data, sizes), ("plain", data[0], SIZES[:2])])
    images = read_images(path)
    assert [image.name for image in images] == ["image1_m1", "image1_m2", "image1_m3", "image1_m4", "image2"]
    assert [np.array_equal(read_pixels(image), data[n % 4]) for n, image in enumerate(images)] == [True] * 5
    assert [image.name for image in read_images(path, image="plain")] == ["image2"]


def test_a_scan_without_rows_is_one_row_a_plane(tmp_path: Path) -> None:
    data = RANDOM.integers(0, 255, (3, 7), dtype=np.uint8)
    (image,) = read_images(write_lif(tmp_path / "a.lif", [("xz", data, [SIZES[0], (3, 3, "1e-6 m")])]))
    assert (image.arrays["pixels"].axes, image.arrays["pixels"].shape) == (("z", "y", "x"), (3, 1, 7))
    assert np.array_equal(read_pixels(image)[:, 0], data)


def test_a_cut_block_is_a_finding_although_the_library_passes_over_it(tmp_path: Path) -> None:
    data = RANDOM.integers(0, 255, (5, 7), dtype=np.uint8)
    path = write_lif(tmp_path / "a.lif", [("first", data, SIZES[:2]), ("last", data, SIZES[:2])], cut=1)
    id, message = find_problem(path)
    assert (id, "'last'" in message) == ("microscope.truncated", True)


def test_dimensions_beyond_the_block_are_a_finding(tmp_path: Path) -> None:
    data = RANDOM.integers(0, 255, (5, 7), dtype=np.uint8)
    huge = [SIZES[0], (2, 2**40, "1 m")]
    assert find_problem(write_lif(tmp_path / "a.lif", [("s", data, huge)]))[0] == "microscope.truncated"
    twice = [SIZES[0], SIZES[1], (1, 7, "1 m")]
    assert find_problem(write_lif(tmp_path / "b.lif", [("s", data, twice)]))[0] == "microscope.damaged"
