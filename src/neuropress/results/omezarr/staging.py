"""Which units are done, so that a killed run continues, and where unfinished shards lie.

Beside the levels, the ``.partial`` folder of a volume holds ``units-<plan>/``, named by the digest of everything that
the units' bytes follow from. Each worker keeps its own journal there, one JSON line a unit, flushed to the disk
after the unit's shards; unfinished shards lie there under names that nobody else uses. When the volume is whole, or is
begun anew, that folder goes as a whole: a worker that was presumed dead can then neither make a temporary file
nor rename one that it had.

Of a volume in a bucket the folder holds ``units-<plan>/`` alone. Finished shards go to their keys at once, on condition
that nothing lies there, and the journal says by their stamps which objects are the unit's. Only whoever begins or
finishes the volume, under the dataset's lock, deletes: a worker that is late can put nothing over a shard, and what it
puts beside them does not outlive the next run.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from ...model.finding import Problem
from ...model.parsing import parse_json
from ...model.plan import digest
from ...model.source import Stamp
from ...storage.remote import BucketPath, ResultPath
from .. import durable
from . import guard, ome_xml, tables
from .layout import Box, Layout, Level, list_tiles
from .preview import NAME as PREVIEW
from .shards import Shard, rename_shards, upload_shards
from .versions import ROOT_FILES

PREFIX = "units-"
JOURNAL = ".jsonl"
TEMPORARY = ".tmp"

_WORKER = uuid4().hex
"""Name of this process's journals: unlike a process number, no machine and no later process has it too."""

type Digests = dict[int, list[str]]
"""Level -> digests of a unit's tiles (`Level.tile`), in C order, hex."""

type UnitKey = tuple[int, tuple[int, ...]]
"""Number of the pass, and the unit's place in it."""


def format_unit_name(key: UnitKey) -> str:
    """The name of a unit: ``0/3.0.2`` is the one at (3, 0, 2) of the first pass."""
    return f"{key[0]}/{'.'.join(map(str, key[1]))}"


def parse_unit_name(name: str) -> UnitKey:
    """The reverse of `format_unit_name`. Raises `ValueError`."""
    index, _, corner = name.partition("/")
    return int(index), tuple(int(n) for n in corner.split("."))


