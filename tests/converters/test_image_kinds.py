"""Images of unusual kinds through the command line: 1 and 64 bits, 0 as white, one of several, OME companions."""

import json
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from builder import Builder

from neuropress.cli.main import main

RNG = np.random.default_rng(11)
STACK = RNG.integers(0, 200, (4, 20, 24), dtype=np.uint8)


def run_verb(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    capsys.readouterr()
    code = main([*arguments, "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def list_ids(lines: list[dict[str, Any]]) -> set[str]:
    return {str(line.get("id")) for line in lines}


def convert_volume(tmp_path: Path, raw: Path) -> tuple[Builder, Path]:
    build = Builder(tmp_path / "ds")
    build.sem(raw)
    return build, build.root


def read_level(build: Builder, level: str = "0") -> np.ndarray:
    path = build.output("JL_SD_0001.ome.zarr")
    assert path is not None
    return np.asarray(zarr.open_group(path, mode="r")[level][:])


def is_verified(build: Builder) -> bool:
    return main(["verify", str(build.root)]) == 0


@pytest.mark.parametrize("dtype", ["u8", "i8", "?"])
@pytest.mark.parametrize("kwargs", [{}, {"compression": "zlib"}])
def test_volumes_of_1_and_64_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dtype: str, kwargs: dict[str, Any]
) -> None:
    data = RNG.integers(0, 2**62, (3, 90, 80)).astype(dtype) if dtype != "?" else RNG.random((3, 90, 80)) > 0.5
    tifffile.imwrite(tmp_path / "v.tif", data, metadata=None, photometric="minisblack", **kwargs)
    build, root = convert_volume(tmp_path, tmp_path / "v.tif")
    code, lines = run_verb(capsys, "convert", str(root))
    assert code == 0, lines
    stored = read_level(build)
    assert stored.dtype == (np.uint8 if dtype == "?" else data.dtype)
    np.testing.assert_array_equal(stored, tifffile.imread(tmp_path / "v.tif"))
    assert is_verified(build)
    assert main(["validate", str(root)]) == 0


def test_the_pyramid_of_64_bits_is_exact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = np.uint64(2**64 - 1) - RNG.integers(0, 1000, (640, 640)).astype(np.uint64)
    tifffile.imwrite(tmp_path / "v.tif", data, metadata=None)
    build, root = convert_volume(tmp_path, tmp_path / "v.tif")
    assert run_verb(capsys, "convert", str(root))[0] == 0
    total = data.astype(object).reshape(320, 2, 320, 2).sum(axis=(1, 3))
    half_to_even = [[(s + 1 + ((s >> 2) & 1)) >> 2 for s in row] for row in total.tolist()]
    assert read_level(build, "1").reshape(320, 320).tolist() == half_to_even


@pytest.mark.parametrize("fill", [1, 2])
def test_packed_bits_of_either_order(tmp_path: Path, capsys: pytest.CaptureFixture[str], fill: int) -> None:
    """13 pixels a row leave bits unused; fill order 2 turns each byte around."""
    data = RNG.random((7, 13)) > 0.5
    packed = np.packbits(data, axis=1, bitorder="big" if fill == 1 else "little").tobytes()
    tags = {256: 13, 257: 7, 258: 1, 259: 1, 262: 1, 266: fill, 273: 134, 277: 1, 278: 7, 279: len(packed)}
    entries = b"".join(struct.pack("<HHII", code, 4, 1, value) for code, value in tags.items())
    header = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    assert len(header) == 134
    (tmp_path / "v.tif").write_bytes(header + packed)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "v.tif"), data)
    build, root = convert_volume(tmp_path, tmp_path / "v.tif")
    assert run_verb(capsys, "convert", str(root))[0] == 0
    np.testing.assert_array_equal(read_level(build).reshape(7, 13), data)


