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

import numpy as np
import tifffile

from ...model.finding import Problem, problem
from ..images.page import BeyondEnd, Contradiction, Hostile, Page, check_places

_ABOUT_PIXELS = re.compile(
    r" series |corrupted (?:tag list|file)|invalid page offset|invalid offset to|circular|required tags|"
    r"incompletely written|to reshape|expected \d+ segments|no pages|missing data offset"
)
"""Log records of tifffile that mean wrong pixels or axes; the others are about tags with odd content."""


@dataclass(frozen=True, slots=True)
class Series:
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
    def first(self) -> Page:
        """The first page."""
        return self.planes[0][1]

    @property
    def lead(self) -> int:
        """How many axes stand before those of a page."""
        return len(self.shape) - len(self.keyframe.shape)

    @property
    def count(self) -> int:
        """Planes that its header describes."""
        return math.prod(self.shape[: self.lead])

    @property
    def one_run(self) -> bool:
        """Whether all planes lie behind a single directory."""
        return len(self.planes) == 1 < self.count

    @property
    def mixed(self) -> bool:
        """Whether its pages differ in size, type or storage."""
        return len({(page.form, page.order) for _, page in self.planes}) > 1


class Whole(io.BufferedReader):
    """A file that remembers whether somebody asked for bytes behind its end, and whether reading failed.

    tifffile passes over tags that it cannot read, for whatever reason: a network that fails meanwhile must not
    become a header that lacks them.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__(raw)
        self.short: tuple[int, int] | None = None
        self.failed: OSError | Problem | None = None

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any file, and note a short read or a failure."""
        at = self.tell()
        try:
            data = super().read(size)
        except (OSError, Problem) as error:
            self.failed = self.failed or error
            raise
        if size is not None and len(data) < size:
            self.short = self.short or (at, size)
        return data

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer as any file does, and note a short read or a failure."""
        at = self.tell()
        try:
            done = super().readinto(buffer)
        except (OSError, Problem) as error:
            self.failed = self.failed or error
            raise
        if done < (size := memoryview(buffer).nbytes):
            self.short = self.short or (at, size)
        return done


@contextmanager
def listened(key: str, warnings: list[str]) -> Iterator[None]:
    """Exceptions and log records of tifffile about one file, as problems or `warnings`."""
    records = _Records()
    logger = logging.getLogger("tifffile")
    logger.addHandler(records)
    try:
        yield
    except (Problem, OSError):
        raise
    except Exception as error:
        raise problem("tiff.damaged", f"{key}: tifffile cannot read it ({short(error)})", file=key) from error
    finally:
        logger.removeHandler(records)
    for text in dict.fromkeys(records.texts):
        if _ABOUT_PIXELS.search(text):
            raise problem("tiff.damaged", f"{key}: tifffile reports: {text}", file=key)
        warnings.append(f"a tag is odd and was passed over: {text}")


class _Records(logging.Handler):
    """What tifffile logs in this thread; other threads read other files."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.texts.append(record.getMessage())


def find_series(tif: Any, main: tuple[Page, ...], key: str, alone: bool) -> tuple[list[Series], int]:
    """The images of a file's main chain, and how many reduced or attached ones are left out.

    Parameters
    ----------
    main
        The pages, as they were checked.
    alone
        The file is a slice: one page, whatever its header says of others.
    """
    full = [p for p in main if not p.reduced] or main
    if alone or (len({(p.form, p.order) for p in full}) == 1 and not tif.pages.first.subifds and not _dialect(tif)):
        pages = full[:1] if alone else full
        keyframe = tif.pages[main.index(pages[0])]
        several = len(pages) > 1
        axes, shape = ("I" * several) + keyframe.axes, ((len(pages),) * several) + tuple(keyframe.shape)
        return [Series("uniform", "", axes, shape, keyframe, [(key, p) for p in pages])], len(pages) < len(main)
    if len(tif.pages) != len(main):
        raise problem("tiff.damaged", f"{key}: {len(tif.pages)} of {len(main)} pages can be read", file=key)
    convert = _Converter(tif, main, key)
    series = convert.all(None)
    if any(s.kind == "uniform" and s.mixed for s in series):
        series = convert.all("generic")
    kept = [s for s in series if not s.keyframe.is_reduced] or series
    return kept, convert.seen - len(kept)


def _dialect(tif: Any) -> bool:
    """Whether some program's own header says how the pages belong together."""
    plain = ("uniform", "generic", "scanimage")
    return any(getattr(tif, f"is_{kind}", False) for kind in tifffile.TIFF.SERIES if kind not in plain)


class _Converter:
    """tifffile's series in terms of the pages that were checked."""

    def __init__(self, tif: Any, main: tuple[Page, ...], key: str) -> None:
        self.tif, self.main, self.key = tif, main, key
        self.places = {p.offset: p for p in main}
        self.seen = 0

    def all(self, kind: str | None) -> list[Series]:
        """The series whose first page is in the main chain."""
        found = list(self.tif.series(kind=kind, squeeze=True))
        self.seen = len(found)
        return [self._series(s) for s in found if s.keyframe.offset in self.places]

    def _series(self, series: Any) -> Series:
        axes, shape = str(series.axes), tuple(int(n) for n in series.shape)
        planes = [(self.key, page) for page in self._planes(series)]
        levels = {p.offset for level in series.levels[1:] for p in level if p is not None}
        return Series(series.kind, series.name or "", axes, shape, series.keyframe, planes, frozenset(levels))

    def _planes(self, series: Any) -> Sequence[Page]:
        """Of a stack that is all of the file, the pages as they were checked; else as tifffile chooses them."""
        keyframe, main = series.keyframe, self.main
        whole = len(series) == len(main) and keyframe.offset == main[0].offset
        if whole and series.kind in ("imagej", "shaped") and len({p.form for p in main}) == 1:
            return main
        if len(keyframe.treeindex) == 1:
            self.tif.pages.set_keyframe(keyframe.index)
        self.tif.pages.useframes = True
        pages = list(series)
        if lacking := sum(p is None for p in pages):
            raise problem("tiff.pages", f"{self.key}: {lacking} of its planes are in no file", file=self.key)
        return [self._plane(page, series.kind) for page in pages]

    def _plane(self, page: Any, kind: str) -> Page:
        known = self.places.get(page.offset)
        return known if known is not None and kind != "lsm" else self._made(page)

    def _made(self, page: Any) -> Page:
        """A plane that has no directory of its own, or whose offsets tifffile mends."""
        model = self.places.get(page.keyframe.offset, self.main[0])
        offsets, counts = [int(n) for n in page.dataoffsets], [int(n) for n in page.databytecounts]
        try:
            places = check_places(model.form, offsets, counts, model.nbytes, page.parent.filehandle.size)
        except (Contradiction, BeyondEnd, Hostile) as error:
            message = f"{self.key}: the plane at byte {offsets[:1]} cannot be read ({error})"
            raise problem("tiff.damaged", message, file=self.key) from error
        return replace(model, offset=page.offset, offsets=places[0], counts=places[1])


def short(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")


def nodata(keyframe: Any, dtype: np.dtype[Any]) -> Any:
    """The value of strips and tiles that were never written: GDAL's tag states it, else 0."""
    value = keyframe.nodata or 0
    return dtype.type(value)
