"""NRRD: voxels as pynrrd reads them, in any encoding and part by part; spacings, axes, detached and damaged files."""

from __future__ import annotations

import bz2
import gzip
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_reading import check_blocks, close_volumes, find_problem, open_image, spoil_file

from neuropress.readers.voxels import packed

__all__ = ["close_volumes"]

pytestmark = pytest.mark.filterwarnings("ignore:datetime:DeprecationWarning:nrrd")  # pynrrd asks for utcnow()

CUBE = 'space dimension: 3\nspace directions: (2,0,0) (0,2,0) (0,0,5)\nspace units: "um" "um" "um"\n'
VOXELS = np.arange(2 * 3 * 4, dtype="<u2").reshape(4, 3, 2)


def write(path: Path, fields: str = "", voxels: Any = None, sizes: str = "2 3 4", more: str = "") -> Path:
    """A file of 24 numbers, by hand."""
    stated = [line.split(":")[0] for line in fields.splitlines()]
    text = "NRRD0005\n# by hand\n"
    defaults = {
        "type": "uint16",
        "dimension": str(len(sizes.split())),
        "sizes": sizes,
        "endian": "little",
        "encoding": "raw",
    }
    for name, value in defaults.items():
        text += "" if name in stated else f"{name}: {value}\n"
    data = VOXELS.tobytes() if voxels is None else voxels
    path.write_bytes((text + fields + more + "\n").encode() + data)
    return path


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["u1", "i1", "<i2", ">u2", "<u4", ">i4", "<u8", ">i8", "<f4", ">f8"]),
    st.lists(st.integers(1, 7), min_size=2, max_size=4),
    st.sampled_from(["raw", "gzip", "bzip2"]),
    st.integers(0, 99),
)
def test_any_type_and_encoding_as_pynrrd_writes_it(
    tmp_path_factory: pytest.TempPathFactory, kind: str, sizes: list[int], encoding: str, seed: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "a.nrrd"
    random = np.random.default_rng(seed)
    data = random.integers(0, 256, (int(np.prod(sizes)), np.dtype(kind).itemsize), "u1").tobytes()
    voxels = np.frombuffer(data, kind).reshape(sizes, order="F")
    names = ["domain", "domain", "domain", "list"][: len(sizes)]
    nrrd.write(str(path), voxels, {"encoding": encoding, "kinds": names}, index_order="F")
    check_blocks(open_image(path), voxels.T, seed)


@pytest.mark.parametrize("members", [1, 3])
def test_parts_of_a_gzip_from_kept_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: int) -> None:
    monkeypatch.setattr(packed, "SPACING", 9_000)
    monkeypatch.setattr(packed, "PIECE", 512)
    monkeypatch.setattr(packed, "UNPACKED_PIECE", 3000)
    voxels = np.random.default_rng(1).integers(0, 60, (12, 20, 100)).astype("<u4")
    data = voxels.tobytes()
    step = len(data) // members + 1
    stored = b"".join(gzip.compress(data[at : at + step]) for at in range(0, len(data), step))
    path = write(
        tmp_path / "a.nrrd",
        "type: uint\nencoding: gzip\n",
        stored + b"\0" * 9,
        "100 20 12",
        "kinds: space space space\n",
    )
    image = open_image(path)
    check_blocks(image, voxels, count=12)


def test_a_label_above_four_bytes_of_float_is_exact(tmp_path: Path) -> None:
    ids = np.array([[[614454277, 4294967295], [0, 997]]], "<u4")
    nrrd.write(str(tmp_path / "a.nrrd"), ids, index_order="C")
    check_blocks(open_image(tmp_path / "a.nrrd"), ids)


