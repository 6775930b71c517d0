"""Cut TIFF files of all sorts: refused, or equal to the whole file in pixels, axes, facts and header."""

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from campaigns import campaign
from tiff_files import MOVIE, RNG, load_images, read_one, write_ifds

from neuropress.model.content import Image
from neuropress.model.finding import Problem

IMAGEJ = {"axes": "TYX", "unit": "um", "finterval": 0.1, "Labels": [f"frame {n}" for n in range(5)], "Info": "x" * 300}
SCANIMAGE = (
    "SI.hChannels.channelSave = 1\nSI.hStackManager.numSlices = 1\nSI.hRoiManager.scanFrameRate = 30.01\n"
    "SI.hFastZ.enable = false"
)


def move_metadata_last(path: Path) -> None:
    """Move the values of all tags that lie outside of the first directory to the end of the file."""
    raw = bytearray(path.read_bytes())
    order = "<" if raw[:1] == b"I" else ">"
    big = raw[2 if order == "<" else 3] == 43
    head, entry, pointer, width = ("Q", "HHQ", "Q", 8) if big else ("H", "HHI", "I", 4)
    (at,) = struct.unpack_from(order + pointer, raw, 8 if big else 4)
    (count,) = struct.unpack_from(order + head, raw, at)
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 11: 4, 12: 8, 13: 4, 16: 8, 18: 8}
    for number in range(count):
        place = at + struct.calcsize(order + head) + number * (struct.calcsize(order + entry) + width)
        _, kind, n = struct.unpack_from(order + entry, raw, place)
        nbytes = sizes[kind] * n
        if nbytes > width:
            where = place + struct.calcsize(order + entry)
            (start,) = struct.unpack_from(order + pointer, raw, where)
            struct.pack_into(order + pointer, raw, where, len(raw))
            raw += raw[start : start + nbytes] + bytes(nbytes % 2)
    path.write_bytes(raw)


def write_ome(path: Path, **kwargs: Any) -> None:
    meta = {
        "axes": "TZYX",
        "PhysicalSizeX": 0.5,
        "PhysicalSizeY": 0.5,
        "TimeIncrement": 0.1,
        "Channel": {"Name": ["g"]},
    }
    tifffile.imwrite(path, RNG_STACK, ome=True, metadata=meta, photometric="minisblack", **kwargs)


def write_pyramid(path: Path, ome: bool = True) -> None:
    big = np.random.default_rng(3).integers(0, 255, (2, 64, 64), dtype=np.uint8)
    with tifffile.TiffWriter(path, ome=ome) as out:
        out.write(big, subifds=1, tile=(32, 32), metadata={"axes": "TYX"}, photometric="minisblack")
        out.write(big[:, ::2, ::2], subfiletype=1, tile=(32, 32), photometric="minisblack")


def write_scanimage(path: Path) -> None:
    with tifffile.TiffWriter(path, bigtiff=True) as out:
        for number, frame in enumerate(MOVIE):
            text = f"frameNumbers = {number}\n" + SCANIMAGE
            out.write(frame, description=text, software=SCANIMAGE, metadata=None, contiguous=False)


def write_private(path: Path) -> None:
    """Private tags of several types and an EXIF-like calibration behind the pixels."""
    extra = [(65000, 2, 0, "a private note " * 20, False), (65001, 12, 9, tuple(map(float, range(9))), False)]
    tifffile.imwrite(
        path, MOVIE, metadata=None, extratags=extra, resolution=(20000, 20000), resolutionunit="CENTIMETER"
    )


RNG_STACK = RNG.integers(0, 4096, (3, 2, 12, 10), dtype=np.uint16)
PLAIN: dict[str, Callable[[Path], None]] = {
    "multi-page": write_ifds,
    "big-endian": lambda p: write_ifds(p, byteorder=">"),
    "BigTIFF": lambda p: write_ifds(p, bigtiff=True, tile=(16, 16)),
    "lzw": lambda p: write_ifds(p, compression="lzw", rowsperstrip=3),
    "zstd": lambda p: write_ifds(p, compression="zstd", predictor=True),
    "shaped": lambda p: tifffile.imwrite(p, MOVIE, metadata={"axes": "TYX"}),
    "imagej": lambda p: tifffile.imwrite(p, MOVIE, imagej=True, metadata=IMAGEJ, resolution=(2.0, 2.0)),
    "ome": write_ome,
    "ome big": lambda p: write_ome(p, bigtiff=True, compression="zlib"),
    "ome tiled": lambda p: write_ome(p, tile=(16, 16), compression="lzw"),
    "pyramid": write_pyramid,
    "shaped pyramid": lambda p: write_pyramid(p, ome=False),
    "scanimage": write_scanimage,
    "private": write_private,
}


