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
from ..images.calibration import (
    ImageMetadata,
    apply_imagej,
    apply_metamorph,
    apply_resolution,
    parse_count,
    parse_key_values,
)
from ..images.codestream import read_stated_extent
from ..images.ifd import list_pages
from ..images.page import HostileClaim, Page, check_segment_size
from ..images.pixels import OpenFiles, Planes, RawPlanes, SegmentPlanes, apply_declared_axes, build_plane_array
from ..stamp import check_unchanged
from . import FORMAT, is_companion, ome_xml, scanimage
from .series import CheckedReader, PageSeries, capture_log, find_series, format_error
from .tags import convert_tags

MAX_PAGE_TEXT = 2**20
"""Characters of all later pages' descriptions together that the header keeps."""
_JPEG_CODECS = (6, 7, 33007, 34892)


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One content an image of the file; reduced versions (thumbnails, pyramids) are left out.

    Raises
    ------
    Problem
        ``tiff.truncated``, ``tiff.damaged``, ``tiff.pages``, ``tiff.member``,
        ``image.unsupported``, ``image.hostile``, ``file.empty``.
    """
    return _TiffReader(source, options).read_contents()


def read_slice(source: Source, page: int | None = None) -> Image:
    """A file of one page that is a slice of a stack, whatever stack its header speaks of; or page `page`, from 0."""
    return _TiffReader(source, {}, is_slice=True, page=page).read_contents()[0]


class _TiffReader:
    """One file (or OME set) while its headers are read; `is_slice`: a page cut out of a stack, which is `page`."""

    def __init__(
        self, source: Source, options: Mapping[str, Any], is_slice: bool = False, page: int | None = None
    ) -> None:
        self.source, self.key, self.options, self.is_slice, self.page = source, source.key, options, is_slice, page
        self.files = OpenFiles(source)
        self.pages_by_file: dict[str, tuple[Page, ...]] = {}
        self.warnings: list[str] = []
        self.ome: ome_xml.OmeDocument | None = None
        self.members: dict[str, str] = {}
        self.pairs: dict[str, str] = {}
        self.description = ""

    @property
    def pages(self) -> tuple[Page, ...]:
        """The pages of the main file."""
        return self.pages_by_file[self.key]

    def read_contents(self) -> tuple[Image, ...]:
        try:
            if is_companion(self.source.head()):
                self._start_at_companion()
            else:
                self._read_pages(self.key)
                self._interpret_description()
            # The log is complete, and so are the warnings, once tifffile is closed.
            with capture_log(self.key, self.warnings), ExitStack() as stack:
                if self.ome:
                    series = self._list_ome_series(stack)
                else:
                    series = self._list_series(self._open_tifffile(stack, self.key))
                for one in series:
                    self._check_series(one)
                if self.page is None:
                    self._check_unused_pages(series)
                images = [self._build_image(s, i, len(series)) for i, s in enumerate(series)]
        except BaseException:
            self.files.close()
            raise
        return tuple(replace(image, warnings=(*self.warnings, *image.warnings)) for image in images)

    def _open_tifffile(self, stack: ExitStack, key: str) -> Any:
        """The file in tifffile; bytes that it asks for behind the end are a truncation."""
        file = stack.enter_context(CheckedReader(self.source.open_bytes(key)))

        def check_reads() -> None:
            if file.failure:
                raise file.failure
            if file.short_read:
                at, length = file.short_read
                reason = f"{length} bytes of metadata from byte {at} on lie beyond the end of the file"
                raise problem("tiff.truncated", f"{key}: {reason}", file=key)

        # For ScanImage tifffile extrapolates page offsets and can lose the last page, so its layout is ours.
        stack.callback(check_reads)
        return stack.enter_context(tifffile.TiffFile(file, is_scanimage=False))

    def _read_pages(self, key: str) -> None:
        with self.source.open(key) as file:
            stamp = file.stamp()
            self.files.remember_stamp(key, stamp)
            self.pages_by_file[key] = list_pages(file, stamp[0], key)
            check_unchanged(self.source.stamp(key), stamp, key)

    def _read_description(self, page: Page) -> str:
        if page.description is None:
            return ""
        data = self.files.read(self.key, *page.description)
        return data.rstrip(b"\0").decode("utf-8", "replace")

    def _interpret_description(self) -> None:
        """What the first page says about the others, and whether they are there."""
        self.description = self._read_description(self.pages[0])
        if ome_xml.is_ome_xml(self.description) and not self.is_slice:
            self.ome = ome_xml.parse_ome_xml(self.description, self.key)
            if self.ome.companion:
                self._read_companion(self._locate_member(self.ome.companion))
            self._check_members(self.ome)
        elif self.description.startswith("ImageJ="):
            self.pairs = parse_key_values(self.description)
            if not self.is_slice:
                self._check_imagej()

    def _start_at_companion(self) -> None:
        """The row names the OME-XML itself: its first TIFF file is read as the main one."""
        self._read_companion(self.key)
        assert self.ome is not None
        if not self.ome.files:
            raise self._make_problem("tiff.member", "its OME-XML names no TIFF file")
        self.key = self._locate_member(self.ome.files[0])
        self._read_pages(self.key)
        self._check_members(self.ome)

    def _read_companion(self, key: str) -> None:
        size = self.source.size(key)
        if size > budget.XML_BYTES:
            message = f"{key}: {size} bytes of OME-XML, more than {budget.XML_BYTES}"
            raise problem("image.hostile", message, file=key)
        text = self.source.read(key).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
        self.ome = ome_xml.parse_ome_xml(text, key)
        if self.ome.companion or not self.ome.images:
            raise problem("tiff.damaged", f"{key}: it describes no image", file=key)

    def _locate_member(self, name: str) -> str:
        plain = name == PurePosixPath(name.replace("\\", "/")).name
        member = self.source.sibling(name) if plain else None
        if member is None:
            raise self._make_problem("tiff.member", f"its OME-XML names the file {name!r}, which is not beside it")
        return member

    def _check_members(self, ome: ome_xml.OmeDocument) -> None:
        if ome.key in self.pages_by_file:
            self.members[""] = ome.key
        missing = []
        for name in ome.files:
            own = name.casefold() == PurePosixPath(self.key).name.casefold()
            try:
                self.members[name.casefold()] = member = self.key if own else self._locate_member(name)
            except Problem as error:
                missing.append(error)
                continue
            if member not in self.pages_by_file:
                self._read_pages(member)
        if missing:
            others = f"; {len(missing) - 1} other files are missing too" if len(missing) > 1 else ""
            raise self._make_problem("tiff.member", missing[0].finding.message.split(": ", 1)[1] + others)
        needed, page_count = ome.count_planes(), sum(len(pages) for pages in self.pages_by_file.values())
        if needed > page_count:
            raise self._make_problem(
                "tiff.pages", f"its OME-XML promises {needed} planes, but there are {page_count} pages"
            )
        for axis in sorted(ome.modulo):
            self.warnings.append(f"the OME-XML interleaves two things along {axis.lower()}: its axis is left open (q)")

    def _check_imagej(self) -> None:
        """ImageJ keeps large stacks as one page and one run of bytes; tifffile falls back silently."""
        sizes = [parse_count(self.pairs.get(k)) for k in _IMAGEJ_COUNTS]
        first, held = self.pages[0], len(self.pages)
        promised = max(sizes[0], math.prod(sizes[1:]))
        if promised in (1, held, held * first.samples):
            return
        end = self.pages[1].offset if held > 1 else self.source.size()
        room = 1 if first.is_compressed else max(end - int(first.offsets[0]), 0) // first.nbytes
        if promised > room and promised // first.samples > room:
            message = f"its ImageJ header promises {promised} images, but the file holds {max(held, room)}"
            raise self._make_problem("tiff.pages", message)

    def _list_series(self, tif: Any) -> list[PageSeries]:
        """Images of the main chain, reduced versions apart."""
        series, left_out = find_series(tif, self.pages, self.key, self.is_slice, self.page or 0)
        if left_out:
            self.warnings.append(f"{int(left_out)} reduced or attached images are left out")
        return series

    def _list_ome_series(self, stack: ExitStack) -> list[PageSeries]:
        """The images that the OME-XML describes, in this file or in several."""
        assert self.ome is not None
        opened: dict[str, Any] = {}
        counts = {key: len(pages) for key, pages in self.pages_by_file.items()}
        series = []
        for index in range(len(self.ome.images)):
            layout = ome_xml.build_layout(self.ome, index, self.members, counts)
            key, number = layout.planes[0]
            if key not in opened:
                opened[key] = self._open_tifffile(stack, key)
            keyframe = opened[key].pages[number]
            planes = [(k, self.pages_by_file[k][n]) for k, n in layout.planes]
            if layout.size != (keyframe.imagelength, keyframe.imagewidth):
                size = f"{keyframe.imagewidth} x {keyframe.imagelength}"
                message = f"its OME-XML says {layout.size[1]} x {layout.size[0]} pixels, but the pages have {size}"
                raise self._make_problem("tiff.pages", message)
            shape = (*layout.shape, *keyframe.shape)
            series.append(PageSeries("ome", layout.name, layout.axes + keyframe.axes, shape, keyframe, planes))
        if not series:
            raise self._make_problem("tiff.pages", "its OME-XML describes no image")
        return series

    def _check_series(self, series: PageSeries) -> None:
        plane, lead = series.keyframe, series.lead_count
        if lead < 0 or series.shape[lead:] != tuple(plane.shape) or series.axes[lead:] != plane.axes:
            raise self._make_problem("image.unsupported", f"its shape {series.shape} does not consist of whole pages")
        if series.is_mixed:
            raise self._make_problem("tiff.pages", "pages of one image differ in size, type or storage")
        if len(series.planes) != series.plane_count and not series.is_one_run:
            message = f"its header describes {series.plane_count} planes, but there are {len(series.planes)} pages"
            raise self._make_problem("tiff.pages", message)
        if series.keyframe.dtype is None:
            bits = series.keyframe.bitspersample
            raise self._make_problem("image.unsupported", f"samples of {bits} bits are not read")

    def _check_unused_pages(self, series: Sequence[PageSeries]) -> None:
        """No page may be dropped: by a header's count, or by a library."""
        used = {page.offset for s in series for key, page in s.planes if key == self.key}
        used.update(*(s.levels for s in series))
        runs = []
        for s in series:
            if len(s.planes) == 1:
                start = int(s.first_page.offsets[0])
                runs.append((start, start + math.prod(s.shape) * s.keyframe.dtype.itemsize))
        unused = []
        for number, page in enumerate(self.pages, 1):
            if page.offset in used or page.is_reduced:
                continue
            # The directories of an image in one run of bytes may all be there, and point into the run.
            if not any(start <= int(page.offsets[0]) < end for start, end in runs):
                unused.append(number)
        if unused:
            raise self._make_problem(
                "tiff.pages",
                f"{len(unused)} of its {len(self.pages)} pages belong to no image that its header describes "
                f"(the first is page {unused[0]})",
            )

    def _build_image(self, series: PageSeries, index: int, total: int) -> Image:
        keyframe = series.keyframe
        plane_axes, lead = _convert_axes(keyframe.axes), series.lead_count
        axes, shape = _convert_axes(series.axes)[:lead], series.shape[:lead]
        settings: dict[str, str] = {}
        if set(axes) <= {"q"} and not self.ome and not self.pairs:
            settings = scanimage.collect_settings(
                self.description, str(keyframe.software), _read_static_settings(keyframe.parent)
            )
        if settings:
            axes, shape = scanimage.derive_axes(settings, math.prod(shape), self.key)
        axes = apply_declared_axes((*axes, *plane_axes), self.options, self.key)[: len(axes)]
        if "y" not in plane_axes or len(set(plane_axes)) != len(plane_axes):
            raise self._make_problem("image.unsupported", f"its pages have the axes {''.join(plane_axes)}")
        meta = self._read_metadata(series, index, axes, settings)
        planes = math.prod(shape)
        channels = shape[axes.index("c")] if "c" in axes else 1
        size = {a: keyframe.shape[plane_axes.index(a)] for a in "xy"}
        meta.facts.update(x=str(size["x"]), y=str(size["y"]), z=str(planes // channels))
        self._add_storage_facts(meta, series)
        return Image(
            name=f"series{index}" if total > 1 else "",
            format=FORMAT.name,
            facts=meta.facts,
            header=self._build_header(series),
            arrays={"pixels": self._build_pixels(series, axes, shape, plane_axes)},
            warnings=tuple(meta.warnings),
            close=self.files.close,
            spacing=meta.spacing,
            channels=meta.channels if len(meta.channels) == channels else (),
            acquired=meta.acquired,
        )

    def _add_storage_facts(self, meta: ImageMetadata, series: PageSeries) -> None:
        """What must be known of how pixels are stored, to read them right."""
        if series.first_page.is_inverted and series.first_page.samples == 1:
            meta.facts["photometric"] = "MinIsWhite"
            meta.warnings.append("0 is white and the largest value black (MinIsWhite): pixels are kept as stored")
        # The map of ImageJ and Bio-Formats only shows intensities in colours.
        if series.first_page.photometric == "palette" and series.kind not in ("imagej", "ome"):
            meta.warnings.append("its pixels are numbers of colours in a colour map, and are kept as stored")
        if holes := sum(page.hole_count for _, page in series.planes):
            fill = _get_fill_value(series.keyframe)
            meta.warnings.append(f"{holes} strips or tiles were never written (sparse file): they are read as {fill}")

    def _read_metadata(
        self, series: PageSeries, index: int, axes: tuple[str, ...], settings: Mapping[str, str]
    ) -> ImageMetadata:
        meta = ImageMetadata()
        tags = series.keyframe.tags
        x, y = _read_ratio(tags.get(282)), _read_ratio(tags.get(283))
        if self.ome:
            ome_xml.apply_ome_xml(meta, self.ome, index, axes)
        elif settings:
            scanimage.apply_scanimage(meta, settings, axes)
        elif self.pairs:
            apply_imagej(meta, self.pairs, x, y, axes)
            labels = (series.keyframe.parent.imagej_metadata or {}).get("Labels")
            meta.channels = tuple(labels) if isinstance(labels, list) and axes == ("c",) else ()
        elif series.kind == "stk":
            apply_metamorph(meta, series.keyframe.parent.stk_metadata or {}, self.description)
        else:
            unit = tags.get(296)
            apply_resolution(meta, x, y, unit.value if unit and isinstance(unit.value, int) else 2)
        return meta

    def _build_pixels(
        self, series: PageSeries, axes: tuple[str, ...], shape: tuple[int, ...], plane_axes: tuple[str, ...]
    ) -> LazyArray:
        keyframe = series.keyframe
        dtype = np.dtype(keyframe.dtype).newbyteorder("=")
        plane_shape = tuple(int(n) for n in keyframe.shape)
        planes: Planes
        block: dict[str, int] | None = None
        if series.is_one_run:
            planes = self._build_one_run(series, plane_shape, dtype)
        elif keyframe.is_final and all(page.is_contiguous for _, page in series.planes):
            starts = np.array([page.offsets[0] for _, page in series.planes], np.int64)
            stored = _get_stored_dtype(dtype, series.first_page)
            planes = RawPlanes(self.files, _list_keys(series), starts, plane_shape, stored)  # type: ignore[arg-type]
        else:
            planes, block = self._build_segments(series, plane_axes)
        axes, shape, is_packed = (*axes, *plane_axes), (*shape, *plane_shape), block is not None
        return build_plane_array(planes, axes, shape, plane_shape, dtype, block, is_shared=is_packed)

    def _build_one_run(self, series: PageSeries, shape: tuple[int, ...], dtype: np.dtype[Any]) -> RawPlanes:
        """All planes in one run of bytes behind a single directory (ImageJ, MetaMorph, tifffile)."""
        planes, start = series.plane_count, int(series.first_page.offsets[0])
        plane = math.prod(shape) * dtype.itemsize
        size = self.source.size(self.key)
        whole = series.keyframe.is_final and start > 0
        if not whole or start + planes * plane > size:
            held = (size - start) // plane if whole else 1
            raise self._make_problem("tiff.pages", f"its header promises {planes} planes, but the file holds {held}")
        starts = range(start, start + planes * plane, plane)
        return RawPlanes(self.files, [self.key], starts, shape, _get_stored_dtype(dtype, series.first_page))

    def _build_segments(self, series: PageSeries, plane_axes: tuple[str, ...]) -> tuple[SegmentPlanes, dict[str, int]]:
        keyframe = series.keyframe
        separate, depth, length, width, samples = keyframe.shaped
        if keyframe.is_tiled:
            chunk = (1, max(keyframe.tiledepth, 1), keyframe.tilelength, keyframe.tilewidth)
        else:
            chunk = (1, 1, min(keyframe.rowsperstrip or length, length), width)
        grid = (separate, depth, length, width)
        if not all(chunk):
            raise self._make_problem("tiff.damaged", "its strips or tiles have no extent")
        needed = math.prod(math.ceil(n / c) for n, c in zip(grid, chunk, strict=True))
        nbytes = math.prod(chunk) * samples * keyframe.dtype.itemsize
        for number, (_, page) in enumerate(series.planes, 1):
            if len(page.offsets) < needed:
                message = f"page {number} has {len(page.offsets)} of the {needed} strips or tiles that it needs"
                raise self._make_problem("tiff.damaged", message)
            try:
                check_segment_size(nbytes, int(np.max(page.counts)))
            except HostileClaim as error:
                raise self._make_problem("image.hostile", f"a strip or tile of page {number} {error}") from error
        segments = [(page.offsets, page.counts) for _, page in series.planes]
        decode, fill = self._make_decoder(series, math.prod(chunk)), _get_fill_value(keyframe)
        planes = SegmentPlanes(self.files, _list_keys(series), segments, decode, grid, chunk, samples, plane_axes, fill)
        return planes, dict(zip("zyx", (min(n, c) for n, c in zip(grid[1:], chunk[1:], strict=True)), strict=True))

    def _check_codestream(self, data: bytes, segment: int, plane: int, expected: int) -> None:
        """A compressed image decodes to the extent that it states itself; it must be about that of its page."""
        width, height = read_stated_extent(data) or (0, 0)
        if width * height > 4 * expected + budget.IMAGE_SLACK:
            raise self._make_problem(
                "image.hostile",
                f"strip or tile {segment} of page {plane + 1} states {width} x {height} pixels, where {expected} fit",
            )

    def _make_decoder(self, series: PageSeries, expected: int) -> Callable[[bytes, int, int], np.ndarray]:
        decode_segment = series.keyframe.decode  # made here: its first use is not thread-safe
        images = series.keyframe.compression in tifffile.TIFF.IMAGE_COMPRESSIONS
        jpeg = series.keyframe.compression in _JPEG_CODECS
        header = series.keyframe.jpegheader if jpeg else None

        def decode(data: bytes, segment: int, plane: int) -> np.ndarray:
            key, page = series.planes[plane]
            tables = {"jpegtables": self._read_jpeg_tables(key, page), "jpegheader": header} if jpeg else {}
            if images:
                self._check_codestream(data, segment, plane, expected)
            try:
                pixels = decode_segment(data, segment, **tables)[0]
            except (Exception, MemoryError) as error:
                raise self._make_problem(
                    "tiff.damaged",
                    f"page {plane + 1} cannot be decoded at strip or tile {segment} ({format_error(error)})",
                ) from error
            return np.asarray(pixels)

        return decode

    def _read_jpeg_tables(self, key: str, page: Page) -> bytes | None:
        return self.files.read(key, *page.jpeg_tables) if page.jpeg_tables else None

    def _build_header(self, series: PageSeries) -> dict[str, Any]:
        header: dict[str, Any] = {"kind": series.kind, "tags": convert_tags(series.keyframe)}
        if series.name:
            header["name"] = series.name
        header["byte_order"] = "little" if series.first_page.byte_order == "<" else "big"
        if series.first_page.is_inverted:
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
            if (text := self._read_description(page)) and text != self.description:
                later[str(number)] = text
        if later:
            header["page_descriptions"] = later
        return header

    def _make_problem(self, id: str, reason: str) -> Problem:
        return problem(id, f"{self.key}: {reason}", file=self.key)


_IMAGEJ_COUNTS = ("images", "channels", "slices", "frames")


def _read_static_settings(tif: Any) -> Mapping[str, Any]:
    """Settings in the binary header of ScanImage's BigTIFF files; empty elsewhere."""
    try:
        return tifffile.read_scanimage_metadata(tif.filehandle)[0] or {}
    except ValueError:
        return {}


def _convert_axes(letters: str) -> tuple[str, ...]:
    """Axis letters of tifffile as ours: Q and I are not declared."""
    return tuple("q" if a in "QI" else a.lower() for a in letters)


def _read_ratio(tag: Any) -> tuple[int, int] | None:
    value = tag.value if tag is not None else None
    return (int(value[0]), int(value[1])) if isinstance(value, tuple) and len(value) == 2 else None


def _list_keys(series: PageSeries) -> list[str]:
    keys = [key for key, _ in series.planes]
    return keys if len(set(keys)) > 1 else keys[:1]


def _get_stored_dtype(dtype: np.dtype[Any], page: Page) -> np.dtype[Any]:
    return dtype.newbyteorder("<" if page.byte_order == "<" else ">")


def _get_fill_value(keyframe: Any) -> Any:
    """The value of strips and tiles that were never written: GDAL's tag states it, else 0."""
    return np.dtype(keyframe.dtype).type(keyframe.nodata or 0).item()
