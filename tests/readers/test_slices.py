"""Folders of slices: real ones, and bad ones of our own making."""

import struct
import time
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuropress.model.content import Image
from neuropress.model.finding import Finding, Problem
from neuropress.model.source import Source, natural_key
from neuropress.readers.images.calibration import ImageMetadata
from neuropress.readers.raw import choose_format
from neuropress.readers.slices import FORMAT
from neuropress.readers.slices import png as png_files
from neuropress.readers.slices import read as slices
from neuropress.readers.tiff import FORMAT as TIFF
from neuropress.storage.roots import Folder

RNG = np.random.default_rng(3)
STACK = RNG.integers(0, 65535, (12, 9, 7), dtype=np.uint16)


def load_stack(folder: Path, **options: Any) -> tuple[Image, np.ndarray, Source]:
    source = Source(f"{folder.name}/", Folder(folder.parent))
    (image,) = slices.read(source, options)
    pixels = image.arrays["pixels"]
    data = pixels.read(tuple(slice(0, n) for n in pixels.shape))
    image.close()
    assert data.dtype == pixels.dtype
    return image, data, source


def expect_finding(folder: Path) -> Finding:
    with pytest.raises(Problem) as caught:
        load_stack(folder)
    return caught.value.finding


def write_stack(folder: Path, template: str = "z{:04d}.tif", first: int = 1, **kwargs: Any) -> Path:
    for number, plane in enumerate(STACK, first):
        tifffile.imwrite(folder / template.format(number), plane, metadata=None, **kwargs)
    return folder


def make_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def make_png(width: int, height: int, bits: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + make_chunk(b"IHDR", header)
        + extra
        + make_chunk(b"IDAT", zlib.compress(rows))
        + make_chunk(b"IEND", b"")
    )


def test_exactly_one_reader_takes_a_file_or_folder(tmp_path: Path) -> None:
    write_stack(tmp_path)
    folder = Source(f"{tmp_path.name}/", Folder(tmp_path.parent))
    assert choose_format(folder).format == "slices"
    assert choose_format(Source("z0001.tif", Folder(tmp_path))).format == "tiff"


def test_probe_claims_folders_only() -> None:
    claim = FORMAT.claim(b"", "stack/")
    assert claim is not None
    assert (claim.format, claim.strength) == ("slices", 0)
    assert FORMAT.claim(b"II*\0", "a.tif") is None
    assert TIFF.claim(b"", "stack/") is None


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("key", "shape", "facts"),
    [
        ("em/zhixuhao__unet/data/membrane/train/image/", (30, 512, 512), {"x": "512", "y": "512", "z": "30"}),
        ("em/zhixuhao__unet/data/membrane/train/label/", (30, 512, 512), {"x": "512", "y": "512", "z": "30"}),
        ("em/NEUBIAS__training-resources/image_data/xyz_8bit__em_volume_tiff_series/", (21, 256, 256),
         {"x": "256", "y": "256", "z": "21"}),
        ("tiff_timeseries/zeiss-microscopy__OAD/Experiment_Feedback/Testimages/Calcium_340-380_100frames/",
         (40, 120, 160), {"x": "160", "y": "120", "z": "40", "pixel_size": "0.5", "frame_rate": "5"}),
        ("tiff_zseries/brainglobe__brainreg/tests/data/input/brain/", (20, 193, 271),
         {"x": "271", "y": "193", "z": "20"}),
    ],
)  # fmt: skip
def test_real_stacks(corpus: Path, key: str, shape: tuple[int, ...], facts: dict[str, str]) -> None:
    source = Source(key, Folder(corpus))
    (image,) = slices.read(source, {})
    pixels = image.arrays["pixels"]
    assert pixels.shape == shape
    assert pixels.axes == ("q", "y", "x")
    assert image.facts == facts
    members = sorted((corpus / key).iterdir(), key=lambda p: natural_key(p.name))
    read = tifffile.imread if members[0].suffix == ".tif" else lambda p: imagecodecs.imread(str(p))
    stored = np.stack([read(p) for p in members])
    data = pixels.read(tuple(slice(0, n) for n in shape))
    image.close()
    assert data.dtype == stored.dtype
    np.testing.assert_array_equal(data, stored)
    assert len(source.inputs) == shape[0]


@pytest.mark.corpus
def test_a_folder_of_stacks_is_refused(corpus: Path) -> None:
    with pytest.raises(Problem, match=r"5channel.tif is itself a stack of 5 pages"):
        slices.read(Source("tiff_compressed/CellProfiler__CellProfiler/", Folder(corpus)), {})


