"""TIFF: plain, Big, tiled, compressed, ImageJ, OME (sets of files too), ScanImage, MetaMorph.

Pages and their data are checked against the file's size first (`..images.ifd`); tifffile then
says how pages form images and decodes strips and tiles. An axis that the file does not
name is ``q``, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import tifffile

from ...model import budget
from ...model.content import Image, LazyArray
from ...model.finding import Problem, problem
from ...model.source import Source
from ..images.calibration import Meta, count, imagej, key_values, metamorph, plain_resolution
from ..images.codestream import stated_extent
from ..images.ifd import walk
from ..images.page import Hostile, Page, check_segment
from ..images.pixels import Files, Planes, RawPlanes, SegmentPlanes, declared, plane_array
from ..stamp import check_unchanged
from . import FORMAT, is_companion, ome_xml, scanimage
from .series import Series, Whole, find_series, listened, short
from .tags import tags_as_json

MAX_PAGE_TEXT = 2**20
"""Characters of all later pages' descriptions together that the header keeps."""
_JPEG = (6, 7, 33007, 34892)


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
        self.ome: ome_xml.Ome | None = None
        self.members: dict[str, str] = {}
        self.pairs: dict[str, str] = {}
        self.description = ""

    @property
    def pages(self) -> tuple[Page, ...]:
        """The pages of the main file."""
        return self.walked[self.key]

    def contents(self) -> tuple[Image, ...]:
        try:
            if is_companion(self.source.head()):
                self._start_at_companion()
            else:
                self._walk(self.key)
                self._check_description()
            # The log is complete, and so are the warnings, once tifffile is closed.
            with listened(self.key, self.warnings), ExitStack() as stack:
                series = self._ome_series(stack) if self.ome else self._series(self._open(stack, self.key))
                for one in series:
                    self._check_series(one)
                self._check_leftover(series)
                images = [self._image(s, i, len(series)) for i, s in enumerate(series)]
        except BaseException:
            self.files.close()
            raise
        return tuple(replace(image, warnings=(*self.warnings, *image.warnings)) for image in images)

    def _open(self, stack: ExitStack, key: str) -> Any:
        """The file in tifffile; bytes that it asks for behind the end are a truncation."""
        file = stack.enter_context(Whole(self.source.open_bytes(key)))

        def check() -> None:
            if file.failed:
                raise file.failed
            if file.short:
                at, length = file.short
                why = f"{length} bytes of metadata from byte {at} on lie beyond the end of the file"
                raise problem("tiff.truncated", f"{key}: {why}", file=key)

        # For ScanImage tifffile extrapolates page offsets and can lose the last page, so its layout is ours.
        stack.callback(check)
        return stack.enter_context(tifffile.TiffFile(file, is_scanimage=False))

    def _walk(self, key: str) -> None:
        with self.source.open(key) as file:
            stamp = file.stamp()
            self.files.remember(key, stamp)
            self.walked[key] = walk(file, stamp[0], key)
            check_unchanged(self.source.stamp(key), stamp, key)

    def _text(self, page: Page) -> str:
        if page.description is None:
            return ""
        data = self.files.read(self.key, *page.description)
        return data.rstrip(b"\0").decode("utf-8", "replace")

    def _check_description(self) -> None:
        """What the first page says about the others, and whether they are there."""
        self.description = self._text(self.pages[0])
        if ome_xml.looks_like(self.description) and not self.alone:
            self.ome = ome_xml.parse(self.description, self.key)
            if self.ome.companion:
                self._read_companion(self._beside(self.ome.companion))
            self._check_ome(self.ome)
        elif self.description.startswith("ImageJ="):
            self.pairs = key_values(self.description)
            if not self.alone:
                self._check_imagej()

    def _start_at_companion(self) -> None:
        """The row names the OME-XML itself: its first TIFF file is read as the main one."""
        self._read_companion(self.key)
        assert self.ome is not None
        if not self.ome.files:
            raise self._problem("tiff.member", "its OME-XML names no TIFF file")
        self.key = self._beside(self.ome.files[0])
        self._walk(self.key)
        self._check_ome(self.ome)

    def _read_companion(self, key: str) -> None:
        size = self.source.size(key)
        if size > budget.XML_BYTES:
            message = f"{key}: {size} bytes of OME-XML, more than {budget.XML_BYTES}"
            raise problem("image.hostile", message, file=key)
        text = self.source.read(key).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
        self.ome = ome_xml.parse(text, key)
        if self.ome.companion or not self.ome.images:
            raise problem("tiff.damaged", f"{key}: it describes no image", file=key)

    def _beside(self, name: str) -> str:
        plain = name == PurePosixPath(name.replace("\\", "/")).name
        member = self.source.sibling(name) if plain else None
        if member is None:
            raise self._problem("tiff.member", f"its OME-XML names the file {name!r}, which is not beside it")
        return member

    def _check_ome(self, ome: ome_xml.Ome) -> None:
        if ome.key in self.walked:
            self.members[""] = ome.key
        missing = []
        for name in ome.files:
            own = name.casefold() == PurePosixPath(self.key).name.casefold()
            try:
                self.members[name.casefold()] = member = self.key if own else self._beside(name)
            except Problem as error:
                missing.append(error)
                continue
            if member not in self.walked:
                self._walk(member)
        if missing:
            others = f"; {len(missing) - 1} other files are missing too" if len(missing) > 1 else ""
            raise self._problem("tiff.member", missing[0].finding.message.split(": ", 1)[1] + others)
        needed, held = ome.planes(), sum(len(pages) for pages in self.walked.values())
        if needed > held:
            raise self._problem("tiff.pages", f"its OME-XML promises {needed} planes, but there are {held} pages")
        for axis in sorted(ome.modulo):
            self.warnings.append(f"the OME-XML interleaves two things along {axis.lower()}: its axis is left open (q)")

    def _check_imagej(self) -> None:
        """ImageJ keeps large stacks as one page and one run of bytes; tifffile falls back silently."""
        sizes = [count(self.pairs.get(k)) for k in _COUNTS]
        first, held = self.pages[0], len(self.pages)
        promised = max(sizes[0], math.prod(sizes[1:]))
        if promised in (1, held, held * first.samples):
            return
        end = self.pages[1].offset if held > 1 else self.source.size()
        room = 1 if first.compressed else max(end - int(first.offsets[0]), 0) // first.nbytes
        if promised > room and promised // first.samples > room:
            said = f"its ImageJ header promises {promised} images, but the file holds {max(held, room)}"
            raise self._problem("tiff.pages", said)

    def _series(self, tif: Any) -> list[Series]:
        """Images of the main chain, reduced versions apart."""
        found, left_out = find_series(tif, self.pages, self.key, self.alone)
        if left_out:
            self.warnings.append(f"{int(left_out)} reduced or attached images are left out")
        return found

    def _ome_series(self, stack: ExitStack) -> list[Series]:
        """The images that the OME-XML describes, in this file or in several."""
        assert self.ome is not None
        opened: dict[str, Any] = {}
        counts = {key: len(pages) for key, pages in self.walked.items()}
        found = []
        for index in range(len(self.ome.images)):
            layout = ome_xml.lay_out(self.ome, index, self.members, counts)
            key, number = layout.planes[0]
            if key not in opened:
                opened[key] = self._open(stack, key)
            keyframe = opened[key].pages[number]
            planes = [(k, self.walked[k][n]) for k, n in layout.planes]
            if layout.size != (keyframe.imagelength, keyframe.imagewidth):
                size = f"{keyframe.imagewidth} x {keyframe.imagelength}"
                said = f"its OME-XML says {layout.size[1]} x {layout.size[0]} pixels, but the pages have {size}"
                raise self._problem("tiff.pages", said)
            shape = (*layout.shape, *keyframe.shape)
            found.append(Series("ome", layout.name, layout.axes + keyframe.axes, shape, keyframe, planes))
        if not found:
            raise self._problem("tiff.pages", "its OME-XML describes no image")
        return found

    def _check_series(self, series: Series) -> None:
        plane, lead = series.keyframe, series.lead
        if lead < 0 or series.shape[lead:] != tuple(plane.shape) or series.axes[lead:] != plane.axes:
            raise self._problem("image.unsupported", f"its shape {series.shape} does not consist of whole pages")
        if series.mixed:
            raise self._problem("tiff.pages", "pages of one image differ in size, type or storage")
        if len(series.planes) != series.count and not series.one_run:
            said = f"its header describes {series.count} planes, but there are {len(series.planes)} pages"
            raise self._problem("tiff.pages", said)
        if series.keyframe.dtype is None:
            bits = series.keyframe.bitspersample
            raise self._problem("image.unsupported", f"samples of {bits} bits are not read")

    def _check_leftover(self, series: Sequence[Series]) -> None:
        """No page may be dropped: by a header's count, or by a library."""
        used = {page.offset for s in series for key, page in s.planes if key == self.key}
        used.update(*(s.levels for s in series))
        runs = []
        for s in series:
            if len(s.planes) == 1:
                start = int(s.first.offsets[0])
                runs.append((start, start + math.prod(s.shape) * s.keyframe.dtype.itemsize))
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

    def _image(self, series: Series, index: int, total: int) -> Image:
        keyframe = series.keyframe
        plane_axes, lead = _named(keyframe.axes), series.lead
        axes, shape = _named(series.axes)[:lead], series.shape[:lead]
        settings: dict[str, str] = {}
        if set(axes) <= {"q"} and not self.ome and not self.pairs:
            settings = scanimage.header(self.description, str(keyframe.software), _static(keyframe.parent))
        if settings:
            axes, shape = scanimage.layout(settings, math.prod(shape), self.key)
        axes = declared((*axes, *plane_axes), self.options, self.key)[: len(axes)]
        if "y" not in plane_axes or len(set(plane_axes)) != len(plane_axes):
            raise self._problem("image.unsupported", f"its pages have the axes {''.join(plane_axes)}")
        meta = self._meta(series, index, axes, settings)
        planes = math.prod(shape)
        channels = shape[axes.index("c")] if "c" in axes else 1
        size = {a: keyframe.shape[plane_axes.index(a)] for a in "xy"}
        meta.facts.update(x=str(size["x"]), y=str(size["y"]), z=str(planes // channels))
        self._add_storage(meta, series)
        return Image(
            name=f"series{index}" if total > 1 else "",
            format=FORMAT.name,
            facts=meta.facts,
            header=self._header(series),
            arrays={"pixels": self._pixels(series, axes, shape, plane_axes)},
            warnings=tuple(meta.warnings),
            close=self.files.close,
            spacing=meta.spacing,
            channels=meta.channels if len(meta.channels) == channels else (),
            acquired=meta.acquired,
        )

    def _add_storage(self, meta: Meta, series: Series) -> None:
        """What must be known of how pixels are stored, to read them right."""
        if series.first.inverted and series.first.samples == 1:
            meta.facts["photometric"] = "MinIsWhite"
            meta.warnings.append("0 is white and the largest value black (MinIsWhite): pixels are kept as stored")
        if holes := sum(page.holes for _, page in series.planes):
            fill = _fill(series.keyframe)
            meta.warnings.append(f"{holes} strips or tiles were never written (sparse file): they are read as {fill}")

    def _meta(self, series: Series, index: int, axes: tuple[str, ...], settings: Mapping[str, str]) -> Meta:
        meta = Meta()
        tags = series.keyframe.tags
        x, y = _ratio(tags.get(282)), _ratio(tags.get(283))
        if self.ome:
            ome_xml.describe(meta, self.ome, index, axes)
        elif settings:
            scanimage.describe(meta, settings, axes)
        elif self.pairs:
            imagej(meta, self.pairs, x, y, axes)
            labels = (series.keyframe.parent.imagej_metadata or {}).get("Labels")
            meta.channels = tuple(labels) if isinstance(labels, list) and axes == ("c",) else ()
        elif series.kind == "stk":
            metamorph(meta, series.keyframe.parent.stk_metadata or {}, self.description)
        else:
            unit = tags.get(296)
            plain_resolution(meta, x, y, unit.value if unit and isinstance(unit.value, int) else 2)
        return meta

    def _pixels(
        self, series: Series, axes: tuple[str, ...], shape: tuple[int, ...], plane_axes: tuple[str, ...]
    ) -> LazyArray:
        keyframe = series.keyframe
        dtype = np.dtype(keyframe.dtype).newbyteorder("=")
        plane_shape = tuple(int(n) for n in keyframe.shape)
        planes: Planes
        rows = 1
        if series.one_run:
            planes = self._run(series, plane_shape, dtype)
        elif keyframe.is_final and all(page.runs for _, page in series.planes):
            starts = np.array([page.offsets[0] for _, page in series.planes], np.int64)
            stored = _stored(dtype, series.first)
            planes = RawPlanes(self.files, _keys(series), starts, plane_shape, stored)  # type: ignore[arg-type]
        else:
            planes, rows = self._segments(series, plane_axes)
        return plane_array(planes, (*axes, *plane_axes), (*shape, *plane_shape), plane_shape, dtype, rows)

    def _run(self, series: Series, shape: tuple[int, ...], dtype: np.dtype[Any]) -> RawPlanes:
        """All planes in one run of bytes behind a single directory (ImageJ, MetaMorph, tifffile)."""
        planes, start = series.count, int(series.first.offsets[0])
        plane = math.prod(shape) * dtype.itemsize
        size = self.source.size(self.key)
        whole = series.keyframe.is_final and start > 0
        if not whole or start + planes * plane > size:
            held = (size - start) // plane if whole else 1
            raise self._problem("tiff.pages", f"its header promises {planes} planes, but the file holds {held}")
        starts = range(start, start + planes * plane, plane)
        return RawPlanes(self.files, [self.key], starts, shape, _stored(dtype, series.first))

    def _segments(self, series: Series, plane_axes: tuple[str, ...]) -> tuple[SegmentPlanes, int]:
        keyframe = series.keyframe
        separate, depth, length, width, samples = keyframe.shaped
        if keyframe.is_tiled:
            chunk = (1, max(keyframe.tiledepth, 1), keyframe.tilelength, keyframe.tilewidth)
        else:
            chunk = (1, 1, min(keyframe.rowsperstrip or length, length), width)
        grid = (separate, depth, length, width)
        if not all(chunk):
            raise self._problem("tiff.damaged", "its strips or tiles have no extent")
        needed = math.prod(math.ceil(n / c) for n, c in zip(grid, chunk, strict=True))
        nbytes = math.prod(chunk) * samples * keyframe.dtype.itemsize
        for number, (_, page) in enumerate(series.planes, 1):
            if len(page.offsets) < needed:
                said = f"page {number} has {len(page.offsets)} of the {needed} strips or tiles that it needs"
                raise self._problem("tiff.damaged", said)
            try:
                check_segment(nbytes, int(np.max(page.counts)))
            except Hostile as error:
                raise self._problem("image.hostile", f"a strip or tile of page {number} {error}") from error
        segments = [(page.offsets, page.counts) for _, page in series.planes]
        decode, fill = self._decoder(series, math.prod(chunk)), _fill(keyframe)
        planes = SegmentPlanes(self.files, _keys(series), segments, decode, grid, chunk, samples, plane_axes, fill)
        return planes, chunk[2]

    def _check_codestream(self, data: bytes, segment: int, plane: int, expected: int) -> None:
        """A compressed image decodes to the extent that it states itself; it must be about that of its page."""
        width, height = stated_extent(data) or (0, 0)
        if width * height > 4 * expected + budget.IMAGE_SLACK:
            raise self._problem(
                "image.hostile",
                f"strip or tile {segment} of page {plane + 1} states {width} x {height} pixels, where {expected} fit",
            )

    def _decoder(self, series: Series, expected: int) -> Callable[[bytes, int, int], np.ndarray]:
        decode_segment = series.keyframe.decode  # made here: its first use is not thread-safe
        images = series.keyframe.compression in tifffile.TIFF.IMAGE_COMPRESSIONS
        jpeg = series.keyframe.compression in _JPEG
        header = series.keyframe.jpegheader if jpeg else None

        def decode(data: bytes, segment: int, plane: int) -> np.ndarray:
            key, page = series.planes[plane]
            tables = {"jpegtables": self._tables(key, page), "jpegheader": header} if jpeg else {}
            if images:
                self._check_codestream(data, segment, plane, expected)
            try:
                pixels = decode_segment(data, segment, **tables)[0]
            except (Exception, MemoryError) as error:
                raise self._problem(
                    "tiff.damaged", f"page {plane + 1} cannot be decoded at strip or tile {segment} ({short(error)})"
                ) from error
            return np.asarray(pixels)

        return decode

    def _tables(self, key: str, page: Page) -> bytes | None:
        return self.files.read(key, *page.tables) if page.tables else None

    def _header(self, series: Series) -> dict[str, Any]:
        header: dict[str, Any] = {"kind": series.kind, "tags": tags_as_json(series.keyframe)}
        if series.name:
            header["name"] = series.name
        header["byte_order"] = "little" if series.first.order == "<" else "big"
        if series.first.inverted:
            header["photometric"] = "MinIsWhite"
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


def _keys(series: Series) -> list[str]:
    keys = [key for key, _ in series.planes]
    return keys if len(set(keys)) > 1 else keys[:1]


def _stored(dtype: np.dtype[Any], page: Page) -> np.dtype[Any]:
    return dtype.newbyteorder("<" if page.order == "<" else ">")


def _fill(keyframe: Any) -> Any:
    """The value of strips and tiles that were never written: GDAL's tag states it, else 0."""
    return np.dtype(keyframe.dtype).type(keyframe.nodata or 0).item()
