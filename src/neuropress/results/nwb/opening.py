"""Opening NWB files of whoever made them: looked at before anything else is read of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import h5py

from ...model.finding import Problem, problem
from ...readers.hdf5.guard import check_file

_LAST: dict[tuple[int, ...], int] = {}
"""The file that was checked last -> see `check_file`."""


@contextmanager
def open_hdf5(path: Path, stream: BinaryIO | None = None) -> Iterator[h5py.File]:
    """A file, or a seekable stream under its name. Raises `Problem` (``result.unreadable``)."""
    try:
        file = h5py.File(stream or path, "r")
    except OSError as error:
        raise make_unreadable_problem(path, str(error)) from error
    with file:
        yield file


@contextmanager
def open_checked(path: Path) -> Iterator[tuple[h5py.File, int]]:
    """A file that leads nowhere else and stays within the budget, and how long a text in it can be.

    `verify` opens a result twice; what was looked at a moment ago is not looked at again.
    """
    with open_hdf5(path) as file:
        stat = path.stat()
        key = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if key not in _LAST:
            spare = check_file(file, path)
            _LAST.clear()
            _LAST[key] = spare
        yield file, _LAST[key]


def make_unreadable_problem(path: Path, why: str, **where: Any) -> Problem:
    """``result.unreadable``, with the file's name."""
    return problem("result.unreadable", f"{path.name}: {why}", file=str(path), **where)
