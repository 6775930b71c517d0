"""How arrays lie in the HDF5 file, and filling them: read, digest, compress, write.

Chunks are plain shuffle + gzip that any HDF5 reader opens. They are compressed on a few
threads and written with HDF5's direct chunk writes, always in the same order, so that the
same plan gives the same bytes on any machine with the same codecs (`codecs`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from ...model.finding import problem
from ...model.plan import ArraySpec, canonical
from ...model.receipt import HASH, ArrayReceipt, InputDigest, Receipt, block_digest, blocks, root_digest
from ...model.serial import to_json
from ...readers.raw import RawArrays
from .codecs import GZIP_LEVEL, Codec, choose_codec, pack_chunk

SMALL = 64 * 1024
"""Arrays up to this size in bytes are stored contiguously, uncompressed."""
CHUNK = 2 * 1024**2
"""Aim of a chunk's size in bytes; a whole frame may exceed it up to `LARGE_FRAME`."""
LARGE_FRAME = 16 * 1024**2
BLOCK = 4 * 1024**2
"""Aim of the size in bytes of what is read, digested and compressed at a time."""
TEXTS = 16_384
"""Texts that are read, digested and written at a time."""
WORKERS = min(8, os.cpu_count() or 1)
KEPT_BLOCK = 64 * 1024
"""A block that packs into no more bytes is kept for equal ones: the commands of sweeps are often one and the same."""
KEPT_BLOCKS = 64
_COMPARED = 8
"""Bytes of an element of blocks that are compared with the one before: commands are float64."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Chunk shape (None: contiguous, uncompressed) and the extent of one digest."""

    chunks: tuple[int, ...] | None
    block: tuple[int, ...]


