"""Precomputed volumes as images (c, z, y, x): what `info` says, and the chunks of its finest scale as lazy pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import imagecodecs
import numpy as np

from ...model import budget
from ...model.content import Image
from ...model.finding import Problem, problem
from ...model.source import Source
from ..chunked.folder import FolderFiles, check_path
from ..chunked.grid import ChunkGrid, Place, build_array
from ..images.calibration import ImageMetadata, parse_decimal
from ..ome_zarr.codecs import CODECS, FAILURES, BadChunk
from . import FORMAT
from .encodings import ENCODINGS, decode
from .shards import Sharding, Shards, number_chunk, parse_sharding

INFO = "info"
TYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32")
AXES = ("c", "z", "y", "x")
PACKED = {"": "", ".gz": "gzip", ".br": "br", ".zstd": "zstd", ".bz2": "bz2", ".xz": "lzma"}
"""What CloudVolume appends to the names of packed chunks."""
BLOCK_VOXELS = 2**20
"""Of one block of a compressed segmentation, which has 8 x 8 x 8 mostly: its voxels are looked up together."""
_GZIP = b"\x1f\x8b"
_BESIDE = ("mesh", "skeletons", "segment_properties")
_TYPES_BY_ENCODING = {"jpeg": ("uint8",), "png": ("uint8", "uint16"), "compressed_segmentation": ("uint32", "uint64")}
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError)


class UnsupportedVolume(ValueError):
    """An `info` that is right and not read."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale as `info` describes it; extents and places are along x, y and z, as there."""

    key: str
    size: tuple[int, ...]
    offset: tuple[int, ...]
    resolution: tuple[Decimal, ...]
    chunk: tuple[int, ...]
    encoding: str
    block: tuple[int, ...]
    sharding: Sharding | None
    channels: int
    stored: np.dtype[Any]

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of chunks along x, y and z."""
        return tuple(math.ceil(n / part) for n, part in zip(self.size, self.chunk, strict=True))

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents along c, z, y and x."""
        return (self.channels, *self.size[::-1])

    def name_chunk(self, place: tuple[int, ...]) -> str:
        """Name of a chunk's file by its place along x, y and z."""
        starts = [i * n for i, n in zip(place, self.chunk, strict=True)]
        stops = [min(start + n, whole) for start, n, whole in zip(starts, self.chunk, self.size, strict=True)]
        return "_".join(f"{a + at}-{b + at}" for a, b, at in zip(starts, stops, self.offset, strict=True))


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One image: the scale of the finest resolution, or the one that the option ``scale`` names.

    Raises
    ------
    Problem
        ``precomputed.damaged``, ``precomputed.unsupported``, ``path.unsafe``.
    """
    folder = FolderFiles(source, "precomputed.damaged")
    try:
        return (_read_volume(folder, options),)
    except BaseException:
        folder.files.close()
        raise


def _read_volume(folder: FolderFiles, options: Mapping[str, Any]) -> Image:
    source = folder.source
    info = folder.load(INFO)
    if info is None:
        raise problem("precomputed.damaged", f"{source.key} has no file {INFO}, which describes it", file=source.key)
    key = folder.folder + INFO
    try:
        chosen, others = _choose_scale(info, str(options.get("scale", "")), key)
        scale = parse_scale(info, chosen)
    except UnsupportedVolume as error:
        raise problem("precomputed.unsupported", f"{key}: {error}", file=key) from error
    except Problem:
        raise
    except _DAMAGE as error:
        raise problem("precomputed.damaged", f"{key}: {str(error)[:200]}", file=key) from error
    meta = ImageMetadata(facts={name: str(n) for name, n in zip("xyz", scale.size, strict=True)})
    meta.set_pixel_size(*(nm / 1000 for nm in scale.resolution[:2]))
    meta.spacing["z"] = scale.resolution[2] / 1000
    meta.warnings += _list_unread(info, others, options)
    chunks = _Chunks(folder, scale)
    meta.warnings += chunks.count_missing(others)
    extent = (scale.channels, *scale.chunk[::-1])
    grid = ChunkGrid(extent, scale.stored.newbyteorder("="), chunks.load)

    def close() -> None:
        folder.files.close()
        chunks.close()

    return Image(
        name="",
        format=FORMAT.name,
        facts=meta.facts,
        header={"scale": scale.key, "info": info},
        arrays={"pixels": build_array(grid, scale.shape, extent, AXES)},
        warnings=tuple(meta.warnings),
        close=close,
        spacing=meta.spacing,
    )


def _choose_scale(info: Mapping[str, Any], wanted: str, key: str) -> tuple[Mapping[str, Any], list[str]]:
    """The scale that is read, and the keys of the others."""
    if info.get("@type", "neuroglancer_multiscale_volume") != "neuroglancer_multiscale_volume":
        raise UnsupportedVolume(f"it describes {str(info['@type'])[:60]!r}, no volume")
    scales = list(info["scales"])
    keys = [check_path(scale["key"]) for scale in scales]
    if wanted and wanted not in keys:
        message = f"{key} has no scale {wanted[:80]!r} (option scale); it has {', '.join(keys)[:500]}"
        raise problem("precomputed.unsupported", message, value=wanted, file=key)
    # Sorted as listed where resolutions are equal.
    sizes = [math.prod(_parse_resolution(scale)) for scale in scales]
    number = keys.index(wanted) if wanted else sizes.index(min(sizes))
    return scales[number], keys[:number] + keys[number + 1 :]


def parse_scale(info: Mapping[str, Any], scale: Mapping[str, Any]) -> Scale:
    """A scale of an `info`. Raises `UnsupportedVolume`, and `ValueError`, `KeyError` or `TypeError`."""
    encoding, type_name, channels = scale["encoding"], str(info["data_type"]).lower(), info.get("num_channels", 1)
    if encoding not in ENCODINGS:
        raise UnsupportedVolume(f"its chunks are encoded as {str(encoding)[:40]!r}; read are {', '.join(ENCODINGS)}")
    if type_name not in _TYPES_BY_ENCODING.get(encoding, TYPES):
        raise UnsupportedVolume(f"its voxels are of the type {type_name[:40]!r} in chunks of the encoding {encoding}")
    (channels,) = _parse_extents([channels], 1)
    size, chunk = _parse_extents(scale["size"], 3), _parse_extents(scale["chunk_sizes"][0], 3)
    offset = scale.get("voxel_offset", [0, 0, 0])
    if len(offset) != 3 or any(type(n) is not int or abs(n) > budget.EXTENT for n in offset):
        raise ValueError(f"its voxel_offset is {str(offset)[:80]}")
    stored = np.dtype(type_name).newbyteorder("<")
    nbytes = channels * math.prod(chunk) * stored.itemsize
    if nbytes > budget.CHUNK_BYTES:
        raise UnsupportedVolume(f"its chunks have {nbytes} bytes, more than {budget.CHUNK_BYTES}")
    block: tuple[int, ...] = (8, 8, 8)
    if encoding == "compressed_segmentation":
        block = _parse_extents(scale["compressed_segmentation_block_size"], 3)
        if math.prod(block) > BLOCK_VOXELS:
            raise UnsupportedVolume(f"its blocks have {math.prod(block)} voxels, more than {BLOCK_VOXELS}")
    sharding = parse_sharding(scale["sharding"]) if scale.get("sharding") else None
    return Scale(
        check_path(scale["key"]), size, tuple(offset), _parse_resolution(scale), chunk, encoding, block, sharding,
        channels, stored,
    )  # fmt: skip


def _parse_extents(stated: Any, count: int) -> tuple[int, ...]:
    is_whole = isinstance(stated, list) and all(type(n) is int and 1 <= n <= budget.EXTENT for n in stated)
    if not is_whole or len(stated) != count:
        raise ValueError(f"no volume has the extents {str(stated)[:80]}")
    return tuple(stated)


def _parse_resolution(scale: Mapping[str, Any]) -> tuple[Decimal, ...]:
    """Nanometers of a voxel along x, y and z."""
    steps = [parse_decimal(n) for n in scale["resolution"]]
    known = tuple(step for step in steps if step is not None and step > 0)
    if len(known) != 3 or len(steps) != 3:
        raise ValueError(f"its resolution is {str(scale['resolution'])[:80]}")
    return known


def _list_unread(info: Mapping[str, Any], others: list[str], options: Mapping[str, Any]) -> list[str]:
    warnings = []
    if others:
        what = "other scales" if options.get("scale") else "coarser scales"
        warnings.append(f"its {what} are not read: {', '.join(others)[:300]}")
    beside = [f"{name} ({str(info[name])[:80]})" for name in _BESIDE if info.get(name)]
    if beside:
        warnings.append(f"what else `info` names stays in the folder: {', '.join(beside)}")
    return warnings


class _Chunks:
    """The chunks of a scale, one by one."""

    def __init__(self, folder: FolderFiles, scale: Scale) -> None:
        self._folder, self._scale = folder, scale
        self._place = f"{folder.folder}{scale.key}/"
        self._shards = Shards(folder, self._place, scale.sharding) if scale.sharding else None

    def close(self) -> None:
        """Forget the indices of shards."""
        if self._shards:
            self._shards.close()

    def count_missing(self, others: list[str]) -> list[str]:
        """A warning about chunks without a file, which are 0. Raises `Problem` where there are none at all."""
        names = {key.removeprefix(self._place) for key in self._folder.sizes if key.startswith(self._place)}
        if self._shards and any(name.endswith(".index") for name in names):
            message = f"{self._place} has shards in files .index and .data, an older form that is not read"
            raise problem("precomputed.unsupported", message, file=self._place)
        ends, parts = ((".shard",), 0) if self._shards else (tuple(PACKED), 2)
        stems = (name.partition(".") for name in names)
        found = len({stem for stem, dot, end in stems if dot + end in ends and stem.count("_") == parts})
        if not found:
            message = f"{self._place} has no chunk, though {INFO} describes it"
            hint = "Copy it with all its files."
            if others:
                hint = f'Copy it, or read another: state scale = "KEY" of {", ".join(others)[:300]}.'
            raise problem("precomputed.damaged", message, hint=hint, file=self._place)
        whole = math.prod(self._scale.grid)
        if self._shards or found >= whole:
            return []
        return [f"{whole - found} of its {whole} chunks have no file: their voxels are 0, as the format has it"]

    def load(self, place: Place) -> np.ndarray | None:
        """The chunk at a place of the array's grid, (c, z, y, x); None of one that was never written.

        Raises
        ------
        Problem
            ``precomputed.damaged``, ``file.changed``.
        """
        scale, at = self._scale, place[:0:-1]
        sizes = [min(n, whole - i * n) for n, whole, i in zip(scale.chunk, scale.size, at, strict=True)]
        extent = (scale.channels, *sizes[::-1])
        # A segmentation may take more bytes packed than plain: a table and places for each block.
        most = math.prod(extent) * scale.stored.itemsize * (4 if scale.encoding in _TYPES_BY_ENCODING else 1) + 65536
        key = self._place
        try:
            if self._shards:
                key, data = self._shards.read(number_chunk(at, scale.grid), most)
            else:
                key, data = self._read_file(at, most)
            if data is None:
                return None
            return decode(data, scale.encoding, extent, scale.stored, scale.block[::-1])
        except BadChunk as error:
            shown = scale.name_chunk(at)
            message = f"{key}: {error}" if key.endswith(shown) else f"{key}: chunk {shown}: {error}"
            raise problem("precomputed.damaged", message, file=key) from error

    def _read_file(self, at: tuple[int, ...], most: int) -> tuple[str, bytes | None]:
        """Key and bytes of a chunk that has a file of its own."""
        name = self._place + self._scale.name_chunk(at)
        for end, codec in PACKED.items():
            key = name + end
            size = self._folder.sizes.get(key)
            if size is None:
                continue
            if size > most:
                raise BadChunk(f"{key} has {size} bytes, for at most {most}")
            data = self._folder.files.read(key, 0, size)
            # Buckets keep packed chunks under their plain names, and so do copies of these.
            if not codec and data.startswith(_GZIP) and not self._is_plain(data, at):
                codec = "gzip"
            return key, _unpack(data, codec, most) if codec else data
        return name, None

    def _is_plain(self, data: bytes, at: tuple[int, ...]) -> bool:
        """Whether a chunk that begins as gzip does is one of raw voxels that happen to."""
        scale = self._scale
        sizes = [min(n, whole - i * n) for n, whole, i in zip(scale.chunk, scale.size, at, strict=True)]
        return scale.encoding == "raw" and len(data) == scale.channels * math.prod(sizes) * scale.stored.itemsize


def _unpack(data: bytes, codec: str, most: int) -> bytes:
    try:
        return bytes(imagecodecs.brotli_decode(data, out=most) if codec == "br" else CODECS[codec](data, most))
    except (imagecodecs.BrotliError, *FAILURES) as error:
        raise BadChunk(f"its codec {codec} fails ({str(error)[:200]})") from error
