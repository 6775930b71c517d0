"""Planes of pixels in the files of a folder: one a file, or pages of TIFF files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ...model.content import Image, Selection
from ...model.finding import problem
from ...model.source import Source, Stamp
from ..images.ifd import list_pages
from ..images.page import Page
from ..images.pixels import OpenFiles, Planes, RawPlanes
from ..slices import pictures
from ..slices.header import PictureHeader
from ..stamp import check_unchanged
from ..tiff import read as tiff

_LISTED = 5


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane in a file of the folder.

    Attributes
    ----------
    key, stamp
        The file, and what it was when its header was read.
    header
        What the page, the PNG or the JPEG states of itself.
    page
        Its number among the full pages of the file, from 0; None where the file has one only.
    """

    key: str
    header: Page | PictureHeader
    stamp: Stamp
    page: int | None = None

    @property
    def name(self) -> str:
        """The file's name, without its folder."""
        return PurePosixPath(self.key).name

    @property
    def description(self) -> str:
        """Format, extent and sample type: what planes of one image share."""
        if isinstance(self.header, PictureHeader):
            extent, bits = self.header.shape, self.header.bits
            samples_per_pixel = extent[2] if len(extent) > 2 else 1
            return f"{self.header.format} of {extent[1]} x {extent[0]} pixels, {bits} bits, {samples_per_pixel} samples"
        width, length, depth, bits_, kind, samples, _ = self.header.slice_form
        type_names = {1: "unsigned", 2: "signed", 3: "float"}
        sample_type = type_names.get(kind, f"sample format {kind}") if isinstance(kind, int) else str(kind)
        depth_text = f" x {depth}" if depth != 1 else ""
        meaning = self.header.photometric
        return (
            f"TIFF of {width} x {length}{depth_text} pixels, {bits_} bits {sample_type}, {samples} samples, {meaning}"
        )


def list_planes(source: Source, key: str) -> list[Plane]:
    """The pages of a TIFF, smaller versions left out. Raises `Problem` as `list_pages` does."""
    stamp = source.stamp(key)
    with source.open(key) as file:
        pages = list_pages(file, stamp[0], key)
    full = [page for page in pages if not page.is_reduced] or list(pages)
    return [Plane(key, page, stamp, number if len(full) > 1 else None) for number, page in enumerate(full)]


def check_uniform(planes: Sequence[Plane], folder: str, mixed: str) -> None:
    """All of one format, extent and sample type.

    Raises
    ------
    Problem
        The id `mixed`, which names the odd one out.
    """
    descriptions = [plane.description for plane in planes]
    usual, usual_count = Counter(descriptions).most_common(1)[0]
    if usual_count < len(planes):
        odd_index = next(i for i, description in enumerate(descriptions) if description != usual)
        odd_key, odd = planes[odd_index].key, descriptions[odd_index]
        message = f"{odd_key} is a {odd}, but {usual_count} of the {len(planes)} planes in {folder} are {usual}"
        raise problem(mixed, message, file=odd_key)


def read_tiff_plane(source: Source, plane: Plane) -> Image:
    """A plane as an image of its own, whatever its header says of others; it is to be closed."""
    return tiff.read_slice(Source(plane.key, source.root), plane.page)


class _DecodedPlanes:
    """Planes that a codec decodes whole, one file at a time."""

    def __init__(
        self, source: Source, planes: Sequence[Plane], shape: tuple[int, ...], dtype: np.dtype[Any], mixed: str
    ) -> None:
        self._source, self._planes, self._shape, self._dtype, self._mixed = source, planes, shape, dtype, mixed

    def read(self, index: int, selection: Selection, out: np.ndarray) -> None:
        """Decode one plane and cut it."""
        plane = self._planes[index]
        check_unchanged(self._source.stamp(plane.key), plane.stamp, plane.key)
        if isinstance(plane.header, PictureHeader):
            out[...] = pictures.decode_pixels(self._source.read(plane.key), plane.header, plane.key)[selection]
            return
        content = read_tiff_plane(self._source, plane)
        try:
            pixels = content.arrays["pixels"]
            if pixels.shape != self._shape or pixels.dtype != self._dtype:
                message = (
                    f"{plane.key} is {pixels.shape} {pixels.dtype}, the other planes are {self._shape} {self._dtype}"
                )
                raise problem(self._mixed, message, file=plane.key)
            out[...] = pixels.read(selection)
        finally:
            content.close()


def open_planes(
    source: Source, planes: Sequence[Plane], shape: tuple[int, ...], dtype: np.dtype[Any], mixed: str
) -> tuple[Planes, OpenFiles]:
    """The planes, to be read one at a time, and the files to close afterwards.

    Parameters
    ----------
    shape, dtype
        Of each plane.
    mixed
        Id of the finding of a plane that is another one than its header said.
    """
    files = OpenFiles(source)
    for plane in planes:
        files.remember_stamp(plane.key, plane.stamp)
    # Planes that all lie in their files as they are read need no decoder, only offsets.
    headers = [plane.header for plane in planes if isinstance(plane.header, Page)]
    layouts = [header.get_raw_layout() for header in headers]
    stored: set[np.dtype[Any]] = {layout[1] for layout in layouts if layout}
    if len(stored) == 1 and len(layouts) == len(planes) and all(raw and raw[0] == shape for raw in layouts):
        starts = [int(header.offsets[0]) for header in headers]
        return RawPlanes(files, [plane.key for plane in planes], starts, shape, stored.pop()), files
    return _DecodedPlanes(source, planes, shape, dtype, mixed), files


def stamp_files(source: Source) -> tuple[str, ...]:
    """Keys of all files of the folder, each of which counts as an input: the folder is the raw object."""
    keys = source.list_keys()
    for key in keys:
        source.stamp(key)
    return keys


def describe_unread(source: Source, keys: Sequence[str], read: Collection[str]) -> tuple[str, ...]:
    """A warning that names the files that hold no plane of the image; none where all were read."""
    folder = f"{source.key.rstrip('/')}/"
    unread = [key.removeprefix(folder) for key in keys if key not in read]
    if not unread:
        return ()
    more = ", ..." if len(unread) > _LISTED else ""
    return (f"{len(unread)} files hold no plane and are left out: {', '.join(unread[:_LISTED])}{more}",)
