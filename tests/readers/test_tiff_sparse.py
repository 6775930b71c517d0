"""Strips, tiles and planes that were never written, and byte counts that a writer left out; tifffile is the oracle."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from tiff_files import MOVIE, expect_refusal, read_one

TILES = np.random.default_rng(5).integers(1, 255, (3, 48, 64), dtype=np.uint8)


def find_entries(raw: bytes) -> list[dict[int, int]]:
    """Place of each tag's entry in every directory of a little-endian classic TIFF."""
    entries = []
    (at,) = struct.unpack_from("<I", raw, 4)
    while at:
        (count,) = struct.unpack_from("<H", raw, at)
        entries.append({struct.unpack_from("<H", raw, at + 2 + 12 * n)[0]: at + 2 + 12 * n for n in range(count)})
        (at,) = struct.unpack_from("<I", raw, at + 2 + 12 * count)
    return entries


def patch_segment(path: Path, page: int, segment: int, offset: int | None = None, count: int | None = None) -> None:
    """Overwrite offset or byte count of a strip or tile."""
    raw = bytearray(path.read_bytes())
    places = find_entries(raw)[page]
    for codes, value in (((273, 324), offset), ((279, 325), count)):
        place = next(places[code] for code in codes if code in places)
        kind, number, start = struct.unpack_from("<HII", raw, place + 2)
        width = {3: 2, 4: 4}[kind]
        where = (start if number * width > 4 else place + 8) + segment * width
        if value is not None:
            struct.pack_into("<H" if width == 2 else "<I", raw, where, value)
    path.write_bytes(raw)


@pytest.mark.parametrize("kwargs", [{}, {"compression": "zlib"}, {"compression": "lzw", "predictor": True}])
@pytest.mark.parametrize("nodata", [None, "7", "nan", "-9999"])
def test_tiles_that_were_never_written(tmp_path: Path, kwargs: dict[str, Any], nodata: str | None) -> None:
    path = tmp_path / "s.tif"
    extra = [(42113, 2, 0, nodata, False)] if nodata else []
    with tifffile.TiffWriter(path) as out:
        for frame in TILES:
            out.write(frame, contiguous=False, metadata=None, tile=(16, 16), extratags=extra, **kwargs)
    for page, segment in ((0, 0), (0, 5), (1, 11), (2, 2)):
        patch_segment(path, page, segment, 0, 0)
    image, data = read_one(path)
    np.testing.assert_array_equal(data, tifffile.imread(path))
    assert any("were never written" in warning for warning in image.warnings)
    part = image.arrays["pixels"].read((slice(1, 3), slice(10, 40), slice(5, 50)))
    np.testing.assert_array_equal(part, data[1:3, 10:40, 5:50])
    image.close()


@pytest.mark.parametrize("kwargs", [{"rowsperstrip": 5}, {"rowsperstrip": 4, "compression": "zlib"}])
def test_strips_that_were_never_written(tmp_path: Path, kwargs: dict[str, Any]) -> None:
    path = tmp_path / "s.tif"
    with tifffile.TiffWriter(path) as out:
        for frame in MOVIE:
            out.write(frame, contiguous=False, metadata=None, **kwargs)
    patch_segment(path, 1, 1, 0, 0)
    patch_segment(path, 3, 0, 0, 0)
    patch_segment(path, 4, 2, None, 0)
    _, data = read_one(path)
    np.testing.assert_array_equal(data, tifffile.imread(path))
    rows = kwargs["rowsperstrip"]
    assert not data[1, rows : 2 * rows].any()
    assert not data[3, :rows].any()
    assert data[0].all() == MOVIE[0].all()


@pytest.mark.parametrize("kwargs", [{}, {"compression": "zlib"}])
def test_planes_that_were_never_written(tmp_path: Path, kwargs: dict[str, Any]) -> None:
    path = tmp_path / "s.tif"
    with tifffile.TiffWriter(path) as out:
        for frame in MOVIE:
            out.write(frame, contiguous=False, metadata=None, **kwargs)
    patch_segment(path, 2, 0, 0, 0)
    image, data = read_one(path)
    expected = MOVIE.copy()
    expected[2] = 0
    np.testing.assert_array_equal(data, expected)
    assert "1 strips or tiles were never written (sparse file): they are read as 0" in image.warnings


def test_bytes_without_an_offset_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, MOVIE[0], metadata=None, rowsperstrip=4)
    patch_segment(path, 0, 1, 0, None)
    found = expect_refusal(path).finding
    assert found.id == "tiff.damaged"
    assert "1 has 80 bytes, but no offset" in found.message


FAX = {
    # Modified Huffman: 3 white rows, 6 rows of 5 white, 15 black and 12 white pixels, 7 white rows.
    2: b"\x1b" * 3 + b"\xc0\xc1\x00" * 6 + b"\x1b" * 7,
    # Group 4: 16 rows like the one above them, which is white; then the end of the block.
    4: b"\xff\xff\x00\x10\x01",
}


def write_fax(path: Path, codec: int, left_out: bool) -> None:
    """A bilevel page of one fax strip whose byte count is 0 or absent."""
    tags = {256: 32, 257: 16, 258: 1, 259: codec, 262: 0, 273: 0, 277: 1, 278: 16, 279: 0}
    if left_out:
        del tags[279]
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags.items())
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + FAX[codec])


@pytest.mark.parametrize("codec", [2, 4])
@pytest.mark.parametrize("left_out", [True, False])
def test_fax_strip_of_unknown_length(tmp_path: Path, codec: int, left_out: bool) -> None:
    write_fax(tmp_path / "f.tif", codec, left_out)
    image, data = read_one(tmp_path / "f.tif")
    np.testing.assert_array_equal(data, tifffile.imread(tmp_path / "f.tif"))
    assert data.sum() == (90 if codec == 2 else 0)
    assert image.facts["photometric"] == "MinIsWhite"


@pytest.mark.parametrize("codec", ["zlib", "lzw", "packbits"])
def test_packed_strip_of_unknown_length(tmp_path: Path, codec: str) -> None:
    """As libtiff reads it: up to the end of the file."""
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, MOVIE[0], metadata=None, compression=codec)
    patch_segment(path, 0, 0, None, 0)
    _, data = read_one(path)
    np.testing.assert_array_equal(data, MOVIE[0])
