"""N5 containers: equal to what tensorstore wrote, in the conventions of the programs that write N5; damage is a finding."""

from __future__ import annotations

import json
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import volume_reading
from campaigns import campaign, spoil
from chunk_files import write_n5
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_reading import check_blocks, find_problem, open_contents, open_image, read_pixels, try_pixels

SHAPE = (37, 29, 23)
TYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64")
COMPRESSIONS: tuple[dict[str, Any], ...] = (
    {"type": "raw"}, {"type": "gzip"}, {"type": "gzip", "useZlib": True}, {"type": "bzip2"}, {"type": "xz"},
    {"type": "zstd", "level": 1}, {"type": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1},
)  # fmt: skip


@pytest.fixture(autouse=True)
def close(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(volume_reading, "FINDINGS", (*volume_reading.FINDINGS, "n5.", "image.unsupported", "path."))
    yield from volume_reading.close_volumes.__wrapped__()  # type: ignore[attr-defined]


def make_values(shape: tuple[int, ...] = SHAPE, dtype: str = "uint16", seed: int = 0) -> np.ndarray:
    chance = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return chance.normal(size=shape).astype(dtype)
    limits = np.iinfo(dtype)
    return chance.integers(limits.min, limits.max, shape, dtype, endpoint=True)


@settings(max_examples=campaign(20, 400), deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=4),
    st.lists(st.integers(3, 7), min_size=4, max_size=4),
    st.sampled_from(TYPES),
    st.sampled_from(COMPRESSIONS),
)
def test_arrays_of_any_form(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], block: list[int], dtype: str, compression: Any
) -> None:
    folder = tmp_path_factory.mktemp("any")
    values = make_values(tuple(shape), dtype, len(shape))
    values[: block[0]] = 0  # blocks of nothing but 0 have no file
    written = write_n5(folder, values, compression, blockSize=block[: len(shape)])
    check_blocks(open_image(folder, axes="tzyx"[-len(shape) :]), written)


