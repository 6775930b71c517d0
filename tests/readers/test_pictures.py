"""JPEG slices, and single pictures."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image as PillowImage

from neuropress.model.content import Image
from neuropress.model.finding import Finding, Problem
from neuropress.model.source import Source
from neuropress.readers.raw import choose_format
from neuropress.readers.slices import read as slices
from neuropress.storage.roots import Folder

RNG = np.random.default_rng(7)
GRAY = RNG.integers(0, 255, (3, 40, 50), dtype=np.uint8)
COLOUR = RNG.integers(0, 255, (40, 50, 3), dtype=np.uint8)


def load(path: Path) -> tuple[Image, np.ndarray]:
    source = Source(f"{path.name}/" if path.is_dir() else path.name, Folder(path.parent))
    assert choose_format(source).format == "slices"
    (image,) = slices.read(source, {})
    pixels = image.arrays["pixels"]
    data = pixels.read(tuple(slice(0, n) for n in pixels.shape))
    image.close()
    return image, data


def expect_finding(path: Path) -> Finding:
    with pytest.raises(Problem) as caught:
        load(path)
    return caught.value.finding


def test_jpeg_slices_are_what_pillow_decodes_too(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    for number, plane in enumerate(GRAY):
        (folder / f"z{number}.jpg").write_bytes(imagecodecs.jpeg8_encode(plane, level=90))
    image, data = load(folder)
    second = [np.asarray(PillowImage.open(path)) for path in sorted(folder.iterdir())]
    np.testing.assert_array_equal(data, np.stack(second))
    assert image.facts == {"x": "50", "y": "40", "z": "3"}
    assert "JPEG has lost detail" in image.warnings[0]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_in_colour_by_itself(tmp_path: Path, progressive: bool) -> None:
    path = tmp_path / "a.jpeg"
    PillowImage.fromarray(COLOUR).save(path, quality=80, progressive=progressive, comment="slide 5")
    data = path.read_bytes()
    at = data.index(b"JFIF\0") + 7  # unit of density, then the density of columns and of rows
    path.write_bytes(data[:at] + b"\2\x4e\x20\x4e\x20" + data[at + 5 :])
    image, data = load(path)
    np.testing.assert_array_equal(data, np.asarray(PillowImage.open(path)))
    assert image.arrays["pixels"].axes == ("y", "x", "s")
    assert image.channels == ("red", "green", "blue")
    assert image.facts == {"x": "50", "y": "40", "pixel_size": "0.5"}
    assert image.header["first_header"]["chunks"]["COM"] == [{"base64": "c2xpZGUgNQ=="}]


@pytest.mark.parametrize("pixels", [COLOUR, GRAY[0].astype(np.uint16) * 257])
def test_a_png_by_itself(tmp_path: Path, pixels: np.ndarray) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(pixels))
    image, data = load(path)
    np.testing.assert_array_equal(data, pixels)
    assert image.warnings == ()
    assert "z" not in image.facts


def describe_outcome(path: Path) -> str:
    try:
        _, pixels = load(path)
    except Problem as caught:
        return caught.finding.id
    return "pixels" if pixels.dtype == np.uint8 else str(pixels.dtype)


def damage(data: bytes, how: str) -> bytes:
    frame = data.index(b"\xff\xc0")
    if how == "cut in its pixels":
        return data[: len(data) // 2]
    if how == "cut in its header":
        return data[: frame + 5]
    if how == "a segment of another length":
        return data[:4] + b"\0\x07" + data[6:]
    if how == "no columns":
        return data[: frame + 7] + b"\0\0" + data[frame + 9 :]
    return data[: frame + 5] + b"\xff\xff\xff\xff" + data[frame + 9 :]


@pytest.mark.parametrize(
    ("how", "id", "words"),
    [
        ("cut in its pixels", "jpeg.damaged", "does not end as a JPEG does"),
        ("cut in its header", "jpeg.damaged", "ends within its header"),
        ("a segment of another length", "jpeg.damaged", "segments do not follow"),
        ("no columns", "jpeg.damaged", "0 x 40 pixels"),
        ("a huge extent", "image.hostile", "65535 x 65535 pixels"),
    ],
)
def test_damaged_jpegs(tmp_path: Path, how: str, id: str, words: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(damage(imagecodecs.jpeg8_encode(COLOUR), how))
    found = expect_finding(path)
    assert found.id == id
    assert words in found.message
    assert found.location.file == "a.jpg"


def test_jpegs_that_are_no_intensities_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    PillowImage.fromarray(np.dstack([COLOUR, GRAY[0]]), "CMYK").save(path)
    found = expect_finding(path)
    assert found.id == "image.unsupported"
    assert "8 bits and 4 samples" in found.message


@pytest.mark.parametrize("seed", range(4))
def test_cut_and_spoilt_jpegs_are_findings_or_pixels(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = imagecodecs.jpeg8_encode(COLOUR)
    path = tmp_path / "a.jpg"
    for _ in range(40):
        data = bytearray(whole[: rng.integers(4, len(whole) + 1)] if rng.random() < 0.3 else whole)
        for at in rng.integers(3, len(data), rng.integers(1, 4)):
            data[at] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        assert describe_outcome(path) in ("pixels", "jpeg.damaged", "image.hostile", "image.unsupported")


def test_mixed_formats_in_a_folder_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    written: dict[str, Any] = {"z0.jpg": imagecodecs.jpeg8_encode, "z1.jpg": imagecodecs.jpeg8_encode}
    for name, encode in {**written, "z2.png": imagecodecs.png_encode}.items():
        (folder / name).write_bytes(encode(GRAY[0]))
    found = expect_finding(folder)
    assert found.id == "slices.mixed"
    assert "z2.png is a PNG" in found.message
    assert "JPEG of 50 x 40 pixels" in found.message
