"""Blocks of N5: extents and type by ``attributes.json``, and each block's own header before its packed elements.

Source: the file-system specification of N5 (4.0) and the stream format of lz4-java.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np

from ...model import budget
from ...model.finding import Problem, problem
from ..chunked.folder import FolderFiles
from ..chunked.grid import Place
from ..ome_zarr.codecs import FAILURES, BadChunk, decode_chunk

TYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64")
_CODECS = {"gzip": "gzip", "bzip2": "bz2", "xz": "lzma", "blosc": "blosc", "zstd": "zstd"}
COMPRESSIONS = ("raw", "zlib", "lz4", *_CODECS)
_PLAIN, _VARIABLE, _OBJECT = 0, 1, 2
_LZ4_MAGIC = b"LZ4Block"
_LZ4_HEAD = struct.Struct("<8sBiiI")
_LZ4_RAW, _LZ4_PACKED = 0x10, 0x20


class UnsupportedBlocks(ValueError):
    """Attributes that are right and not read."""


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """An array of N5. Extents are as numpy has them: the file's in the reverse order."""

    shape: tuple[int, ...]
    block: tuple[int, ...]
    stored: np.dtype[Any]
    compression: str


def parse_layout(attributes: Mapping[str, Any]) -> BlockLayout:
    """The layout by ``attributes.json``. Raises `UnsupportedBlocks`, and `ValueError`, `KeyError` or `TypeError`."""
    shape, block = _parse_extents(attributes["dimensions"]), _parse_extents(attributes["blockSize"])
    if len(shape) != len(block):
        raise ValueError(f"its blocks have {len(block)} axes, it has {len(shape)}")
    if attributes.get("isLabelMultiset"):
        raise UnsupportedBlocks("it holds several labels a voxel (Paintera's label multisets)")
    if attributes["dataType"] not in TYPES:
        raise UnsupportedBlocks(f"its elements are of the type {str(attributes['dataType'])[:40]!r}")
    compression = attributes.get("compression", {"type": attributes.get("compressionType", "raw")})
    name = str(compression["type"])
    if name == "gzip" and compression.get("useZlib"):
        name = "zlib"
    if name not in COMPRESSIONS:
        raise UnsupportedBlocks(f"it has the compression {name[:40]!r}; read are {', '.join(COMPRESSIONS)}")
    made = BlockLayout(shape[::-1], block[::-1], np.dtype(attributes["dataType"]).newbyteorder(">"), name)
    nbytes = math.prod(block) * made.stored.itemsize
    if nbytes > budget.CHUNK_BYTES:
        raise UnsupportedBlocks(f"its blocks have {nbytes} bytes, more than {budget.CHUNK_BYTES}")
    return made


def _parse_extents(stated: Any) -> tuple[int, ...]:
    is_whole = isinstance(stated, list) and all(type(n) is int and 1 <= n <= budget.EXTENT for n in stated)
    if not is_whole or not 1 <= len(stated) <= budget.RANK:
        raise ValueError(f"no image has the extents {str(stated)[:80]}")
    return tuple(stated)


class Blocks:
    """The blocks of an array, one by one; `path` is its folder below the object, ending in ``/`` or empty."""

    def __init__(self, folder: FolderFiles, path: str, layout: BlockLayout) -> None:
        self._folder, self._path, self._layout = folder, folder.folder + path, layout

    def load(self, place: Place) -> np.ndarray | None:
        """The block at a place of the grid; None of one without a file, whose elements N5 takes for 0.

        Raises
        ------
        Problem
            ``n5.damaged``, ``n5.unsupported`` (blocks of variable length, and of objects), ``file.changed``.
        """
        key = self._path + "/".join(map(str, reversed(place)))
        size = self._folder.sizes.get(key)
        if size is None:
            return None
        rank, layout = len(place), self._layout
        start = 4 + 4 * rank
        most = math.prod(layout.block) * layout.stored.itemsize
        if not start < size <= start + most + most // 8 + 4096:
            raise self._make_problem(key, f"it has {size} bytes, for at most {most} unpacked ones")
        data = self._folder.files.read(key, 0, size)
        mode, stated = struct.unpack_from(">HH", data)
        if mode in (_VARIABLE, _OBJECT):
            words = "of variable length" if mode == _VARIABLE else "of objects"
            raise problem("n5.unsupported", f"{key} is a block {words}, which no image has", file=key)
        if mode != _PLAIN or stated != rank:
            raise self._make_problem(key, f"its header states mode {mode} and {stated} axes, {rank} are right")
        extent = struct.unpack_from(f">{rank}I", data, 4)[::-1]
        needed = [min(n, whole - i * n) for n, whole, i in zip(layout.block, layout.shape, place, strict=True)]
        if any(not least <= n <= whole for least, n, whole in zip(needed, extent, layout.block, strict=True)):
            shown, right = (" x ".join(map(str, one[::-1])) for one in (extent, needed))
            raise self._make_problem(key, f"its header states {shown} elements, where {right} belong")
        nbytes = math.prod(extent) * layout.stored.itemsize
        try:
            return np.frombuffer(_unpack(data[start:], layout.compression, nbytes), layout.stored).reshape(extent)
        except BadChunk as error:
            raise self._make_problem(key, str(error)) from error

    def _make_problem(self, key: str, reason: str) -> Problem:
        return problem("n5.damaged", f"{key}: {reason}", file=key)


def _unpack(data: bytes, compression: str, nbytes: int) -> bytes:
    if compression == "lz4":
        return _unpack_lz4(data, nbytes)
    # "raw" has no codec.
    return decode_chunk(data, [_CODECS.get(compression, compression)] if compression != "raw" else [], nbytes)


def _unpack_lz4(data: bytes, nbytes: int) -> bytes:
    """A stream of lz4-java: pieces with a header each, and an empty one at the end. Checksums are not compared."""
    out, at = bytearray(), 0
    while len(out) < nbytes:
        if len(data) < at + _LZ4_HEAD.size:
            raise BadChunk(f"its lz4 stream ends after {len(out)} of {nbytes} bytes")
        magic, token, packed, unpacked, _ = _LZ4_HEAD.unpack_from(data, at)
        at += _LZ4_HEAD.size
        body = data[at : at + packed] if packed > 0 else b""
        if magic != _LZ4_MAGIC or not body or len(body) != packed or not 0 < unpacked <= nbytes - len(out):
            raise BadChunk("its lz4 stream is damaged")
        at += packed
        if token & 0xF0 == _LZ4_RAW and packed == unpacked:
            out += body
            continue
        try:
            piece = imagecodecs.lz4_decode(body, out=unpacked) if token & 0xF0 == _LZ4_PACKED else b""
        except (imagecodecs.Lz4Error, *FAILURES) as error:
            raise BadChunk(f"its codec lz4 fails ({str(error)[:200]})") from error
        if len(piece) != unpacked:
            raise BadChunk("its lz4 stream is damaged")
        out += piece
    return bytes(out)
