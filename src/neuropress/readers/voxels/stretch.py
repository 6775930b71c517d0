"""Voxels that lie one after the other, fastest axis first, plain or packed: where they are, and their lazy array."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...model.budget import EXTENT, RANK
from ...model.content import Image, LazyArray
from ...model.source import Source
from ..images.calibration import ImageMetadata
from ..images.pixels import ByteReader, OpenFiles, RawPlanes, build_plane_array
from .packed import GZIP, Bzip2Bytes, GzipBytes, check_packed, make_damaged, make_truncated


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where voxels lie.

    Attributes
    ----------
    key
        The file that holds them.
    start
        Byte of the first voxel; of a packed stream, the first byte of that.
    skip
        Unpacked bytes before the first voxel of a packed stream.
    codec
        ``""``, ``gzip`` or ``bzip2``.
    sizes
        Extents, the fastest axis first, as such headers state them.
    stored
        Type of a voxel with the file's byte order.
    """

    key: str
    start: int
    sizes: tuple[int, ...]
    stored: np.dtype[Any]
    codec: str = ""
    skip: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents as arrays have them, the slowest axis first."""
        return self.sizes[::-1]

    @property
    def nbytes(self) -> int:
        """Of all voxels."""
        return math.prod(self.sizes) * self.stored.itemsize


@dataclass(frozen=True, slots=True)
class Voxels:
    """Voxels that can be read: the array, what had to be worked around, and what closes the files."""

    pixels: LazyArray
    warnings: tuple[str, ...]
    close: Callable[[], None]


def check_sizes(key: str, sizes: Sequence[int]) -> None:
    """Refuse extents that no volume has. Raises `Problem` (``voxels.damaged``)."""
    if not 2 <= len(sizes) <= RANK or any(not 1 <= n < EXTENT for n in sizes):
        raise make_damaged(key, f"it states the extents {list(sizes)[:RANK]}")


def open_voxels(source: Source, stretch: Stretch, axes: tuple[str, ...]) -> Voxels:
    """The voxels of a stretch as a lazy array; `axes` are in the order of `Stretch.shape`.

    Raises
    ------
    Problem
        ``voxels.truncated``, ``voxels.hostile``, ``voxels.unsupported``, ``voxels.damaged``.
    """
    stamp = source.stamp(stretch.key)
    files = OpenFiles(source, "voxels.truncated")
    files.remember_stamp(stretch.key, stamp)
    reader: ByteReader = files
    try:
        if stretch.codec:
            reader, first, warnings = _open_packed(files, stretch, stamp[0])
        else:
            first, warnings = stretch.start, _check_plain(stretch, stamp[0])
    except BaseException:
        files.close()
        raise

    def close() -> None:
        files.close()
        if isinstance(reader, Bzip2Bytes):
            reader.close()

    return Voxels(_build_pixels(reader, stretch, first, axes), warnings, close)


def build_image(format: str, meta: ImageMetadata, header: Mapping[str, Any], voxels: Voxels) -> Image:
    """What a file of one volume holds."""
    return Image(
        name="",
        format=format,
        facts=meta.facts,
        header=header,
        arrays={"pixels": voxels.pixels},
        warnings=(*meta.warnings, *voxels.warnings),
        close=voxels.close,
        spacing=meta.spacing,
    )


def _check_plain(stretch: Stretch, size: int) -> tuple[str, ...]:
    there = max(0, size - stretch.start)
    if there < stretch.nbytes:
        raise make_truncated(stretch.key, stretch.nbytes, there)
    if there > stretch.nbytes:
        return (f"{there - stretch.nbytes} bytes follow its voxels, and are not read",)
    return ()


def _open_packed(files: OpenFiles, stretch: Stretch, size: int) -> tuple[GzipBytes | Bzip2Bytes, int, tuple[str, ...]]:
    length = stretch.skip + stretch.nbytes
    check_packed(stretch.key, stretch.codec, length, max(0, size - stretch.start))
    if stretch.codec != GZIP:
        return Bzip2Bytes(files, stretch.key, stretch.start, size, length), stretch.skip, ()
    reader = GzipBytes(files, stretch.key, stretch.start, size, length)
    if reader.states_length():
        return reader, stretch.skip, ()
    there = reader.count_bytes()  # unpacks all: seldom, since a sound file mostly says how long it is
    if there < length:
        raise make_truncated(stretch.key, length, there)
    warnings = ("more bytes follow its voxels, and are not read",) if there > length else ()
    return reader, stretch.skip, warnings


def _build_pixels(reader: ByteReader, stretch: Stretch, first: int, axes: tuple[str, ...]) -> LazyArray:
    plane_axes = min(axes.index("y"), axes.index("x"))
    plane = stretch.shape[plane_axes:]
    count, step = math.prod(stretch.shape[:plane_axes]), math.prod(plane) * stretch.stored.itemsize
    starts = range(first, first + count * step, step)
    planes = RawPlanes(reader, (stretch.key,), starts, plane, stretch.stored)
    # A packed stream is gone through from its beginning: plane by plane, not in bands of rows.
    block: dict[str, int] | None = {} if stretch.codec else None
    kept = stretch.nbytes if isinstance(reader, Bzip2Bytes) else 0
    return build_plane_array(planes, axes, stretch.shape, plane, stretch.stored.newbyteorder("="), block, kept=kept)
