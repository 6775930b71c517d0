"""HDF5 files by pyfive, which reads them without the HDF5 library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyfive


class _Handle:
    """A file without a descriptor: with one, pyfive 1.3 reads chunks as if no user block came before them."""

    closed = False

    def __init__(self, raw: BinaryIO, path: str) -> None:
        self.path = path
        self.read, self.seek, self.tell, self.close = raw.read, raw.seek, raw.tell, raw.close


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """A file for reading; arrays are read while it is open."""
    with path.open("rb") as raw, pyfive.File(_Handle(raw, str(path))) as file:
        yield file
