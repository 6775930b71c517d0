"""Pixels of tiles: read where they lie, decoded by the library's codecs, pasted into their plane."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np

from ...model import budget
from ...model.content import Selection
from ...model.finding import Problem, problem
from ..images.codestream import read_stated_extent
from ..images.page import HostileClaim, check_segment_size
from ..images.pixels import OpenFiles
from .directory import SUBBLOCK
from .tiles import Scene, Tile

UNCOMPRESSED, JPEG, LZW, JPEG_XR, ZSTD, ZSTD_SHUFFLED = 0, 1, 2, 4, 5, 6
READ = (UNCOMPRESSED, JPEG, LZW, JPEG_XR, ZSTD, ZSTD_SHUFFLED)
_SWAPPED = (UNCOMPRESSED, LZW)
"""Compressions that keep blue before red; the codecs of the others give red first."""
_ENTRY_ROOM = 240
"""Bytes that the entry of a tile takes at least in its segment."""
CACHE_BYTES = 16 * 2**20


class TilePlanes:
    """The planes of a scene.

    Parameters
    ----------
    files, key, size
        The open files, the one that holds the tiles, and its bytes.
    scene
        Its tiles.
    dtype, samples
        Type of a sample and samples of a pixel, which become the last axis where they are several.
    """

    def __init__(self, files: OpenFiles, key: str, size: int, scene: Scene, dtype: np.dtype[Any], samples: int) -> None:
        self._files, self._key, self._size, self._scene = files, key, size, scene
        self._dtype, self._samples = dtype.newbyteorder("<"), samples
        self._places: dict[int, tuple[int, int]] = {}
        self._decoded: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def read(self, index: int, selection: Selection, out: np.ndarray) -> None:
        """Paste what the tiles have of a block, the one that is seen last."""
        rows, columns, *rest = selection
        t, c, z = (int(n) for n in np.unravel_index(index, self._scene.extent))
        out[...] = 0
        for tile in self._scene.planes.get((t, c, z), ()):
            top, bottom = max(tile.y, rows.start), min(tile.y + tile.height, rows.stop)
            left, right = max(tile.x, columns.start), min(tile.x + tile.width, columns.stop)
            if top >= bottom or left >= right:
                continue
            pixels = self._read_rows(tile, top - tile.y, bottom - tile.y)
            part = pixels[:, left - tile.x : right - tile.x]
            goal = (slice(top - rows.start, bottom - rows.start), slice(left - columns.start, right - columns.start))
            out[goal] = part[(slice(None), slice(None), *rest)] if self._samples > 1 else part[..., 0]

    def _read_rows(self, tile: Tile, first: int, last: int) -> np.ndarray:
        """Rows of a tile, (row, column, sample)."""
        at, length = self._find_data(tile)
        row = tile.width * self._samples * self._dtype.itemsize
        shape = (tile.height, tile.width, self._samples)
        compression = int(tile.entry.compression)
        # Some writers name a compression and store the pixels as they are.
        if compression == UNCOMPRESSED or length == row * tile.height:
            if length < row * tile.height:
                raise self._make_problem(tile, f"has {length} bytes, where {row * tile.height} belong")
            data = self._files.read(self._key, at + first * row, (last - first) * row)
            return self._order_samples(np.frombuffer(data, self._dtype).reshape(last - first, *shape[1:]), UNCOMPRESSED)
        return self._order_samples(self._decode_tile(tile, at, length, shape)[first:last], compression)

    def _find_data(self, tile: Tile) -> tuple[int, int]:
        """First byte and number of bytes of a tile's pixels, by the head of its segment."""
        start = int(tile.entry.file_position)
        if start not in self._places:
            if start < 0 or start + SUBBLOCK.size > self._size:
                raise self._make_problem(tile, f"begins behind the file's end ({self._size})")
            head = self._files.read(self._key, start, SUBBLOCK.size)
            name, _, _, metadata, attachments, length = SUBBLOCK.unpack(head)
            if name.rstrip(b"\0") != b"ZISRAWSUBBLOCK" or min(metadata, attachments, length) < 0:
                raise self._make_problem(tile, "is not there")
            at = start + SUBBLOCK.size + max(_ENTRY_ROOM, int(tile.entry.storage_size)) + metadata
            if at + length > self._size:
                raise self._make_problem(tile, f"ends at byte {at + length}, the file at {self._size}")
            self._places[start] = (at, length)
        return self._places[start]

    def _decode_tile(self, tile: Tile, at: int, length: int, shape: tuple[int, int, int]) -> np.ndarray:
        with self._lock:
            if at in self._decoded:
                self._decoded.move_to_end(at)
                return self._decoded[at]
        nbytes = shape[0] * shape[1] * shape[2] * self._dtype.itemsize
        try:
            check_segment_size(nbytes, length)
        except HostileClaim as error:
            message = f"{self._key}: the tile at byte {tile.entry.file_position} {error}"
            raise problem("image.hostile", message, file=self._key) from error
        data = self._files.read(self._key, at, length)
        width, height = read_stated_extent(data) or (0, 0)
        if width * height > 4 * shape[0] * shape[1] + budget.IMAGE_SLACK:
            message = f"{self._key}: the tile at byte {at} states {width} x {height} pixels in its codec"
            raise problem("image.hostile", message, file=self._key)
        pixels = self._run_codec(tile, data, nbytes, shape)
        with self._lock:
            self._decoded[at] = pixels
            while len(self._decoded) > 1 and sum(one.nbytes for one in self._decoded.values()) > CACHE_BYTES:
                self._decoded.popitem(last=False)
        return pixels

    def _run_codec(self, tile: Tile, data: bytes, nbytes: int, shape: tuple[int, int, int]) -> np.ndarray:
        compression, decode = int(tile.entry.compression), tile.entry.decode
        try:
            if compression in (ZSTD, ZSTD_SHUFFLED):
                # The library's codec puts red first only when it knows the number of samples.
                decoded = decode(data, itemsize=self._dtype.itemsize, samples=self._samples, out=nbytes)
            else:
                decoded = decode(data, out=nbytes)
            if isinstance(decoded, np.ndarray):
                pixels = decoded
                if pixels.dtype.kind != self._dtype.kind and pixels.dtype.itemsize != 1:
                    raise ValueError(f"it decodes to {pixels.dtype}")
                if pixels.dtype == np.uint8 and self._dtype.itemsize > 1:
                    pixels = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), self._dtype)
            else:
                pixels = np.frombuffer(decoded, self._dtype)
            return pixels.astype(self._dtype.newbyteorder("="), copy=False).reshape(shape)
        except (Exception, MemoryError) as error:
            text = f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")
            raise self._make_problem(tile, f"cannot be decoded ({text})") from error

    def _order_samples(self, pixels: np.ndarray, compression: int) -> np.ndarray:
        """Red first."""
        if self._samples not in (3, 4) or compression not in _SWAPPED:
            return pixels
        order: Sequence[int] = (2, 1, 0, 3)[: self._samples]
        return pixels[..., list(order)]

    def _make_problem(self, tile: Tile, reason: str) -> Problem:
        message = f"{self._key}: the tile at byte {tile.entry.file_position} {reason}"
        return problem("microscope.damaged", message, file=self._key)
