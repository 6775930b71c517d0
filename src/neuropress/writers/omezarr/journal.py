"""Which blocks are done, so that a killed run continues: one JSON line a block, flushed to the disk."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from .blocks import Digests, slab_extent
from .layout import Layout, tiles

NAME = "blocks.jsonl"

type BlockKey = tuple[int, tuple[int, ...]]
"""Number of the pass, and the block's place in it."""


class Journal:
    """The finished blocks below a ``.partial`` folder.

    A journal of another plan, or none, starts the folder anew. A line that was torn by a
    crash is dropped: its block is done again.
    """

    def __init__(self, folder: Path, plan: str) -> None:
        self.done: dict[BlockKey, Digests] = {}
        self._path = folder / NAME
        if not self._resume(plan):
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
            self._append({"plan": plan})

    @staticmethod
    def lies_in(folder: Path) -> bool:
        """Whether a folder holds a journal: it is not whole."""
        return (folder / NAME).is_file()

    def add(self, key: BlockKey, digests: Digests) -> None:
        """Note a block whose shards are durable."""
        self._append({"pass": key[0], "block": key[1], "digests": digests})
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
        if not self._path.is_file():
            return False
        lines = self._path.read_bytes().split(b"\n")
        if lines.pop():  # what follows the last line end was torn
            with self._path.open("r+b") as file:
                file.truncate(sum(len(line) + 1 for line in lines))
        if not lines or json.loads(lines[0]) != {"plan": plan}:
            return False
        for line in lines[1:]:
            entry = json.loads(line)
            digests = {int(level): found for level, found in entry["digests"].items()}
            self.done[entry["pass"], tuple(entry["block"])] = digests
        return True


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
