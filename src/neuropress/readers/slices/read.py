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
from ..images.calibration import Meta, count, key_values
from ..images.ifd import walk
from ..images.page import Page
from ..images.pixels import Files, Planes, RawPlanes, declared, plane_array
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
    scan = _Scan(source)
    for key in source.members():
        scan.add(key)
    if not scan.slices:
        raise problem("slices.empty", f"{source.key} holds no TIFF or PNG", file=source.key)
    _check_alike(scan.slices, source.key)
    return (_image(source, _ordered(scan.slices, source.key), scan, options),)


@dataclass(frozen=True, slots=True)
class _Slice:
    key: str
    header: Page | png.Png
    stamp: Stamp
    text: str = ""

    @property
    def name(self) -> str:
        return PurePosixPath(self.key).name


@dataclass(slots=True)
class _Scan:
    """What the members of the folder are, by their first bytes."""

    source: Source
    slices: list[_Slice] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, key: str) -> None:
        stamp = self.source.stamp(key)
        size = stamp[0]
        named = key.lower().endswith(_EXTENSIONS)
        if not size and named:
            raise problem("file.empty", f"the slice {key} has no bytes", file=key)
        with self.source.open(key) as file:
            head = file.read(8)
            file.seek(0)
            if head == png.SIGNATURE:
                self.slices.append(_Slice(key, png.scan(file, size, key), stamp))
            elif is_tiff(head):
                page = self._single(walk(file, size, key), key)
                start, length = page.description or (0, 0)
                file.seek(start)
                text = file.read(length).rstrip(b"\0").decode("utf-8", "replace")
                self._check_imagej(text, page, size, key)
                self.slices.append(_Slice(key, page, stamp, text))
            elif named:
                raise problem(
                    "tiff.damaged", f"the slice {key} is neither a TIFF nor a PNG (it begins {head.hex(' ')})", file=key
                )
            else:
                self.ignored.append(PurePosixPath(key).name)

    def _single(self, pages: Sequence[Page], key: str) -> Page:
        full = [p for p in pages if not p.reduced] or pages
        if len(full) > 1:
            raise _stack(key, len(full))
        return full[0]

    def _check_imagej(self, text: str, page: Page, size: int, key: str) -> None:
        """A one-directory stack is refused; a slice that was cut out of a stack keeps the stack's count."""
        promised = count(key_values(text).get("images")) if text.startswith("ImageJ=") else 1
        room = 1 if page.compressed else (size - int(page.offsets[0])) // page.nbytes
        if promised <= max(page.samples, 1):
            return
        if promised <= room:
            raise _stack(key, promised)
        if not self.warnings:
            self.warnings.append(f"{key} says images={promised} of the stack it was cut from; it holds one")


def _stack(key: str, pages: int) -> Problem:
    return problem("slices.mixed", f"the slice {key} is itself a stack of {pages} pages", file=key)


def _check_alike(slices: Sequence[_Slice], folder: str) -> None:
    """All of one format, extent and sample type; the odd one out is named."""
    looks = [_look(s) for s in slices]
    usual, alike = Counter(looks).most_common(1)[0]
    if alike < len(slices):
        odd = next(i for i, look in enumerate(looks) if look != usual)
        raise problem(
            "slices.mixed",
            f"{slices[odd].key} is a {looks[odd]}, but {alike} of the {len(slices)} slices in {folder} are {usual}",
            file=slices[odd].key,
        )


def _look(part: _Slice) -> str:
    if isinstance(part.header, png.Png):
        extent, bits = part.header.shape, part.header.bits
        return f"PNG of {extent[1]} x {extent[0]} pixels, {bits} bits, {(*extent, 1)[2]} samples"
    width, length, depth, bits_, kind, samples, _ = part.header.image
    kinds = {1: "unsigned", 2: "signed", 3: "float"}
    said = kinds.get(kind, f"sample format {kind}") if isinstance(kind, int) else str(kind)
    deep = f" x {depth}" if depth != 1 else ""
    meaning = part.header.photometric
    return f"TIFF of {width} x {length}{deep} pixels, {bits_} bits {said}, {samples} samples, {meaning}"


