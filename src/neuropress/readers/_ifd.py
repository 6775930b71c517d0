"""The directories of a TIFF file, checked against its size before any library sees it.

tifffile answers a truncated file with fewer pages and a log message; so each page's
directory, offsets and byte counts are checked here, without decoding anything.
Source: TIFF 6.0; the BigTIFF extension of libtiff.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from ..model.finding import problem

MAX_TAGS = 4096
MAX_RATIO = 200_000
"""Decoded bytes per stored byte that a page may claim; zstd reaches 43,000 on zeros."""
MAX_PAGE = 2**36
"""Decoded bytes of one page that are believed at all."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SUBFILE, _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL = 254, 256, 257, 258, 259, 262, 266
_DESCRIPTION, _OFFSETS, _SAMPLES, _ROWS, _COUNTS, _PLANAR = 270, 273, 277, 278, 279, 284
_PREDICTOR, _TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_COUNTS = 317, 322, 323, 324, 325
_FORMAT, _DEPTH, _TILE_DEPTH = 339, 32997, 32998
_FORM = (
    (_WIDTH, 0), (_LENGTH, 0), (_DEPTH, 1), (_BITS, 1), (_FORMAT, 1), (_SAMPLES, 1), (_PLANAR, 1), (_COMPRESSION, 1),
    (_PREDICTOR, 1), (_FILL, 1), (_PHOTOMETRIC, 0), (_ROWS, 0), (_TILE_WIDTH, 0), (_TILE_LENGTH, 0), (_TILE_DEPTH, 1),
)  # fmt: skip
_NEEDED = frozenset(code for code, _ in _FORM) | {_SUBFILE, _OFFSETS, _COUNTS, _TILE_OFFSETS, _TILE_COUNTS}
_YCBCR = 6
_FLOAT = 3
_KINDS = {1: "u", 2: "i", _FLOAT: "f"}


@dataclass(frozen=True, slots=True)
class Page:
    """One directory.

    Attributes
    ----------
    offset
        Of the directory in the file.
    form
        All that must be equal for pages to belong to one array: extent, sample type, storage.
    offsets, counts
        Of the strips or tiles, uint64, shape (segments,).
    nbytes
        Decoded size in bytes.
    order
        Byte order of the file, ``<`` or ``>``.
    description
        Offset and length of the ImageDescription text, or None.
    reduced
        A smaller version of another page (NewSubfileType).
    """

    offset: int
    form: tuple[int | tuple[int, ...], ...]
    offsets: np.ndarray
    counts: np.ndarray
    nbytes: int
    order: str
    description: tuple[int, int] | None
    reduced: bool

    @property
    def samples(self) -> int:
        """Samples per pixel."""
        value = self.form[5]
        return value if isinstance(value, int) else value[0]

    @property
    def compressed(self) -> bool:
        """Whether the pixels are stored by a codec."""
        return self.form[7] != 1

    @property
    def image(self) -> tuple[int | tuple[int, ...], ...]:
        """The part of `form` that is extent and sample type: what slices of one stack share."""
        return self.form[:6]

    def plain(self) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
        """Shape and stored dtype where the page is one run of bytes in C order; None elsewhere."""
        width, length, depth, bits, kind, samples, planar, codec, predictor, fill, photometric = self.form[:11]
        tile = self.form[12]
        runs = bool((self.offsets[:-1] + self.counts[:-1] == self.offsets[1:]).all())
        simple = (depth, codec, predictor, fill, tile) == (1, 1, 1, 1, 0) and photometric != _YCBCR and runs
        if not simple or bits not in (8, 16, 32, 64) or kind not in _KINDS or (planar != 1 and samples != 1):
            return None
        if (bits == 8 and kind == _FLOAT) or not all(isinstance(n, int) for n in (width, length, samples)):
            return None
        shape = (_one(length), _one(width), *((_one(samples),) if samples != 1 else ()))
        return shape, np.dtype(f"{self.order}{_KINDS[_one(kind)]}{_one(bits) // 8}")


