"""A folder of TIFF or PNG slices, one image a file, numbered without a gap.

The axis along the folder is ``q``: file names do not say whether it is depth or time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ...model.content import Image, Selection
from ...model.finding import Problem, problem
from ...model.source import Source, Stamp
from ..images import is_tiff
from ..images.calibration import ImageMetadata, parse_count, parse_key_values
from ..images.ifd import list_pages
from ..images.page import Page
from ..images.pixels import OpenFiles, Planes, RawPlanes, apply_declared_axes, build_plane_array
from ..stamp import check_unchanged
from ..tiff import read as tiff
from . import FORMAT, png

_NUMBER = re.compile(r"\s*(\d+)\s*")
_EXTENSIONS = (".tif", ".tiff", ".png")


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """The stack, from the headers of all its slices.

    Raises
    ------
    Problem
        ``slices.empty``, ``slices.missing``, ``slices.mixed``, ``file.empty`` and
        what the TIFF and PNG readers find in a slice.
    """
    scan = _FolderScan(source)
    for key in source.members():
        scan.add_file(key)
    if not scan.slices:
        raise problem("slices.empty", f"{source.key} holds no TIFF or PNG", file=source.key)
    _check_uniform(scan.slices, source.key)
    return (_build_image(source, _sort_slices(scan.slices, source.key), scan, options),)


@dataclass(frozen=True, slots=True)
class _Slice:
    key: str
    header: Page | png.PngHeader
    stamp: Stamp
    text: str = ""

    @property
    def name(self) -> str:
        return PurePosixPath(self.key).name


@dataclass(slots=True)
class _FolderScan:
    """What the members of the folder are, by their first bytes."""

    source: Source
    slices: list[_Slice] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add_file(self, key: str) -> None:
        stamp = self.source.stamp(key)
        size = stamp[0]
        has_image_suffix = key.lower().endswith(_EXTENSIONS)
        if not size and has_image_suffix:
            raise problem("file.empty", f"the slice {key} has no bytes", file=key)
        with self.source.open(key) as file:
            head = file.read(8)
            file.seek(0)
            if head == png.SIGNATURE:
                self.slices.append(_Slice(key, png.read_header(file, size, key), stamp))
            elif is_tiff(head):
                page = self._get_single_page(list_pages(file, size, key), key)
                start, length = page.description or (0, 0)
                file.seek(start)
                text = file.read(length).rstrip(b"\0").decode("utf-8", "replace")
                self._check_imagej(text, page, size, key)
                self.slices.append(_Slice(key, page, stamp, text))
            elif has_image_suffix:
                raise problem(
                    "tiff.damaged", f"the slice {key} is neither a TIFF nor a PNG (it begins {head.hex(' ')})", file=key
                )
            else:
                self.ignored.append(PurePosixPath(key).name)

    def _get_single_page(self, pages: Sequence[Page], key: str) -> Page:
        full = [p for p in pages if not p.is_reduced] or pages
        if len(full) > 1:
            raise _make_stack_problem(key, len(full))
        return full[0]

    def _check_imagej(self, text: str, page: Page, size: int, key: str) -> None:
        """A one-directory stack is refused; a slice that was cut out of a stack keeps the stack's count."""
        promised = parse_count(parse_key_values(text).get("images")) if text.startswith("ImageJ=") else 1
        room = 1 if page.is_compressed else (size - int(page.offsets[0])) // page.nbytes
        if promised <= max(page.samples, 1):
            return
        if promised <= room:
            raise _make_stack_problem(key, promised)
        if not self.warnings:
            self.warnings.append(f"{key} says images={promised} of the stack it was cut from; it holds one")


def _make_stack_problem(key: str, pages: int) -> Problem:
    return problem("slices.mixed", f"the slice {key} is itself a stack of {pages} pages", file=key)


def _check_uniform(slices: Sequence[_Slice], folder: str) -> None:
    """All of one format, extent and sample type; the odd one out is named."""
    descriptions = [_describe_slice(s) for s in slices]
    usual, usual_count = Counter(descriptions).most_common(1)[0]
    if usual_count < len(slices):
        odd_index = next(i for i, description in enumerate(descriptions) if description != usual)
        odd_key, odd = slices[odd_index].key, descriptions[odd_index]
        message = f"{odd_key} is a {odd}, but {usual_count} of the {len(slices)} slices in {folder} are {usual}"
        raise problem("slices.mixed", message, file=odd_key)


def _describe_slice(part: _Slice) -> str:
    if isinstance(part.header, png.PngHeader):
        extent, bits = part.header.shape, part.header.bits
        samples_per_pixel = extent[2] if len(extent) > 2 else 1
        return f"PNG of {extent[1]} x {extent[0]} pixels, {bits} bits, {samples_per_pixel} samples"
    width, length, depth, bits_, kind, samples, _ = part.header.slice_form
    type_names = {1: "unsigned", 2: "signed", 3: "float"}
    sample_type = type_names.get(kind, f"sample format {kind}") if isinstance(kind, int) else str(kind)
    depth_text = f" x {depth}" if depth != 1 else ""
    meaning = part.header.photometric
    return f"TIFF of {width} x {length}{depth_text} pixels, {bits_} bits {sample_type}, {samples} samples, {meaning}"


