"""CZI: scenes, mosaics, compressions, colours, against Zeiss' own library, which also wrote the files of our own."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from microscope_reading import CORPUS, find_problem, read_images, read_pixels, read_times

zeiss = pytest.importorskip("pylibCZIrw.czi")

PLANE = (np.add.outer(np.arange(40), np.arange(50)) * 20).astype(np.uint16)
COLOURS = np.random.default_rng(6).integers(0, 255, (40, 50, 3), dtype=np.uint8)
DIRECTORY = b"ZISRAWDIRECTORY"


def write_czi(path: Path, fill: Callable, compression: str = "uncompressed:") -> Path:
    with zeiss.create_czi(str(path), compression_options=compression) as file:
        fill(file)
        file.write_metadata("doc", channel_names={0: "GFP"}, scale_x=1e-7, scale_y=1e-7, scale_z=5e-7)
    return path


def write_plane(path: Path, data: np.ndarray, compression: str = "uncompressed:") -> Path:
    return write_czi(path, lambda file: file.write(data if data.ndim == 3 else data[..., None]), compression)


def patch(path: Path, *edits: tuple[bytes, int, bytes]) -> Path:
    """Overwrite bytes at an offset from a segment's name."""
    data = bytearray(path.read_bytes())
    for name, offset, value in edits:
        at = data.rindex(name) + offset
        data[at : at + len(value)] = value
    path.write_bytes(data)
    return path


@pytest.mark.corpus
def test_every_corpus_file_equals_zeiss_own_library() -> None:
    paths = sorted(CORPUS.glob("czi/*/*.czi"))
    if not paths:
        pytest.skip("needs the corpus")
    for path in paths:
        (image,) = read_images(path)
        pixels, axes = read_pixels(image), image.arrays["pixels"].axes
        with zeiss.open_czi(str(path)) as file:
            box = file.total_bounding_box
            for t in range(*box["T"]):
                for c in range(*box["C"]):
                    for z in range(*box["Z"]):
                        place = {"t": t, "c": c, "z": z}
                        plane = file.read(plane={"T": t, "C": c, "Z": z})
                        found = pixels[tuple(place[axis] for axis in axes if axis in "tcz")]
                        expected = plane[..., ::-1] if "s" in axes else plane[..., 0]
                        assert np.array_equal(found, expected), (path.name, place)
    assert len(paths) == 8


@pytest.mark.corpus
def test_what_the_corpus_files_state() -> None:
    path = CORPUS / "czi/sebi06__czitools/CellDivision_T3_Z5_CH2_X240_Y170.czi"
    if not path.is_file():
        pytest.skip("needs the corpus")
    (image,) = read_images(path)
    assert (image.channels, image.spacing["z"]) == (("LED555", "LED470"), Decimal("0.32"))
    assert read_times(image) == [360.4196148, 420.3980454, 480.4104779]
    assert image.acquired == datetime(2016, 2, 12, 9, 41, 2, 491560, UTC)
    assert image.facts["numerical_aperture"] == "1.2"
    assert "exposure_time" not in image.facts  # the channels differ
    (mosaic,) = read_images(CORPUS / "czi/AllenCellModeling__aicspylibczi/mosaic_test.czi")
    assert mosaic.header["tiles"]["rows"] == [[0, 0, 0, 624, 924], [1, 0, 832, 624, 924]]
    assert any("57408 of 1095744 pixels" in text for text in mosaic.warnings)
    (reduced,) = read_images(CORPUS / "czi/sebi06__czitools/WellD6_S1.czi")
    assert reduced.arrays["pixels"].shape == (440, 544)  # the pyramid is no image


@pytest.mark.parametrize("data", [PLANE, COLOURS], ids=["gray", "colours"])
@pytest.mark.parametrize(
    "compression", ["uncompressed:", "zstd0:ExplicitLevel=3", "zstd1:ExplicitLevel=3;PreProcess=HiLoByteUnpack"]
)
def test_compressions_and_order_of_colours(tmp_path: Path, data: np.ndarray, compression: str) -> None:
    (image,) = read_images(write_plane(tmp_path / "a.czi", data, compression))
    assert np.array_equal(read_pixels(image), data[..., ::-1] if data.ndim == 3 else data)  # it is written as BGR
    assert image.facts["pixel_size"] == "0.1"


