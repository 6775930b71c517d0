"""TIFF files: real ones against tifffile, and bad ones of our own making."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from tiff_files import (
    MOVIE,
    RNG,
    cut_chain,
    expect_refusal,
    load_images,
    read_one,
    read_whole,
    write_ifds,
    write_ome_set,
)

from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers.tiff import FORMAT
from neuropress.readers.tiff import read as tiff
from neuropress.storage.roots import Folder


@pytest.mark.parametrize(
    ("head", "claimed"),
    [(b"II*\0", True), (b"MM\0*", True), (b"II+\0", True), (b"MM\0+", True), (b"II\0*", False), (b"", False)],
)
def test_probe(head: bytes, claimed: bool) -> None:
    claim = FORMAT.claim(head + bytes(8) if head else b"", "x.dat")
    assert (claim is not None) is claimed
    assert claim is None or (claim.format, claim.strength) == ("tiff", 2)


# ---------------------------------------------------------------- real files

REAL = {
    "tiff_scanimage/jefferis__scanimage/Blank-IPA_1s_16r_032.tif": (
        "tyx", {"x": "64", "y": "64", "z": "30", "frame_rate": "8.13802083333333"}, {}),
    "tiff_scanimage/thunder-project__thunder/test_signed.tif": (
        "qyx", {"x": "120", "y": "120", "z": "2", "frame_rate": "28.4217"}, {}),
    "tiff_timeseries/losonczylab__sima/example.tif": ("qyx", {"x": "256", "y": "128", "z": "20"}, {}),
    "tiff_imagej/NEUBIAS__training-resources/xyt_calibrated_16bit__golgi_bfa_sum_projection.tif": (
        "tyx", {"x": "147", "y": "137", "z": "30", "pixel_size": "0.351435296896", "frame_rate": "0.0167056465085"},
        {"y": "0.351435296896", "x": "0.351435296896"}),
    "tiff_imagej/NEUBIAS__training-resources/xyz_8bit_calibrated_anisotropic__mri_head.tif": (
        "zyx", {"x": "186", "y": "226", "z": "27", "pixel_size": "500"}, {"z": "7000.0", "y": "500", "x": "500"}),
    "tiff_imagej/NEUBIAS__training-resources/xyzc_16bit__spots.tif": (
        "zcyx", {"x": "89", "y": "88", "z": "17", "pixel_size": "0.094134453935"},
        {"z": "0.39999999999999974", "y": "0.0941344539350", "x": "0.0941344539350"}),
    "tiff_imagej/NEUBIAS__training-resources/xy_16bit__rat_hippocampal_neuron.tif": (
        "yx", {"x": "512", "y": "512", "z": "1", "pixel_size": "0.16"}, {"y": "0.16", "x": "0.16"}),
    "em/NEUBIAS__training-resources/xy_8bit__em_mitochondria_er.tif": (
        "yx", {"x": "497", "y": "517", "z": "1", "pixel_size": "0.008"}, {"y": "0.008", "x": "0.008"}),
    "tiff_ome/qupath__qupath/cells-2t.ome.tif": (
        "tyx", {"x": "93", "y": "131", "z": "2", "pixel_size": "0.25"}, {"y": "0.25", "x": "0.25"}),
    "tiff_ome/libvips__libvips/multi-channel-z-series.ome.tif": ("czyx", {"x": "439", "y": "167", "z": "5"}, {}),
    "tiff_compressed/CellProfiler__CellProfiler/MetamorphImage.tif": (
        "yx", {"x": "696", "y": "520", "z": "1", "pixel_size": "0.645", "exposure_time": "300"},
        {"y": "0.645", "x": "0.645"}),
    "tiff_compressed/CellProfiler__CellProfiler/NikonTIF.tif": ("yxs", {"x": "805", "y": "731", "z": "1"}, {}),
    "tiff_compressed/thunder-project__thunder/dotdotdot_lzw.tif": ("qyx", {"x": "75", "y": "70", "z": "3"}, {}),
    "atlas/SainsburyWellcomeCentre__cellfinder/boundaries.tiff": ("qyx", {"x": "108", "y": "77", "z": "135"}, {}),
}  # fmt: skip


@pytest.mark.corpus
@pytest.mark.parametrize("key", REAL)
def test_real_file_facts(corpus: Path, key: str) -> None:
    axes, facts, spacing = REAL[key]
    (image,) = tiff.read(Source(key, Folder(corpus)), {})
    assert "".join(image.arrays["pixels"].axes) == axes
    assert image.facts == facts
    assert {k: str(v) for k, v in image.spacing.items()} == spacing
    assert image.warnings == ()
    image.close()


@pytest.mark.corpus
def test_every_real_file_equals_tifffile(corpus: Path) -> None:
    keys = [p.relative_to(corpus).as_posix() for p in sorted(corpus.rglob("*.tif*"))]
    assert len(keys) > 100
    for key in keys:
        (image,) = tiff.read(Source(key, Folder(corpus)), {})
        stored = tifffile.imread(corpus / key)
        data = read_whole(image)
        image.close()
        assert data.dtype == stored.dtype, key
        np.testing.assert_array_equal(data, stored, err_msg=key)


@pytest.mark.corpus
def test_scanimage_clock_and_negative_samples(corpus: Path) -> None:
    key = "tiff_scanimage/jefferis__scanimage/Blank-IPA_1s_16r_032.tif"
    (image,) = tiff.read(Source(key, Folder(corpus)), {})
    image.close()
    assert image.acquired is not None
    assert image.acquired.isoformat() == "2014-07-30T21:10:00.731000"
    assert image.header["tags"]["ImageDescription"].startswith("state.configPath=")
    (signed,) = tiff.read(Source("tiff_scanimage/thunder-project__thunder/test_signed.tif", Folder(corpus)), {})
    assert read_whole(signed).min() == -74
    assert signed.header["page_descriptions"]["2"].startswith("Frame Tag = 00000034")
    signed.close()


# ---------------------------------------------------------------- own files, whole


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"bigtiff": True, "byteorder": ">", "compression": "zstd"},
        {"tile": (16, 16)},
        {"tile": (16, 16), "compression": "zlib", "predictor": True},
        {"tile": (16, 32)},
        {"tile": (32, 16), "compression": "zlib"},
        {"compression": "lzw", "rowsperstrip": 5},
        {"compression": "packbits", "rowsperstrip": 1},
        {"predictor": True, "compression": "zlib", "byteorder": ">"},
        {"rowsperstrip": 5},
        {"photometric": "miniswhite"},
    ],
)
def test_storage_does_not_matter(tmp_path: Path, kwargs: dict[str, Any]) -> None:
    path = tmp_path / "m.tif"
    write_ifds(path, **kwargs)
    image, data = read_one(path)
    np.testing.assert_array_equal(data, MOVIE)
    pixels = image.arrays["pixels"]
    assert pixels.axes == ("q", "y", "x")
    for selection in ((slice(2, 4), slice(3, 9), slice(1, 8)), (slice(4, 5), slice(11, 12), slice(9, 10))):
        np.testing.assert_array_equal(pixels.read(selection), MOVIE[selection])
    image.close()


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", "u8", "?", "c8"])
def test_dtypes(tmp_path: Path, dtype: str) -> None:
    data = (RNG.random((3, 9, 7)) * 200 - 50).astype(dtype)
    tifffile.imwrite(tmp_path / "d.tif", data, metadata=None, photometric="minisblack")
    _, back = read_one(tmp_path / "d.tif")
    assert back.dtype == data.dtype
    np.testing.assert_array_equal(back, data)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_rgb_keeps_its_samples(tmp_path: Path, planar: str, tile: tuple[int, int] | None) -> None:
    data = RNG.integers(0, 255, (4, 20, 30, 3), dtype=np.uint8)
    stored = data if planar == "contig" else np.moveaxis(data, -1, 1)
    kwargs = {"tile": tile, "compression": "zlib"} if tile else {}
    tifffile.imwrite(tmp_path / "c.tif", stored, photometric="rgb", planarconfig=planar, metadata=None, **kwargs)
    image, back = read_one(tmp_path / "c.tif")
    np.testing.assert_array_equal(back, stored)
    assert "".join(image.arrays["pixels"].axes) == ("qyxs" if planar == "contig" else "qsyx")
    part = image.arrays["pixels"].read((slice(1, 3), *(slice(1, 3),) * 3))
    np.testing.assert_array_equal(part, stored[1:3, 1:3, 1:3, 1:3])
    assert image.facts["z"] == "4"
    image.close()


def test_only_the_pages_asked_for_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ifds(tmp_path / "m.tif", compression="zlib", rowsperstrip=6)
    (image,) = load_images(tmp_path / "m.tif")
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "neuropress.readers.images.pixels.OpenFiles.read",
        lambda self, key, at, count, read=tiff.OpenFiles.read: asked.append((at, count)) or read(self, key, at, count),
    )
    image.arrays["pixels"].read((slice(3, 4), slice(7, 9), slice(0, 10)))
    assert len(asked) == 1
    image.close()


@pytest.mark.parametrize(
    ("axes", "shape"),
    [("TYX", (5, 12, 10)), ("ZYX", (5, 12, 10)), ("TZCYX", (3, 2, 2, 12, 10)), ("CYX", (2, 12, 10))],
)
@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_declared_axes(tmp_path: Path, kind: str, axes: str, shape: tuple[int, ...]) -> None:
    data = RNG.integers(0, 999, shape, dtype=np.uint16)
    path = tmp_path / ("m.ome.tif" if kind == "ome" else "m.tif")
    tifffile.imwrite(path, data, **{kind: True}, metadata={"axes": axes}, photometric="minisblack")
    image, back = read_one(path)
    assert "".join(image.arrays["pixels"].axes) == axes.lower()
    np.testing.assert_array_equal(back, data)
    assert image.facts["z"] == str(int(np.prod(shape[:-2])) // (shape[axes.index("C")] if "C" in axes else 1))


@pytest.mark.parametrize(
    ("unit", "resolution", "expected"),
    [
        ("micron", (2.0, 2.0), "0.5"),
        ("um", (2.0, 2.0), "0.5"),
        ("\\u00B5m", (2.0, 2.0), "0.5"),
        ("\\u03BCm", (4.0, 4.0), "0.25"),
        ("nm", (0.125, 0.125), "0.008"),
        ("mm", (2000.0, 2000.0), "0.5"),
        ("cm", (20000.0, 20000.0), "0.5"),
        ("pixel", (2.0, 2.0), None),
        ("inch", (72.0, 72.0), None),
        ("", (2.0, 2.0), None),
        ("um", (1.0, 1.0), None),
    ],
)
def test_imagej_units(tmp_path: Path, unit: str, resolution: tuple[float, float], expected: str | None) -> None:
    meta = {"axes": "TYX", "unit": unit, "finterval": 0.002}
    tifffile.imwrite(tmp_path / "m.tif", MOVIE, imagej=True, resolution=resolution, metadata=meta)
    image, _ = read_one(tmp_path / "m.tif")
    assert image.facts.get("pixel_size") == expected
    assert image.facts["frame_rate"] == "500"


def test_interval_of_a_z_stack_is_no_rate(tmp_path: Path) -> None:
    meta = {"axes": "ZYX", "finterval": 0.2, "fps": 5.0, "spacing": 1.5, "unit": "um"}
    tifffile.imwrite(tmp_path / "z.tif", MOVIE, imagej=True, metadata=meta)
    image, _ = read_one(tmp_path / "z.tif")
    assert "frame_rate" not in image.facts
    assert str(image.spacing["z"]) == "1.5"


def test_a_colour_map_is_told(tmp_path: Path) -> None:
    """Its pixels are no intensities; ImageJ's map only colours what is one."""
    colours = RNG.integers(0, 2**16, (3, 256), dtype=np.uint16)
    plane = MOVIE[0].astype(np.uint8)
    tifffile.imwrite(tmp_path / "p.tif", plane, photometric="palette", colormap=colours)
    image, pixels = read_one(tmp_path / "p.tif")
    assert image.warnings == ("its pixels are numbers of colours in a colour map, and are kept as stored",)
    assert np.array_equal(pixels, plane)
    assert len(image.header["tags"]["ColorMap"]) == 3
    tifffile.imwrite(tmp_path / "i.tif", plane, imagej=True, colormap=colours)
    assert read_one(tmp_path / "i.tif")[0].warnings == ()