@pytest.mark.parametrize(
    "kwargs", [{}, {"byteorder": ">"}, {"compression": "zlib"}, {"tile": (16, 16)}, {"rowsperstrip": 4}]
)
def test_own_stacks(tmp_path: Path, kwargs: dict[str, Any]) -> None:
    image, data, source = load_stack(write_stack(tmp_path, **kwargs))
    np.testing.assert_array_equal(data, STACK)
    part = image.arrays["pixels"].read((slice(9, 12), slice(2, 5), slice(1, 6)))
    np.testing.assert_array_equal(part, STACK[9:12, 2:5, 1:6])
    image.close()
    assert image.facts == {"x": "7", "y": "9", "z": "12"}
    assert len(source.inputs) == 12
    assert image.header["first"] == "z0001.tif"


def test_natural_order_without_padding(tmp_path: Path) -> None:
    _, data, _ = load_stack(write_stack(tmp_path, "{}.tif", first=0))
    np.testing.assert_array_equal(data, STACK)


def test_blanks_in_numbers(tmp_path: Path) -> None:
    _, data, _ = load_stack(write_stack(tmp_path, "slice {:3d}.tif"))
    np.testing.assert_array_equal(data, STACK)


def test_a_person_can_name_the_slice_axis(tmp_path: Path) -> None:
    image, _, _ = load_stack(write_stack(tmp_path), axes="zyx")
    assert image.arrays["pixels"].axes == ("z", "y", "x")


def test_missing_slice_is_named(tmp_path: Path) -> None:
    write_stack(tmp_path)
    (tmp_path / "z0004.tif").unlink()
    (tmp_path / "z0009.tif").unlink()
    found = expect_finding(tmp_path)
    assert found.id == "slices.missing"
    assert "lacks 2 of 12 slices; the first missing is z0004.tif (after z0003.tif" in found.message


def test_same_number_twice(tmp_path: Path) -> None:
    write_stack(tmp_path)
    tifffile.imwrite(tmp_path / "z04.tif", STACK[0], metadata=None)
    assert expect_finding(tmp_path).id == "slices.missing"


def test_zero_byte_member(tmp_path: Path) -> None:
    write_stack(tmp_path)
    (tmp_path / "z0007.tif").write_bytes(b"")
    found = expect_finding(tmp_path)
    assert found.id == "file.empty"
    assert found.location.file == f"{tmp_path.name}/z0007.tif"


@pytest.mark.parametrize("odd", [np.zeros((9, 8), np.uint16), np.zeros((9, 7), np.int16), np.zeros((9, 7), np.uint8)])
def test_one_slice_of_another_kind(tmp_path: Path, odd: np.ndarray) -> None:
    write_stack(tmp_path)
    tifffile.imwrite(tmp_path / "z0005.tif", odd, metadata=None)
    found = expect_finding(tmp_path)
    assert found.id == "slices.mixed"
    assert "z0005.tif is a TIFF of" in found.message
    assert "11 of the 12 planes" in found.message


@pytest.mark.parametrize(
    ("odd", "kwargs", "words"),
    [
        (STACK[4].astype(np.uint8), {}, "8 bits unsigned, 1 samples, MinIsBlack, but 11 of the 12 planes"),
        (STACK[4].astype(np.uint32), {}, "32 bits unsigned"),
        (STACK[4].astype(np.float32), {}, "32 bits float"),
        (STACK[4], {"photometric": "miniswhite"}, "MinIsWhite, but 11 of the 12 planes"),
        (np.stack([STACK[4]] * 3, -1), {"photometric": "rgb"}, "3 samples, RGB"),
        (STACK[4][:, :6], {}, "TIFF of 6 x 9 pixels"),
        (STACK[4] > 9, {}, "1 bits unsigned"),
    ],
)
def test_slices_that_differ_are_named_with_how(
    tmp_path: Path, odd: np.ndarray, kwargs: dict[str, Any], words: str
) -> None:
    write_stack(tmp_path)
    tifffile.imwrite(tmp_path / "z0005.tif", odd, metadata=None, **({"photometric": "minisblack"} | kwargs))
    found = expect_finding(tmp_path)
    assert found.id == "slices.mixed"
    assert found.location.file == f"{tmp_path.name}/z0005.tif"
    assert words in found.message
    assert "are TIFF of 7 x 9 pixels, 16 bits unsigned, 1 samples, MinIsBlack" in found.message


def test_a_png_of_fewer_bits_among_others_is_named(tmp_path: Path) -> None:
    for number, depth in enumerate((8, 8, 16), 1):
        pixels = np.ones((6, 5), np.uint8 if depth == 8 else np.uint16)
        (tmp_path / f"z{number}.png").write_bytes(imagecodecs.png_encode(pixels))
    found = expect_finding(tmp_path)
    assert found.id == "slices.mixed"
    assert "z3.png is a PNG of 5 x 6 pixels, 16 bits" in found.message


