"""What the metadata of an array say: extents, type, chunks, codecs, and the file of each chunk; Zarr 2 and 3."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...model import budget
from .codecs import CODECS, parse_codec_names

INDEX_ENTRY = 16
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class UnsupportedArray(ValueError):
    """Metadata that are right and not read."""


@dataclass(frozen=True, slots=True)
class Shard:
    """How a file holds several chunks: its extent in pixels, the codecs of its index, and where the index lies."""

    shape: tuple[int, ...]
    index_codecs: tuple[str, ...]
    is_index_last: bool


@dataclass(frozen=True, slots=True)
class ArrayLayout:
    """An array as its metadata describe it.

    Attributes
    ----------
    stored
        Type of an element, with its byte order.
    chunk
        Extent of what is decoded at once.
    order
        For each axis of a decoded chunk, slowest first, the axis of the array.
    codecs
        Those of a chunk, in the order in which they were applied.
    fill
        Value of chunks that were never written.
    shard
        None where each chunk has a file of its own.
    names
        Of the axes, as the array itself states them; empty where it does not.
    """

    shape: tuple[int, ...]
    stored: np.dtype[Any]
    chunk: tuple[int, ...]
    order: tuple[int, ...]
    codecs: tuple[str, ...]
    fill: Any
    separator: str
    prefix: str = ""
    shard: Shard | None = None
    names: tuple[str, ...] = ()

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a decoded chunk."""
        return math.prod(self.chunk) * self.stored.itemsize

    @property
    def file_shape(self) -> tuple[int, ...]:
        """Extent of what one file holds."""
        return self.shard.shape if self.shard else self.chunk

    def name_file(self, place: Sequence[int]) -> str:
        """Path of a chunk's or shard's file below the array."""
        parts = [self.prefix] if self.prefix else []
        return self.separator.join([*parts, *map(str, place)]) if place or parts else "0"


def parse_zarr2(node: Mapping[str, Any], attributes: Mapping[str, Any]) -> ArrayLayout:
    """The layout by a ``.zarray``. Raises `UnsupportedArray`, and `ValueError` or `KeyError` where it is none."""
    shape, chunk = _parse_extents(node["shape"], 0), _parse_extents(node["chunks"], 1)
    if node.get("filters"):
        raise UnsupportedArray(f"it has the filters {str(node['filters'])[:80]}")
    compressor = node.get("compressor")
    codec = compressor["id"] if compressor else None
    if codec is not None and codec not in CODECS:
        raise UnsupportedArray(f"it has the compressor {str(codec)[:40]!r}; read are {', '.join(CODECS)}")
    stored = _parse_dtype(node["dtype"])
    axes = range(len(shape))
    names = attributes.get("_ARRAY_DIMENSIONS", ())
    return _check_layout(
        ArrayLayout(
            shape,
            stored,
            chunk,
            tuple(axes if node.get("order", "C") == "C" else reversed(axes)),
            (codec,) if codec else (),
            _parse_fill(node.get("fill_value"), stored),
            _parse_separator(node.get("dimension_separator", ".")),
            names=tuple(map(str, names)) if isinstance(names, list) else (),
        )
    )


def parse_zarr3(node: Mapping[str, Any]) -> ArrayLayout:
    """The layout by a ``zarr.json``. Raises as `parse_zarr2` does."""
    shape = _parse_extents(node["shape"], 0)
    if node["chunk_grid"]["name"] != "regular":
        raise UnsupportedArray("its chunks are not all alike")
    chunk = _parse_extents(node["chunk_grid"]["configuration"]["chunk_shape"], 1)
    if node.get("storage_transformers"):
        raise UnsupportedArray("it has storage transformers")
    stored = _parse_dtype(np.dtype(str(node["data_type"])).str if _is_plain(node["data_type"]) else node["data_type"])
    codecs, shard = list(node["codecs"]), None
    if codecs and _get_name(codecs[0]) == "sharding_indexed" and len(codecs) == 1:
        settings = codecs[0]["configuration"]
        shard = Shard(chunk, _parse_index(settings["index_codecs"]), settings.get("index_location", "end") == "end")
        chunk, codecs = _parse_extents(settings["chunk_shape"], 1), list(settings["codecs"])
    order = tuple(range(len(shape)))
    if codecs and _get_name(codecs[0]) == "transpose":
        order = tuple(codecs.pop(0)["configuration"]["order"])
    endian = next((one.get("configuration", {}).get("endian") for one in codecs if _get_name(one) == "bytes"), None)
    encoding = node["chunk_key_encoding"]
    is_default = encoding["name"] == "default"
    separator = encoding.get("configuration", {}).get("separator", "/" if is_default else ".")
    names = node.get("dimension_names") or ()
    try:
        parsed = parse_codec_names(codecs)
    except ValueError as error:
        raise UnsupportedArray(f"it has {error}") from error
    return _check_layout(
        ArrayLayout(
            shape,
            stored.newbyteorder(">" if endian == "big" else "<"),
            chunk,
            order,
            parsed,
            _parse_fill(node["fill_value"], stored),
            _parse_separator(separator),
            "c" if is_default else "",
            shard,
            tuple(map(str, names)) if len(names) == len(shape) and all(names) else (),
        )
    )


