"""What an OME-Zarr may not hold: links, metadata of other formats, codecs that are code, and more than it may cost.

Everything is looked at before zarr-python opens anything: it follows links, takes the metadata
of another Zarr format where it finds some, and makes the codecs that the metadata name (in v2 one of them
unpickles). A shard's index and the headers of its chunks are looked at before they are decoded.
Metadata of Zarr 2 are put into the terms of Zarr 3, so that one set of rules holds for both.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO

import numpy as np

from ...model import budget
from ...model.budget import OverBudget
from ...model.finding import Problem, Unusable, problem
from ...model.parsing import parse_json
from ...model.source import check_key
from ...storage.failures import StoreUnavailable
from ...storage.remote import BucketPath, ResultPath

NAME = "zarr.json"
OLD_GROUP, OLD_ARRAY, OLD_ATTRIBUTES = ".zgroup", ".zarray", ".zattrs"
_OLD = frozenset({OLD_GROUP, OLD_ARRAY, OLD_ATTRIBUTES})

CODECS: Mapping[str, frozenset[str]] = {
    "bytes": frozenset({"endian"}),
    "transpose": frozenset({"order"}),
    "zstd": frozenset({"level", "checksum"}),
    "blosc": frozenset({"cname", "clevel", "shuffle", "typesize", "blocksize"}),
    "gzip": frozenset({"level"}),
    "crc32c": frozenset(),
    "sharding_indexed": frozenset({"chunk_shape", "codecs", "index_codecs", "index_location"}),
}
"""Codecs of the Zarr v3 specification -> what may configure them; none of them runs what it is given."""

PACKED = frozenset({"bytes", "zstd", "blosc", "crc32c"})
"""Those in which neuropress writes chunks: only of these is the size known before they are decoded."""

COMPRESSORS: Mapping[str, tuple[str, frozenset[str]]] = {
    "blosc": ("blosc", frozenset({"cname", "clevel", "shuffle", "blocksize", "typesize"})),
    "zstd": ("zstd", frozenset({"level", "checksum"})),
    "gzip": ("gzip", frozenset({"level"})),
    "zlib": ("gzip", frozenset({"level"})),
}
"""Compressors of Zarr 2 -> their codec in Zarr 3, and what may configure them."""

DTYPES = frozenset(
    {"bool", "float16", "float32", "float64", *(f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64))}
)

DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, MemoryError, struct.error)
"""What looking at metadata of the wrong shape raises."""

UNREACHABLE = (StoreUnavailable, Unusable)
"""What says nothing of a result: the bucket that holds it cannot be read now."""

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_METADATA = _OLD | {NAME, ".zmetadata"}
CHUNK_HEAD = 18
"""Bytes of a chunk that tell its size, at most."""
_MISSING = 2**64 - 1
_ZSTD = b"\x28\xb5\x2f\xfd"


class Unsafe(ValueError):
    """It leads outside, or wants code."""


@contextmanager
def translate_errors(root: ResultPath, array: str | None = None) -> Iterator[None]:
    """What is wrong as a finding."""
    try:
        yield
    except UNREACHABLE:
        raise
    except Unsafe as error:
        raise problem("result.unsafe", f"{root.name}: {error}", file=str(root), array=array) from error
    except DAMAGE as error:
        why = str(error)[:500] if isinstance(error, (OSError, ValueError)) else repr(error)[:500]
        raise problem("result.unreadable", f"{root.name}: {why}", file=str(root), array=array) from error


def read_node(folder: ResultPath) -> dict[str, Any]:
    """What describes a group or an array, as a ``zarr.json`` does: files and no links, of bounded size and depth.

    Raises
    ------
    OSError, ValueError
        There is none, or it cannot be read.
    """
    if is_old(folder):
        return _read_old_node(folder)
    node = _read_object(folder / NAME)
    if node.get("zarr_format") != 3:
        raise ValueError(f"{NAME} is not of Zarr format 3")
    return node


def is_old(folder: ResultPath) -> bool:
    """Whether a group or an array is of Zarr 2."""
    return not _is_there(folder / NAME) and any(_is_there(folder / name) for name in (OLD_GROUP, OLD_ARRAY))


def list_group_files(root: ResultPath) -> tuple[str, ...]:
    """Names of the files that describe a group of a volume."""
    return (OLD_GROUP, OLD_ATTRIBUTES) if is_old(root) else (NAME,)


def _is_there(path: ResultPath) -> bool:
    return path.is_file() or (isinstance(path, Path) and path.is_symlink())


def _read_object(path: ResultPath) -> dict[str, Any]:
    with open_regular_file(path) as file:
        size = _measure_file(file)
        if size > budget.JSON_BYTES:
            raise OverBudget(f"{path.name} has {size} bytes, more than {budget.JSON_BYTES}")
        node = parse_json(_read_bytes(file, 0, size), parse_constant=float)
    if not isinstance(node, dict):
        raise ValueError(f"{path.name} holds no object")
    return node


def _read_old_node(folder: ResultPath) -> dict[str, Any]:
    """The files of Zarr 2 as one node; of a group's attributes those that are not ours are NGFF's."""
    attributes = _read_object(folder / OLD_ATTRIBUTES) if _is_there(folder / OLD_ATTRIBUTES) else {}
    is_array = _is_there(folder / OLD_ARRAY)
    if is_array and _is_there(folder / OLD_GROUP):
        raise Unsafe(f"{folder.name} is said to be a group and an array")
    node = _read_object(folder / (OLD_ARRAY if is_array else OLD_GROUP))
    if node.get("zarr_format") != 2:
        raise ValueError(f"{OLD_ARRAY if is_array else OLD_GROUP} is not of Zarr format 2")
    if is_array:
        return {**_describe_old_array(node), "attributes": attributes}
    ome = {name: value for name, value in attributes.items() if name != "neuropress"}
    ours = {name: value for name, value in attributes.items() if name == "neuropress"}
    return {"zarr_format": 2, "node_type": "group", "attributes": {"ome": ome, **ours}}


def _describe_old_array(node: Mapping[str, Any]) -> dict[str, Any]:
    """A ``.zarray`` in the terms of Zarr 3. Raises `Unsafe` for codecs that are not on the list, `ValueError`."""
    if node.get("filters"):
        raise Unsafe(f"{OLD_ARRAY} wants the filters {str(node['filters'])[:80]}")
    if not isinstance(node["dtype"], str) or not re.fullmatch("[<>|][biuf][1248]", node["dtype"]):
        raise ValueError(f"{OLD_ARRAY}: no image has the data type {str(node['dtype'])[:40]}")
    dtype = np.dtype(node["dtype"])
    endian = "big" if dtype.byteorder == ">" else "little"
    codecs: list[dict[str, Any]] = [{"name": "bytes", "configuration": {"endian": endian}}]
    if node.get("order", "C") == "F":
        axes = range(len(node["shape"]))
        codecs.insert(0, {"name": "transpose", "configuration": {"order": list(reversed(axes))}})
    if node.get("compressor") is not None:
        settings = dict(node["compressor"])
        kind = settings.pop("id")
        if kind not in COMPRESSORS:
            raise Unsafe(f"{OLD_ARRAY} wants the compressor {str(kind)[:40]!r}; known are {', '.join(COMPRESSORS)}")
        name, known = COMPRESSORS[kind]
        if set(settings) - known:
            raise ValueError(f"{OLD_ARRAY}: {kind} has settings that are not its own: {str(settings)[:80]}")
        codecs.append({"name": name, "configuration": {key: settings[key] for key in settings if key in CODECS[name]}})
    fill = node.get("fill_value")
    return {
        "zarr_format": 2,
        "node_type": "array",
        "shape": node["shape"],
        "data_type": dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": node["chunks"]}},
        "chunk_key_encoding": {
            "name": "v2",
            "configuration": {"separator": node.get("dimension_separator", ".")},
        },
        "fill_value": 0 if fill is None else fill,
        "codecs": codecs,
    }


@contextmanager
def open_regular_file(path: ResultPath) -> Iterator[BinaryIO]:
    """A regular file, for reading, without following a link or waiting for a pipe."""
    if isinstance(path, BucketPath):
        with path.open() as object_file:
            yield object_file
        return
    if path.is_symlink():  # where there is no O_NOFOLLOW
        raise Unsafe(f"{path.name} is a link")
    with os.fdopen(os.open(path, os.O_RDONLY | _NO_LINK), "rb", buffering=0) as file:
        if not S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Unsafe(f"{path.name} is no regular file")
        yield file


def check_store(root: ResultPath) -> list[str]:
    """Look at every file of an OME-Zarr and at all metadata in it, and read no pixel.

    Returns
    -------
    list of str
        All files below the root, with ``/``; of folders those that are empty, with ``/`` at the end.

    Raises
    ------
    Problem
        ``result.unsafe`` or ``result.unreadable``.
    """
    with translate_errors(root):
        files = list(_list_files(root))
        named = {name.rpartition("/")[2] for name in files}  # an unfinished volume has no metadata of its root
        is_second = NAME not in named and bool(named & _OLD)
        own = _OLD if is_second else {NAME}
        nodes = sorted({name.rpartition("/")[0] for name in files if name.rpartition("/")[2] in own})
        if len(nodes) > budget.ZARR_NODES:
            raise OverBudget(f"it has {len(nodes)} groups and arrays, more than {budget.ZARR_NODES}")
        for name in files:
            if name.rpartition("/")[2] in _METADATA - own:
                raise Unsafe(f"{name} is metadata of another Zarr format, by which a program may read other values")
        for place in nodes:
            folder = root / place if place else root
            _check_node(f"{place}/{NAME}".lstrip("/"), _read_old_node(folder) if is_second else read_node(folder))
        return files


def _list_files(root: ResultPath) -> Iterator[str]:
    if isinstance(root, BucketPath):
        names = root.list_files()
        if len(names) > budget.ZARR_ENTRIES:
            raise OverBudget(f"it has more than {budget.ZARR_ENTRIES} files and folders")
        yield from names
        return
    waiting = [("", 0)]
    room = budget.ZARR_ENTRIES
    while waiting:
        place, depth = waiting.pop()
        if depth > budget.DEPTH:
            raise OverBudget(f"folders are nested deeper than {budget.DEPTH} levels")
        empty = bool(place)
        with os.scandir(root / place) as entries:
            for entry in entries:
                empty = False
                name = f"{place}/{entry.name}" if place else entry.name
                room -= 1
                if room < 0:
                    raise OverBudget(f"it has more than {budget.ZARR_ENTRIES} files and folders")
                if entry.is_dir(follow_symlinks=False) and not entry.is_junction():
                    waiting.append((name, depth + 1))
                elif entry.is_file(follow_symlinks=False):
                    yield name
                else:
                    raise Unsafe(f"{name} is a link, or neither a file nor a folder")
        if empty:
            yield f"{place}/"


def _check_node(name: str, node: Mapping[str, Any]) -> None:
    if node.get("node_type") == "array":
        check_array(name, node)
        return
    if node.get("node_type") != "group":
        raise ValueError(f"{name} describes neither a group nor an array")
    attributes = node.get("attributes", {})
    if not isinstance(attributes, dict):
        raise ValueError(f"{name} has attributes that are no object")
    _check_paths(name, attributes.get("ome"))
    consolidated = node.get("consolidated_metadata")
    for child, below in consolidated["metadata"].items() if consolidated else ():
        check_key(child)
        _check_node(f"{name} ({child})", below)


def _check_paths(name: str, value: Any) -> None:
    """Every ``path`` in the image's metadata stays below it."""
    if isinstance(value, dict):
        for key, below in value.items():
            if key == "path":
                check_path(name, below)
            _check_paths(name, below)
    elif isinstance(value, list):
        for below in value:
            _check_paths(name, below)