@pytest.mark.parametrize(
    ("fields", "sizes", "axes", "spacing"),
    [
        (CUBE, "2 3 4", "zyx", {"x": "2", "y": "2", "z": "5"}),
        (CUBE.replace("um", "mm"), "2 3 4", "zyx", {"x": "2000", "y": "2000", "z": "5000"}),
        ("", "2 3 4", "qyx", {}),
        ('kinds: domain domain domain\nspacings: 0.5 0.5 NaN\nunits: "microns" "microns" ""\n', "2 3 4", "zyx",
         {"x": "0.5", "y": "0.5"}),
        ('space: LPS\nspace directions: (0,0,0.01) (0,-0.01,0) (0.025,0,0)\nspace units: "mm" "mm" "mm"\n', "2 3 4",
         "zyx", {"x": "10", "y": "10", "z": "25"}),
        ('space dimension: 3\nspace directions: none (3,4,0) (4,-3,0) (0,0,1)\nspace units: "um" "um" "um"\n',
         "4 2 3 1", "zyxc", {"x": "5", "y": "5", "z": "1"}),
        ('kinds: 3-color space space\nspacings: nan 2 2\nunits: "" "um" "um"\n', "3 2 4", "yxs", {"x": "2", "y": "2"}),
        ('kinds: space space time\nspacings: 2 2 0.5\nunits: "um" "um" "s"\n', "3 2 4", "tyx", {"x": "2", "y": "2"}),
        ("space: right-anterior-superior-time\nspace directions: (1,0,0,0) (0,1,0,0) (0,0,1,0) (0,0,0,1)\n", "2 3 4 1",
         "tzyx", {}),
    ],
)  # fmt: skip
def test_axes_and_spacings(tmp_path: Path, fields: str, sizes: str, axes: str, spacing: dict[str, str]) -> None:
    image = open_image(write(tmp_path / "a.nrrd", fields, sizes=sizes))
    assert "".join(image.arrays["pixels"].axes) == axes
    assert dict(image.spacing) == {axis: Decimal(text) for axis, text in spacing.items()}
    assert image.facts.get("frame_rate") == ("2" if "time\n" in fields and "units" in fields else None)


def test_a_person_states_unit_and_axes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nrrd", "space: LPS\nspace directions: (25,0,0) (0,25,0) (0,0,25)\n")
    assert not open_image(path).spacing
    assert "state unit" in open_image(path).warnings[0]
    image = open_image(path, unit="um")
    assert (dict(image.spacing), image.warnings) == ({axis: Decimal(25) for axis in "xyz"}, ())
    assert image.facts["space_directions"] == "(25,0,0) (0,25,0) (0,0,25)"
    assert dict(open_image(write(path, CUBE), unit="mm").spacing) == {"x": 2, "y": 2, "z": 5}
    assert open_image(write(path), axes="zyx").arrays["pixels"].axes == ("z", "y", "x")
    assert find_problem(write(path, CUBE), axes="tyx").id == "image.axes"


def test_an_axis_without_a_direction_that_pynrrd_left_out(tmp_path: Path) -> None:
    fields = "space dimension: 3\nspace directions: (5,0,0) (0,5,0) (0,0,5)\n"
    image = open_image(write(tmp_path / "a.nrrd", fields, sizes="2 1 3 4"), unit="um")
    assert image.arrays["pixels"].axes == ("z", "y", "x", "c")
    assert dict(image.spacing) == {axis: Decimal(5) for axis in "xyz"}
    assert "3 space directions for 4 axes" in image.warnings[0]


def test_the_header_is_kept(tmp_path: Path) -> None:
    image = open_image(write(tmp_path / "a.nrrd", CUBE, more="content: a brain\nmodality:=EM\\nserial\n"))
    assert image.header["fields"]["spacedirections"] == "(2,0,0) (0,2,0) (0,0,5)"
    assert image.header["fields"]["content"] == "a brain"
    assert image.header["pairs"] == {"modality": "EM\nserial"}
    assert image.facts["z"] == "4"


def write_detached(folder: Path, data_file: str, more: str = "") -> Path:
    write(folder / "a.nhdr", f"{CUBE}data file: {data_file}\n{more}", b"")
    return folder / "a.nhdr"


