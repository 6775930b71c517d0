"""Which files a volume consists of: metadata and shards, all of them and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ...model.finding import Finding, finding
from ...storage.remote import ResultPath
from . import guard, nodes, ome_xml, tables
from .metadata import LABELS
from .preview import NAME as PREVIEW

SHOWN = 5


def check_files(path: ResultPath) -> Iterator[Finding]:
    """Findings on files that belong to no array of a volume, and on shards that are not there.

    A reader takes an absent shard for zeros, and a stray file may be taken for data by the next one.

    Raises
    ------
    Problem
        ``result.unsafe`` or ``result.unreadable``.
    """
    from .stored import StoredLevel  # imports zarr-python

    names = guard.list_group_files(path)
    strays = set(guard.check_store(path)) - {*names, PREVIEW}
    if ome_xml.NAME in strays:
        strays -= {ome_xml.NAME, *(f"{ome_xml.FOLDER}/{name}" for name in names)}
    groups = nodes.list_image_groups(path)
    if len(groups) > 1:
        strays -= {f"{group}/{name}" for group in (LABELS, *groups) for name in names}
    for name in tables.list_stored_files(path):
        if name not in strays:
            yield finding("verify.missing_file", f"{name} of the volume is not there", array=f"/{name}")
        strays.discard(name)
    for name in nodes.read_level_names(path):
        level = StoredLevel(path, name)
        held = {file for file in strays if level.has_file(file)}
        strays -= held
        shards = len(held) - 1
        if shards != prod(level.grid):
            message = f"level {name} has {shards} of its {prod(level.grid)} shards"
            yield finding("verify.missing_file", message, array=f"/{name}")
    if strays:
        shown = sorted(strays)
        more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
        message = f"{path.name} holds files that are no part of the volume: {', '.join(shown[:SHOWN])}{more}"
        yield finding("verify.stray_file", message, value=shown[0])