def test_playback_speed_is_reported(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "z.tif", MOVIE, imagej=True, metadata={"axes": "TYX", "fps": 7.5})
    image, _ = read_one(tmp_path / "z.tif")
    assert image.facts["frame_rate"] == "7.5"
    assert image.warnings == ("the frame rate is ImageJ's fps, which can be a playback speed",)


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [((72, 72), "INCH", None), ((20000, 20000), "CENTIMETER", "0.5"), ((118.11, 118.11), "CENTIMETER", None)],
)
def test_plain_resolution_tags(tmp_path: Path, resolution: Any, unit: str, expected: str | None) -> None:
    tifffile.imwrite(tmp_path / "p.tif", MOVIE, resolution=resolution, resolutionunit=unit, metadata=None)
    image, _ = read_one(tmp_path / "p.tif")
    assert image.facts.get("pixel_size") == expected


def test_ome_facts(tmp_path: Path) -> None:
    meta = {
        "axes": "TCYX", "PhysicalSizeX": 325.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.325,
        "PhysicalSizeYUnit": "µm", "TimeIncrement": 2.5, "TimeIncrementUnit": "ms", "Channel": {"Name": ["gfp", "rfp"]},
    }  # fmt: skip
    data = RNG.integers(0, 99, (4, 2, 12, 10), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "m.ome.tif", data, metadata=meta)
    image, back = read_one(tmp_path / "m.ome.tif")
    assert image.facts == {"x": "10", "y": "12", "z": "4", "pixel_size": "0.325", "frame_rate": "400"}
    assert image.channels == ("gfp", "rfp")
    np.testing.assert_array_equal(back, data)