def _check_layout(made: ArrayLayout) -> ArrayLayout:
    rank = len(made.shape)
    if not rank == len(made.chunk) == len(made.file_shape) or sorted(made.order) != list(range(rank)) or not rank:
        raise ValueError(f"its chunks {list(made.chunk)} do not divide its extents {list(made.shape)}")
    if any(whole % part for whole, part in zip(made.file_shape, made.chunk, strict=True)):
        raise ValueError(f"its chunks {list(made.chunk)} do not divide its shards {list(made.file_shape)}")
    if made.chunk_bytes > budget.CHUNK_BYTES:
        raise UnsupportedArray(f"its chunks have {made.chunk_bytes} bytes, more than {budget.CHUNK_BYTES}")
    if made.shard and math.prod(made.shard.shape) // math.prod(made.chunk) > budget.SHARD_CHUNKS:
        raise UnsupportedArray(f"its shards have more than {budget.SHARD_CHUNKS} chunks")
    return made


def _parse_extents(stated: Any, least: int) -> tuple[int, ...]:
    is_whole = isinstance(stated, list) and all(type(n) is int and least <= n <= budget.EXTENT for n in stated)
    if not is_whole or len(stated) > budget.RANK:
        raise ValueError(f"no array has the extents {str(stated)[:80]}")
    return tuple(stated)


def _is_plain(stated: Any) -> bool:
    """Whether a type of Zarr 3 is called as numpy calls it."""
    words = ("int", "uint", "float")
    return stated == "bool" or (isinstance(stated, str) and stated.rstrip("0123456789") in words)


def _parse_dtype(stated: Any) -> np.dtype[Any]:
    try:
        dtype = np.dtype(stated if isinstance(stated, str) else "O")
    except (TypeError, ValueError, SyntaxError):  # numpy evaluates what looks like a list of types
        dtype = np.dtype("O")
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise UnsupportedArray(f"its elements are of the type {str(stated)[:40]}")
    return dtype


def _parse_fill(stated: Any, dtype: np.dtype[Any]) -> Any:
    if stated is None:
        return dtype.type(0)
    if isinstance(stated, str):
        if stated not in _NOT_FINITE or dtype.kind != "f":
            raise UnsupportedArray(f"its fill value is {stated[:40]!r}")
        return dtype.type(_NOT_FINITE[stated])
    if not isinstance(stated, (int, float)):
        raise ValueError(f"its fill value is {str(stated)[:40]}")
    try:
        value = dtype.type(stated)
    except OverflowError as error:
        raise ValueError(f"its fill value {stated} is no {dtype}") from error
    if value != stated and dtype.kind != "f":
        raise ValueError(f"its fill value {stated} is no {dtype}")
    return value


def _parse_separator(stated: Any) -> str:
    if stated not in ("/", "."):
        raise ValueError(f"its chunks' names have the separator {str(stated)[:10]!r}")
    return str(stated)


def _parse_index(stated: Any) -> tuple[str, ...]:
    names = tuple(_get_name(one) for one in stated)
    if names not in (("bytes",), ("bytes", "crc32c")):
        raise UnsupportedArray(f"the index of its shards has the codecs {', '.join(names)[:80]}")
    return names[1:]


def _get_name(codec: Any) -> str:
    return str(codec if isinstance(codec, str) else codec["name"])
