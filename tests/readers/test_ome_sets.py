"""OME-TIFF sets: metadata in a companion file, planes in several files, untrusted XML."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from tiff_files import MOVIE, expect_refusal, load_images, read_one, read_whole

from neuropress.model.source import Source
from neuropress.readers.raw import choose_format, read
from neuropress.storage.roots import Folder

NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
UUIDS = [f"urn:uuid:00000000-0000-4000-8000-00000000000{n}" for n in range(10)]


def make_document(
    parts: str, sizes: str = 'SizeZ="1" SizeC="1" SizeT="4"', order: str = "XYZCT", head: str = ""
) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<OME xmlns="{NAMESPACE}" UUID="{UUIDS[9]}"><Image ID="Image:0" '
        f'Name="run"><Pixels ID="Pixels:0" DimensionOrder="{order}" Type="uint16" SizeX="10" SizeY="12" {sizes} '
        f'PhysicalSizeX="0.5" PhysicalSizeY="0.5" TimeIncrement="0.1">{parts}</Pixels></Image></OME>'
    )


def make_tiff_data(first: int, ifd: int, count: int, name: str, uuid: str) -> str:
    place = f'FirstT="{first}" IFD="{ifd}" PlaneCount="{count}"'
    return f'<TiffData {place}><UUID FileName="{name}">{uuid}</UUID></TiffData>'


def write_companion_set(folder: Path, names: tuple[str, ...] = ("a.ome.tif", "b.ome.tif")) -> None:
    """Two files of two planes, in the order 2 3 | 0 1, and the XML that says so."""
    parts = make_tiff_data(2, 0, 2, names[0], UUIDS[0]) + make_tiff_data(0, 0, 2, names[1], UUIDS[1])
    (folder / "set.companion.ome").write_text(make_document(parts), encoding="utf-8")
    for number, name in enumerate(("a.ome.tif", "b.ome.tif")):
        stub = f'<OME xmlns="{NAMESPACE}" UUID="{UUIDS[number]}">' + (
            f'<BinaryOnly MetadataFile="set.companion.ome" UUID="{UUIDS[9]}"/></OME>'
        )
        with tifffile.TiffWriter(folder / name) as out:
            for frame in MOVIE[:2] if number else MOVIE[2:4]:
                out.write(frame, description=stub, metadata=None, contiguous=False)


@pytest.mark.parametrize("name", ["a.ome.tif", "b.ome.tif", "set.companion.ome"])
def test_a_companion_set_is_read_from_any_of_its_files(tmp_path: Path, name: str) -> None:
    write_companion_set(tmp_path)
    source = Source(name, Folder(tmp_path))
    assert choose_format(source).format == "tiff"
    (image,) = read(source)
    np.testing.assert_array_equal(read_whole(image), MOVIE[:4])
    image.close()
    assert image.arrays["pixels"].axes == ("t", "y", "x")
    assert (image.facts["frame_rate"], image.facts["pixel_size"]) == ("10", "0.5")
    assert [i.key for i in source.inputs] == ["a.ome.tif", "b.ome.tif", "set.companion.ome"]


@pytest.mark.parametrize("missing", ["set.companion.ome", "b.ome.tif"])
def test_a_missing_file_of_a_companion_set_is_named(tmp_path: Path, missing: str) -> None:
    write_companion_set(tmp_path)
    (tmp_path / missing).unlink()
    found = expect_refusal(tmp_path / "a.ome.tif").finding
    assert found.id == "tiff.member"
    assert repr(missing) in found.message


def test_all_missing_files_are_counted(tmp_path: Path) -> None:
    write_companion_set(tmp_path)
    for name in ("a.ome.tif", "b.ome.tif"):
        (tmp_path / name).rename(tmp_path / f"moved {name}")
    assert expect_refusal(tmp_path / "set.companion.ome").finding.id == "tiff.member"


def test_a_file_outside_of_its_folder_is_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_companion_set(folder, ("a.ome.tif", "../b.ome.tif"))
    (folder / "b.ome.tif").rename(tmp_path / "b.ome.tif")
    assert expect_refusal(folder / "a.ome.tif").finding.id == "tiff.member"


def write_single(path: Path, xml: str, planes: int = 4) -> Path:
    with tifffile.TiffWriter(path) as out:
        for number, frame in enumerate(MOVIE[:planes]):
            out.write(frame, description=xml if not number else None, metadata=None, contiguous=False)
    return path


@pytest.mark.parametrize(
    ("parts", "order"),
    [
        ("<TiffData/>", [0, 1, 2, 3]),
        ('<TiffData IFD="0" PlaneCount="4"/>', [0, 1, 2, 3]),
        ('<TiffData FirstT="2" IFD="0" PlaneCount="2"/><TiffData FirstT="0" IFD="2" PlaneCount="2"/>', [2, 3, 0, 1]),
        ("".join(f'<TiffData FirstT="{t}" IFD="{3 - t}"/>' for t in range(4)), [3, 2, 1, 0]),
    ],
)
def test_planes_lie_where_the_xml_says(tmp_path: Path, parts: str, order: list[int]) -> None:
    path = write_single(tmp_path / "m.ome.tif", make_document(parts))
    image, data = read_one(path)
    np.testing.assert_array_equal(data, MOVIE[order])
    np.testing.assert_array_equal(data, tifffile.imread(path))
    assert image.header["name"] == "run"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ("", "4 of the 4 planes of image 1 are in no file"),
        ('<TiffData FirstT="1" IFD="1" PlaneCount="3"/>', "1 of the 4 planes of image 1 are in no file"),
        ('<TiffData FirstT="4" IFD="0"/>', "begins outside of its image (FirstT=4"),
        ('<TiffData FirstT="0" IFD="2" PlaneCount="4"/>', "4 planes from page 3 of m.ome.tif on, which has 4 pages"),
        ('<TiffData IFD="0" PlaneCount="99999999999"/>', "99999999999 planes"),
        ('<TiffData IFD="0" PlaneCount="4"/><TiffData FirstT="1" IFD="3"/>', "names two pages for its plane 2"),
    ],
)
def test_xml_that_contradicts_the_pages(tmp_path: Path, parts: str, text: str) -> None:
    found = expect_refusal(write_single(tmp_path / "m.ome.tif", make_document(parts))).finding
    assert found.id == "tiff.pages"
    assert text in found.message


def test_size_in_the_xml_must_be_that_of_the_pages(tmp_path: Path) -> None:
    xml = make_document("<TiffData/>").replace('SizeX="10"', 'SizeX="12"').replace('SizeY="12"', 'SizeY="10"')
    found = expect_refusal(write_single(tmp_path / "m.ome.tif", xml)).finding
    assert found.id == "tiff.pages"
    assert "12 x 10 pixels, but the pages have 10 x 12" in found.message


ENTITIES = '<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
EXTERNAL = '<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
OUTSIDE = '<!DOCTYPE OME SYSTEM "http://localhost/x.dtd">'


@pytest.mark.parametrize("head", [ENTITIES, EXTERNAL, OUTSIDE, ENTITIES.replace("<!D", "<!--x--><!D")])
@pytest.mark.parametrize("companion", [True, False])
def test_document_types_and_entities_are_refused(tmp_path: Path, head: str, companion: bool) -> None:
    xml = make_document("<TiffData/>", head=head)
    path = tmp_path / ("x.companion.ome" if companion else "x.ome.tif")
    if companion:
        path.write_text(xml, encoding="utf-8")
    else:
        write_single(path, xml)
    assert expect_refusal(path).finding.id == "image.hostile"


def test_depth_of_the_xml_is_bounded(tmp_path: Path) -> None:
    deep = "<a>" * 100_000 + "</a>" * 100_000
    found = expect_refusal(write_single(tmp_path / "m.ome.tif", make_document(f"<TiffData/>{deep}"))).finding
    assert found.id == "image.hostile"
    assert "nested deeper than 64 levels" in found.message


def test_an_axis_that_interleaves_two_things_is_left_open(tmp_path: Path) -> None:
    modulo = f'<StructuredAnnotations xmlns="{NAMESPACE}"><XMLAnnotation ID="A:0"><Value><Modulo>'
    modulo += '<ModuloAlongT Type="lifetime" Start="0" Step="1" End="1"/></Modulo></Value></XMLAnnotation>'
    xml = make_document("<TiffData/>").replace("</OME>", f"{modulo}</StructuredAnnotations></OME>")
    (image,) = load_images(write_single(tmp_path / "m.ome.tif", xml))
    image.close()
    assert image.arrays["pixels"].axes == ("q", "y", "x")
    assert "interleaves two things along t" in image.warnings[0]
