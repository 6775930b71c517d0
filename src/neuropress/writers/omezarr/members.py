"""Which files a volume consists of: metadata and shards, all of them and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from math import prod
from pathlib import Path

from ...model.finding import Finding, finding
from . import stored

SHOWN = 5


def check_files(path: Path, names: Collection[str]) -> Iterator[Finding]:
    """Findings on files that belong to no array of a volume, and on shards that are not there.

    A reader takes an absent shard for zeros, and a stray file may be taken for data by the next one.

    Parameters
    ----------
    names
        Relative paths of the files that lie in the folder.
    """
    strays = set(names) - {"zarr.json"}
    for level in stored.level_names(path):
        opened = stored.Level(path, level)
        grid = [-(-n // s) for n, s in zip(opened.shape, opened.shard, strict=True)]
        shards = {name for name in strays if _is_shard(name, level, grid)}
        strays -= {*shards, f"{level}/zarr.json"}
        if len(shards) != prod(grid):
            message = f"level {level} has {len(shards)} of its {prod(grid)} shards"
            yield finding("verify.missing_file", message, array=f"/{level}")
    if strays:
        shown = sorted(strays)
        more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
        message = f"{path.name} holds files that are no part of the volume: {', '.join(shown[:SHOWN])}{more}"
        yield finding("verify.stray_file", message, value=shown[0])


def _is_shard(name: str, level: str, grid: Sequence[int]) -> bool:
    """Whether a path is ``<level>/c/<i>/<j>...`` with each number inside the grid, written as Zarr writes it."""
    start, _, rest = name.partition("/c/")
    numbers = rest.split("/")
    return (
        start == level
        and len(numbers) == len(grid)
        and all(n.isascii() and n.isdecimal() and str(int(n)) == n and int(n) < end
                for n, end in zip(numbers, grid, strict=True))
    )  # fmt: skip