def test_jpeg_xr_without_loss(tmp_path: Path) -> None:
    coded = imagecodecs.jpegxr_encode(PLANE, level=1.0)
    path = write_plane(tmp_path / "a.czi", PLANE)
    data = bytearray(path.read_bytes())
    at = data.index(b"ZISRAWSUBBLOCK")
    (size,) = struct.unpack_from("<q", data, at + 40)
    start = data.index(PLANE.tobytes())
    assert len(coded) < size
    data[start : start + len(coded)] = coded
    struct.pack_into("<q", data, at + 40, len(coded))
    struct.pack_into("<i", data, data.rindex(DIRECTORY) + 32 + 128 + 18, 4)
    path.write_bytes(data)
    (image,) = read_images(path)
    assert np.array_equal(read_pixels(image), PLANE)


def test_scenes_far_apart_are_images_with_their_own_mosaics(tmp_path: Path) -> None:
    corners = [(0, 0), (90000, -500)]

    def fill(file) -> None:
        for scene, (x, y) in enumerate(corners):
            for t in range(2):
                for tile, dx in enumerate((0, 45)):
                    data = PLANE[..., None] + t * 7 + tile + scene * 100
                    file.write(data, plane={"T": t, "C": 0, "Z": 0}, location=(x + dx, y), scene=scene)

    path = write_czi(tmp_path / "a.czi", fill, "zstd1:")
    images = read_images(path)
    assert [(image.name, image.header["corner"]) for image in images] == [
        ("scene1", {"y": 0, "x": 0}), ("scene2", {"y": -500, "x": 90000})
    ]  # fmt: skip
    with zeiss.open_czi(str(path)) as file:
        for scene, image in enumerate(images):
            pixels = read_pixels(image)
            assert pixels.shape == (2, 40, 95)
            for t in range(2):
                expected = file.read(plane={"T": t, "C": 0, "Z": 0}, scene=scene)[..., 0]
                assert np.array_equal(pixels[t], expected)
            assert np.array_equal(pixels[1, :, 45:], PLANE + 8 + scene * 100)  # the later tile is seen
            assert any("200 of 3800 pixels" in text for text in image.warnings)


def test_gaps_and_absent_planes_are_zero_and_told(tmp_path: Path) -> None:
    def fill(file) -> None:
        file.write(PLANE[..., None], plane={"T": 0, "C": 0, "Z": 0})
        file.write(PLANE[..., None], plane={"T": 0, "C": 0, "Z": 0}, location=(60, 0))
        file.write(PLANE[..., None], plane={"T": 2, "C": 0, "Z": 0})

    (image,) = read_images(write_czi(tmp_path / "a.czi", fill))
    pixels = read_pixels(image)
    assert (pixels.shape, pixels[1].any(), pixels[0, :, 50:60].any()) == ((3, 40, 110), False, False)
    assert any("1 of its 3 planes" in text for text in image.warnings)
    assert any("2400 of 4400 pixels of a plane" in text for text in image.warnings)


def test_tiles_of_which_nobody_knows_which_is_seen(tmp_path: Path) -> None:
    def fill(file) -> None:
        file.write(PLANE[..., None])
        file.write(PLANE[..., None] + 1, location=(45, 0))

    path = write_czi(tmp_path / "a.czi", fill)
    data = path.read_bytes()
    at = data.rindex(DIRECTORY)
    place = data.rindex(b"M\0\0\0\1\0\0\0")  # of the second tile
    assert place > at
    path.write_bytes(data[: place + 4] + b"\0" + data[place + 5 :])
    assert find_problem(path)[0] == "microscope.mosaic"


def test_what_cannot_be_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    entry = 32 + 128
    path = write_plane(tmp_path / "a.czi", PLANE)
    whole = path.read_bytes()
    assert find_problem(patch(path, (DIRECTORY, entry + 28, struct.pack("<i", 2**31 - 1))))[0] == "microscope.damaged"
    path.write_bytes(whole)
    assert find_problem(patch(path, (DIRECTORY, 32, struct.pack("<i", 2**30))))[0] == "image.hostile"
    path.write_bytes(whole)
    assert find_problem(patch(path, (DIRECTORY, entry + 6, struct.pack("<q", len(whole) - 60))))[0] == (
        "microscope.truncated"
    )
    path.write_bytes(whole)
    assert find_problem(patch(path, (DIRECTORY, entry + 18, struct.pack("<i", 1000))))[0] == "image.unsupported"
    path.write_bytes(whole[:2000])
    assert find_problem(path)[0] in ("microscope.truncated", "microscope.damaged")