def test_several_images_are_several_contents(tmp_path: Path) -> None:
    other = RNG.integers(0, 9, (3, 6, 4), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "s.ome.tif", ome=True) as out:
        out.write(MOVIE, metadata={"axes": "TYX", "Name": "first"})
        out.write(other, photometric="minisblack", metadata={"axes": "ZYX", "Name": "second"})
    first, second = load_images(tmp_path / "s.ome.tif")
    assert (first.name, second.name) == ("series0", "series1")
    assert (first.header["name"], second.header["name"]) == ("first", "second")
    np.testing.assert_array_equal(read_whole(first), MOVIE)
    np.testing.assert_array_equal(read_whole(second), other)
    first.close()
    second.close()


def test_pages_of_other_size_are_apart(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "s.tif") as out:
        for shape in ((8, 8), (8, 8), (6, 5)):
            out.write(np.zeros(shape, np.uint8), metadata=None, contiguous=False)
    stack, single = load_images(tmp_path / "s.tif")
    assert [c.arrays["pixels"].shape for c in (stack, single)] == [(2, 8, 8), (6, 5)]


def test_reduced_pages_are_no_data(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "s.tif") as out:
        out.write(MOVIE[0], metadata=None)
        out.write(MOVIE[0, ::2, ::2], metadata=None, subfiletype=1)
    image, data = read_one(tmp_path / "s.tif")
    np.testing.assert_array_equal(data, MOVIE[0])
    assert image.arrays["pixels"].shape == (12, 10)