class Staging:
    """The ``.partial`` folder of a volume, in which any number of workers leave finished units.

    Parameters
    ----------
    folder
        The ``.partial`` folder.
    plan
        Digest of everything that the units' bytes follow from.
    bucket
        Where the volume is to lie, if in a bucket.
    """

    def __init__(self, folder: Path, plan: str, layout: Layout, bucket: BucketPath | None = None) -> None:
        self.folder, self._layout, self._bucket = folder, layout, bucket
        self._own = folder / f"{PREFIX}{plan[:32]}"
        self._stamps: dict[str, Stamp] = {}

    @property
    def finished(self) -> ResultPath:
        """Where finished shards lie; of a bucket, as it is now."""
        return self._bucket.look_again() if self._bucket else self.folder

    @staticmethod
    def has_units(folder: Path) -> bool:
        """Whether a folder has units to be done: it is not whole."""
        return any(folder.glob(f"{PREFIX}*"))

    def begin(self) -> None:
        """Continue with what lies there if it is of this plan, else start anew. No worker of this run may be at work.

        What an interrupted run left is taken over only if there are no links and no files that are not ours.
        """
        if self._is_ours():
            for left in self._own.glob(f"*{TEMPORARY}"):
                durable.remove_path(left)
            if self._bucket:
                self._delete_objects(keep={name for key in self.read_done() for name in self._list_unit_shards(key)})
            return
        durable.remove_path(self.folder)
        if self._bucket:
            self._delete_objects(keep=())
        self._own.mkdir(parents=True)
        durable.sync_path(self.folder)

    def _delete_objects(self, keep: Collection[str]) -> None:
        """Delete what lies in the bucket, but not what is to stay there.

        The root's metadata go first, by themselves: without them nobody takes what remains for a volume.
        """
        assert self._bucket is not None
        strays = self._bucket.list_files().keys() - set(keep)
        roots = strays & set(ROOT_FILES)
        if roots:
            self._bucket.delete_files(sorted(roots))
        self._bucket.delete_files(sorted(strays - roots))

    def is_begun(self) -> bool:
        """Whether the folder is there, of this plan, with the metadata of all levels."""
        if any(place.is_symlink() or not place.is_dir() for place in (self.folder, self._own)):
            return False
        return all(_is_file(self.folder / level.file) for level in self._layout.levels)

    def write_level(self, number: int, text: str) -> None:
        """Write the metadata of a level."""
        level = self._layout.levels[number]
        if not self._bucket:
            (self.folder / level.name).mkdir(parents=True, exist_ok=True)
        self.write_text(level.file, text)

    def write_text(self, name: str, text: str) -> None:
        """Write a small file of the volume, as others may do at the same time. Raises `FileNotFoundError`."""
        self.write_bytes(name, text.encode("ascii"))

    def write_bytes(self, name: str, data: bytes) -> None:
        """The same of bytes, in a bucket, too; folders are made where they are missing."""
        if self._bucket:
            (self._bucket / name).write_bytes(data)
            return
        temporary = self.make_temporary()
        temporary.write_bytes(data)
        durable.make_folders(self.folder, name)
        durable.rename_durably(temporary, self.folder / name)

    def keep_shards(self, shards: Sequence[Shard]) -> None:
        """Give finished shards their names; on return they are durable. Raises `OSError`."""
        if self._bucket:
            self._stamps |= upload_shards(self._bucket, shards)
        else:
            rename_shards(self.folder, shards)

    def _is_ours(self) -> bool:
        if any(place.is_symlink() or not place.is_dir() for place in (self.folder, self._own)):
            return False
        try:
            files = set(guard.check_store(self.folder))
        except Problem:
            return False
        strays = files - set(_list_own_files(self._layout)) - {f"{self._own.name}/"}
        return all(name.rpartition("/")[0] == self._own.name or tables.is_of_table(name) for name in strays)

    def make_temporary(self) -> Path:
        """An empty file under a name that nobody else uses. Raises `FileNotFoundError`: the staging is gone."""
        path = self._own / f"{uuid4().hex}{TEMPORARY}"
        path.open("xb").close()
        return path

    def record_units(self, units: Mapping[UnitKey, Digests]) -> None:
        """Note units whose shards are durable. Raises `FileNotFoundError`: the staging is gone."""
        path = self._own / f"{_WORKER}{JOURNAL}"
        fresh = not path.exists()
        with path.open("ab") as file:
            for key, digests in units.items():
                entry: dict[str, Any] = {
                    "unit": format_unit_name(key),
                    "digests": {str(level): texts for level, texts in digests.items()},
                }
                if self._bucket:
                    entry["objects"] = {name: list(self._stamps[name]) for name in self._list_unit_shards(key)}
                line = json.dumps({**entry, "sum": digest(entry)}, separators=(",", ":"))
                file.write(line.encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            durable.sync_path(self._own)

    def read_done(self) -> dict[UnitKey, Digests]:
        """Every unit that a journal says is done and whose shards are there.

        A line that a crash tore or that was damaged is dropped: its unit is run again, to the same bytes.
        """
        done: dict[UnitKey, Digests] = {}
        there = self._bucket.list_files() if self._bucket else None
        for path in sorted(self._own.glob(f"*{JOURNAL}")):
            try:
                with guard.open_regular_file(path) as file:
                    lines = file.read().split(b"\n")
            except (OSError, ValueError):
                continue
            for line in lines:
                try:
                    entry = parse_json(line)
                    key, digests = self._parse_entry(entry)
                except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                    continue
                if key not in done and self._has_shards(key, entry.get("objects"), there):
                    done[key] = digests
        return done

    def _parse_entry(self, entry: Any) -> tuple[UnitKey, Digests]:
        """A line of a journal. Raises `ValueError` and its like where it is not what this layout gives."""
        if entry.pop("sum") != digest(entry):  # a digest with a bit that flipped would make a wrong receipt
            raise ValueError("a damaged line")
        index, corner = parse_unit_name(entry["unit"])
        stage = self._layout.passes[index]
        digests = {int(level): texts for level, texts in entry["digests"].items()}
        known = index >= 0 and all(0 <= n < m for n, m in zip(corner, self._layout.get_grid(stage), strict=True))
        if not known or set(digests) != set(stage.written):
            raise ValueError("a unit that the plan does not have")
        for number, texts in digests.items():
            boxes = list_tiles(self._layout.get_box(number, stage, corner), self._layout.levels[number].tile)
            if len(texts) != sum(1 for _ in boxes) or any(len(bytes.fromhex(t)) != 32 for t in texts):
                raise ValueError("digests of another unit")
        return (index, corner), digests

    def _has_shards(self, key: UnitKey, stamps: Any, there: Mapping[str, Stamp] | None) -> bool:
        """Whether a unit's shards lie there; of objects, whether each is the one that was put."""
        names = self._list_unit_shards(key)
        if there is None:
            return all(_is_file(self.folder / name) for name in names)
        return isinstance(stamps, dict) and all(
            name in there and list(there[name]) == stamps.get(name) for name in names
        )

    def _list_unit_shards(self, key: UnitKey) -> Iterator[str]:
        """Every shard that a unit owns, at any level."""
        stage = self._layout.passes[key[0]]
        for number in stage.written:
            box = self._layout.get_box(number, stage, key[1])
            yield from _list_shards(self._layout.levels[number], box)

    def check_finished(self) -> dict[UnitKey, Digests]:
        """All units with their digests; nothing else lies in the bucket.

        Raises
        ------
        OSError
            Shards of a unit that was done are gone.
        """
        done = self.read_done()
        for index, stage in enumerate(self._layout.passes):
            for corner in self._layout.list_corners(stage):
                if (index, corner) not in done:
                    gone = format_unit_name((index, corner))
                    raise OSError(f"{self.finished}: shards of unit {gone} are gone or were replaced; convert again")
        if self._bucket:
            self._delete_objects(keep=set(_list_own_files(self._layout)) - {self._layout.version.root_file})
        return done

    def close(self) -> None:
        """Remove journals and unfinished shards: the volume is whole."""
        # Under its own name a worker that is late could put a file into the folder while it is emptied.
        leaving = self._own.with_name(f"{PREFIX}done")
        durable.remove_path(leaving)
        os.replace(self._own, leaving)
        durable.remove_path(leaving)


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def clear_closed(folder: Path) -> None:
    """Finish a `Staging.close` that was interrupted."""
    if folder.is_dir() and not folder.is_symlink():
        durable.remove_path(folder / f"{PREFIX}done")


def is_whole(folder: ResultPath, layout: Layout) -> bool:
    """Whether a folder holds every file of a result, and no other; what is written with the metadata may be absent."""
    try:
        files = set(guard.check_store(folder))
    except Problem:
        return False
    own = {name for name in _list_own_files(layout) if not name.endswith(TEMPORARY)}
    named = {name for name in files if not tables.is_of_table(name) and not ome_xml.is_of_document(name)}
    return named | {PREVIEW} == own


def _list_own_files(layout: Layout) -> Iterator[str]:
    """Every file that a volume consists of, and the temporary ones beside its metadata, by its path in the folder."""
    groups = {f"{place}/" for level in layout.levels for place in PurePosixPath(level.name).parents}
    names = [f"{place}{name}" for place in ("", *sorted(groups - {"./"})) for name in layout.version.group_files]
    for name in (*names, PREVIEW, *(level.file for level in layout.levels)):
        yield from (name, f"{name}{TEMPORARY}")
    for level in layout.levels:
        yield from _list_shards(level, tuple(slice(0, n) for n in level.shape))


def _list_shards(level: Level, box: Box) -> Iterator[str]:
    """Shards of a level that hold a box."""
    for tile in list_tiles(box, level.shard):
        yield level.name_shard([s.start // n for s, n in zip(tile, level.shard, strict=True)])


def collect_level_digests(layout: Layout, done: Mapping[UnitKey, Digests], number: int) -> list[bytes]:
    """Digests of one level's boxes in C order over the whole level."""
    index = next(i for i, stage in enumerate(layout.passes) if number <= stage.last)
    stage = layout.passes[index]
    by_corner: dict[tuple[int, ...], bytes] = {}
    for corner in layout.list_corners(stage):
        boxes: Iterable[Box] = list_tiles(layout.get_box(number, stage, corner), layout.levels[number].tile)
        for box, text in zip(boxes, done[index, corner][number], strict=True):
            by_corner[tuple(s.start for s in box)] = bytes.fromhex(text)
    return [by_corner[key] for key in sorted(by_corner)]