def test_tiff_and_png_do_not_mix(tmp_path: Path) -> None:
    write_stack(tmp_path)
    (tmp_path / "z0012.tif").unlink()
    (tmp_path / "z0012.png").write_bytes(imagecodecs.png_encode(STACK[11]))
    assert expect_finding(tmp_path).id == "slices.mixed"


def test_a_slice_that_is_a_stack(tmp_path: Path) -> None:
    write_stack(tmp_path)
    tifffile.imwrite(tmp_path / "z0003.tif", STACK[:2], metadata=None)
    assert "z0003.tif is itself a stack of 2 pages" in expect_finding(tmp_path).message


def test_a_slice_that_speaks_of_its_stack(tmp_path: Path) -> None:
    """ImageJ slices keep images=3500 of the stack that they were cut from."""
    text = "ImageJ=1.53t\nimages=3500\nslices=3500\nunit=micron\n"
    write_stack(tmp_path, description=text, resolution=(2.0, 2.0))
    image, data, _ = load_stack(tmp_path)
    np.testing.assert_array_equal(data, STACK)
    assert image.facts["pixel_size"] == "0.5"
    assert "says images=3500 of the stack it was cut from" in image.warnings[0]


def test_junk_is_left_out_and_reported(tmp_path: Path) -> None:
    write_stack(tmp_path)
    (tmp_path / "Thumbs.db").write_bytes(b"junk")
    (tmp_path / "notes.txt").write_bytes(b"")
    image, data, _ = load_stack(tmp_path)
    assert len(data) == 12
    assert image.warnings == ("2 files hold no plane and are left out: Thumbs.db, notes.txt",)


def test_other_names_and_two_counters(tmp_path: Path) -> None:
    write_stack(tmp_path)
    tifffile.imwrite(tmp_path / "overview1.tif", STACK[0], metadata=None)
    assert "overview1.tif is not named like" in expect_finding(tmp_path).message
    (tmp_path / "overview1.tif").unlink()
    for old in list(tmp_path.iterdir()):
        old.rename(tmp_path / f"c{int(old.stem[1:]) % 2}_{old.name}")
    assert "2 numbers count in the names" in expect_finding(tmp_path).message


def write_grid(folder: Path) -> Path:
    for number, plane in enumerate(STACK):
        name = f"a_t{number // 4}_z{number % 4 + 1:02d}.png"
        (folder / name).write_bytes(imagecodecs.png_encode(np.ascontiguousarray(plane)))
    return folder


def test_several_numbers_are_the_axes_that_a_person_states(tmp_path: Path) -> None:
    write_grid(tmp_path)
    found = expect_finding(tmp_path)
    assert found.id == "slices.mixed"
    assert 'axes = "tcyx"' in found.hint
    image, data, _ = load_stack(tmp_path, axes="tzyx")
    assert (image.arrays["pixels"].axes, image.facts["z"]) == (("t", "z", "y", "x"), "12")
    assert np.array_equal(data, STACK.reshape(3, 4, 9, 7))
    image, data, _ = load_stack(tmp_path, axes="tcyx")
    assert (image.arrays["pixels"].axes[1], image.facts["z"]) == ("c", "3")
    (tmp_path / "a_t1_z03.png").unlink()
    with pytest.raises(Problem) as caught:
        load_stack(tmp_path, axes="tzyx")
    assert (caught.value.finding.id, "the numbers 1, 3" in caught.value.finding.message) == ("slices.missing", True)
    (tmp_path / "a_t1_z3.png").write_bytes((tmp_path / "a_t1_z02.png").read_bytes())
    (tmp_path / "a_t01_z3.png").write_bytes((tmp_path / "a_t1_z02.png").read_bytes())
    with pytest.raises(Problem, match="bear the same number"):
        load_stack(tmp_path, axes="tzyx")


def test_colours_are_named_and_all_files_are_inputs(tmp_path: Path) -> None:
    for number in range(9, 12):
        pixels = np.full((4, 5, 3), number, np.uint8)
        (tmp_path / f"f{number}.png").write_bytes(imagecodecs.png_encode(pixels))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/day.txt").write_text("a")
    image, data, source = load_stack(tmp_path, axes="tyxs")
    assert data[:, 0, 0, 0].tolist() == [9, 10, 11]
    assert image.channels == ("red", "green", "blue")
    assert image.warnings == ("1 files hold no plane and are left out: notes/day.txt",)
    assert len(source.inputs) == 4


def test_empty_folder_and_false_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x")
    assert expect_finding(tmp_path).id == "slices.empty"
    (tmp_path / "a.tif").write_bytes(b"no image at all")
    assert expect_finding(tmp_path).id == "tiff.damaged"


