"""Whether a raw file is still the one whose header was read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from ..model.finding import problem

type Stamp = tuple[int, int]
"""Size in bytes and modification time in ns."""


def stamp_of(file: BinaryIO | Path) -> Stamp:
    """The stamp of an open file or of a path."""
    stat = file.stat() if isinstance(file, Path) else os.fstat(file.fileno())
    return stat.st_size, stat.st_mtime_ns


def check_unchanged(file: BinaryIO | Path, known: Stamp | None, key: str) -> None:
    """Compare a file with the stamp that it had when its header was read; without one, nothing is known.

    Raises
    ------
    Problem
        ``file.changed``
    """
    if known is not None and (now := stamp_of(file)) != known:
        sizes = f"{known[0]} bytes, then {now[0]}" if now[0] != known[0] else "its modification time moved"
        raise problem("file.changed", f"{key} changed while it was read ({sizes})", file=key)
