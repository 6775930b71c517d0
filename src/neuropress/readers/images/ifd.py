"""The directories of a TIFF file, checked against its size before any library sees it.

tifffile answers a truncated file with fewer pages, missing tags and a log message; so the
extent of every tag of every directory is checked here, and each page's offsets and byte
counts, without decoding anything. Source: TIFF 6.0; the BigTIFF extension of libtiff.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from ...model import budget
from ...model.finding import Problem, problem
from . import is_tiff
from .page import (
    COUNTS,
    DESCRIPTION,
    FORM,
    JPEG_TABLES,
    OFFSETS,
    PLACES,
    SUBFILE,
    SUBIFDS,
    TILE_COUNTS,
    TILE_OFFSETS,
    BeyondEnd,
    Contradiction,
    Hostile,
    Page,
    Places,
    Value,
    check_places,
    decoded_bytes,
    page_form,
)

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_BYTE = 1
_SHAPING = frozenset(code for code, _ in FORM) | {SUBFILE}
_PRIVATE = frozenset((34665, 34853, 40965))
"""Tags that point to a directory without pixels: EXIF, GPS, interoperability."""
_METAMORPH = {33629: 24}
"""MetaMorph's tags that are longer than they say: bytes for each of their values."""

type _Entry = tuple[int, int, int, bytes]


def walk(file: BinaryIO, size: int, key: str) -> tuple[Page, ...]:
    """All pages of the main chain; they and all sub-directories checked against the file's size.

    Raises
    ------
    Problem
        ``file.empty``, ``format.unknown``, ``tiff.truncated``, ``tiff.damaged``, ``image.hostile``.
    """
    return _Walk(file, size, key).pages()