def test_pyramid_in_sub_directories_is_no_data(tmp_path: Path) -> None:
    big = RNG.integers(0, 255, (2, 64, 64), dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "p.ome.tif") as out:
        out.write(big, subifds=1, tile=(32, 32), metadata={"axes": "TYX"})
        out.write(big[:, ::2, ::2], subfiletype=1, tile=(32, 32))
    _, data = read_one(tmp_path / "p.ome.tif")
    np.testing.assert_array_equal(data, big)


@pytest.mark.parametrize("kind", [4, 13])
def test_a_sub_directory_is_looked_at_whatever_the_type_of_its_pointer(tmp_path: Path, kind: int) -> None:
    """LONG, or IFD, which the TIFF supplement has for pointers."""
    path = tmp_path / "p.ome.tif"
    big = RNG.integers(0, 255, (2, 64, 64), dtype=np.uint8)
    with tifffile.TiffWriter(path, byteorder="<") as out:
        out.write(big, subifds=1, tile=(32, 32), metadata={"axes": "TYX"})
        out.write(big[:, ::2, ::2], subfiletype=1, tile=(32, 32))
    with tifffile.TiffFile(path) as tif:
        (level,) = tif.pages[1].pages
        place = struct.pack("<HHII", 324, 4, 1, level.dataoffsets[0])
    raw = path.read_bytes().replace(struct.pack("<HHI", 330, 13, 1), struct.pack("<HHI", 330, kind, 1))
    assert raw.count(struct.pack("<HHI", 330, kind, 1)) == 2
    path.write_bytes(raw)
    _, data = read_one(path)
    np.testing.assert_array_equal(data, big)
    assert raw.count(place) == 1
    path.write_bytes(raw.replace(place, struct.pack("<HHII", 324, 4, 1, len(raw))))
    assert expect_refusal(path).finding.id == "tiff.truncated"


def test_imagej_stack_in_one_directory(tmp_path: Path) -> None:
    """Large stacks of ImageJ: one directory, then all planes in a run."""
    path = tmp_path / "one.tif"
    tifffile.imwrite(path, MOVIE, imagej=True, metadata={"axes": "TYX"}, contiguous=True)
    cut_chain(path)
    with tifffile.TiffFile(path) as tif:
        assert len(tif.pages) == 1
    image, data = read_one(path)
    np.testing.assert_array_equal(data, MOVIE)
    assert image.facts["z"] == "5"