def check_path(name: str, path: Any) -> str:
    """A path of a level, as text. Raises `Unsafe` if it leads out, `ValueError` if it is none."""
    if not isinstance(path, str) or not path:
        raise ValueError(f"{name} lists {str(path)[:40]!r}, which is no path of an array")
    try:
        check_key(path)
    except Problem as bad:
        raise Unsafe(f"{name}: {bad.finding.message}") from None
    return path


def check_array(name: str, node: Mapping[str, Any]) -> None:
    """Shape, type, chunks and codecs of one array, by its ``zarr.json``.

    Raises
    ------
    Unsafe
        A codec is not one of Zarr's own.
    ValueError
        It is not what an image can be, or over the budget.
    """
    shape = _parse_extents(name, node["shape"], least=0)
    if not isinstance(node["data_type"], str) or node["data_type"] not in DTYPES:
        raise ValueError(f"{name}: no image has the data type {str(node['data_type'])[:40]}")
    if node["chunk_grid"]["name"] != "regular":
        raise ValueError(f"{name}: chunks that are not all alike are not read")
    chunk = _parse_extents(name, node["chunk_grid"]["configuration"]["chunk_shape"])
    if node["chunk_key_encoding"]["name"] not in ("default", "v2") or node.get("storage_transformers"):
        raise Unsafe(f"{name} keeps its chunks in a way that is not Zarr's own")
    if not isinstance(node["fill_value"], (int, float, str)):
        raise ValueError(f"{name} has a fill value that is no number")
    if len(chunk) != len(shape):
        raise ValueError(f"{name}: chunks {chunk} do not divide the shape {shape}")
    _check_codecs(name, node["codecs"], chunk, np.dtype(node["data_type"]).itemsize)