def test_truncated_member(tmp_path: Path) -> None:
    write_stack(tmp_path)
    path = tmp_path / "z0006.tif"
    path.write_bytes(path.read_bytes()[:-20])
    found = expect_finding(tmp_path)
    assert found.id == "tiff.truncated"
    assert found.location.file == f"{tmp_path.name}/z0006.tif"


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [((6, 5), "u1", "qyx"), ((6, 5), "u2", "qyx"), ((6, 5, 3), "u2", "qyxs"), ((6, 5, 4), "u1", "qyxs"),
     ((6, 5, 2), "u2", "qyxs")],
)  # fmt: skip
def test_png_samples_are_exact(tmp_path: Path, shape: tuple[int, ...], dtype: str, axes: str) -> None:
    data = RNG.integers(0, np.iinfo(dtype).max, (3, *shape), dtype=dtype, endpoint=True)
    for number, plane in enumerate(data):
        (tmp_path / f"{number}.png").write_bytes(imagecodecs.png_encode(plane))
    image, back, _ = load_stack(tmp_path)
    assert back.dtype == data.dtype
    np.testing.assert_array_equal(back, data)
    assert "".join(image.arrays["pixels"].axes) == axes


@pytest.mark.parametrize(
    ("bits", "row", "values"),
    [(1, b"\xa5", [1, 0, 1, 0, 0, 1, 0, 1]), (2, b"\x1b\xe4", [0, 1, 2, 3, 3, 2, 1, 0]),
     (4, b"\x01\x23\xef\xab", [0, 1, 2, 3, 14, 15, 10, 11])],
)  # fmt: skip
def test_png_of_few_bits(tmp_path: Path, bits: int, row: bytes, values: list[int]) -> None:
    (tmp_path / "0.png").write_bytes(make_png(8, 1, bits, 0, b"\0" + row))
    _, back, _ = load_stack(tmp_path)
    assert back.tolist() == [[values]]


def test_png_text_and_calibration(tmp_path: Path) -> None:
    extra = make_chunk(b"pHYs", struct.pack(">IIB", 2_000_000, 2_000_000, 1)) + make_chunk(
        b"tEXt", b"Comment\0section 5"
    )
    (tmp_path / "0.png").write_bytes(make_png(2, 1, 8, 0, b"\0\1\2", extra))
    image, _, _ = load_stack(tmp_path)
    assert image.facts["pixel_size"] == "0.5"
    assert image.header["first_header"]["chunks"]["tEXt"] == ["Comment\0section 5"]


def test_png_chunks_beyond_the_limit_are_left_out_and_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_files, "MAX_TEXT", 2 * (12 + 10))
    texts = [make_chunk(b"tEXt", b"k\0" + b"x" * 8) for _ in range(3)]
    kept = png_files.read_chunks(make_png(1, 1, 8, 0, b"\0\0", b"".join(texts[:2])), ImageMetadata())
    assert kept == {"tEXt": ["k\0" + "x" * 8] * 2}
    cut = png_files.read_chunks(make_png(1, 1, 8, 0, b"\0\0", b"".join(texts)), ImageMetadata())
    assert cut == kept | {"omitted": "chunks after the first 44 bytes of them"}


def test_png_palette_and_transparent_colour_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(make_png(2, 1, 8, 3, b"\0\0\1", make_chunk(b"PLTE", bytes(6))))
    found = expect_finding(tmp_path)
    assert found.id == "image.unsupported"
    assert "has a colour palette" in found.message
    (tmp_path / "0.png").write_bytes(make_png(2, 1, 8, 0, b"\0\1\2", make_chunk(b"tRNS", b"\0\1")))
    assert expect_finding(tmp_path).id == "image.unsupported"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1), st.none() | st.tuples(st.floats(0, 1), st.integers(1, 255)))
def test_damaged_png_is_a_problem(tmp_path: Path, cut: float, flip: tuple[float, int] | None) -> None:
    raw = bytearray(imagecodecs.png_encode(STACK[0]))
    if flip:
        raw[int(flip[0] * (len(raw) - 1))] ^= flip[1]
    else:
        raw = raw[: int(cut * (len(raw) - 1))]
    (tmp_path / "0.png").write_bytes(raw)
    assert expect_finding(tmp_path).id in (
        "png.damaged",
        "image.unsupported",
        "image.hostile",
        "file.empty",
        "tiff.damaged",
    )


def test_header_scan_of_a_thousand_slices_is_quick(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "z0000.tif", np.zeros((64, 64), np.uint8), metadata=None)
    raw = (tmp_path / "z0000.tif").read_bytes()
    for number in range(1, 1000):
        (tmp_path / f"z{number:04d}.tif").write_bytes(raw)
    before = time.perf_counter()
    (image,) = slices.read(Source(f"{tmp_path.name}/", Folder(tmp_path.parent)), {})
    image.close()
    assert image.facts["z"] == "1000"
    assert time.perf_counter() - before < 10  # 0.2 s where it was written
