"""Bad TIFF files: truncated, promising too much, hostile, fuzzed."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiff_files import MOVIE, cut_chain, expect_refusal, load_images, read_whole, write_ifds

from neuropress.model.finding import Problem


def test_truncated_multi_page(tmp_path: Path) -> None:
    path = tmp_path / "m.tif"
    write_ifds(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    found = expect_refusal(path).finding
    assert found.id == "tiff.truncated"
    assert found.location.file == "m.tif"
    assert f"({len(raw) // 2} bytes)" in found.message


def test_truncated_imagej(tmp_path: Path) -> None:
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, MOVIE, imagej=True, metadata={"axes": "TYX"})
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])
    assert expect_refusal(path).finding.id == "tiff.truncated"
    path.write_bytes(raw)
    cut_chain(path)
    whole_size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: whole_size * 2 // 3])
    found = expect_refusal(path).finding
    assert found.id == "tiff.pages"
    assert "promises 5 images, but the file holds" in found.message


def test_header_promises_more_pages_than_there_are(tmp_path: Path) -> None:
    text = "ImageJ=1.53t\nimages=3500\nslices=3500\n"
    tifffile.imwrite(tmp_path / "p.tif", MOVIE[0], description=text, metadata=None)
    found = expect_refusal(tmp_path / "p.tif").finding
    assert found.id == "tiff.pages"
    assert found.location.file == "p.tif"
    assert "promises 3500 images, but the file holds 1" in found.message


def test_absurd_counts_are_no_traceback(tmp_path: Path) -> None:
    text = f"ImageJ=1.53t\nimages={'9' * 5000}\nslices=1e999\nframes=-3\n"
    tifffile.imwrite(tmp_path / "p.tif", MOVIE[0], description=text, metadata=None)
    assert expect_refusal(tmp_path / "p.tif").finding.id == "tiff.damaged"


def test_ome_promises_more_planes_than_there_are(tmp_path: Path) -> None:
    path = tmp_path / "p.ome.tif"
    tifffile.imwrite(path, MOVIE, metadata={"axes": "TYX"})
    path.write_bytes(path.read_bytes().replace(b'SizeT="5"', b'SizeT="9"'))
    found = expect_refusal(path).finding
    assert found.id == "tiff.pages"
    assert "promises 9 planes, but there are 5 pages" in found.message


def test_ome_that_leaves_pages_out(tmp_path: Path) -> None:
    path = tmp_path / "p.ome.tif"
    tifffile.imwrite(path, MOVIE, metadata={"axes": "TYX"})
    raw = path.read_bytes().replace(b'SizeT="5"', b'SizeT="4"').replace(b'PlaneCount="5"', b'PlaneCount="4"')
    path.write_bytes(raw)
    assert expect_refusal(path).finding.id in ("tiff.pages", "tiff.damaged")


def test_entities_in_ome_xml_are_refused(tmp_path: Path) -> None:
    xml = '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><OME>&b;</OME>'
    tifffile.imwrite(tmp_path / "x.ome.tif", MOVIE[0], description=xml, metadata=None)
    assert expect_refusal(tmp_path / "x.ome.tif").finding.id == "image.hostile"


def test_companion_metadata_are_named(tmp_path: Path) -> None:
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<BinaryOnly MetadataFile="set.companion.ome" UUID="urn:uuid:1"/></OME>'
    )
    tifffile.imwrite(tmp_path / "x.ome.tif", MOVIE[0], description=xml, metadata=None)
    found = expect_refusal(tmp_path / "x.ome.tif").finding
    assert found.id == "tiff.member"
    assert "set.companion.ome" in found.message


def test_empty_and_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "e.tif").write_bytes(b"")
    assert expect_refusal(tmp_path / "e.tif").finding.id == "file.empty"
    (tmp_path / "t.tif").write_bytes(b"not a tiff at all")
    assert expect_refusal(tmp_path / "t.tif").finding.id == "format.unknown"
    (tmp_path / "h.tif").write_bytes(b"II*\0")
    assert expect_refusal(tmp_path / "h.tif").finding.id == "tiff.truncated"


def make_entry(code: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", code, kind, count, value)


def write_directory(path: Path, entries: list[bytes], following: int = 0, data: bytes = bytes(64)) -> Path:
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", following)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory + data)
    return path


GRAY = [make_entry(258, 3, 1, 8), make_entry(259, 3, 1, 1), make_entry(262, 3, 1, 1)]


@pytest.mark.parametrize(
    ("entries", "following", "id", "words"),
    [
        ([make_entry(256, 3, 1, 4), make_entry(257, 3, 1, 4), *GRAY, make_entry(273, 4, 1, 100), make_entry(279, 4, 1, 16)], 8,
         "tiff.damaged", "run in a circle"),
        ([make_entry(256, 3, 1, 4), make_entry(257, 3, 1, 4), *GRAY, make_entry(273, 4, 1, 100), make_entry(279, 4, 1, 16)], 99999,
         "tiff.truncated", "page 2, 2 bytes from byte 99999 on"),
        ([make_entry(256, 4, 1, 60000), make_entry(257, 4, 1, 60000), *GRAY, make_entry(273, 4, 1, 100), make_entry(279, 4, 1, 16)], 0,
         "tiff.truncated", "strip or tile 0 of page 1, 3600000000 bytes from byte 100 on"),
        ([make_entry(256, 4, 1, 60000), make_entry(257, 4, 1, 60000), make_entry(258, 3, 1, 8), make_entry(259, 3, 1, 8),
          make_entry(273, 4, 1, 100), make_entry(279, 4, 1, 16)], 0, "image.hostile", "claims 3600000000 bytes"),
        ([make_entry(256, 3, 1, 4), make_entry(257, 3, 1, 4), *GRAY, make_entry(273, 4, 0x7FFFFFFF, 8), make_entry(279, 4, 1, 16)], 0,
         "tiff.truncated", "tag 273 of page 1"),
        ([make_entry(256, 3, 1, 0), make_entry(257, 3, 1, 4), *GRAY, make_entry(273, 4, 1, 100), make_entry(279, 4, 1, 16)], 0,
         "tiff.damaged", "does not say its width"),
        ([make_entry(256, 3, 1, 4), make_entry(257, 3, 1, 4), *GRAY, make_entry(273, 4, 1, 0), make_entry(279, 4, 1, 16)], 0,
         "tiff.damaged", "without pixels"),
        ([], 0, "tiff.damaged", "claims 0 tags"),
    ],
)  # fmt: skip
def test_hostile_directories(tmp_path: Path, entries: list[bytes], following: int, id: str, words: str) -> None:
    found = expect_refusal(write_directory(tmp_path / "h.tif", entries, following)).finding
    assert found.id == id
    assert words in found.message


def test_broken_strip_names_its_page(tmp_path: Path) -> None:
    write_ifds(tmp_path / "m.tif", compression="zlib")
    with tifffile.TiffFile(tmp_path / "m.tif") as tif:
        at = tif.pages[3].dataoffsets[0]
    raw = bytearray((tmp_path / "m.tif").read_bytes())
    raw[at : at + 8] = b"\xff" * 8
    (tmp_path / "m.tif").write_bytes(raw)
    found = expect_refusal(tmp_path / "m.tif").finding
    assert found.id == "tiff.damaged"
    assert "page 4 cannot be decoded at strip or tile 0" in found.message


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "m.tif", MOVIE, metadata=None)
    (image,) = load_images(tmp_path / "m.tif")
    (tmp_path / "m.tif").write_bytes((tmp_path / "m.tif").read_bytes()[:500])
    with pytest.raises(Problem, match=r"are no longer there|changed while it was read"):
        read_whole(image)
    image.close()


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    """Of the same length, so that only its stamp tells; a file of several pages at once and a packed one."""
    for kwargs in ({}, {"compression": "zlib"}):
        write_ifds(tmp_path / "m.tif", **kwargs)
        (image,) = load_images(tmp_path / "m.tif")
        image.arrays["pixels"].read((slice(0, 1), slice(0, 12), slice(0, 10)))
        os.utime(tmp_path / "m.tif", ns=(1, 1))
        with pytest.raises(Problem, match="changed while it was read") as caught:
            read_whole(image)
        image.close()
        assert caught.value.finding.id == "file.changed"


def list_variants() -> dict[str, Callable[[Path], None]]:
    return {
        "plain": write_ifds,
        "lzw": lambda p: write_ifds(p, compression="lzw"),
        "big": lambda p: write_ifds(p, bigtiff=True, tile=(16, 16)),
        "imagej": lambda p: tifffile.imwrite(p, MOVIE, imagej=True, metadata={"axes": "TYX", "unit": "um"}),
        "shaped": lambda p: tifffile.imwrite(p, MOVIE, metadata={"axes": "TYX"}),
        "ome": lambda p: tifffile.imwrite(p, MOVIE, ome=True, metadata={"axes": "TYX"}),
    }


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("samples")
    for name, make in list_variants().items():
        make(folder / name)
    return {name: (folder / name).read_bytes() for name in list_variants()}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(list_variants())), st.floats(0, 1), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)))
)
def test_cuts_and_flips_are_problems_or_reads(
    tmp_path: Path, samples: dict[str, bytes], name: str, cut: float, flips: list[tuple[float, int]]
) -> None:
    raw = bytearray(samples[name])
    if not flips:
        raw = raw[: int(cut * len(raw))]
    for place, value in flips:
        raw[int(place * (len(raw) - 1))] = value
    path = tmp_path / "f.tif"
    path.write_bytes(raw)
    try:
        images = load_images(path)
    except Problem:
        return
    for image in images:
        assert sum(a.dtype.itemsize * int(np.prod(a.shape, dtype=object)) for a in image.arrays.values()) < 2**40
        try:
            read_whole(image)
        except Problem:
            continue
        finally:
            image.close()
    if not flips and len(raw) < len(samples[name]):
        np.testing.assert_array_equal(np.squeeze(read_whole(images[0])), MOVIE)  # only bytes behind the data were cut
        images[0].close()
