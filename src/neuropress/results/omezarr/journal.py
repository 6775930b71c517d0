"""Which blocks are done, so that a killed run continues: one JSON line a block, flushed to the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...model.budget import parse_json
from ...model.finding import Problem
from ...model.plan import digest
from .. import durable
from . import guard
from .blocks import Digests, slab_extent
from .layout import Box, Layout, Level, Pass, tiles

NAME = "blocks.jsonl"

type BlockKey = tuple[int, tuple[int, ...]]
"""Number of the pass, and the block's place in it."""


class Journal:
    """The finished blocks below a ``.partial`` folder.

    A journal of another plan, or none, starts the folder anew; so does one that is damaged,
    and a folder that holds links, files that are not ours, or less than its journal says.
    A line that was torn by a crash is dropped: its block is done again.
    """

    def __init__(self, folder: Path, plan: str, layout: Layout) -> None:
        self.done: dict[BlockKey, Digests] = {}
        self._folder, self._path, self._layout = folder, folder / NAME, layout
        if not self._resume(plan):
            self.done.clear()
            durable.remove(folder)
            folder.mkdir(parents=True)
            self._append({"plan": plan})
            durable.settle(folder)

    @staticmethod
    def lies_in(folder: Path) -> bool:
        """Whether a folder holds a journal: it is not whole."""
        return (folder / NAME).is_file()

    def add(self, key: BlockKey, digests: Digests) -> None:
        """Note a block whose shards are durable."""
        entry = {"pass": key[0], "block": list(key[1]), "digests": {str(k): v for k, v in digests.items()}}
        self._append({**entry, "sum": digest(entry)})
        self.done[key] = digests

    def close(self) -> None:
        """Remove the journal: the result is whole."""
        self._path.unlink()

    def _append(self, entry: dict[str, Any]) -> None:
        with self._path.open("ab") as file:
            file.write(json.dumps(entry, separators=(",", ":")).encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _resume(self, plan: str) -> bool:
        if self._folder.is_symlink() or not self._path.is_file():
            return False
        try:
            files = set(guard.check_store(self._folder))
            lines = self._path.read_bytes().split(b"\n")
            torn = lines.pop()
            if not lines or parse_json(lines[0], parse_constant=float) != {"plan": plan}:
                return False
            for line in lines[1:]:
                self._take(parse_json(line), files)
        except (Problem, ValueError, KeyError, TypeError, AttributeError, IndexError):
            return False
        if files - set(_own_files(self._layout)) - {NAME}:
            return False
        if torn:  # what follows the last line end
            with self._path.open("r+b") as file:
                file.truncate(sum(len(line) + 1 for line in lines))
        return True

    def _take(self, entry: Any, files: set[str]) -> None:
        """Take a line over. Raises `ValueError` and its like where the line is not what this layout gives."""
        if entry.pop("sum") != digest(entry):  # a digest with a bit that flipped would make a wrong receipt
            raise ValueError("a damaged line")
        index, corner = entry["pass"], tuple(entry["block"])
        stage = self._layout.passes[index]
        found = {int(level): texts for level, texts in entry["digests"].items()}
        if corner not in self._layout.corners(stage) or set(found) != set(_levels(index, stage)):
            raise ValueError("a block that the plan does not have")
        for number, texts in found.items():
            level = self._layout.levels[number]
            box = self._layout.box(number, stage, corner)
            extent = level.tile if number else slab_extent(self._layout, stage)
            if len(texts) != sum(1 for _ in tiles(box, extent)) or any(len(bytes.fromhex(t)) != 32 for t in texts):
                raise ValueError("digests of other blocks")
            if not files.issuperset(_shards(number, level, box)):
                raise ValueError("a shard is missing")
        self.done[index, corner] = found


def is_whole(folder: Path, layout: Layout) -> bool:
    """Whether a folder holds every file of a result, and no other."""
    try:
        files = set(guard.check_store(folder))
    except Problem:
        return False
    own = {name for name in _own_files(layout) if not name.endswith(".tmp")}
    return files == own


def _own_files(layout: Layout) -> Iterator[str]:
    """Every file that writing a volume makes, by its path in the folder, finished or not."""
    for place in ("", *(f"{number}/" for number in range(len(layout.levels)))):
        yield from (f"{place}zarr.json", f"{place}zarr.json.tmp")
    for number, level in enumerate(layout.levels):
        for name in _shards(number, level, tuple(slice(0, n) for n in level.shape)):
            yield from (name, f"{name}.tmp")


def _shards(number: int, level: Level, box: Box) -> Iterator[str]:
    """Shards of a level that hold a box."""
    for tile in tiles(box, level.shard):
        yield "/".join((str(number), "c", *(str(s.start // n) for s, n in zip(tile, level.shard, strict=True))))


def _levels(index: int, stage: Pass) -> range:
    """Levels that a pass writes: the first of them level 0 too."""
    return range(stage.first + (1 if index else 0), stage.last + 1)


def level_digests(layout: Layout, done: dict[BlockKey, Digests], number: int) -> list[bytes]:
    """Digests of one level's slabs or tiles in C order over the whole level."""
    index = next(i for i, stage in enumerate(layout.passes) if number <= stage.last)
    stage = layout.passes[index]
    extent = layout.levels[number].tile if number else slab_extent(layout, stage)
    found: dict[tuple[int, ...], bytes] = {}
    for corner in layout.corners(stage):
        box = layout.box(number, stage, corner)
        for tile, text in zip(tiles(box, extent), done[index, corner][number], strict=True):
            found[tuple(s.start for s in tile)] = bytes.fromhex(text)
    return [found[key] for key in sorted(found)]
