"""MMStack: OME-TIFF files of MicroManager, read as such; their metadata.txt adds what OME-XML does not have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from ...model.content import Image
from ...model.finding import problem
from ...model.source import Source
from ..folders.grid import Place
from ..folders.planes import Plane, list_planes
from ..images.calibration import ImageMetadata
from ..images.page import Page
from ..microscopes.planes import build_times
from ..tiff import ome_xml
from ..tiff import read as tiff
from . import FORMAT
from .index import Entry, Index, apply_index, read_index

_STACK = re.compile(r".*_MMStack.*\.ome\.tiff?", re.IGNORECASE)
_INDEX_END = "_metadata.txt"


def is_stack(key: str) -> bool:
    """Whether a file is called like one of an MMStack."""
    return _STACK.fullmatch(PurePosixPath(key).name) is not None


def read_stacks(source: Source, keys: Sequence[str], options: Mapping[str, Any]) -> tuple[list[Image], set[str]]:
    """The images of all sets of files, and the files that were read.

    Raises
    ------
    Problem
        ``microscope.plane``: a file belongs to a set that does not name it; as the reader of TIFF files does.
    """
    stacks = [key for key in keys if is_stack(key)]
    documents = {key: _read_ome_xml(source, key) for key in stacks}
    indexes = [read_index(source, key) for key in keys if key.endswith(_INDEX_END)]
    read_keys: set[str] = set()
    images: list[Image] = []
    try:
        for key, document in documents.items():
            if key in read_keys or (document and document.companion):
                continue
            parts = document.files if document else ()
            read_keys |= {key, *(f"{PurePosixPath(key).parent}/{PurePosixPath(name).name}" for name in parts)}
            images += tiff.read(Source(key, source.root), options)
        if lost := [key for key in stacks if key not in read_keys]:
            message = f"{lost[0]} belongs to a set of files, but no other file of {source.key} names it in its OME-XML"
            raise problem("microscope.plane", message, file=lost[0])
    except BaseException:
        for image in images:
            image.close()
        raise
    count = len(images)
    images = [_add_index(image, number, count, indexes) for number, image in enumerate(images, 1)]
    return images, read_keys | {index.key for index in indexes}


def _read_ome_xml(source: Source, key: str) -> ome_xml.OmeDocument | None:
    """What a file says of the set that it belongs to; None where it has no OME-XML."""
    first: Plane = list_planes(source, key)[0]
    if not isinstance(first.header, Page) or first.header.description is None:
        return None
    start, length = first.header.description
    with source.open(key) as file:
        file.seek(start)
        text = file.read(length).rstrip(b"\0").decode("utf-8", "replace")
    return ome_xml.parse_ome_xml(text, key) if ome_xml.is_ome_xml(text) else None


def _add_index(image: Image, number: int, count: int, indexes: Sequence[Index]) -> Image:
    """The image under this format's name, with what its metadata.txt says."""
    given = str(image.header.get("name", ""))
    image = replace(image, name=f"position{number}" if count > 1 else "", format=FORMAT.name)
    index = _choose_index(given, number, count, indexes)
    if index is None:
        missing = "no metadata.txt belongs to it: channels, calibration and times are those of its OME-XML"
        return replace(image, warnings=(*image.warnings, missing))
    pixels = image.arrays["pixels"]
    extent = dict(zip(pixels.axes, pixels.shape, strict=True))
    entries: dict[Place, Entry] = {}
    for entry in index.entries:
        entries.setdefault(entry.place, entry)
    meta = ImageMetadata(dict(image.facts), dict(image.spacing), warnings=[*image.warnings, *index.warnings])
    planes = extent.get("t", 1) * extent.get("c", 1) * extent.get("z", 1)
    if len(entries) != planes:
        meta.warnings.append(f"{index.key} has {len(entries)} planes, the image {planes}")
    times = apply_index(meta, index, entries, extent.get("t", 1))
    if "z" not in extent:
        meta.spacing.pop("z", None)
    arrays = dict(image.arrays) | ({"times": build_times("times", times)} if times is not None else {})
    names = index.channel_names
    return replace(
        image,
        facts=meta.facts,
        spacing=meta.spacing,
        warnings=tuple(meta.warnings),
        arrays=arrays,
        channels=image.channels or (names if len(names) == extent.get("c", 1) and all(names) else ()),
        acquired=index.started or image.acquired,
        timestamps="times" if times is not None else "",
        scale="0.001",
        header={**image.header, "summary": index.summary},
    )


def _choose_index(given: str, number: int, count: int, indexes: Sequence[Index]) -> Index | None:
    """The metadata.txt of an image: by the name of the image, else by order where there are as many."""
    named = [index for index in indexes if given and _get_stem(index) == PurePosixPath(given).name.split(".")[0]]
    if len(named) == 1:
        return named[0]
    return indexes[number - 1] if len(indexes) == count else None


def _get_stem(index: Index) -> str:
    return PurePosixPath(index.key).name.removesuffix(_INDEX_END)
