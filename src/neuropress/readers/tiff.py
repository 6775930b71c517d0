"""TIFF: plain, Big, tiled, compressed, ImageJ, OME (sets of files too), ScanImage, MetaMorph.

Pages and their data are checked against the file's size first (`._ifd`); tifffile then
says how pages form images and decodes strips and tiles. An axis that the file does not
name is ``q``, never guessed.
"""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import tifffile

from ..model.content import Claim, Image, LazyArray
from ..model.finding import Problem, problem
from ..model.source import Source
from . import _ome, _scanimage
from ._ifd import Page, is_tiff, walk
from ._pixels import Files, Planes, RawPlanes, SegmentPlanes, declared, plane_array
from ._tiffheader import tags_as_json
from ._tiffmeta import Meta, count, imagej, key_values, metamorph, plain_resolution

FORMAT = "tiff"
MAX_PAGE_TEXT = 2**20
"""Characters of all later pages' descriptions together that the header keeps."""
_JPEG = (6, 7, 33007, 34892)
_TAG_ONLY = re.compile(r"TiffTag|<tifffile\.read_|_tags> raised|GeoKey|ubfiletype|imagej_metadata")
"""tifffile's complaints about tags that hold no pixels."""


def probe(head: bytes, name: str) -> Claim | None:
    """Recognise a TIFF or BigTIFF by its first four bytes."""
    if not is_tiff(head) or name.endswith("/"):
        return None
    return Claim(FORMAT, "begins like a BigTIFF" if b"+" in head[2:4] else "begins like a TIFF")


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One content an image of the file; reduced versions (thumbnails, pyramids) are left out.

    Raises
    ------
    Problem
        ``tiff.truncated``, ``tiff.damaged``, ``tiff.pages``, ``tiff.member``,
        ``image.unsupported``, ``image.hostile``, ``file.empty``.
    """
    return _Reading(source, options).contents()


def read_slice(source: Source) -> Image:
    """A file of one page that is a slice of a stack, whatever stack its header speaks of."""
    return _Reading(source, {}, alone=True).contents()[0]


class _Reading:
    """One file (or OME set) while its headers are read; `alone`: a slice cut out of a stack."""

    def __init__(self, source: Source, options: Mapping[str, Any], alone: bool = False) -> None:
        self.source, self.key, self.options, self.alone = source, source.key, options, alone
        self.files = Files(source)
        self.walked: dict[str, tuple[Page, ...]] = {}
        self.warnings: list[str] = []
        self.ome: _ome.Ome | None = None
        self.pairs: dict[str, str] = {}
        self.description = ""

    @property
    def pages(self) -> tuple[Page, ...]:
        return self.walked[self.key]

    def contents(self) -> tuple[Image, ...]:
        try:
            self._walk(self.key)
            self._check_description()
            # For ScanImage tifffile extrapolates page offsets and can lose the last page, so its layout is ours.
            with self._heard(), tifffile.TiffFile(self.source.path(), is_scanimage=False) as tif:
                if len(tif.pages) != len(self.pages):
                    raise self._problem("tiff.damaged", f"{len(tif.pages)} of {len(self.pages)} pages can be read")
                series = self._series(tif)
                images = tuple(self._image(tif, s, i, len(series)) for i, s in enumerate(series))
        except BaseException:
            self.files.close()
            raise
        return images

    def _walk(self, key: str) -> None:
        path = self.source.path(key)
        with path.open("rb") as file:
            self.walked[key] = walk(file, path.stat().st_size, key)

    def _text(self, page: Page) -> str:
        if page.description is None:
            return ""
        data = self.files.read(self.key, *page.description)
        return data.rstrip(b"\0").decode("utf-8", "replace")

    def _check_description(self) -> None:
        """What the first page says about the others, and whether they are there."""
        self.description = self._text(self.pages[0])
        if _ome.looks_like(self.description) and not self.alone:
            self.ome = _ome.parse(self.description, self.key)
            self._check_ome(self.ome)
        elif self.description.startswith("ImageJ="):
            self.pairs = key_values(self.description)
            if not self.alone:
                self._check_imagej()

    def _check_ome(self, ome: _ome.Ome) -> None:
        for name in ome.files:
            if name.casefold() == self.source.name.casefold():
                continue
            plain = name == PurePosixPath(name.replace("\\", "/")).name
            member = self.source.sibling(name) if plain else None
            if member is None:
                raise self._problem("tiff.member", f"its OME-XML names the file {name!r}, which is not beside it")
            self._walk(member)
        needed, held = ome.planes(), sum(len(pages) for pages in self.walked.values())
        if needed > held:
            raise self._problem("tiff.pages", f"its OME-XML promises {needed} planes, but there are {held} pages")

    def _check_imagej(self) -> None:
        """ImageJ keeps large stacks as one page and one run of bytes; tifffile falls back silently."""
        sizes = [count(self.pairs.get(k)) for k in _COUNTS]
        first, held = self.pages[0], len(self.pages)
        promised = max(sizes[0], math.prod(sizes[1:]))
        if promised in (1, held, held * first.samples):
            return
        end = self.pages[1].offset if held > 1 else self.source.path().stat().st_size
        room = 1 if first.compressed else max(end - int(first.offsets[0]), 0) // first.nbytes
        if promised > room and promised // first.samples > room:
            said = f"its ImageJ header promises {promised} images, but the file holds {max(held, room)}"
            raise self._problem("tiff.pages", said)

    @contextmanager
    def _heard(self) -> Iterator[None]:
        """Exceptions and log records of tifffile about this file, as problems or warnings."""
        ear = _Ear()
        logger = logging.getLogger("tifffile")
        logger.addHandler(ear)
        try:
            yield
        except (Problem, OSError):
            raise
        except Exception as error:
            raise self._problem("tiff.damaged", f"tifffile cannot read it ({_short(error)})") from error
        finally:
            logger.removeHandler(ear)
        for said in ear.said:
            if not _TAG_ONLY.search(said):
                raise self._problem("tiff.damaged", f"tifffile reports: {said}")
            self.warnings.append(f"a tag cannot be read: {said}")

    def _series(self, tif: Any) -> list[Any]:
        """Images of the main chain: every page in exactly one of them, reduced versions apart."""
        series = list(tif.series(kind="generic" if self.alone else None, squeeze=True))
        if any(s.kind == "uniform" and self._mixed(s) for s in series):
            series = list(tif.series(kind="generic", squeeze=True))
        if self.ome and (len(series) != len(self.ome.images) or any(s.kind != "ome" for s in series)):
            said = f"its OME-XML describes {len(self.ome.images)} images, but not all have pages"
            raise self._problem("tiff.pages", said)
        inside = {p.offset for p in self.pages}
        main = [s for s in series if s.keyframe.offset in inside or self.ome]
        full = [s for s in main if not s.keyframe.is_reduced] or main
        if len(full) < len(series):
            self.warnings.append(f"{len(series) - len(full)} reduced or attached images are left out")
        if any(self._mixed(s) for s in full):
            raise self._problem("tiff.pages", "pages of one image differ in size, type or storage")
        self._check_leftover(full)
        return full

    def _mixed(self, series: Any) -> bool:
        forms = {(key, p.offset): p.form for key, pages in self.walked.items() for p in pages}
        own = {forms.get((self._key(p), p.offset)) for p in series if p is not None}
        return len(own) > 1

    def _check_leftover(self, series: Sequence[Any]) -> None:
        """No page may be dropped: by a header's count, or by a library."""
        used: set[int] = set()
        runs: list[tuple[int, int]] = []
        for s in series:
            used.update(p.offset for level in s.levels for p in level if p is not None and self._key(p) == self.key)
            if len(s) == 1:
                start = s.keyframe.dataoffsets[0]
                runs.append((start, start + math.prod(s.shape) * s.dtype.itemsize))
        lost = [
            n
            for n, p in enumerate(self.pages, 1)
            if p.offset not in used and not p.reduced and not any(a <= int(p.offsets[0]) < b for a, b in runs)
        ]
        if lost:
            raise self._problem(
                "tiff.pages",
                f"{len(lost)} of its {len(self.pages)} pages belong to no image that its header describes "
                f"(the first is page {lost[0]})",
            )

    def _key(self, page: Any) -> str:
        name = page.parent.filehandle.name.casefold()
        return next((k for k in self.walked if PurePosixPath(k).name.casefold() == name), self.key)

    def _image(self, tif: Any, series: Any, index: int, total: int) -> Image:
        plane_axes, plane_shape = _named(series.keyframe.axes), tuple(series.keyframe.shape)
        lead = len(series.shape) - len(plane_shape)
        if tuple(series.shape[lead:]) != plane_shape or _named(series.axes)[lead:] != plane_axes or lead < 0:
            raise self._problem("image.unsupported", f"its shape {series.shape} does not consist of whole pages")
        axes, shape = _named(series.axes)[:lead], tuple(int(n) for n in series.shape[:lead])
        settings: dict[str, str] = {}
        if set(axes) <= {"q"} and not self.ome and not self.pairs:
            settings = _scanimage.header(self.description, str(series.keyframe.software), _static(tif))
        if settings:
            axes, shape = _scanimage.layout(settings, math.prod(shape), self.key)
        axes = declared((*axes, *plane_axes), self.options, self.key)[: len(axes)]
        if "y" not in plane_axes or len(set(plane_axes)) != len(plane_axes):
            raise self._problem("image.unsupported", f"its pages have the axes {''.join(plane_axes)}")
        meta = self._meta(series, index, axes, settings)
        planes = math.prod(shape)
        channels = shape[axes.index("c")] if "c" in axes else 1
        size = {a: plane_shape[plane_axes.index(a)] for a in "xy"}
        meta.facts.update(x=str(size["x"]), y=str(size["y"]), z=str(planes // channels))
        return Image(
            name=f"series{index}" if total > 1 else "",
            format=FORMAT,
            facts=meta.facts,
            header=self._header(tif, series),
            arrays={"pixels": self._pixels(series, axes, shape, plane_axes)},
            warnings=(*self.warnings, *meta.warnings),
            close=self.files.close,
            spacing=meta.spacing,
            channels=meta.channels if len(meta.channels) == channels else (),
            acquired=meta.acquired,
        )

    def _meta(self, series: Any, index: int, axes: tuple[str, ...], settings: Mapping[str, str]) -> Meta:
        meta = Meta()
        tags = series.keyframe.tags
        x, y = _ratio(tags.get(282)), _ratio(tags.get(283))
        if self.ome:
            _ome.describe(meta, self.ome, index, axes)
        elif settings:
            _scanimage.describe(meta, settings, axes)
        elif self.pairs:
            imagej(meta, self.pairs, x, y, axes)
            labels = (series.keyframe.parent.imagej_metadata or {}).get("Labels")
            meta.channels = tuple(labels) if isinstance(labels, list) and axes == ("c",) else ()
        elif series.kind == "stk":
            metamorph(meta, series.keyframe.parent.stk_metadata or {}, self.description)
        else:
            unit = tags.get(296)
            plain_resolution(meta, x, y, int(unit.value) if unit else 2)
        return meta

    def _pixels(
        self, series: Any, axes: tuple[str, ...], shape: tuple[int, ...], plane_axes: tuple[str, ...]
    ) -> LazyArray:
        keyframe, pages = series.keyframe, list(series)
        if series.dtype is None:
            raise self._problem("image.unsupported", f"samples of {keyframe.bitspersample} bits are not read")
        if any(p is None for p in pages):
            raise self._problem("tiff.pages", f"{sum(p is None for p in pages)} of its planes are in no file")
        dtype = np.dtype(series.dtype).newbyteorder("=")
        plane_shape = tuple(int(n) for n in keyframe.shape)
        planes: Planes
        rows = 1
        if len(pages) == 1 and math.prod(shape) > 1:
            planes = self._run(keyframe, math.prod(shape), plane_shape, dtype)
        elif len(pages) != math.prod(shape):
            raise self._problem(
                "tiff.pages", f"its header describes {math.prod(shape)} planes, but there are {len(pages)} pages"
            )
        elif all(p.is_final for p in pages):
            starts = np.array([p.dataoffsets[0] for p in pages], np.int64)
            planes = RawPlanes(self.files, self._keys(pages), starts, plane_shape, _stored(keyframe, dtype))  # type: ignore[arg-type]
        else:
            planes, rows = self._segments(pages, plane_axes)
        return plane_array(planes, (*axes, *plane_axes), (*shape, *plane_shape), plane_shape, dtype, rows)

    def _run(self, keyframe: Any, planes: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> RawPlanes:
        """All planes in one run of bytes behind a single directory (ImageJ, MetaMorph, tifffile)."""
        start, plane = int(keyframe.dataoffsets[0]), math.prod(shape) * dtype.itemsize
        size = self.source.path().stat().st_size
        if not keyframe.is_final or start + planes * plane > size:
            held = (size - start) // plane if keyframe.is_final else 1
            raise self._problem("tiff.pages", f"its header promises {planes} planes, but the file holds {held}")
        starts = range(start, start + planes * plane, plane)
        return RawPlanes(self.files, [self.key], starts, shape, _stored(keyframe, dtype))

    def _keys(self, pages: Sequence[Any]) -> list[str]:
        keys = [self._key(p) for p in pages] if len(self.walked) > 1 else [self.key]
        return keys if len(set(keys)) > 1 else keys[:1]

    def _segments(self, pages: Sequence[Any], plane_axes: tuple[str, ...]) -> tuple[SegmentPlanes, int]:
        keyframe = pages[0].keyframe
        separate, depth, length, width, samples = keyframe.shaped
        if keyframe.is_tiled:
            chunk = (1, max(keyframe.tiledepth, 1), keyframe.tilelength, keyframe.tilewidth)
        else:
            chunk = (1, 1, min(keyframe.rowsperstrip or length, length), width)
        needed = math.prod(math.ceil(n / c) for n, c in zip((separate, depth, length, width), chunk, strict=True))
        decoders = [p.keyframe.decode for p in pages]  # made here: their first use is not thread-safe
        tables: list[dict[str, Any]] = [{} for _ in pages]
        if keyframe.compression in _JPEG:
            tables = [{"jpegtables": p.jpegtables, "jpegheader": p.keyframe.jpegheader} for p in pages]
        segments = [(np.array(p.dataoffsets, np.int64), np.array(p.databytecounts, np.int64)) for p in pages]
        for number, (offsets, _counts) in enumerate(segments, 1):
            if len(offsets) < needed:
                raise self._problem(
                    "tiff.damaged", f"page {number} has {len(offsets)} of the {needed} strips or tiles that it needs"
                )

        def decode(data: bytes, segment: int, plane: int) -> np.ndarray:
            try:
                pixels = decoders[plane](data, segment, **tables[plane])[0]
            except Exception as error:
                raise self._problem(
                    "tiff.damaged", f"page {plane + 1} cannot be decoded at strip or tile {segment} ({_short(error)})"
                ) from error
            return np.asarray(pixels)

        grid = (separate, depth, length, width)
        planes = SegmentPlanes(self.files, self._keys(pages), segments, decode, grid, chunk, samples, plane_axes)
        return planes, chunk[2]

    def _header(self, tif: Any, series: Any) -> dict[str, Any]:
        header: dict[str, Any] = {"kind": series.kind, "tags": tags_as_json(series.keyframe)}
        if series.name:
            header["name"] = series.name
        header["byte_order"] = "little" if tif.byteorder == "<" else "big"
        later: dict[str, str] = {}
        kept = 0
        for number, page in enumerate(self.pages[1:], 2):
            if page.description is None:
                continue
            kept += page.description[1]
            if kept > MAX_PAGE_TEXT:
                header["page_descriptions_cut"] = f"from page {number} of {len(self.pages)} on"
                break
            if (text := self._text(page)) and text != self.description:
                later[str(number)] = text
        if later:
            header["page_descriptions"] = later
        return header

    def _problem(self, id: str, why: str) -> Problem:
        return problem(id, f"{self.key}: {why}", file=self.key)


_COUNTS = ("images", "channels", "slices", "frames")


class _Ear(logging.Handler):
    """What tifffile logs in this thread; other threads read other files."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.said.append(record.getMessage())


def _static(tif: Any) -> Mapping[str, Any]:
    """Settings in the binary header of ScanImage's BigTIFF files; empty elsewhere."""
    try:
        return tifffile.read_scanimage_metadata(tif.filehandle)[0] or {}
    except ValueError:
        return {}


def _named(letters: str) -> tuple[str, ...]:
    """Axis letters of tifffile as ours: Q and I are not declared."""
    return tuple("q" if a in "QI" else a.lower() for a in letters)


def _ratio(tag: Any) -> tuple[int, int] | None:
    value = tag.value if tag is not None else None
    return (int(value[0]), int(value[1])) if isinstance(value, tuple) and len(value) == 2 else None


def _stored(keyframe: Any, dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder(keyframe.parent.byteorder)


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}".rstrip(": ")
