"""Reading a result back."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.errors import BaseZarrError

from ...model.finding import Problem, problem
from ...model.provenance import Provenance
from ...model.receipt import block_digest, blocks, root_digest

UNREADABLE = (BaseZarrError, OSError, ValueError, KeyError, TypeError, RuntimeError, NotImplementedError)
"""What zarr-python and its codecs raise on damaged metadata, shards and chunks."""


class Level:
    """One level of a result, read block by block; a damaged shard is a `Problem`."""

    def __init__(self, root: Path, name: str) -> None:
        self._root, self._name = root, name
        try:
            opened = zarr.open_array(root / name, mode="r")
        except UNREADABLE as error:
            raise self._unreadable(error) from error
        self._array = opened

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent of each axis."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return np.dtype(self._array.dtype)

    @property
    def shard(self) -> tuple[int, ...]:
        """Extent of one file's part of the array."""
        return self._array.shards or self._array.chunks

    @property
    def tile(self) -> tuple[int, ...]:
        """Extent of the boxes that its digest is taken over: a shard, one chunk deep (see `layout.Level.tile`)."""
        shard = self.shard
        depth = self._array.chunks[-3:-2]
        return (*shard[: len(shard) - 2 - len(depth)], *depth, *shard[-2:])

    def __getitem__(self, selection: tuple[slice, ...]) -> np.ndarray:
        try:
            return np.asarray(self._array[selection])
        except UNREADABLE as error:
            # zarr leaves the sibling chunks' tasks pending; asyncio would complain of them at exit, on standard error
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            warnings.filterwarnings("ignore", message="coroutine .* was never awaited", category=RuntimeWarning)
            raise self._unreadable(error, selection) from error

    def digest(self) -> str:
        """The level's digest, computed anew."""
        return root_digest([block_digest(self[box]) for box in blocks(self.shape, self.tile)])

    def _unreadable(self, error: Exception, selection: tuple[slice, ...] = ()) -> Problem:
        corner = tuple(s.start for s in selection)
        message = f"{self._root.name}: array {self._name} cannot be read"
        message += f" at {list(corner)}: {error}" if selection else f": {error}"
        return problem("result.unreadable", message, file=str(self._root), array=f"/{self._name}", index=corner or None)


def attributes(path: Path) -> Mapping[str, Any]:
    """The root's attributes.

    Raises
    ------
    Problem
        ``result.unreadable``.
    """
    try:
        found = json.loads((path / "zarr.json").read_text("utf-8"))["attributes"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise problem("result.unreadable", f"{path.name} has no readable zarr.json: {error}", file=str(path)) from error
    if not isinstance(found, dict):
        raise problem("result.unreadable", f"{path.name}: zarr.json has no attributes", file=str(path))
    return found


def provenance(path: Path) -> Provenance:
    """What a result says about itself. Raises `Problem` (``result.unreadable``)."""
    found = attributes(path)
    if "neuropress" not in found:
        raise problem("result.foreign", f"{path.name} was not written by neuropress", file=str(path))
    try:
        return Provenance.from_sections(found["neuropress"])
    except (KeyError, TypeError, ValueError) as error:
        message = f"{path.name} has a record of where it came from that cannot be read: {error!r}"
        raise problem("result.unreadable", message, file=str(path)) from error


def level_names(path: Path) -> list[str]:
    """Paths of the levels, level 0 first."""
    try:
        return [str(d["path"]) for d in attributes(path)["ome"]["multiscales"][0]["datasets"]]
    except (KeyError, IndexError, TypeError) as error:
        message = f"{path.name} lists no levels in its multiscales: {error!r}"
        raise problem("result.unreadable", message, file=str(path)) from error
