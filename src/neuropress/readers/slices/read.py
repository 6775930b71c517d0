"""A folder of TIFF, PNG or JPEG slices, one image a file, numbered without a gap; or a single PNG or JPEG.

The axis along the folder is ``q``: file names do not say whether it is depth or time. Where several numbers count in
the names, the option ``axes`` says what each of them is.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from pathlib import PurePosixPath
from typing import Any

from ...model.content import Image
from ...model.finding import Problem, problem
from ...model.source import Source
from ..folders.planes import Plane, check_uniform, describe_unread, open_planes, read_tiff_plane, stamp_files
from ..images import is_tiff
from ..images.calibration import ImageMetadata, parse_count, parse_key_values
from ..images.ifd import list_pages
from ..images.page import Page
from ..images.pixels import RawPlanes, apply_declared_axes, build_plane_array
from ..tiff import read as tiff
from . import FORMAT, pictures
from .header import PictureHeader

_NUMBER = re.compile(r"\s*(\d+)\s*")
_COLOURS = ("red", "green", "blue")
_EXTENSIONS = (".tif", ".tiff", ".png", ".jpg", ".jpeg")


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """The stack, from the headers of all its slices.

    Raises
    ------
    Problem
        ``slices.empty``, ``slices.missing``, ``slices.mixed``, ``file.empty`` and
        what the readers of TIFF, PNG and JPEG find in a slice.
    """
    keys = stamp_files(source)
    scan = _FolderScan(source)
    if not source.is_folder:
        scan.add_file(source.key)
        if not scan.slices:
            raise problem("slices.empty", f"{source.key} is neither a folder nor a PNG or JPEG", file=source.key)
        return (_build_image(source, scan.slices, (), scan, options),)
    for key in source.members():
        scan.add_file(key)
    if not scan.slices:
        raise problem("slices.empty", f"{source.key} holds no TIFF, PNG or JPEG", file=source.key)
    check_uniform(scan.slices, source.key, "slices.mixed")
    scan.warnings += describe_unread(source, keys, {one.key for one in scan.slices})
    return (_build_image(source, *_sort_slices(scan.slices, source.key, options), scan, options),)


@dataclass(frozen=True, slots=True)
class _Slice(Plane):
    """A slice; `text` is what its file says of itself."""

    text: str = ""


@dataclass(slots=True)
class _FolderScan:
    """What the members of the folder are, by their first bytes."""

    source: Source
    slices: list[_Slice] = field(default_factory=list)
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
            if head.startswith(pictures.SIGNATURES):
                self.slices.append(_Slice(key, pictures.read_header(file, size, key), stamp))
            elif is_tiff(head):
                page = self._get_single_page(list_pages(file, size, key), key)
                start, length = page.description or (0, 0)
                file.seek(start)
                text = file.read(length).rstrip(b"\0").decode("utf-8", "replace")
                self._check_imagej(text, page, size, key)
                self.slices.append(_Slice(key, page, stamp, text=text))
            elif has_image_suffix:
                message = f"the slice {key} is no TIFF, PNG or JPEG (it begins {head.hex(' ')})"
                raise problem("tiff.damaged", message, file=key)

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


def _sort_slices(
    slices: Sequence[_Slice], folder: str, options: Mapping[str, Any]
) -> tuple[list[_Slice], tuple[int, ...]]:
    """In the order of the numbers that count in their names, and how many of each; none missing or twice."""
    names = [_split_name(s.name) for s in slices]
    usual = Counter(words for words, _ in names).most_common(1)[0][0]
    for part, (words, _) in zip(slices, names, strict=True):
        if words != usual:
            raise problem("slices.mixed", f"{part.key} is not named like the other slices in {folder}", file=part.key)
    columns = list(zip(*(numbers for _, numbers in names), strict=True))
    varying = [i for i, column in enumerate(columns) if len({int(n) for n in column}) > 1]
    if len(varying) > 1:
        return _sort_grid(slices, [[int(n) for n in columns[i]] for i in varying], folder, options)
    if not varying:
        if len(slices) > 1:
            raise _make_duplicate_problem(slices[0], slices[1])
        return list(slices), (1,)
    ranked = sorted(zip((int(n) for n in columns[varying[0]]), slices, strict=True), key=lambda pair: pair[0])
    _check_gaps(ranked, varying[0], folder)
    return [part for _, part in ranked], (len(ranked),)


def _sort_grid(
    slices: Sequence[_Slice], columns: Sequence[Sequence[int]], folder: str, options: Mapping[str, Any]
) -> tuple[list[_Slice], tuple[int, ...]]:
    """Slices of which several numbers count, as a person declared them: the first number is the slowest axis."""
    letters = "tczq"[: len(columns)] + "yxs"[: _count_plane_axes(slices[0])]
    if len(str(options.get("axes", ""))) != len(letters):
        raise problem(
            "slices.mixed",
            f"{len(columns)} numbers count in the names of the slices in {folder}, as in {slices[-1].name}: "
            "which is the slice, and which a channel, tile or time, is not known",
            hint=f'State for this folder in neuropress.toml what each number is, in their order: axes = "{letters}" '
            "(t time, c channel, z depth; then the axes of one file). Tiles belong into folders of their own.",
            file=folder,
        )
    places = list(zip(*columns, strict=True))
    known: dict[tuple[int, ...], _Slice] = {}
    for place, part in zip(places, slices, strict=True):
        if place in known:
            raise _make_duplicate_problem(known[place], part)
        known[place] = part
    ranges = [range(min(column), max(column) + 1) for column in columns]
    counts = tuple(len(values) for values in ranges)
    if math.prod(counts) != len(slices):
        missing = next(place for place in product(*ranges) if place not in known)
        numbers = ", ".join(map(str, missing))
        message = f"{folder} lacks {math.prod(counts) - len(slices)} of {math.prod(counts)} slices"
        raise problem("slices.missing", f"{message}; the first missing has the numbers {numbers}", file=folder)
    return [known[place] for place in product(*ranges)], counts


def _count_plane_axes(part: _Slice) -> int:
    if isinstance(part.header, PictureHeader):
        return len(part.header.shape)
    return 2 if part.header.samples == 1 else 3


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


def _build_image(
    source: Source, slices: Sequence[_Slice], counts: tuple[int, ...], scan: _FolderScan, options: Mapping[str, Any]
) -> Image:
    first = _read_first_slice(source, slices[0])
    single = first.arrays["pixels"]
    planes, files = open_planes(source, slices, single.shape, single.dtype, "slices.mixed")
    axes = apply_declared_axes((*("q" for _ in counts), *single.axes), options, source.key)
    shape, is_packed = (*counts, *single.shape), not isinstance(planes, RawPlanes)
    texts = {s.name: s.text for s in slices[1:] if s.text and s.text != slices[0].text}
    small = sum(map(len, texts.values())) <= tiff.MAX_PAGE_TEXT
    header = {
        "slices": len(slices),
        "first": slices[0].name,
        "last": slices[-1].name,
        "first_header": first.header,
        "descriptions": texts if small else {"omitted": f"{len(texts)} texts"},
    }
    channels = counts[axes.index("c")] if "c" in axes else 1
    return Image(
        name="",
        format=FORMAT.name,
        facts={**first.facts, **({"z": str(len(slices) // channels)} if counts else {})},
        header=header,
        arrays={"pixels": build_plane_array(planes, axes, shape, single.shape, single.dtype, is_shared=is_packed)},
        warnings=(*scan.warnings, *first.warnings),
        close=files.close,
        spacing=first.spacing,
        channels=_name_samples(slices[0]) if "c" not in axes else (),
        acquired=first.acquired,
    )


def _name_samples(part: _Slice) -> tuple[str, ...]:
    """What the samples of a pixel are, where the file says it."""
    if isinstance(part.header, PictureHeader):
        return {2: ("gray", "alpha"), 3: _COLOURS, 4: (*_COLOURS, "alpha")}.get((*part.header.shape, 1)[2], ())
    return _COLOURS if part.header.photometric == "RGB" and part.header.samples == len(_COLOURS) else ()


def _read_first_slice(source: Source, part: _Slice) -> Image:
    """The first slice as an image of its own: axes, calibration and header of the stack."""
    if not isinstance(part.header, PictureHeader):
        content = read_tiff_plane(source, part)
        content.close()
        return content
    meta = ImageMetadata()
    chunks = pictures.read_chunks(source.read(part.key), part.header, part.key, meta)
    shape = part.header.shape
    axes = ("y", "x", "s")[: len(shape)]
    meta.facts.update(x=str(shape[1]), y=str(shape[0]))
    dtype = part.header.dtype
    planes, _ = open_planes(source, [part], shape, dtype, "slices.mixed")
    pixels = build_plane_array(planes, axes, shape, shape, dtype)
    warnings = pictures.describe_loss(part.header)
    header = {"chunks": chunks}
    return Image("", FORMAT.name, meta.facts, header, {"pixels": pixels}, warnings, spacing=meta.spacing)