def write_all(folder: Path) -> dict[str, bytes]:
    """Each sort as tifffile writes it, and with its metadata behind the pixels."""
    contents = {}
    for name, write in PLAIN.items():
        path = folder / "m.tif"
        write(path)
        contents[name] = path.read_bytes()
        move_metadata_last(path)
        contents[f"{name}, metadata last"] = path.read_bytes()
    return contents


def collect_content(images: tuple[Image, ...]) -> list[Any]:
    """All that a result is made from."""
    contents = []
    for image in images:
        pixels = image.arrays["pixels"]
        data = pixels.read(tuple(slice(0, n) for n in pixels.shape))
        about = (image.name, pixels.axes, pixels.shape, str(pixels.dtype), image.channels, image.acquired)
        contents.append((about, image.facts, image.spacing, image.header, image.warnings, data.tobytes()))
        image.close()
    return contents


def read_content(path: Path, raw: bytes) -> list[Any] | str:
    path.write_bytes(raw)
    try:
        return collect_content(load_images(path))
    except Problem as refused:
        return refused.finding.id


@pytest.fixture(scope="module")
def sorts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, Any]]:
    folder = tmp_path_factory.mktemp("sorts")
    whole = {name: (raw, read_content(folder / "w.tif", raw)) for name, raw in write_all(folder).items()}
    assert not [name for name, (_, content) in whole.items() if isinstance(content, str)]
    return whole


def try_cuts(path: Path, raw: bytes, whole: Any, cuts: list[int]) -> list[int]:
    """Cuts after which the file is read, but otherwise than the whole one."""
    wrong = []
    for cut in cuts:
        content = read_content(path, raw[:cut])
        if isinstance(content, str):
            assert content in ("tiff.truncated", "tiff.damaged", "tiff.pages", "file.empty", "format.unknown"), (
                content,
                cut,
            )
        elif content != whole:
            wrong.append(cut)
    return wrong


def test_no_cut_file_is_read_otherwise(tmp_path: Path, sorts: dict[str, tuple[bytes, Any]]) -> None:
    choose = random.Random(1)
    each = max(campaign(280, full=1000) // len(sorts), 1)
    for name, (raw, whole) in sorts.items():
        cuts = [choose.randrange(len(raw)) for _ in range(each // 2)]
        cuts += [choose.randrange(max(len(raw) - 700, 0), len(raw)) for _ in range(each - each // 2)]  # metadata
        assert not try_cuts(tmp_path / "w.tif", raw, whole, cuts), name


@pytest.mark.corpus
def test_no_cut_real_file_is_read_otherwise(tmp_path: Path, corpus: Path) -> None:
    choose = random.Random(2)
    files = sorted(p for p in corpus.rglob("*.tif*") if p.stat().st_size < 400_000)
    for path in choose.sample(files, min(campaign(12), len(files))):
        raw = path.read_bytes()
        whole = read_content(tmp_path / "w.tif", raw)
        assert not isinstance(whole, str), path
        near = [len(raw) - 1 - choose.randrange(min(len(raw), 2000)) for _ in range(3)]
        cuts = [*near, *(choose.randrange(len(raw)) for _ in range(3))]
        assert not try_cuts(tmp_path / "w.tif", raw, whole, cuts), path


def test_a_cut_text_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "m.ome.tif"
    write_ome(path)
    move_metadata_last(path)
    raw = path.read_bytes()
    path.write_bytes(raw[:-10])
    with pytest.raises(Problem) as caught:
        load_images(path)
    found = caught.value.finding
    assert found.id == "tiff.truncated"
    assert "of page 1, " in found.message
    assert " bytes from byte " in found.message
    assert f"({len(raw) - 10} bytes)" in found.message


def test_an_odd_tag_is_passed_over_and_reported(tmp_path: Path) -> None:
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, MOVIE[0], metadata=None, extratags=[(42113, 2, 0, "not a number", False)])
    image, data = read_one(path)
    assert any("GDAL_NODATA" in warning for warning in image.warnings)
    np.testing.assert_array_equal(data, MOVIE[0])