def _ordered(slices: Sequence[_Slice], folder: str) -> list[_Slice]:
    """In the order of the one number that counts in their names; no number missing or twice."""
    names = [_parts(s.name) for s in slices]
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
            raise _twice(slices[0], slices[1])
        return list(slices)
    ranked = sorted(zip((int(n) for n in varying[0]), slices, strict=True), key=lambda pair: pair[0])
    _check_gaps(ranked, columns.index(varying[0]), folder)
    return [part for _, part in ranked]


def _parts(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words and the numbers of a name without its extension; blanks around a number do not count."""
    pieces = _NUMBER.split(PurePosixPath(name).stem)
    return tuple(pieces[::2]), tuple(pieces[1::2])


def _check_gaps(ranked: Sequence[tuple[int, _Slice]], column: int, folder: str) -> None:
    for (low, before), (high, after) in pairwise(ranked):
        if high == low:
            raise _twice(before, after)
        if high > low + 1:
            missing = sum(b - a - 1 for (a, _), (b, _) in pairwise(ranked))
            raise problem(
                "slices.missing",
                f"{folder} lacks {missing} of {ranked[-1][0] - ranked[0][0] + 1} slices; the first missing is "
                f"{_renumbered(before.name, column, low + 1)} (after {before.name}, before {after.name})",
                file=folder,
            )


def _twice(first: _Slice, second: _Slice) -> Problem:
    return problem("slices.missing", f"{first.key} and {second.name} bear the same number", file=first.key)


def _renumbered(name: str, column: int, number: int) -> str:
    match = list(re.finditer(r"\d+", name))[column]
    return f"{name[: match.start()]}{number:0{len(match[0])}d}{name[match.end() :]}"


class _Decoded:
    """Slices that a codec decodes whole, one file at a time."""

    def __init__(self, source: Source, slices: Sequence[_Slice], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._source, self._slices, self._shape, self._dtype = source, slices, shape, dtype

    def read(self, index: int, selection: Selection, out: np.ndarray) -> None:
        part = self._slices[index]
        check_unchanged(self._source.stamp(part.key), part.stamp, part.key)
        if isinstance(part.header, png.Png):
            out[...] = png.decode(self._source.read(part.key), part.header, part.key)[selection]
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


def _image(source: Source, slices: Sequence[_Slice], scan: _Scan, options: Mapping[str, Any]) -> Image:
    first = _first(source, slices[0])
    single = first.arrays["pixels"]
    files = Files(source)
    for one in slices:
        files.remember(one.key, one.stamp)
    planes: Planes = _Decoded(source, slices, single.shape, single.dtype)
    plain = [s.header.plain() if isinstance(s.header, Page) else None for s in slices]
    stored = {p[1] for p in plain if p}
    if all(p and p[0] == single.shape for p in plain) and len(stored) == 1:
        starts = [int(s.header.offsets[0]) for s in slices if isinstance(s.header, Page)]
        planes = RawPlanes(files, [s.key for s in slices], starts, single.shape, stored.pop())
    axes = declared(("q", *single.axes), options, source.key)
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
        arrays={"pixels": plane_array(planes, axes, shape, single.shape, single.dtype)},
        warnings=(*scan.warnings, *first.warnings, *(ignored if scan.ignored else ())),
        close=files.close,
        spacing=first.spacing,
        acquired=first.acquired,
    )


def _first(source: Source, part: _Slice) -> Image:
    """The first slice as an image of its own: axes, calibration and header of the stack."""
    if not isinstance(part.header, png.Png):
        content = tiff.read_slice(Source(part.key, source.root))
        content.close()
        return content
    meta = Meta()
    chunks = png.describe(source.read(part.key), meta)
    shape = part.header.shape
    axes = ("y", "x", "s")[: len(shape)]
    meta.facts.update(x=str(shape[1]), y=str(shape[0]))
    pixels = plane_array(_Decoded(source, [part], shape, part.header.dtype), axes, shape, shape, part.header.dtype)
    return Image("", FORMAT.name, meta.facts, {"chunks": chunks}, {"pixels": pixels}, spacing=meta.spacing)