def write_blocks(folder: Path, values: np.ndarray, block: int, pack: Any, compression: str) -> None:
    """Blocks as the Java library writes them: those at the far end have only the elements that are there."""
    folder.mkdir()
    attributes = {"dimensions": list(values.shape), "blockSize": [block] * 3, "dataType": values.dtype.name}
    (folder / "attributes.json").write_text(json.dumps(attributes | {"compression": {"type": compression}}))
    for place in np.ndindex(*(-(-n // block) for n in values.shape)):
        part = values[tuple(slice(i * block, (i + 1) * block) for i in place)]
        path = folder.joinpath(*map(str, place))
        path.parent.mkdir(parents=True, exist_ok=True)
        head = struct.pack(f">HH{part.ndim}I", 0, part.ndim, *part.shape)
        path.write_bytes(head + pack(part.T.astype(part.dtype.newbyteorder(">")).tobytes()))


def pack_lz4(data: bytes) -> bytes:
    """The stream of lz4-java, in pieces of 1 kB, the first of them stored."""
    out = b""
    for at in range(0, len(data), 1024):
        piece = data[at : at + 1024]
        packed = imagecodecs.lz4_encode(piece) if at else piece
        out += struct.pack("<8sBiiI", b"LZ4Block", 0x20 if at else 0x10, len(packed), len(piece), 0) + packed
    return out + struct.pack("<8sBiiI", b"LZ4Block", 0x10, 0, 0, 0)


@pytest.mark.parametrize(("compression", "pack"), [("raw", bytes), ("lz4", pack_lz4)])
def test_smaller_blocks_at_the_far_end(tmp_path: Path, compression: str, pack: Any) -> None:
    values = make_values()
    write_blocks(tmp_path / "v.n5", values, 16, pack, compression)
    check_blocks(open_image(tmp_path / "v.n5"), values.T)
    for data in spoil((tmp_path / "v.n5/0/0/0").read_bytes(), 4):
        (tmp_path / "v.n5/0/0/0").write_bytes(data)
        try_pixels(tmp_path / "v.n5")


NM = {"pixelResolution": {"dimensions": [4, 4, 40], "unit": "nm"}}
TRANSFORM = {"axes": ["z", "y", "x"], "scale": [40, 4, 4], "translate": [0, 0, 0], "units": ["nm"] * 3}
LEVELS = [{"path": "s0", "transform": TRANSFORM}, {"path": "s1", "transform": TRANSFORM}]


@pytest.mark.parametrize(
    ("group", "level"),
    [
        (NM | {"scales": [[1, 1, 1], [2, 2, 2]]}, {}),  # n5-viewer
        ({"downsamplingFactors": [[1, 1, 1], [2, 2, 2]]}, NM),
        ({"multiscales": [{"datasets": LEVELS, "name": ""}]}, {"transform": TRANSFORM}),  # CellMap
        ({"axes": ["x", "y", "z"], "resolution": [4, 4, 40], "units": ["nm", "nm", "nm"]}, {}),  # neuroglancer
        ({}, {"pixelWidth": 0.004, "pixelHeight": 0.004, "pixelDepth": 0.04, "pixelUnit": "µm"}),  # Fiji
    ],
    ids=["n5-viewer", "levels", "cellmap", "neuroglancer", "fiji"],
)
def test_distances_as_each_program_states_them(tmp_path: Path, group: dict[str, Any], level: dict[str, Any]) -> None:
    folder = tmp_path / "v.n5"
    values = make_values()
    write_n5(folder / "em/s1", values[::2, ::2, ::2])
    written = write_n5(folder / "em/s0", values)
    change(folder / "em/s0", **level)
    (folder / "em/attributes.json").write_text(json.dumps(group))
    image = open_image(folder)
    assert image.spacing == {"x": Decimal("0.004"), "y": Decimal("0.004"), "z": Decimal("0.04")}
    assert image.facts == {"x": "37", "y": "29", "z": "23", "pixel_size": "0.004"}
    assert image.warnings == ("its smaller levels are not read: em/s1",)
    assert np.array_equal(read_pixels(image), written)


def test_a_distance_without_a_unit_is_not_taken(tmp_path: Path) -> None:
    write_n5(tmp_path / "v", make_values())
    change(tmp_path / "v", resolution=[4, 4, 40])
    image = open_image(tmp_path / "v")
    assert image.spacing == {}
    assert image.warnings == ("its distances (z 40, y 4, x 4) have no unit of length, so they are not taken",)


def test_times_and_channels_in_folders_of_their_own_are_one_image(tmp_path: Path) -> None:
    """BigDataViewer has a folder for each setup and timepoint, n5-viewer one for each channel."""
    times = [write_n5(tmp_path / f"b.n5/setup0/timepoint{t}/s0", make_values(seed=t)) for t in (0, 2, 10)]
    other = write_n5(tmp_path / "b.n5/setup1/timepoint0/s0", make_values((5, 6, 7)))
    first, second = open_contents(tmp_path / "b.n5")
    assert (first.name, second.name) == ("setup0", "setup1/timepoint0")
    assert first.arrays["pixels"].axes == ("t", "z", "y", "x")
    assert first.warnings == ("its folders along t are 0, 2, 10: others are not there",)
    assert np.array_equal(read_pixels(second), other)
    check_blocks(first, np.stack(times))
    channels = [write_n5(tmp_path / f"c.n5/c{c}/s0", make_values(seed=c)) for c in (0, 1)]
    image = open_image(tmp_path / "c.n5")
    assert image.arrays["pixels"].axes == ("c", "z", "y", "x")
    check_blocks(image, np.stack(channels))


def test_several_arrays_are_several_images(tmp_path: Path) -> None:
    for name in ("raw", "labels/nuclei"):
        write_n5(tmp_path / "v.n5" / name, make_values(dtype="uint64", seed=len(name)))
    assert [image.name for image in open_contents(tmp_path / "v.n5")] == ["labels/nuclei", "raw"]
    chosen = open_image(tmp_path / "v.n5", image="labels/nuclei")
    assert np.array_equal(read_pixels(chosen), make_values(dtype="uint64", seed=13).T)


def test_an_array_that_is_not_read_does_not_hide_the_others(tmp_path: Path) -> None:
    values = write_n5(tmp_path / "v.n5/raw/s0", make_values())
    write_n5(tmp_path / "v.n5/multisets/s0", make_values(dtype="uint8"))
    change(tmp_path / "v.n5/multisets/s0", isLabelMultiset=True)
    write_n5(tmp_path / "v.n5/counts", make_values((9,)), blockSize=[4])
    image = open_image(tmp_path / "v.n5")
    assert image.name == "raw"
    assert [text.partition(":")[0] for text in image.warnings] == ["left out"] * 2
    assert np.array_equal(read_pixels(image), values)


def change(folder: Path, **entries: Any) -> None:
    path = folder / "attributes.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.mark.parametrize(
    ("entries", "id", "words"),
    [
        ({"compression": {"type": "jpeg"}}, "n5.unsupported", "read are raw, zlib, lz4, gzip"),
        ({"dataType": "string"}, "n5.unsupported", "'string'"),
        ({"isLabelMultiset": True}, "n5.unsupported", "multiset"),
        ({"blockSize": [2**10, 2**10, 2**8]}, "n5.unsupported", "536870912 bytes"),
        ({"blockSize": [16, 8]}, "n5.damaged", "2 axes"),
        ({"dimensions": [37, -1, 23]}, "n5.damaged", "extents"),
        ({"dimensions": [2**50, 1, 1]}, "n5.damaged", "extents"),
        ({"transform": {"scale": [1, 2, 3], "units": 7}}, "n5.damaged", "distances"),
        ({"multiscales": [{"datasets": [{"path": "../.."}]}]}, "path.unsafe", ".."),
        ({"multiscales": [{"datasets": [{"path": "s0"}]}]}, "n5.damaged", "full resolution"),
    ],
)
def test_attributes_that_are_not_read_say_why(tmp_path: Path, entries: dict[str, Any], id: str, words: str) -> None:
    write_n5(tmp_path / "v", make_values())
    change(tmp_path / "v", **entries)
    found = find_problem(tmp_path / "v")
    assert found.id == id
    assert words in found.message


@pytest.mark.parametrize(
    ("head", "id", "words"),
    [
        (struct.pack(">HHIIII", 1, 3, 16, 8, 10, 1280), "n5.unsupported", "variable length"),
        (struct.pack(">HHIII", 0, 3, 16, 8, 2**31), "n5.damaged", "16 x 8 x 2147483648 elements, where 16 x 8 x 10"),
        (struct.pack(">HHIII", 0, 3, 16, 8, 9), "n5.damaged", "16 x 8 x 9 elements"),
        (struct.pack(">HHIII", 0, 2, 16, 8, 10), "n5.damaged", "2 axes"),
    ],
)
def test_a_block_that_does_not_belong_there(tmp_path: Path, head: bytes, id: str, words: str) -> None:
    write_n5(tmp_path / "v", make_values(), {"type": "raw"})
    path = tmp_path / "v/1/1/1"
    path.write_bytes(head + path.read_bytes()[16:])
    found = find_problem(tmp_path / "v")
    assert (found.id, found.location.file) == (id, "v/1/1/1")
    assert words in found.message


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    write_n5(tmp_path / "in/v", make_values())
    (tmp_path / "in/v/0/0/0").replace(tmp_path / "secret")
    (tmp_path / "in/v/0/0/0").symlink_to(tmp_path / "secret")
    assert find_problem(tmp_path / "in/v").id == "path.outside"


@pytest.mark.parametrize("compression", COMPRESSIONS, ids=lambda one: "".join(map(str, one.values())))
def test_cut_and_spoilt_files_end_in_a_finding_or_in_pixels(tmp_path: Path, compression: Any) -> None:
    folder = tmp_path / "v"
    write_n5(folder, make_values((9, 8, 7)), compression)
    before = try_pixels(folder)
    assert isinstance(before, list)
    for path in (folder / "attributes.json", folder / "0/0/0"):
        whole = path.read_bytes()
        for data in spoil(whole, 3):
            path.write_bytes(data)
            after = try_pixels(folder)  # any exception but a finding goes on
            if isinstance(after, list) and len(data) < len(whole):
                assert np.array_equal(after, before), f"{path.name} cut at {len(data)} of {len(whole)}"
        path.write_bytes(whole)