def _sort_slices(slices: Sequence[_Slice], folder: str) -> list[_Slice]:
    """In the order of the one number that counts in their names; no number missing or twice."""
    names = [_split_name(s.name) for s in slices]
    usual = Counter(words for words, _ in names).most_common(1)[0][0]
    for part, (words, _) in zip(slices, names, strict=True):
        if words != usual:
            raise problem("slices.mixed", f"{part.key} is not named like the other slices in {folder}", file=part.key)
    columns = list(zip(*(numbers for _, numbers in names), strict=True))
    varying = [c for c in columns if len({int(n) for n in c}) > 1]
    if len(varying) > 1:
        raise problem(
            "slices.mixed",
            f"{len(varying)} numbers count in the names of the slices in {folder}, as in {slices[-1].name}: "
            "which is the slice, and which a channel, tile or time, is not known",
            file=folder,
        )
    if not varying:
        if len(slices) > 1:
            raise _make_duplicate_problem(slices[0], slices[1])
        return list(slices)
    ranked = sorted(zip((int(n) for n in varying[0]), slices, strict=True), key=lambda pair: pair[0])
    _check_gaps(ranked, columns.index(varying[0]), folder)
    return [part for _, part in ranked]


def _split_name(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words and the numbers of a name without its extension; blanks around a number do not count."""
    pieces = _NUMBER.split(PurePosixPath(name).stem)
    return tuple(pieces[::2]), tuple(pieces[1::2])


def _check_gaps(ranked: Sequence[tuple[int, _Slice]], column: int, folder: str) -> None:
    for (low, before), (high, after) in pairwise(ranked):
        if high == low:
            raise _make_duplicate_problem(before, after)
        if high > low + 1:
            missing = sum(b - a - 1 for (a, _), (b, _) in pairwise(ranked))
            raise problem(
                "slices.missing",
                f"{folder} lacks {missing} of {ranked[-1][0] - ranked[0][0] + 1} slices; the first missing is "
                f"{_renumber_name(before.name, column, low + 1)} (after {before.name}, before {after.name})",
                file=folder,
            )


def _make_duplicate_problem(first: _Slice, second: _Slice) -> Problem:
    return problem("slices.missing", f"{first.key} and {second.name} bear the same number", file=first.key)


def _renumber_name(name: str, column: int, number: int) -> str:
    match = list(re.finditer(r"\d+", name))[column]
    return f"{name[: match.start()]}{number:0{len(match[0])}d}{name[match.end() :]}"


class _DecodedPlanes:
    """Slices that a codec decodes whole, one file at a time."""

    def __init__(self, source: Source, slices: Sequence[_Slice], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._source, self._slices, self._shape, self._dtype = source, slices, shape, dtype

    def read(self, index: int, selection: Selection, out: np.ndarray) -> None:
        part = self._slices[index]
        check_unchanged(self._source.stamp(part.key), part.stamp, part.key)
        if isinstance(part.header, png.PngHeader):
            out[...] = png.decode_pixels(self._source.read(part.key), part.header, part.key)[selection]
            return
        content = tiff.read_slice(Source(part.key, self._source.root))
        try:
            pixels = content.arrays["pixels"]
            if pixels.shape != self._shape or pixels.dtype != self._dtype:
                raise problem(
                    "slices.mixed",
                    f"{part.key} is {pixels.shape} {pixels.dtype}, the other slices are {self._shape} {self._dtype}",
                    file=part.key,
                )
            out[...] = pixels.read(selection)
        finally:
            content.close()


def _build_image(source: Source, slices: Sequence[_Slice], scan: _FolderScan, options: Mapping[str, Any]) -> Image:
    first = _read_first_slice(source, slices[0])
    single = first.arrays["pixels"]
    files = OpenFiles(source)
    for one in slices:
        files.remember_stamp(one.key, one.stamp)
    planes: Planes = _DecodedPlanes(source, slices, single.shape, single.dtype)
    # Slices that all lie in their files as they are read need no decoder, only offsets.
    layouts = [s.header.get_raw_layout() if isinstance(s.header, Page) else None for s in slices]
    stored = {raw[1] for raw in layouts if raw}
    if len(stored) == 1 and all(raw and raw[0] == single.shape for raw in layouts):
        starts = [int(s.header.offsets[0]) for s in slices if isinstance(s.header, Page)]
        planes = RawPlanes(files, [s.key for s in slices], starts, single.shape, stored.pop())
    axes = apply_declared_axes(("q", *single.axes), options, source.key)
    shape = (len(slices), *single.shape)
    texts = {s.name: s.text for s in slices[1:] if s.text and s.text != slices[0].text}
    small = sum(map(len, texts.values())) <= tiff.MAX_PAGE_TEXT
    header = {
        "slices": len(slices),
        "first": slices[0].name,
        "last": slices[-1].name,
        "first_header": first.header,
        "descriptions": texts if small else {"omitted": f"{len(texts)} texts"},
    }
    ignored = (f"{len(scan.ignored)} files are no images and are left out: {', '.join(scan.ignored[:5])}",)
    return Image(
        name="",
        format=FORMAT.name,
        facts={**first.facts, "z": str(len(slices))},
        header=header,
        arrays={"pixels": build_plane_array(planes, axes, shape, single.shape, single.dtype)},
        warnings=(*scan.warnings, *first.warnings, *(ignored if scan.ignored else ())),
        close=files.close,
        spacing=first.spacing,
        acquired=first.acquired,
    )


def _read_first_slice(source: Source, part: _Slice) -> Image:
    """The first slice as an image of its own: axes, calibration and header of the stack."""
    if not isinstance(part.header, png.PngHeader):
        content = tiff.read_slice(Source(part.key, source.root))
        content.close()
        return content
    meta = ImageMetadata()
    chunks = png.read_chunks(source.read(part.key), meta)
    shape = part.header.shape
    axes = ("y", "x", "s")[: len(shape)]
    meta.facts.update(x=str(shape[1]), y=str(shape[0]))
    pixels = build_plane_array(
        _DecodedPlanes(source, [part], shape, part.header.dtype), axes, shape, shape, part.header.dtype
    )
    return Image("", FORMAT.name, meta.facts, {"chunks": chunks}, {"pixels": pixels}, spacing=meta.spacing)
