"""How the pages of a TIFF form images: plain stacks by the pages' own form, the dialects by tifffile."""

from __future__ import annotations

import io
import logging
import math
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import tifffile

from ...model.finding import Problem, problem
from ..images.page import BeyondEnd, Contradiction, HostileClaim, Page, check_segments

_ABOUT_PIXELS = re.compile(
    r" series |corrupted (?:tag list|file)|invalid page offset|invalid offset to|circular|required tags|"
    r"incompletely written|to reshape|expected \d+ segments|no pages|missing data offset"
)
"""Log records of tifffile that mean wrong pixels or axes; the others are about tags with odd content."""


@dataclass(frozen=True, slots=True)
class PageSeries:
    """Pages that form one image.

    Attributes
    ----------
    kind, name
        The dialect that says so, and what it calls the image.
    axes, shape
        tifffile's letters and extents, those of a page last; length-1 axes left out.
    keyframe
        tifffile's page that decodes all of them.
    planes
        File and page of each plane; one for all where they lie in one run of bytes.
    levels
        Offsets of the pages of its smaller versions.
    """

    kind: str
    name: str
    axes: str
    shape: tuple[int, ...]
    keyframe: Any
    planes: Sequence[tuple[str, Page]]
    levels: frozenset[int] = frozenset()

    @property
    def first_page(self) -> Page:
        """The first page."""
        return self.planes[0][1]

    @property
    def lead_count(self) -> int:
        """How many axes stand before those of a page."""
        return len(self.shape) - len(self.keyframe.shape)

    @property
    def plane_count(self) -> int:
        """Planes that its header describes."""
        return math.prod(self.shape[: self.lead_count])

    @property
    def is_one_run(self) -> bool:
        """Whether all planes lie behind a single directory."""
        return len(self.planes) == 1 < self.plane_count

    @property
    def is_mixed(self) -> bool:
        """Whether its pages differ in size, type or storage."""
        return len({(page.form, page.byte_order) for _, page in self.planes}) > 1


class CheckedReader(io.BufferedReader):
    """A file that remembers whether somebody asked for bytes behind its end, and whether reading failed.

    tifffile passes over tags that it cannot read, for whatever reason: a network that fails meanwhile must not
    become a header that lacks them.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__(raw)
        self.short_read: tuple[int, int] | None = None
        self.failure: OSError | Problem | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any file, and note a short read or a failure."""
        at = self.tell()
        try:
            data = super().read(size)
        except (OSError, Problem) as error:
            self.failure = self.failure or error
            raise
        if size is not None and len(data) < size:
            self.short_read = self.short_read or (at, size)
        return data

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer as any file does, and note a short read or a failure."""
        at = self.tell()
        try:
            done = super().readinto(buffer)
        except (OSError, Problem) as error:
            self.failure = self.failure or error
            raise
        if done < (size := memoryview(buffer).nbytes):
            self.short_read = self.short_read or (at, size)
        return done


@contextmanager
def capture_log(key: str, warnings: list[str]) -> Iterator[None]:
    """Exceptions and log records of tifffile about one file, as problems or `warnings`."""
    records = _LogCapture()
    logger = logging.getLogger("tifffile")
    logger.addHandler(records)
    try:
        yield
    except (Problem, OSError):
        raise
    except Exception as error:
        raise problem("tiff.damaged", f"{key}: tifffile cannot read it ({format_error(error)})", file=key) from error
    finally:
        logger.removeHandler(records)
    for text in dict.fromkeys(records.messages):
        if _ABOUT_PIXELS.search(text):
            raise problem("tiff.damaged", f"{key}: tifffile reports: {text}", file=key)
        warnings.append(f"a tag is odd and was passed over: {text}")


class _LogCapture(logging.Handler):
    """What tifffile logs in this thread; other threads read other files."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.messages.append(record.getMessage())