def _parse_extents(name: str, extents: Any, least: int = 1) -> list[int]:
    # True is an int in Python, and 1 in JSON is not true.
    are_ints = isinstance(extents, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in extents)
    if not are_ints or len(extents) > budget.RANK or any(not least <= n <= budget.EXTENT for n in extents):
        raise ValueError(f"{name}: no array has the extents {str(extents)[:80]}")
    return list(extents)


def _check_codecs(name: str, codecs: Any, chunk: Sequence[int], itemsize: int) -> None:
    if not isinstance(codecs, list) or not 1 <= len(codecs) <= len(CODECS):
        raise ValueError(f"{name}: its codecs are no list")
    whole = True
    for codec in codecs:
        kind, settings = _parse_codec(name, codec)
        if kind == "transpose" and sorted(settings["order"]) != list(range(len(chunk))):
            raise ValueError(f"{name}: transpose {str(settings['order'])[:80]} does not permute the axes")
        if kind == "sharding_indexed":
            whole = False
            inner = _parse_extents(name, settings["chunk_shape"])
            if len(inner) != len(chunk) or any(n % c for n, c in zip(chunk, inner, strict=True)):
                raise ValueError(f"{name}: chunks {inner} do not divide the shard {list(chunk)}")
            if prod(n // c for n, c in zip(chunk, inner, strict=True)) > budget.SHARD_CHUNKS:
                raise OverBudget(f"{name}: more than {budget.SHARD_CHUNKS} chunks in a shard")
            index = [_parse_codec(name, one)[0] for one in settings["index_codecs"]]
            if index not in (["bytes"], ["bytes", "crc32c"]):
                raise ValueError(f"{name}: the index of a shard has the codecs {index}")
            _check_codecs(name, settings["codecs"], inner, itemsize)
    if whole and prod(chunk) * itemsize > budget.CHUNK_BYTES:
        raise OverBudget(f"{name}: chunks of more than {budget.CHUNK_BYTES} bytes")


def _parse_codec(name: str, codec: Any) -> tuple[str, dict[str, Any]]:
    """Name and configuration of one codec, of the closed list."""
    kind = codec if isinstance(codec, str) else codec["name"]
    settings = {} if isinstance(codec, str) else codec.get("configuration", {})
    if not isinstance(kind, str) or kind not in CODECS:
        raise Unsafe(f"{name} wants the codec {str(kind)[:40]!r}; known are {', '.join(CODECS)}")
    if not isinstance(settings, dict) or set(settings) - CODECS[kind]:
        raise ValueError(f"{name}: the codec {kind} has settings that are not its own: {str(settings)[:80]}")
    return kind, settings


def list_chunk_codecs(node: Mapping[str, Any]) -> list[str]:
    """Names of the codecs of a chunk, of an array as neuropress writes it. Raises `ValueError` for any other."""
    outer = [_parse_codec(NAME, codec) for codec in node["codecs"]]
    names = [kind for kind, _ in outer]
    if "sharding_indexed" in names:
        if len(names) > 1 or outer[0][1].get("index_location", "end") != "end":
            raise ValueError("it is not stored in shards, as neuropress writes them")
        names = [_parse_codec(NAME, codec)[0] for codec in outer[0][1]["codecs"]]
    if set(names) - PACKED:
        raise ValueError(f"its chunks are packed by {', '.join(names)}, not as neuropress packs them")
    return names


def check_chunk_file(path: ResultPath, size: int, codecs: Sequence[str]) -> list[int]:
    """Of a chunk in a file of its own what `check_shard` does of one in a shard."""
    with open_regular_file(path) as file:
        if not isinstance(path, BucketPath):
            check_chunk(path.name, _read_bytes(file, 0, CHUNK_HEAD), size, codecs)
    return [0]


def check_shard(path: ResultPath, chunks: int, size: int, codecs: Sequence[str]) -> list[int]:
    """The index of a shard, and of each chunk the size that it says it has.

    Of a shard in a bucket the index alone: hundreds of requests for a few bytes each would cost more than the
    shard, so whoever reads its chunks gives their heads to `check_chunk`.

    Parameters
    ----------
    chunks, size
        Chunks in the shard; bytes of one, uncompressed.

    Returns
    -------
    list of int
        Where its chunks begin.

    Raises
    ------
    OSError, ValueError
        It is not there, not whole, or a chunk would be decoded to another size.
    """
    with open_regular_file(path) as file:
        end = _measure_file(file) - 16 * chunks - 4
        if end < 0:
            raise ValueError(f"shard {path.name} has no whole index")
        index = np.frombuffer(_read_bytes(file, end, 16 * chunks), "<u8").reshape(chunks, 2)
        there = index[index[:, 0] != _MISSING]
        if sum(map(int, there[:, 1])) > end or any(int(o) + int(n) > end for o, n in there):
            raise ValueError(f"shard {path.name}: its chunks are larger than itself")
        offsets = [int(offset) for offset in there[:, 0]]
        for offset in offsets if not isinstance(path, BucketPath) else ():
            check_chunk(path.name, _read_bytes(file, offset, CHUNK_HEAD), size, codecs)
    return offsets


def check_chunk(name: str, head: bytes, size: int, codecs: Sequence[str]) -> None:
    """The size that a chunk says it has, by its first bytes. Raises `ValueError` for another than is right."""
    stated = _read_chunk_size(head, codecs) if len(codecs) > 1 else None
    if stated is not None and stated != size:
        raise ValueError(f"shard {name}: a chunk of {stated} bytes, where {size} are right")


def _measure_file(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _read_bytes(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _read_chunk_size(head: bytes, codecs: Sequence[str]) -> int | None:
    """Uncompressed size by a chunk's header; None where it is not packed."""
    if "blosc" in codecs:
        return int(struct.unpack_from("<I", head, 4)[0])
    if "zstd" not in codecs:
        return None
    if head[:4] != _ZSTD:
        raise ValueError("a chunk is no zstd frame")
    # RFC 8878, 3.1.1.1: the magic number, a descriptor, then window, dictionary id and size as the descriptor says.
    descriptor = head[4]
    flag, is_single_segment = descriptor >> 6, bool(descriptor & 0x20)
    if not flag and not is_single_segment:
        raise ValueError("a zstd frame does not tell its size")
    window = 0 if is_single_segment else 1
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    start, width = 5 + window + dictionary, (1, 2, 4, 8)[flag]
    size = int.from_bytes(head[start : start + width], "little")
    return size + 256 if width == 2 else size  # two bytes begin at 256, where one byte ends
