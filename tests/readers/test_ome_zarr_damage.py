"""Chunks and shards of a source that are not what was written: each is refused, and no pixel of it is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import zarr
from test_ome_zarr import read, read_pixels
from zarr.codecs import BytesCodec, Crc32cCodec, ShardingCodec, ZstdCodec

from neuropress.model.finding import Problem

PIXELS = np.random.default_rng(7).integers(0, 999, (8, 8), "u2")
MISSING = 2**64 - 1
ENTRIES = 4
INDEX = 16 * ENTRIES + 4

type Damage = Callable[[bytes], bytes]


def write_source(folder: Path, codecs: list[Any], *, sharded: bool) -> Path:
    """Four chunks of 4 x 4, in one shard or in a file each; returns the file of the first."""
    inner: list[Any] = [ShardingCodec(chunk_shape=(4, 4), codecs=codecs)] if sharded else codecs
    shape = (8, 8) if sharded else (4, 4)
    array = zarr.create(store=folder, shape=(8, 8), chunks=shape, codecs=inner, dtype="u2", zarr_format=3)
    array[:] = PIXELS
    assert np.array_equal(read_pixels(read(folder, axes="yx")[0]), PIXELS)
    return folder / "c/0/0"


def refuse(folder: Path) -> Problem:
    """What reading all pixels ends in."""
    with pytest.raises(Problem) as caught:
        read_pixels(read(folder, axes="yx")[0])
    assert caught.value.finding.id == "zarr.damaged"
    assert str(caught.value.finding.location.file).endswith("c/0/0")
    return caught.value


def flip(at: int) -> Damage:
    """Another value of one byte."""
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if at >= 0 else flip(len(data) + at)(data)


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_a_chunk_whose_checksum_is_wrong(tmp_path: Path, sharded: bool, packed: bool) -> None:
    codecs = [BytesCodec(), *([ZstdCodec()] if packed else []), Crc32cCodec()]
    file = write_source(tmp_path / "a.zarr", codecs, sharded=sharded)
    file.write_bytes(flip(5)(file.read_bytes()))
    assert "checksum" in str(refuse(tmp_path / "a.zarr"))


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-2], lambda data: data + b"\0\0", lambda data: b"", lambda data: data * 2],
    ids=["cut", "longer", "empty", "twice"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_chunk_of_another_size(tmp_path: Path, damage: Damage, packed: bool) -> None:
    if packed:  # a sound frame of too few or too many bytes
        codec = zarr.codecs.ZstdCodec()
        file = write_source(tmp_path / "a.zarr", [BytesCodec(), codec], sharded=False)
        import imagecodecs

        plain = imagecodecs.zstd_decode(file.read_bytes())
        file.write_bytes(imagecodecs.zstd_encode(damage(plain)))
    else:
        file = write_source(tmp_path / "a.zarr", [BytesCodec()], sharded=False)
        file.write_bytes(damage(file.read_bytes()))
    refuse(tmp_path / "a.zarr")


def test_a_chunk_that_is_far_too_long_is_not_read(tmp_path: Path) -> None:
    file = write_source(tmp_path / "a.zarr", [BytesCodec()], sharded=False)
    file.write_bytes(file.read_bytes() * 200)
    assert "for 32 unpacked ones" in str(refuse(tmp_path / "a.zarr"))


def rewrite_index(data: bytes, **entry: int) -> bytes:
    """The first entry of the index changed, its checksum right."""
    index = np.frombuffer(data[-INDEX:-4], "<u8").reshape(ENTRIES, 2).copy()
    index[0] = entry.get("start", index[0, 0]), entry.get("length", index[0, 1])
    body = index.tobytes()
    return data[:-INDEX] + body + google_crc32c.value(body).to_bytes(4, "little")


@pytest.mark.parametrize(
    "damage",
    [
        flip(-1),
        flip(-INDEX),
        lambda data: data[: INDEX - 1],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: rewrite_index(data, start=len(data)),
        lambda data: rewrite_index(data, start=MISSING - 1),
        lambda data: rewrite_index(data, start=MISSING),
        lambda data: rewrite_index(data, length=MISSING),
        lambda data: rewrite_index(data, length=2**40),
        lambda data: rewrite_index(data, length=len(data)),
        lambda data: rewrite_index(data, length=31),
        lambda data: rewrite_index(data, length=0),
    ],
    ids=[
        "checksum", "entry", "no index", "cut", "longer", "begins at the end", "begins far away", "only its length",
        "only its begin", "too long", "as long as all", "too short", "empty",
    ],
)  # fmt: skip
def test_a_shard_whose_index_is_wrong(tmp_path: Path, damage: Damage) -> None:
    file = write_source(tmp_path / "a.zarr", [BytesCodec()], sharded=True)
    file.write_bytes(damage(file.read_bytes()))
    refuse(tmp_path / "a.zarr")


def test_a_chunk_of_another_place_is_noticed_by_no_checksum_and_one_that_is_missing_is_the_fill_value(
    tmp_path: Path,
) -> None:
    file = write_source(tmp_path / "a.zarr", [BytesCodec()], sharded=True)
    file.write_bytes(rewrite_index(file.read_bytes(), start=MISSING, length=MISSING))
    pixels = read_pixels(read(tmp_path / "a.zarr", axes="yx")[0])
    assert not pixels[:4, :4].any()
    assert np.array_equal(pixels[4:], PIXELS[4:])