class _Walk:
    def __init__(self, file: BinaryIO, size: int, key: str) -> None:
        self.file, self.size, self.key = file, size, key
        self.spent = self.total = self.directories = 0
        self.forms: dict[tuple[_Entry | bytes, ...], tuple[tuple[Value, ...], bool]] = {}
        self.checked: set[int] = set()
        self.guess = 0
        head = self._bytes(0, min(16, size), "the header")
        if not size:
            raise problem("file.empty", f"{key} has no bytes", file=key)
        if not is_tiff(head):
            raise problem("format.unknown", f"{key} is no TIFF: it begins {head[:4].hex(' ')}", file=key)
        self.order = "<" if head[:1] == b"I" else ">"
        self.big = b"+" in head[2:4]
        self.entry = struct.Struct(self.order + ("HHQ8s" if self.big else "HHI4s"))
        self.pointer = struct.Struct(self.order + ("Q" if self.big else "I"))
        self.number = struct.Struct(self.order + ("Q" if self.big else "H"))
        at = 8 if self.big else 4
        if size < at + self.pointer.size:
            raise self._truncated("the header", 0, at + self.pointer.size)
        self.first: int = self.pointer.unpack_from(head, at)[0]

    def pages(self) -> tuple[Page, ...]:
        found: list[Page] = []
        seen: set[int] = set()
        at = self.first
        while at:
            if at in seen:
                raise self._damaged(f"its directories run in a circle after page {len(found)}")
            seen.add(at)
            page, at = self._page(at, f"page {len(found) + 1}", ())
            found.append(page)
        if not found:
            raise self._damaged("it has no page")
        if self.total > budget.OTHER_RATIO * self.size:
            raise self._hostile(f"its {len(found)} pages claim {self.total} bytes of pixels from {self.size} bytes")
        return tuple(found)

    def _directory(self, at: int, page: str) -> tuple[list[_Entry], int]:
        """The entries of a directory and the offset of the next one."""
        what = f"the directory of {page}"
        self.directories += 1
        if self.directories > budget.TIFF_PAGES:
            raise self._hostile(f"it has more than {budget.TIFF_PAGES} directories")
        width = self.number.size
        head = self._bytes(at, max(min(self.guess, self.size - at), width), what)
        (count,) = self.number.unpack_from(head)
        if not 0 < count <= budget.TIFF_TAGS:
            raise self._damaged(f"{page} claims {count} tags (at most {budget.TIFF_TAGS} are believed)")
        length = count * self.entry.size
        self.guess = width + length + self.pointer.size
        body = head if len(head) >= self.guess else self._bytes(at, self.guess, what)
        entries = list(self.entry.iter_unpack(body[width : width + length]))
        return entries, self.pointer.unpack_from(body, width + length)[0]

    def _page(self, at: int, page: str, above: tuple[int, ...]) -> tuple[Page, int]:
        entries, following = self._directory(at, page)
        places: dict[int, Places] = {}
        shaping: list[_Entry | bytes] = []
        found: dict[int, tuple[int, int]] = {}
        below: list[_Entry] = []
        inside = self.pointer.size
        for item in entries:
            code, kind, n, inline = item
            nbytes = _SIZES.get(kind, 0) * n  # of an unknown type nothing is known, and no reader takes it
            if nbytes > inside:
                start = self._check_extent(code, kind, n, inline, page)
                if code in _SHAPING:
                    shaping.append((code, kind, n, b""))
                    shaping.append(self._bytes(start, nbytes, f"tag {code} of {page}"))
                    continue
                found.setdefault(code, (start, nbytes))
            elif code in _SHAPING:
                shaping.append(item)
            if code in PLACES and code not in places:
                places[code] = self._values(code, kind, n, inline, page)
            elif code == SUBIFDS or code in _PRIVATE:
                below.append(item)
        for item in below:
            self._check_below(item, page, (*above, at))
        description = found.get(DESCRIPTION)
        return self._checked(at, page, shaping, places, description, found.get(JPEG_TABLES)), following

    def _check_extent(self, code: int, kind: int, n: int, inline: bytes, page: str) -> int:
        """Where a tag's values begin that are not in the directory itself."""
        nbytes = n * (_METAMORPH.get(code, _SIZES[kind]) if kind == 5 else _SIZES[kind])
        start: int = self.pointer.unpack(inline)[0]
        if start + nbytes > self.size:
            raise self._truncated(f"tag {code} of {page}", start, nbytes)
        return start

    def _values(self, code: int, kind: int, n: int, inline: bytes, page: str) -> Places:
        where = f"tag {code} of {page}"
        if kind not in _CODES or not n or kind == _BYTE:  # no offset fits into a byte
            raise self._damaged(f"{where} has type {kind} and {n} values")
        nbytes = n * _SIZES[kind]
        outside = nbytes > len(inline)
        raw = self._bytes(self.pointer.unpack(inline)[0], nbytes, where) if outside else inline[:nbytes]
        if n < 8:
            return struct.unpack(f"{self.order}{n}{_CODES[kind]}", raw)
        return np.frombuffer(raw, f"{self.order}{np.dtype(_CODES[kind]).str[1:]}").astype(np.uint64)

    def _form(self, shaping: list[_Entry | bytes], page: str) -> tuple[tuple[Value, ...], bool]:
        """Form and reduced flag; pages of a movie state the same bytes, so they are read once."""
        known = self.forms.get(signature := tuple(shaping))
        if known is not None:
            return known
        values: dict[int, Sequence[int]] = {}
        for position, item in enumerate(shaping):
            if isinstance(item, bytes):
                continue
            code, kind, n, inline = item
            follows = shaping[position + 1] if not inline else b""
            if kind not in _CODES or not n:
                raise self._damaged(f"tag {code} of {page} has type {kind} and {n} values")
            raw = follows if isinstance(follows, bytes) and follows else inline[: n * _SIZES[kind]]
            values.setdefault(code, struct.unpack(f"{self.order}{n}{_CODES[kind]}", raw))
        reduced = bool(values.get(SUBFILE, (0,))[0] & 1)
        form = page_form(values)
        self.forms[signature] = form, reduced
        return form, reduced

    def _checked(
        self,
        at: int,
        page: str,
        shaping: list[_Entry | bytes],
        places: dict[int, Places],
        description: tuple[int, int] | None,
        tables: tuple[int, int] | None,
    ) -> Page:
        tiled = TILE_OFFSETS in places
        offsets = places.get(TILE_OFFSETS if tiled else OFFSETS)
        counts = places.get(TILE_COUNTS if tiled else COUNTS, ())
        try:
            form, reduced = self._form(shaping, page)
            if offsets is None:
                raise Contradiction("does not say where its pixels lie")
            nbytes = decoded_bytes(form, tiled)
            offsets, counts = check_places(form, offsets, counts, nbytes, self.size)
        except Contradiction as error:
            raise self._damaged(f"{page} {error}") from error
        except Hostile as error:
            raise self._hostile(f"{page} {error}") from error
        except BeyondEnd as error:
            segment, start, length = error.args
            raise self._truncated(f"strip or tile {segment} of {page}", start, length) from error
        self.total += nbytes
        return Page(at, form, offsets, counts, nbytes, self.order, description, reduced, tables)

    def _check_below(self, item: _Entry, page: str, above: tuple[int, ...]) -> None:
        """Sub-directories: pyramid levels as whole as pages, private ones by the extents of their tags."""
        code, kind, n, inline = item
        if kind not in _CODES or not n or len(above) > budget.TIFF_DEPTH:
            return
        for place, at in enumerate(self._values(code, kind, n, inline, page), 1):
            offset = int(at)
            if offset in above and code == SUBIFDS:
                raise self._damaged(f"its directories run in a circle at tag {code} of {page}")
            if not offset or offset in self.checked or offset in above:
                continue
            self.checked.add(offset)
            if code == SUBIFDS:
                self._page(offset, f"sub-directory {place} of {page}", above)
            else:
                self._check_private(offset, f"the directory of tag {code} of {page}", above)

    def _check_private(self, at: int, name: str, above: tuple[int, ...]) -> None:
        """A directory without pixels; one that is none (odd content) is let be."""
        try:
            entries, _ = self._directory(at, name)
        except Problem as error:
            if error.finding.id in ("tiff.truncated", "image.hostile"):
                raise
            return
        if any(kind not in _SIZES for _, kind, _, _ in entries):
            return
        for code, kind, n, inline in entries:
            if n * _SIZES[kind] > len(inline):
                self._check_extent(code, kind, n, inline, name)
            if code in _PRIVATE:
                self._check_below((code, kind, n, inline), name, (*above, at))

    def _bytes(self, at: int, count: int, what: str) -> bytes:
        if at + count > self.size:
            raise self._truncated(what, at, count)
        self.spent += count
        if self.spent > budget.TIFF_REREADS * self.size + budget.IMAGE_SLACK:
            raise self._hostile(f"its directories overlap: {self.spent} bytes of them lie in {self.size} bytes")
        self.file.seek(at)
        data = self.file.read(count)
        if len(data) != count:
            raise self._truncated(what, at, count)
        return data

    def _truncated(self, what: str, at: int, length: int) -> Problem:
        place = f"{what}, {length} bytes from byte {at} on, lies beyond the end of the file ({self.size} bytes)"
        return problem("tiff.truncated", f"{self.key}: {place}", file=self.key)

    def _hostile(self, why: str) -> Problem:
        return problem("image.hostile", f"{self.key}: {why}", file=self.key)

    def _damaged(self, why: str) -> Problem:
        return problem("tiff.damaged", f"{self.key}: {why}", file=self.key)
