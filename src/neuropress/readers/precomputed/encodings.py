"""How chunks of precomputed volumes are encoded: raw, JPEG, PNG and compressed_segmentation.

Source: neuroglancer's description of the precomputed volume format.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import imagecodecs
import numpy as np

from ...model import budget
from ..images.codestream import read_stated_extent
from ..ome_zarr.codecs import FAILURES, BadChunk

ENCODINGS = ("raw", "jpeg", "png", "compressed_segmentation")
_BITS = (0, 1, 2, 4, 8, 16, 32)
_AT_ONCE = 2**20
"""Voxels of blocks that are looked up together."""

type Extent = tuple[int, ...]
"""Voxels along c, z, y and x."""


def decode(data: bytes, encoding: str, extent: Extent, stored: np.dtype[Any], block: Sequence[int]) -> np.ndarray:
    """A chunk as an array (c, z, y, x).

    Parameters
    ----------
    stored
        Type of a voxel, little-endian.
    block
        Extent along z, y and x of the blocks of a compressed segmentation.

    Raises
    ------
    BadChunk
        It cannot be decoded, or is of another size.
    """
    if encoding == "raw":
        nbytes = math.prod(extent) * stored.itemsize
        if len(data) != nbytes:
            raise BadChunk(f"it has {len(data)} bytes, where {nbytes} are right")
        return np.frombuffer(data, stored).reshape(extent)
    if encoding == "compressed_segmentation":
        return _decode_segmentation(data, extent, stored, block)
    return _decode_picture(data, encoding, extent, stored)


def _decode_picture(data: bytes, encoding: str, extent: Extent, stored: np.dtype[Any]) -> np.ndarray:
    """One picture whose pixels are all voxels of the chunk, x fastest, with a sample for each channel."""
    stated = read_stated_extent(data)
    voxels = math.prod(extent[1:])
    if stated is None or math.prod(stated) != voxels:
        shown = "no picture" if stated is None else f"a picture of {stated[0]} x {stated[1]} pixels"
        raise BadChunk(f"it is {shown}, for {voxels} voxels")
    try:
        pixels = imagecodecs.jpeg8_decode(data) if encoding == "jpeg" else imagecodecs.png_decode(data)
    except (imagecodecs.Jpeg8Error, imagecodecs.PngError, *FAILURES) as error:
        raise BadChunk(f"its codec {encoding} fails ({str(error)[:200]})") from error
    if pixels.size != math.prod(extent) or pixels.dtype != stored.newbyteorder("="):
        shown = f"{pixels.size // voxels} samples of {pixels.dtype} a pixel"
        raise BadChunk(f"its {encoding} has {shown}, where {extent[0]} of {stored.name} are right")
    return np.moveaxis(pixels.reshape(*extent[1:], extent[0]), -1, 0)


def _decode_segmentation(data: bytes, extent: Extent, stored: np.dtype[Any], block: Sequence[int]) -> np.ndarray:
    if len(data) % 4 or len(data) < 4 * extent[0]:
        raise BadChunk(f"it has {len(data)} bytes, which are no compressed segmentation")
    words = np.frombuffer(data, "<u4")
    starts = [int(n) for n in words[: extent[0]]]
    if any(not extent[0] <= start <= len(words) for start in starts):
        raise BadChunk("a channel of it begins behind its end")
    made = np.empty(extent, stored)
    for channel, start in enumerate(starts):
        made[channel] = _decode_channel(words[start:], extent[1:], stored, block)
    return made


def _decode_channel(words: np.ndarray, extent: Extent, stored: np.dtype[Any], block: Sequence[int]) -> np.ndarray:
    """The ids of one channel: each block has a table of its ids, and for each voxel a place in it of a few bits."""
    counts = [math.ceil(n / part) for n, part in zip(extent, block, strict=True)]
    blocks, voxels = math.prod(counts), math.prod(block)
    if blocks * voxels * stored.itemsize > budget.CHUNK_BYTES:
        raise BadChunk(f"its blocks have {blocks * voxels} voxels, which take more than {budget.CHUNK_BYTES} bytes")
    if len(words) < 2 * blocks:
        raise BadChunk(f"it ends before the headers of its {blocks} blocks")
    heads = words[: 2 * blocks].reshape(blocks, 2).astype(np.int64)
    bits = heads[:, 0] >> 24
    if not np.isin(bits, _BITS).all():
        raise BadChunk(f"a block of it has places of {int(bits[~np.isin(bits, _BITS)][0])} bits")
    made = np.empty((blocks, voxels), stored)
    for width in np.unique(bits):
        same = np.flatnonzero(bits == width)
        step = max(_AT_ONCE // voxels, 1)
        for at in range(0, len(same), step):
            rows = same[at : at + step]
            places = _unpack_places(words, heads[rows, 1], int(width), voxels)
            made[rows] = _look_up(words, (heads[rows, 0] & 0xFFFFFF)[:, None], places, stored)
    grid = made.reshape(*counts, *block).transpose(0, 3, 1, 4, 2, 5)
    whole = grid.reshape([n * part for n, part in zip(counts, block, strict=True)])
    ids: np.ndarray = whole[tuple(slice(0, n) for n in extent)]
    return ids


def _unpack_places(words: np.ndarray, starts: np.ndarray, bits: int, voxels: int) -> np.ndarray:
    """For each block the place of each voxel's id in the table."""
    if not bits:
        return np.zeros((len(starts), 1), np.int64)
    at = starts[:, None] + np.arange(math.ceil(voxels * bits / 32))
    if at.max() >= len(words):
        raise BadChunk("the voxels of a block lie behind its end")
    packed = words[at].astype(np.int64)
    places = packed[:, :, None] >> np.arange(0, 32, bits) & (2**bits - 1)
    found: np.ndarray = places.reshape(len(starts), -1)[:, :voxels]
    return found


def _look_up(words: np.ndarray, tables: np.ndarray, places: np.ndarray, stored: np.dtype[Any]) -> np.ndarray:
    size = stored.itemsize // 4
    at = tables + places * size
    if at.max() + size > len(words):
        raise BadChunk("the table of a block lies behind its end")
    ids: np.ndarray = words[at]
    if size == 2:
        ids = ids.astype(np.uint64) | words[at + 1].astype(np.uint64) << np.uint64(32)
    return ids