def test_white_as_zero_is_kept_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite(tmp_path / "v.tif", STACK, metadata=None, photometric="miniswhite")
    build, root = convert_volume(tmp_path, tmp_path / "v.tif")
    build.movie(tmp_path / "v.tif", STACK.shape)
    build.session()
    code, lines = run_verb(capsys, "convert", str(root))
    assert code == 0, lines
    odd = [line["message"] for line in lines if line.get("id") == "file.oddity"]
    assert len([message for message in odd if "MinIsWhite" in message]) == 2
    np.testing.assert_array_equal(read_level(build), STACK)
    path = build.output("JL_SD_0001.ome.zarr")
    assert path is not None
    assert zarr.open_group(path, mode="r").attrs["neuropress"]["photometric"] == "MinIsWhite"
    session = next((root / "output").rglob("*.nwb"))
    with h5py.File(session) as file:
        series = file["acquisition/RY_IMG_0001"]
        assert "MinIsWhite" in series.attrs["comments"]
        np.testing.assert_array_equal(series["data"][:], STACK.transpose(0, 2, 1))
    assert is_verified(build)


def write_two(path: Path) -> tuple[np.ndarray, np.ndarray]:
    other = RNG.integers(0, 99, (6, 18, 30), dtype=np.uint16)
    with tifffile.TiffWriter(path, ome=True) as out:
        out.write(STACK, metadata={"axes": "ZYX", "Name": "overview"}, photometric="minisblack")
        out.write(other, metadata={"axes": "ZYX", "Name": "detail"}, photometric="minisblack")
    return STACK, other


@pytest.mark.parametrize(("choice", "which"), [("detail", 1), ("2", 1), ("series1", 1), ("1", 0), ("overview", 0)])
def test_one_image_of_several_is_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], choice: str, which: int
) -> None:
    held = write_two(tmp_path / "v.tif")
    build, root = convert_volume(tmp_path, tmp_path / "v.tif")
    code, lines = run_verb(capsys, "convert", str(root))
    assert code == 1
    (told,) = (line for line in lines if line.get("id") == "volume.scenes")
    assert "1: 'series0' 'overview' z=4 y=20 x=24, 2: 'series1' 'detail' z=6 y=18 x=30" in told["message"]
    assert '[images] JL_SD_0001 = "1" takes one' in told["hint"]
    key = next(iter(build.rows["sem_dataset"]))["file_path_raw"]
    config = root / "neuropress.toml"
    config.write_text(config.read_text() + f'\n[options."{key}"]\nimage = "{choice}"\n')
    code, lines = run_verb(capsys, "convert", str(root))
    assert code == 0, lines
    np.testing.assert_array_equal(read_level(build), held[which])
    assert is_verified(build)


@pytest.mark.parametrize("choice", ["overview 2", "3", "0", ""])
def test_an_image_that_is_not_there_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], choice: str
) -> None:
    write_two(tmp_path / "v.tif")
    build, root = convert_volume(tmp_path, tmp_path / "v.tif")
    key = next(iter(build.rows["sem_dataset"]))["file_path_raw"]
    config = root / "neuropress.toml"
    config.write_text(config.read_text() + f'\n[options."{key}"]\nimage = "{choice}"\n')
    code, lines = run_verb(capsys, "convert", str(root))
    assert code == 1
    assert "image.choice" in list_ids(lines)


def test_one_image_of_several_is_chosen_for_a_movie(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tifffile.TiffWriter(tmp_path / "m.tif", ome=True) as out:
        for name, data in (("before", STACK), ("after", STACK[::-1, :12])):
            out.write(data, metadata={"axes": "TYX", "Name": name}, photometric="minisblack")
    build = Builder(tmp_path / "ds")
    build.session()
    key = build.movie(tmp_path / "m.tif", (4, 12, 24))
    code, lines = run_verb(capsys, "convert", str(build.root))
    assert code == 1
    (message,) = (line["message"] for line in lines if line.get("id") == "image.contents")
    assert "2: 'series1' 'after' t=4 y=12 x=24" in message
    config = build.root / "neuropress.toml"
    config.write_text(config.read_text() + f'\n[options."{key}"]\nimage = "after"\n')
    code, lines = run_verb(capsys, "convert", str(build.root))
    assert code == 0, lines
    with h5py.File(next((build.root / "output").rglob("*.nwb"))) as file:
        np.testing.assert_array_equal(file["acquisition/RY_IMG_0001/data"][:], STACK[::-1, :12].transpose(0, 2, 1))
    assert is_verified(build)