def test_voxels_beside_a_header(tmp_path: Path) -> None:
    data = b"a line\nanother\n" + VOXELS.tobytes()
    (tmp_path / "a.raw").write_bytes(data)
    check_blocks(open_image(write_detached(tmp_path, "a.raw", "line skip: 2\n")), VOXELS)
    check_blocks(open_image(write_detached(tmp_path, "./a.raw", "byte skip: 15\n")), VOXELS)
    check_blocks(open_image(write_detached(tmp_path, "a.raw", "byte skip: -1\n")), VOXELS)
    image = open_image(write_detached(tmp_path, "a.raw"))
    assert image.warnings == ("15 bytes follow its voxels, and are not read",)
    (tmp_path / "a.raw").write_bytes(gzip.compress(data))
    check_blocks(open_image(write_detached(tmp_path, "a.raw", "encoding: gzip\nbyte skip: 15\n")), VOXELS)
    whole = (tmp_path / "a.nhdr").read_bytes()
    (tmp_path / "a.nhdr").write_bytes(whole[:-1])  # without the empty line at its end
    check_blocks(open_image(tmp_path / "a.nhdr"), VOXELS)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a.raw", "sub/a.raw", "sub\\a.raw", "gone.raw", "a.nhdr", ".", "C:a.raw", "link.raw"]
)
def test_voxels_elsewhere_are_never_looked_at(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.raw").write_bytes(VOXELS.tobytes())
    (tmp_path / "ds" / "sub").mkdir(parents=True)
    (tmp_path / "ds" / "sub" / "a.raw").write_bytes(VOXELS.tobytes())
    (tmp_path / "ds" / "link.raw").symlink_to(tmp_path / "a.raw")
    found = find_problem(write_detached(tmp_path / "ds", name))
    assert found.id == ("path.outside" if name == "link.raw" else "voxels.detached")


@pytest.mark.parametrize(
    ("fields", "id"),
    [
        ("encoding: ascii\n", "voxels.unsupported"),
        ("encoding: ascii\nendian: \n", "voxels.unsupported"),  # as pynrrd writes it, without a byte order
        ("type: block\n", "voxels.unsupported"),
        ("sizes: 24\ndimension: 1\n", "voxels.unsupported"),
        ("data file: a%03d.raw 1 4 1\n", "voxels.unsupported"),
        ("data file: LIST\n", "voxels.unsupported"),
        ("endian: middle\n", "voxels.damaged"),
        ("sizes: 2 3\n", "voxels.damaged"),
        ("sizes: 2 3 0\n", "voxels.damaged"),
        ("sizes: 2 3 -4\n", "voxels.damaged"),
        ("dimension: many\n", "voxels.damaged"),
        ("byte skip: -2\n", "voxels.unsupported"),
        ("line skip: 99\n", "voxels.damaged"),
        ("space dimension: 3\nspace directions: (1,0) (0,1)\n", "voxels.damaged"),
        ("space dimension: 2\nspace directions: (1,0) (0,1) none none\n", "voxels.damaged"),
        ("kinds: domain\n", "voxels.damaged"),
        ("no field at all\n", "voxels.damaged"),
        ("content: a\ncontent: b\n", "voxels.damaged"),
        ("sizes: 2 3 5\n", "voxels.truncated"),
        ("sizes: 100000 100000 100000\n", "voxels.truncated"),
        ("sizes: 100000 100000 100000\nencoding: gzip\n", "voxels.hostile"),
        ("sizes: 100000 100000 100\nencoding: bzip2\n", "voxels.hostile"),
        ("encoding: gzip\n", "voxels.damaged"),
        ("encoding: bzip2\n", "voxels.damaged"),
    ],
)
def test_headers_that_cannot_be(tmp_path: Path, fields: str, id: str) -> None:
    found = find_problem(write(tmp_path / "a.nrrd", fields))
    assert found.id == id, found


def test_missing_voxels_are_counted(tmp_path: Path) -> None:
    data = VOXELS.tobytes() * 100
    whole = {"raw": data, "gzip": gzip.compress(data, 0), "bzip2": bz2.compress(data)}
    for encoding, stored in whole.items():
        path = write(tmp_path / "a.nrrd", f"encoding: {encoding}\n", stored[: len(stored) // 2], "2 3 400")
        found = find_problem(path)
        assert (found.id, found.location.expected) == ("voxels.truncated", str(len(data)))
        assert 0 <= int(found.location.value) < len(data)


def test_a_wrong_checksum_is_found(tmp_path: Path) -> None:
    stored = bytearray(gzip.compress(VOXELS.tobytes(), 0))
    stored[-7] ^= 1
    found = find_problem(write(tmp_path / "a.nrrd", "encoding: gzip\n", bytes(stored)))
    assert found.id == "voxels.damaged"
    assert "incorrect data check" in found.message
    packer = zlib.compressobj(wbits=31)
    without = packer.compress(VOXELS.tobytes()) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert find_problem(write(tmp_path / "a.nrrd", "encoding: gzip\n", without)).id == "voxels.damaged"


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
def test_spoilt_files(tmp_path: Path, encoding: str) -> None:
    nrrd.write(str(tmp_path / "a.nrrd"), VOXELS, {"encoding": encoding, "space": "RAS", "space directions": np.eye(3)})
    assert spoil_file(tmp_path / "a.nrrd", 5) > 0


@pytest.mark.corpus
def test_all_of_the_corpus_as_pynrrd_reads_them(corpus: Path) -> None:
    paths = sorted(corpus.rglob("*.nrrd"))
    assert len(paths) == 5
    for path in paths:
        voxels, _ = nrrd.read(str(path))
        image = open_image(path, unit="um")
        check_blocks(image, voxels.T, count=1)
        assert set(image.spacing) == {"x", "y", "z"}