def find_series(
    tif: Any, pages: tuple[Page, ...], key: str, is_slice: bool, page: int = 0
) -> tuple[list[PageSeries], int]:
    """The images of a file's main chain, and how many reduced or attached ones are left out.

    Parameters
    ----------
    pages
        The pages of the main chain, as they were checked.
    is_slice
        The file is a slice: one page, whatever its header says of others.
    page
        Which page that is, of those that are not reduced.
    """
    full = [p for p in pages if not p.is_reduced] or pages
    is_uniform = len({(page.form, page.byte_order) for page in full}) == 1
    if is_slice or (is_uniform and not tif.pages.first.subifds and not _has_dialect(tif)):
        kept_pages = full[page : page + 1] if is_slice else full
        keyframe = tif.pages[pages.index(kept_pages[0])]
        axes, shape = keyframe.axes, tuple(keyframe.shape)
        if len(kept_pages) > 1:
            axes, shape = "I" + axes, (len(kept_pages), *shape)
        planes = [(key, page) for page in kept_pages]
        return [PageSeries("uniform", "", axes, shape, keyframe, planes)], len(kept_pages) < len(pages)
    if len(tif.pages) != len(pages):
        raise problem("tiff.damaged", f"{key}: {len(tif.pages)} of {len(pages)} pages can be read", file=key)
    convert = _SeriesConverter(tif, pages, key)
    series = convert.convert_all(None)
    if any(s.kind == "uniform" and s.is_mixed for s in series):
        series = convert.convert_all("generic")
    kept = [s for s in series if not s.keyframe.is_reduced] or series
    return kept, convert.seen_count - len(kept)


def _has_dialect(tif: Any) -> bool:
    """Whether some program's own header says how the pages belong together."""
    plain = ("uniform", "generic", "scanimage")
    return any(getattr(tif, f"is_{kind}", False) for kind in tifffile.TIFF.SERIES if kind not in plain)


class _SeriesConverter:
    """tifffile's series in terms of the pages that were checked."""

    def __init__(self, tif: Any, pages: tuple[Page, ...], key: str) -> None:
        self.tif, self.pages, self.key = tif, pages, key
        self.pages_by_offset = {p.offset: p for p in pages}
        self.seen_count = 0

    def convert_all(self, kind: str | None) -> list[PageSeries]:
        """The series whose first page is in the main chain."""
        series = list(self.tif.series(kind=kind, squeeze=True))
        self.seen_count = len(series)
        return [self._convert_series(s) for s in series if s.keyframe.offset in self.pages_by_offset]

    def _convert_series(self, series: Any) -> PageSeries:
        axes, shape = str(series.axes), tuple(int(n) for n in series.shape)
        planes = [(self.key, page) for page in self._list_planes(series)]
        levels = {p.offset for level in series.levels[1:] for p in level if p is not None}
        return PageSeries(series.kind, series.name or "", axes, shape, series.keyframe, planes, frozenset(levels))

    def _list_planes(self, series: Any) -> Sequence[Page]:
        """Of a stack that is all of the file, the pages as they were checked; else as tifffile chooses them."""
        keyframe, checked = series.keyframe, self.pages
        whole = len(series) == len(checked) and keyframe.offset == checked[0].offset
        if whole and series.kind in ("imagej", "shaped") and len({p.form for p in checked}) == 1:
            return checked
        if len(keyframe.treeindex) == 1:
            self.tif.pages.set_keyframe(keyframe.index)
        self.tif.pages.useframes = True
        pages = list(series)
        if missing := sum(p is None for p in pages):
            raise problem("tiff.pages", f"{self.key}: {missing} of its planes are in no file", file=self.key)
        return [self._convert_plane(page, series.kind) for page in pages]

    def _convert_plane(self, page: Any, kind: str) -> Page:
        known = self.pages_by_offset.get(page.offset)
        return known if known is not None and kind != "lsm" else self._build_plane(page)

    def _build_plane(self, page: Any) -> Page:
        """A plane that has no directory of its own, or whose offsets tifffile mends."""
        model = self.pages_by_offset.get(page.keyframe.offset, self.pages[0])
        offsets, counts = [int(n) for n in page.dataoffsets], [int(n) for n in page.databytecounts]
        try:
            segments = check_segments(model.form, offsets, counts, model.nbytes, page.parent.filehandle.size)
        except (Contradiction, BeyondEnd, HostileClaim) as error:
            message = f"{self.key}: the plane at byte {offsets[:1]} cannot be read ({error})"
            raise problem("tiff.damaged", message, file=self.key) from error
        return replace(model, offset=page.offset, offsets=segments[0], counts=segments[1])


def format_error(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")
