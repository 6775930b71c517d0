"""MicroManager's folders: planes as metadata.txt places them, each position an image.

MMStack sets are read as the OME-TIFF files that they are (`.stack`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from ...model.content import Image
from ...model.finding import Problem, problem
from ...model.source import Source, natural_key
from ..folders.grid import Place, build_grid, compare_planned, fit_grid
from ..folders.planes import Plane, describe_unread, list_planes, stamp_files
from ..images.calibration import ImageMetadata
from ..microscopes.facts import set_sizes
from ..microscopes.planes import build_times
from . import FORMAT
from .index import Entry, Index, apply_index, read_index
from .stack import is_stack, read_stacks

INDEX = "metadata.txt"
MAX_TEXT = 2**20
"""Characters of the summary that the header keeps."""
_PLANE_NAME = re.compile(r"img_.*\.tiff?", re.IGNORECASE)


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One content a position.

    Raises
    ------
    Problem
        ``microscope.plane``, ``microscope.damaged``, ``image.hostile``, ``image.axes``, what the reader of TIFF
        files finds.
    """
    keys = sorted(stamp_files(source), key=lambda key: tuple(natural_key(key)))
    if any(is_stack(key) for key in keys):
        images, read_keys = read_stacks(source, keys, options)
    else:
        images, read_keys = _read_planes(source, keys, options)
    unread = describe_unread(source, keys, read_keys)
    return (replace(images[0], warnings=(*images[0].warnings, *unread)), *images[1:])


def _read_planes(source: Source, keys: Sequence[str], options: Mapping[str, Any]) -> tuple[list[Image], set[str]]:
    """The images of each folder with a metadata.txt, and the files that were read."""
    indexes = [read_index(source, key) for key in keys if PurePosixPath(key).name == INDEX]
    if not indexes:
        message = f"{source.key} has no {INDEX}, which says what its planes are"
        hint = 'Copy it beside the planes. Without it, state reader = "slices" for the folder, and its axes.'
        raise problem("microscope.plane", message, hint=hint, file=source.key)
    positions = []
    for index in indexes:
        by_position: dict[int, dict[Place, Entry]] = {}
        for entry in index.entries:
            placed = by_position.setdefault(entry.position, {})
            if entry.place in placed:
                message = f"{index.key} names {placed[entry.place].file} and {entry.file} as the same plane"
                raise problem("microscope.plane", message, file=index.key)
            placed[entry.place] = entry
        positions += [(index, by_position[number]) for number in sorted(by_position)]
    read_keys = {_find_key(index, entry) for index, entries in positions for entry in entries.values()}
    _check_named(keys, read_keys)
    held = set(keys)
    images: list[Image] = []
    try:
        for number, (index, entries) in enumerate(positions, 1):
            name = f"position{number}" if len(positions) > 1 else ""
            images.append(_build_image(source, index, entries, held, name, options))
    except BaseException:
        for image in images:
            image.close()
        raise
    return images, read_keys | {index.key for index in indexes}


def _find_key(index: Index, entry: Entry) -> str:
    """Planes lie beside their index, whatever folder it names."""
    return f"{PurePosixPath(index.key).parent}/{entry.file}"


def _check_named(keys: Sequence[str], named: set[str]) -> None:
    """No plane may be dropped because an index was cut."""
    lost = [key for key in keys if key not in named and _PLANE_NAME.fullmatch(PurePosixPath(key).name)]
    if lost:
        message = f"{lost[0]} is in no entry of its {INDEX}, and neither are {len(lost) - 1} other planes"
        raise problem("microscope.plane", message, file=lost[0])


def _build_image(
    source: Source, index: Index, entries: Mapping[Place, Entry], held: set[str], name: str, options: Mapping[str, Any]
) -> Image:
    folder = f"{PurePosixPath(index.key).parent}/"
    counts, warnings = fit_grid(entries, folder)
    entries = {place: entry for place, entry in entries.items() if place[0] < counts[0]}
    placed = {place: _open_plane(source, index, entry, held) for place, entry in entries.items()}
    grid = build_grid(source, placed, counts, options, folder)
    meta = ImageMetadata(warnings=[*index.warnings, *warnings, *compare_planned(counts, index.planned)])
    set_sizes(meta, grid.pixels.axes, grid.pixels.shape)
    times = apply_index(meta, index, entries, counts[0])
    if "z" not in grid.pixels.axes:
        meta.spacing.pop("z", None)
    first = entries[min(entries)].stated
    arrays = {"pixels": grid.pixels} | ({"times": build_times("times", times)} if times is not None else {})
    summary, page = shorten(index.summary), grid.first.header
    header: dict[str, Any] = {"summary": summary, "first_plane": shorten(first), "first_page": page}
    if name:
        header["name"] = str(first.get("PositionName") or PurePosixPath(index.key).parent.name)
    names = index.channel_names
    return Image(
        name=name,
        format=FORMAT.name,
        facts=meta.facts,
        header=header,
        arrays=arrays,
        warnings=tuple(meta.warnings),
        close=grid.files.close,
        spacing=meta.spacing,
        channels=names if len(names) == counts[1] and all(names) else (),
        acquired=index.started,
        timestamps="times" if times is not None else "",
        scale="0.001",
    )


def _open_plane(source: Source, index: Index, entry: Entry, held: set[str]) -> Plane:
    key = _find_key(index, entry)
    if not entry.file or key not in held:
        raise _make_problem(index, f"it names the plane {entry.file!r}, which is not there")
    planes = list_planes(source, key)
    if len(planes) > 1:
        raise _make_problem(index, f"its plane {entry.file} is a stack of {len(planes)} pages")
    return planes[0]


def shorten(stated: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an index says, where it is not longer than any is."""
    return stated if len(json.dumps(stated)) <= MAX_TEXT else {"omitted": f"{len(stated)} entries"}


def _make_problem(index: Index, reason: str) -> Problem:
    return problem("microscope.plane", f"{index.key}: {reason}", file=index.key)