@pytest.mark.parametrize(
    ("header", "pages", "axes", "shape", "rate"),
    [
        ("SI.hChannels.channelSave = [1;2]\nSI.hStackManager.numSlices = 1\nSI.hRoiManager.scanFrameRate = 30.01\n"
         "SI.hChannels.channelName = {'green' 'red'}", 6, "tcyx", (3, 2), "30.01"),
        ("SI.hChannels.channelSave = 2\nSI.hStackManager.numSlices = 3\nSI.hFastZ.enable = true\n"
         "SI.hRoiManager.scanVolumeRate = 5.5\nSI.hRoiManager.scanFrameRate = 16.5", 6, "tzyx", (2, 3), "5.5"),
        ("SI.hChannels.channelSave = 1\nSI.hStackManager.numSlices = 3\nSI.hStackManager.framesPerSlice = 2\n"
         "SI.hFastZ.enable = false\nSI.hRoiManager.scanFrameRate = 16.5", 6, "ztyx", (3, 2), "16.5"),
        ("scanimage.SI4.channelsSave = [1;3]\nscanimage.SI4.stackNumSlices = 1\n"
         "scanimage.SI4.scanFrameRate = 28.4", 6, "tcyx", (3, 2), "28.4"),
        ("state.acq.savingChannel1=1\rstate.acq.savingChannel2=1\rstate.acq.savingChannel3=0\r"
         "state.acq.numberOfZSlices=1\rstate.acq.frameRate=8\rstate.acq.numAvgFramesSave=2", 4, "tcyx", (2, 2), "4"),
        ("scanimage.SI4.channelsSave = 1\nscanimage.SI4.stackNumSlices = 4", 6, "qyx", (6,), None),
    ],
)  # fmt: skip
def test_scanimage_generations(
    tmp_path: Path, header: str, pages: int, axes: str, shape: tuple[int, ...], rate: str | None
) -> None:
    """Files like ScanImage's, written here: the corpus has none with several saved channels."""
    data = RNG.integers(-50, 999, (pages, 8, 6), dtype=np.int16)
    path = tmp_path / "si.tif"
    software = {"software": "SI.VERSION_MAJOR = 2019"} if header.startswith("SI.") else {}
    with tifffile.TiffWriter(path) as out:
        for frame in data:
            out.write(frame, description=header, metadata=None, contiguous=False, **software)
    image, back = read_one(path)
    assert "".join(image.arrays["pixels"].axes) == axes
    np.testing.assert_array_equal(back.reshape(data.shape), data)
    assert back.shape[:-2] == shape
    assert image.facts.get("frame_rate") == rate
    if "channelName" in header:
        assert image.channels == ("green", "red")


def test_scanimage_pages_must_divide_by_channels(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "si.tif") as out:
        for frame in MOVIE:
            out.write(frame, description="scanimage.SI4.channelsSave = [1;2]", metadata=None, contiguous=False)
    found = expect_refusal(tmp_path / "si.tif").finding
    assert found.id == "tiff.pages"
    assert found.location.file == "si.tif"
    assert "5 pages" in found.message
    assert "2 channels" in found.message


def test_a_person_can_name_open_axes(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "m.tif", MOVIE, metadata=None)
    image, _ = read_one(tmp_path / "m.tif", axes="zyx")
    assert image.arrays["pixels"].axes == ("z", "y", "x")
    with pytest.raises(Problem, match="does not fit"):
        load_images(tmp_path / "m.tif", axes="zxy")


def test_multi_file_ome_set(tmp_path: Path) -> None:
    write_ome_set(tmp_path)
    source = Source("a.ome.tif", Folder(tmp_path))
    (image,) = tiff.read(source, {})
    np.testing.assert_array_equal(read_whole(image), MOVIE[:2])
    image.close()
    assert [i.key for i in source.inputs] == ["a.ome.tif", "b.ome.tif"]


@pytest.mark.parametrize("name", ["b.ome.tif", "../b.ome.tif", "/b.ome.tif", "..\\b.ome.tif"])
def test_missing_or_outside_member_of_an_ome_set(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_ome_set(folder, name)
    (folder / "b.ome.tif").rename(tmp_path / "b.ome.tif")
    found = expect_refusal(folder / "a.ome.tif").finding
    assert found.id == "tiff.member"
    assert repr(name) in found.message


def test_pages_in_tiles_of_different_width(tmp_path: Path) -> None:
    frames = np.random.default_rng(1).integers(0, 255, (2, 40, 50), np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as out:
        for frame, tile in zip(frames, ((16, 32), (16, 16)), strict=True):
            out.write(frame, contiguous=False, metadata=None, tile=tile)
    images = load_images(tmp_path / "a.tif")
    assert [np.array_equal(read_whole(image), frame) for image, frame in zip(images, frames, strict=True)] == [True] * 2
    for image in images:
        image.close()