def choose_layout(spec: ArraySpec) -> Layout:
    """Whole frames (or runs of samples) a chunk, whole chunks a block."""
    itemsize = spec.itemsize
    whole = tuple(max(1, n) for n in spec.shape)
    if spec.type.kind == "T":  # HDF5 keeps texts beside their dataset: chunks would pack pointers only
        return Layout(None, _grow_box(whole, (1,) * len(whole), TEXTS))
    if spec.nbytes <= SMALL:
        return Layout(None, whole)
    frame = prod(whole[1:]) * itemsize
    aim = frame if CHUNK < frame <= LARGE_FRAME else CHUNK
    chunks = _grow_box(whole, (1,) * len(whole), aim // itemsize)
    return Layout(chunks, _grow_box(whole, chunks, BLOCK // itemsize))


def _grow_box(shape: Sequence[int], unit: Sequence[int], elements: int) -> tuple[int, ...]:
    """The largest box of whole units with about `elements` elements, grown from the last axis."""
    box = list(unit)
    for axis in reversed(range(len(shape))):
        box[axis] = min(shape[axis], unit[axis] * max(1, elements // prod(box)))
        if box[axis] < shape[axis]:
            break
    return tuple(box)


class PreviousFile:
    """An older result of the same target, from which unchanged arrays are taken over.

    `inputs` are the digests of the raw files as they are now.
    """

    def __init__(self, file: h5py.File, receipt: Receipt, inputs: Mapping[str, InputDigest]) -> None:
        self._file = file
        self._then, self._now = receipt.inputs, inputs
        self._stored = {canonical(to_json(array.spec)): path for path, array in receipt.arrays.items()}
        self._arrays = receipt.arrays

    def find_array(self, spec: ArraySpec) -> tuple[h5py.Dataset, ArrayReceipt] | None:
        """The stored array that was made by this very specification from the same raw bytes, at whatever path.

        Files beside a raw file (a command file, members of a set) belong to it: every
        input in its folder must be as it was.
        """
        folder = spec.source if spec.source.endswith("/") else spec.source.rpartition("/")[0] + "/"
        then, now = (
            {key: digest for key, digest in inputs.items() if key.startswith(folder) or key == spec.source}
            for inputs in (self._then, self._now)
        )
        path = self._stored.get(canonical(to_json(spec)))
        if path is None or not now or then != now or path not in self._file:
            return None
        return self._file[path], self._arrays[path]


@dataclass(frozen=True, slots=True)
class _PackedBlock:
    """A block ready to be written: its digest and its chunks, or its samples as they are."""

    digest: bytes
    nbytes: int
    chunks: Sequence[tuple[tuple[int, ...], bytes]] = ()
    samples: np.ndarray | None = None


type _Done = Callable[[_PackedBlock], None]
"""What is done with a block that is packed."""


class _PackQueue:
    """Packs blocks on threads and hands them back in the order in which they came."""

    def __init__(self, pool: ThreadPoolExecutor, depth: int) -> None:
        self._pool = pool
        self._depth = depth
        self._known: dict[tuple[Any, ...], _PackedBlock] = {}
        self._last: tuple[tuple[np.ndarray, _PackedBlock], tuple[int, ...], Codec] | None = None
        """The samples that were kept last: to compare takes a tenth of a digest's time."""
        self._waiting: deque[tuple[Future[_PackedBlock], _Done]] = deque()

    def put(self, data: np.ndarray, dtype: np.dtype[Any], codec: Codec | None, layout: Layout, done: _Done) -> None:
        """Start packing a block; waits while `depth` blocks are under way."""
        while len(self._waiting) >= self._depth:
            self._finish_oldest()
        self._waiting.append((self._pool.submit(self._pack, data, dtype, codec, layout.chunks), done))

    def _pack(
        self, data: np.ndarray, dtype: np.dtype[Any], codec: Codec | None, chunks: tuple[int, ...] | None
    ) -> _PackedBlock:
        """The block packed, or an equal one that was packed before."""
        samples = np.ascontiguousarray(data, dtype=dtype if dtype.kind == "T" else dtype.newbyteorder("<"))
        if (last := self._last) and last[1:] == (chunks, codec) and _has_same_bytes(last[0][0], samples):
            return last[0][1]
        digest = block_digest(samples, HASH)
        if chunks is None or codec is None:
            return _PackedBlock(digest, samples.nbytes, samples=samples)
        key = digest, samples.dtype, samples.shape, chunks, codec.name
        if known := self._known.get(key):
            return known
        packed = _PackedBlock(digest, samples.nbytes, _pack_block(samples, chunks, codec))
        if sum(len(chunk) for _, chunk in packed.chunks) <= KEPT_BLOCK:
            if len(self._known) >= KEPT_BLOCKS:
                self._known.clear()
            self._known[key] = packed
            if samples.itemsize == _COMPARED:
                self._last = (samples.copy(), packed), chunks, codec
        return packed

    def drain(self) -> None:
        """Wait for all."""
        while self._waiting:
            self._finish_oldest()

    def _finish_oldest(self) -> None:
        future, done = self._waiting.popleft()
        done(future.result())


def _has_same_bytes(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return np.array_equal(one.view(np.uint64), other.view(np.uint64))


def fill_datasets(
    file: h5py.File,
    specs: Mapping[str, ArraySpec],
    raw: RawArrays,
    previous: PreviousFile | None,
    progress: Callable[[int], None],
) -> dict[str, ArrayReceipt]:
    """Fill declared, empty datasets; path -> what was stored there.

    Raises
    ------
    Problem
        A raw file could not be read, or no longer has the shape that the plan states.
    """
    receipts: dict[str, ArrayReceipt] = {}
    digests: dict[str, list[bytes]] = {}
    codecs: dict[str, Codec | None] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        queue = _PackQueue(pool, WORKERS + 1)
        for path, spec in specs.items():
            kept = previous.find_array(spec) if previous else None
            if kept and _has_same_layout(kept[0], file[path]):
                queue.drain()
                _copy_dataset(kept[0], file[path], kept[1].block)
                receipts[path] = kept[1]
                progress(spec.nbytes)
            else:
                codecs[path] = _choose_codec(spec, raw)
                digests[path] = _queue_blocks(file[path], spec, raw, codecs[path], queue, progress)
        queue.drain()
    for path, block_digests in digests.items():
        codec, block = codecs[path], choose_layout(specs[path]).block
        name = codec.name if codec else ""
        receipts[path] = ArrayReceipt(specs[path], block, root_digest(block_digests), name, HASH)
    return {path: receipts[path] for path in specs}


def _choose_codec(spec: ArraySpec, raw: RawArrays) -> Codec | None:
    """The codec of an array's chunks; None where it is stored as it is."""
    chunks = choose_layout(spec).chunks
    return choose_codec(spec.nbytes, _read_samples(spec, chunks, raw)) if chunks else None


def _read_samples(spec: ArraySpec, chunks: Sequence[int], raw: RawArrays) -> Iterator[np.ndarray]:
    """The first, the middle and the last whole chunk along the first axis."""
    last = max(0, spec.shape[0] // chunks[0] - 1)
    for number in sorted({0, last // 2, last}):
        start = number * chunks[0]
        rest = tuple(slice(0, min(n, chunk)) for n, chunk in zip(spec.shape[1:], chunks[1:], strict=True))
        yield _read_block(spec, (slice(start, min(start + chunks[0], spec.shape[0])), *rest), raw)


def _queue_blocks(
    dataset: h5py.Dataset,
    spec: ArraySpec,
    raw: RawArrays,
    codec: Codec | None,
    queue: _PackQueue,
    progress: Callable[[int], None],
) -> list[bytes]:
    """Queue all blocks of one array; the list of digests is complete when the queue is drained."""
    stored = choose_layout(spec)
    digests: list[bytes] = []
    for selection in blocks(spec.shape, stored.block):
        data = _read_block(spec, selection, raw)
        if data.shape != tuple(s.stop - s.start for s in selection):
            raise problem("file.changed", f"{spec.source}: a block of {spec.array} has shape {data.shape}, "
                          f"not the planned {[s.stop - s.start for s in selection]}", file=spec.source)  # fmt: skip

        def done(packed: _PackedBlock, selection: tuple[slice, ...] = selection) -> None:
            digests.append(packed.digest)
            for offset, chunk in packed.chunks:
                corner = tuple(s.start + o for s, o in zip(selection, offset, strict=True))
                dataset.id.write_direct_chunk(corner, chunk)
            if packed.samples is not None:
                dataset[selection] = packed.samples if spec.type.kind != "T" else packed.samples.astype(object)
            progress(packed.nbytes)

        queue.put(data, spec.type, codec, stored, done)
    return digests


def _read_block(spec: ArraySpec, selection: tuple[slice, ...], raw: RawArrays) -> np.ndarray:
    """A block of the result. Raises `Problem` (``plan.invalid``) for a text that HDF5 cannot hold."""
    data = raw.read(spec, selection)
    texts = data.ravel().tolist() if data.dtype.kind == "T" else ()
    bad = next((number for number, text in enumerate(texts) if "\0" in text), None)
    if bad is not None:
        row = selection[0].start + int(np.unravel_index(bad, data.shape)[0])
        message = f"row {row} of {spec.array} holds a NUL, which HDF5 text cannot"
        raise problem("plan.invalid", f"The plan cannot be written as NWB: {spec.source}: {message}", file=spec.source)
    return data


def _pack_block(
    samples: np.ndarray, chunks: tuple[int, ...], codec: Codec
) -> tuple[tuple[tuple[int, ...], bytes], ...]:
    """Corner in the block and packed bytes of each chunk; those at the far edges are filled up with zeros."""
    packed: list[tuple[tuple[int, ...], bytes]] = []
    for part in blocks(samples.shape, chunks):
        piece = samples[part]
        if piece.shape != chunks:
            whole = np.zeros(chunks, piece.dtype)  # np.pad takes no records
            whole[tuple(slice(n) for n in piece.shape)] = piece
            piece = whole
        packed.append((tuple(s.start for s in part), pack_chunk(piece, codec)))
    return tuple(packed)


def _has_same_layout(old: h5py.Dataset, new: h5py.Dataset) -> bool:
    """Whether chunks of one may stand in the other as they are."""
    names = ("shape", "dtype", "chunks", "compression", "shuffle", "fletcher32", "scaleoffset")
    return all(getattr(old, name) == getattr(new, name) for name in names)


def _copy_dataset(old: h5py.Dataset, new: h5py.Dataset, block: Sequence[int]) -> None:
    """Copy a dataset's bytes without decompressing them.

    What is not packed goes by blocks, as it did when it was new: HDF5 places texts in the order of the writes.
    """
    if old.chunks is None:
        for part in blocks(old.shape, block):
            new[part] = old[part]
        return
    corners = sorted(old.id.get_chunk_info(i).chunk_offset for i in range(old.id.get_num_chunks()))
    for corner in corners:
        mask, chunk = old.id.read_direct_chunk(corner)
        new.id.write_direct_chunk(corner, chunk, filter_mask=mask)


def declare_array(group: h5py.Group, name: str, spec: ArraySpec) -> h5py.Dataset:
    """An empty dataset of the array's shape, type and storage."""
    chunks = choose_layout(spec).chunks
    if spec.type.kind in "iuf" and name.isascii() and "/" not in name:  # most are; h5py takes four times as long
        kind, space = h5t.py_create(spec.type), h5s.create_simple(spec.shape)
        return h5py.Dataset(h5d.create(group.id, name.encode(), kind, space, make_dataset_properties(chunks)))
    filters: dict[str, Any] = {}
    if chunks:
        filters = {"chunks": chunks, "compression": "gzip", "compression_opts": GZIP_LEVEL, "shuffle": True}
    dtype = h5py.string_dtype() if spec.type.kind == "T" else spec.type
    return group.create_dataset(name, spec.shape, dtype, **filters)


@lru_cache(64)
def make_dataset_properties(chunks: tuple[int, ...] | None = None) -> h5p.PropDCID:
    """How a dataset is stored: without the times at which it was made, which would differ between two runs."""
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    if chunks:
        properties.set_chunk(chunks)
        properties.set_shuffle()
        properties.set_deflate(GZIP_LEVEL)
    return properties


def make_object_id(identifier: str, path: str) -> str:
    """The id of an object, which follows from the file's identifier and the object's place alone."""
    return str(uuid5(NAMESPACE_URL, f"neuropress:{identifier}:{path}"))