def is_tiff(head: bytes) -> bool:
    """Whether the bytes begin a classic or Big TIFF."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def walk(file: BinaryIO, size: int, key: str) -> tuple[Page, ...]:
    """All pages of the main chain, each checked against the file's size.

    Raises
    ------
    Problem
        ``file.empty``, ``format.unknown``, ``tiff.truncated``, ``tiff.damaged``, ``image.hostile``.
    """
    return _Walk(file, size, key).pages()


class _Walk:
    def __init__(self, file: BinaryIO, size: int, key: str) -> None:
        self.file, self.size, self.key = file, size, key
        head = self._bytes(0, min(16, size), "the header")
        if not size:
            raise problem("file.empty", f"{key} has no bytes", file=key)
        if not is_tiff(head):
            raise problem("format.unknown", f"{key} is no TIFF: it begins {head[:4].hex(' ')}", file=key)
        self.order = "<" if head[:1] == b"I" else ">"
        self.big = b"+" in head[2:4]
        self.entry = struct.Struct(self.order + ("HHQ8s" if self.big else "HHI4s"))
        self.pointer = struct.Struct(self.order + ("Q" if self.big else "I"))
        at = 8 if self.big else 4
        if size < at + self.pointer.size:
            raise self._truncated("the header")
        self.first: int = self.pointer.unpack_from(head, at)[0]

    def pages(self) -> tuple[Page, ...]:
        found: list[Page] = []
        seen: set[int] = set()
        at = self.first
        while at:
            if at in seen:
                raise self._damaged(f"its directories run in a circle after page {len(found)}")
            if at >= self.size:
                raise self._truncated(f"the directory of page {len(found) + 1}, at byte {at},")
            seen.add(at)
            page, at = self._page(at, len(found) + 1)
            found.append(page)
        if not found:
            raise self._damaged("it has no page")
        return tuple(found)

    def _page(self, at: int, number: int) -> tuple[Page, int]:
        what = f"the directory of page {number}"
        head = self._bytes(at, 8 if self.big else 2, what)
        (count,) = struct.unpack(self.order + ("Q" if self.big else "H"), head)
        if not 0 < count <= MAX_TAGS:
            raise self._damaged(f"page {number} claims {count} tags (at most {MAX_TAGS} are believed)")
        length = count * self.entry.size
        body = self._bytes(at + len(head), length + self.pointer.size, what)
        tags: dict[int, np.ndarray] = {}
        description = None
        for code, kind, n, inline in self.entry.iter_unpack(body[:length]):
            if code == _DESCRIPTION and kind in (1, 2, 7) and description is None:
                start = self.pointer.unpack(inline)[0] if n > len(inline) else 0
                description = (start, n) if start and start + n <= self.size else None
            elif code in _NEEDED and code not in tags:
                tags[code] = self._values(code, kind, n, inline, number)
        return self._checked(at, number, tags, description), self.pointer.unpack_from(body, length)[0]

    def _values(self, code: int, kind: int, n: int, inline: bytes, number: int) -> np.ndarray:
        if kind not in _CODES or not n:
            raise self._damaged(f"tag {code} of page {number} has type {kind} and {n} values")
        nbytes = n * _SIZES[kind]
        where = f"tag {code} of page {number}"
        raw = inline[:nbytes] if nbytes <= len(inline) else self._bytes(self.pointer.unpack(inline)[0], nbytes, where)
        return np.frombuffer(raw, dtype=f"{self.order}{np.dtype(_CODES[kind]).str[1:]}").astype(np.uint64)

    def _checked(self, at: int, number: int, tags: dict[int, np.ndarray], description: tuple[int, int] | None) -> Page:
        tiled = _TILE_OFFSETS in tags
        offsets = tags.get(_TILE_OFFSETS if tiled else _OFFSETS)
        form = tuple(_scalar(tags.get(code), default) for code, default in _FORM)
        width, length = _one(form[0]), _one(form[1])
        if not width or not length or offsets is None:
            raise self._damaged(f"page {number} does not say its width, its height or where its pixels lie")
        shape = (width, length, *(_one(form[i]) for i in (2, 11, 12, 13, 14)))
        nbytes = _decoded(shape, form[3], _one(form[5]), _one(form[6]), tiled)
        # Some writers leave the count out, or state 0, where one strip holds the page.
        counts = tags.get(_TILE_COUNTS if tiled else _COUNTS, np.zeros(len(offsets), np.uint64))
        plain = form[7] == 1 and form[10] != _YCBCR
        if plain and len(offsets) == 1 and (len(counts) != 1 or int(counts[0]) < nbytes):
            counts = np.array([nbytes], np.uint64)
        self._check_data(number, offsets, counts, nbytes, plain)
        reduced = bool(int(tags[_SUBFILE][0]) & 1) if _SUBFILE in tags else False
        return Page(at, form, offsets, counts, nbytes, self.order, description, reduced)

    def _check_data(self, number: int, offsets: np.ndarray, counts: np.ndarray, nbytes: int, plain: bool) -> None:
        if len(offsets) != len(counts):
            raise self._damaged(f"page {number} has {len(offsets)} offsets but {len(counts)} byte counts")
        if not offsets.all() or not counts.all():
            raise self._damaged(f"page {number} has strips or tiles without pixels")
        ends = offsets + counts
        if (ends < offsets).any() or int(ends.max()) > self.size:
            raise self._truncated(f"pixel data of page {number}, up to byte {int(ends.max())},")
        stored = int(counts.sum())
        if plain and stored < nbytes:
            raise self._damaged(f"page {number} needs {nbytes} bytes of pixels and has {stored}")
        if nbytes > MAX_PAGE or nbytes > MAX_RATIO * stored + 2**20:
            raise problem(
                "image.hostile",
                f"{self.key}: page {number} claims {nbytes} bytes of pixels from {stored} stored bytes",
                file=self.key,
            )

    def _bytes(self, at: int, count: int, what: str) -> bytes:
        if at + count > self.size:
            raise self._truncated(what)
        self.file.seek(at)
        data = self.file.read(count)
        if len(data) != count:
            raise self._truncated(what)
        return data

    def _truncated(self, what: str) -> Exception:
        return problem(
            "tiff.truncated", f"{self.key}: {what} lies beyond the end of the file ({self.size} bytes)", file=self.key
        )

    def _damaged(self, why: str) -> Exception:
        return problem("tiff.damaged", f"{self.key}: {why}", file=self.key)


def _scalar(values: np.ndarray | None, default: int) -> int | tuple[int, ...]:
    if values is None:
        return default
    return int(values[0]) if (values == values[0]).all() else tuple(int(v) for v in values)


def _one(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


def _decoded(shape: tuple[int, ...], bits: int | tuple[int, ...], samples: int, planar: int, tiled: bool) -> int:
    """Decoded bytes of a page; tiles count whole."""
    width, length, depth, _rows, tile_width, tile_length, tile_depth = shape
    if tiled and tile_width and tile_length:
        width, length = (math.ceil(n / t) * t for n, t in ((width, tile_width), (length, tile_length)))
        depth = math.ceil(depth / max(tile_depth, 1)) * max(tile_depth, 1)
    pixel = sum(bits) if isinstance(bits, tuple) else bits * samples
    separate = samples if planar == 2 else 1
    row = math.ceil(width * (pixel // separate) / 8)
    return row * length * max(depth, 1) * separate
