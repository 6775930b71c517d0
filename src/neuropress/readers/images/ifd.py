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
    SEGMENT_TAGS,
    SUBFILE,
    SUBIFDS,
    TILE_COUNTS,
    TILE_OFFSETS,
    BeyondEnd,
    Contradiction,
    HostileClaim,
    Page,
    SegmentValues,
    Value,
    build_form,
    check_segments,
    compute_decoded_bytes,
)

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_TYPE_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_BYTE = 1
_FORM_TAGS = frozenset(code for code, _ in FORM) | {SUBFILE}
_PRIVATE_DIRECTORIES = frozenset((34665, 34853, 40965))
"""Tags that point to a directory without pixels: EXIF, GPS, interoperability."""
_METAMORPH = {33629: 24}
"""MetaMorph's tags that are longer than they say: bytes for each of their values."""

type _Entry = tuple[int, int, int, bytes]


def list_pages(file: BinaryIO, size: int, key: str) -> tuple[Page, ...]:
    """All pages of the main chain; they and all sub-directories checked against the file's size.

    Raises
    ------
    Problem
        ``file.empty``, ``format.unknown``, ``tiff.truncated``, ``tiff.damaged``, ``image.hostile``.
    """
    return _DirectoryReader(file, size, key).read_pages()


class _DirectoryReader:
    def __init__(self, file: BinaryIO, size: int, key: str) -> None:
        self.file, self.size, self.key = file, size, key
        self.bytes_read = self.pixel_bytes = self.directories = 0
        self.forms: dict[tuple[_Entry | bytes, ...], tuple[tuple[Value, ...], bool]] = {}
        self.checked_offsets: set[int] = set()
        self.expected_bytes = 0
        head = self._read_bytes(0, min(16, size), "the header")
        if not size:
            raise problem("file.empty", f"{key} has no bytes", file=key)
        if not is_tiff(head):
            raise problem("format.unknown", f"{key} is no TIFF: it begins {head[:4].hex(' ')}", file=key)
        self.byte_order = "<" if head[:1] == b"I" else ">"
        self.is_big = b"+" in head[2:4]
        self.entry_struct = struct.Struct(self.byte_order + ("HHQ8s" if self.is_big else "HHI4s"))
        self.pointer_struct = struct.Struct(self.byte_order + ("Q" if self.is_big else "I"))
        self.count_struct = struct.Struct(self.byte_order + ("Q" if self.is_big else "H"))
        at = 8 if self.is_big else 4
        if size < at + self.pointer_struct.size:
            raise self._make_truncated_problem("the header", 0, at + self.pointer_struct.size)
        self.first_offset: int = self.pointer_struct.unpack_from(head, at)[0]

    def read_pages(self) -> tuple[Page, ...]:
        pages: list[Page] = []
        seen: set[int] = set()
        at = self.first_offset
        while at:
            if at in seen:
                raise self._make_damaged_problem(f"its directories run in a circle after page {len(pages)}")
            seen.add(at)
            page, at = self._read_page(at, f"page {len(pages) + 1}", ())
            pages.append(page)
        if not pages:
            raise self._make_damaged_problem("it has no page")
        if self.pixel_bytes > budget.OTHER_RATIO * self.size:
            raise self._make_hostile_problem(
                f"its {len(pages)} pages claim {self.pixel_bytes} bytes of pixels from {self.size} bytes"
            )
        return tuple(pages)

    def _read_directory(self, at: int, page: str) -> tuple[list[_Entry], int]:
        """The entries of a directory and the offset of the next one."""
        what = f"the directory of {page}"
        self.directories += 1
        if self.directories > budget.TIFF_PAGES:
            raise self._make_hostile_problem(f"it has more than {budget.TIFF_PAGES} directories")
        width = self.count_struct.size
        head = self._read_bytes(at, max(min(self.expected_bytes, self.size - at), width), what)
        (count,) = self.count_struct.unpack_from(head)
        if not 0 < count <= budget.TIFF_TAGS:
            raise self._make_damaged_problem(f"{page} claims {count} tags (at most {budget.TIFF_TAGS} are believed)")
        length = count * self.entry_struct.size
        self.expected_bytes = width + length + self.pointer_struct.size
        body = head if len(head) >= self.expected_bytes else self._read_bytes(at, self.expected_bytes, what)
        entries = list(self.entry_struct.iter_unpack(body[width : width + length]))
        return entries, self.pointer_struct.unpack_from(body, width + length)[0]

    def _read_page(self, at: int, page: str, parents: tuple[int, ...]) -> tuple[Page, int]:
        entries, following = self._read_directory(at, page)
        segments: dict[int, SegmentValues] = {}
        form_entries: list[_Entry | bytes] = []
        outside: dict[int, tuple[int, int]] = {}
        subdirectories: list[_Entry] = []
        inline_bytes = self.pointer_struct.size
        for entry in entries:
            code, kind, count, inline = entry
            nbytes = _TYPE_BYTES.get(kind, 0) * count  # of an unknown type nothing is known, and no reader takes it
            if nbytes > inline_bytes:
                start = self._check_extent(code, kind, count, inline, page)
                if code in _FORM_TAGS:
                    form_entries.append((code, kind, count, b""))
                    form_entries.append(self._read_bytes(start, nbytes, f"tag {code} of {page}"))
                    continue
                outside.setdefault(code, (start, nbytes))
            elif code in _FORM_TAGS:
                form_entries.append(entry)
            if code in SEGMENT_TAGS and code not in segments:
                segments[code] = self._read_values(code, kind, count, inline, page)
            elif code == SUBIFDS or code in _PRIVATE_DIRECTORIES:
                subdirectories.append(entry)
        for entry in subdirectories:
            self._check_subdirectories(entry, page, (*parents, at))
        description = outside.get(DESCRIPTION)
        return self._build_page(at, page, form_entries, segments, description, outside.get(JPEG_TABLES)), following

    def _check_extent(self, code: int, kind: int, count: int, inline: bytes, page: str) -> int:
        """Where a tag's values begin that are not in the directory itself."""
        nbytes = count * (_METAMORPH.get(code, _TYPE_BYTES[kind]) if kind == 5 else _TYPE_BYTES[kind])
        start: int = self.pointer_struct.unpack(inline)[0]
        if start + nbytes > self.size:
            raise self._make_truncated_problem(f"tag {code} of {page}", start, nbytes)
        return start

    def _read_values(self, code: int, kind: int, count: int, inline: bytes, page: str) -> SegmentValues:
        where = f"tag {code} of {page}"
        if kind not in _TYPE_CODES or not count or kind == _BYTE:  # no offset fits into a byte
            raise self._make_damaged_problem(f"{where} has type {kind} and {count} values")
        nbytes = count * _TYPE_BYTES[kind]
        outside = nbytes > len(inline)
        raw = self._read_bytes(self.pointer_struct.unpack(inline)[0], nbytes, where) if outside else inline[:nbytes]
        if count < 8:
            return struct.unpack(f"{self.byte_order}{count}{_TYPE_CODES[kind]}", raw)
        return np.frombuffer(raw, f"{self.byte_order}{np.dtype(_TYPE_CODES[kind]).str[1:]}").astype(np.uint64)

    def _read_form(self, form_entries: list[_Entry | bytes], page: str) -> tuple[tuple[Value, ...], bool]:
        """Form and reduced flag; pages of a movie state the same bytes, so they are read once."""
        known = self.forms.get(signature := tuple(form_entries))
        if known is not None:
            return known
        values: dict[int, Sequence[int]] = {}
        for position, entry in enumerate(form_entries):
            if isinstance(entry, bytes):
                continue
            code, kind, count, inline = entry
            # Of values outside of the directory, inline is empty and the bytes stand next.
            follows = form_entries[position + 1] if not inline else b""
            if kind not in _TYPE_CODES or not count:
                raise self._make_damaged_problem(f"tag {code} of {page} has type {kind} and {count} values")
            raw = follows if isinstance(follows, bytes) and follows else inline[: count * _TYPE_BYTES[kind]]
            values.setdefault(code, struct.unpack(f"{self.byte_order}{count}{_TYPE_CODES[kind]}", raw))
        reduced = bool(values.get(SUBFILE, (0,))[0] & 1)
        form = build_form(values)
        self.forms[signature] = form, reduced
        return form, reduced

    def _build_page(
        self,
        at: int,
        page: str,
        form_entries: list[_Entry | bytes],
        segments: dict[int, SegmentValues],
        description: tuple[int, int] | None,
        tables: tuple[int, int] | None,
    ) -> Page:
        tiled = TILE_OFFSETS in segments
        offsets = segments.get(TILE_OFFSETS if tiled else OFFSETS)
        counts = segments.get(TILE_COUNTS if tiled else COUNTS, ())
        try:
            form, reduced = self._read_form(form_entries, page)
            if offsets is None:
                raise Contradiction("does not say where its pixels lie")
            nbytes = compute_decoded_bytes(form, tiled)
            offsets, counts = check_segments(form, offsets, counts, nbytes, self.size)
        except Contradiction as error:
            raise self._make_damaged_problem(f"{page} {error}") from error
        except HostileClaim as error:
            raise self._make_hostile_problem(f"{page} {error}") from error
        except BeyondEnd as error:
            segment, start, length = error.args
            raise self._make_truncated_problem(f"strip or tile {segment} of {page}", start, length) from error
        self.pixel_bytes += nbytes
        return Page(at, form, offsets, counts, nbytes, self.byte_order, description, reduced, tables)

    def _check_subdirectories(self, entry: _Entry, page: str, parents: tuple[int, ...]) -> None:
        """Sub-directories: pyramid levels as whole as pages, private ones by the extents of their tags."""
        code, kind, count, inline = entry
        if kind not in _TYPE_CODES or not count or len(parents) > budget.TIFF_DEPTH:
            return
        for place, at in enumerate(self._read_values(code, kind, count, inline, page), 1):
            offset = int(at)
            if offset in parents and code == SUBIFDS:
                raise self._make_damaged_problem(f"its directories run in a circle at tag {code} of {page}")
            if not offset or offset in self.checked_offsets or offset in parents:
                continue
            self.checked_offsets.add(offset)
            if code == SUBIFDS:
                self._read_page(offset, f"sub-directory {place} of {page}", parents)
            else:
                self._check_private_directory(offset, f"the directory of tag {code} of {page}", parents)

    def _check_private_directory(self, at: int, name: str, parents: tuple[int, ...]) -> None:
        """A directory without pixels; one that is none (odd content) is let be."""
        try:
            entries, _ = self._read_directory(at, name)
        except Problem as error:
            if error.finding.id in ("tiff.truncated", "image.hostile"):
                raise
            return
        if any(kind not in _TYPE_BYTES for _, kind, _, _ in entries):
            return
        for code, kind, count, inline in entries:
            if count * _TYPE_BYTES[kind] > len(inline):
                self._check_extent(code, kind, count, inline, name)
            if code in _PRIVATE_DIRECTORIES:
                self._check_subdirectories((code, kind, count, inline), name, (*parents, at))

    def _read_bytes(self, at: int, count: int, what: str) -> bytes:
        if at + count > self.size:
            raise self._make_truncated_problem(what, at, count)
        self.bytes_read += count
        if self.bytes_read > budget.TIFF_REREADS * self.size + budget.IMAGE_SLACK:
            raise self._make_hostile_problem(
                f"its directories overlap: {self.bytes_read} bytes of them lie in {self.size} bytes"
            )
        self.file.seek(at)
        data = self.file.read(count)
        if len(data) != count:
            raise self._make_truncated_problem(what, at, count)
        return data

    def _make_truncated_problem(self, what: str, at: int, length: int) -> Problem:
        place = f"{what}, {length} bytes from byte {at} on, lies beyond the end of the file ({self.size} bytes)"
        return problem("tiff.truncated", f"{self.key}: {place}", file=self.key)

    def _make_hostile_problem(self, reason: str) -> Problem:
        return problem("image.hostile", f"{self.key}: {reason}", file=self.key)

    def _make_damaged_problem(self, reason: str) -> Problem:
        return problem("tiff.damaged", f"{self.key}: {reason}", file=self.key)
