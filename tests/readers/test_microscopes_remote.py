"""Microscopes' files that lie on no disk of this machine are read alike, by ranges."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from microscope_reading import FILES, read_pixels

from neuropress.model.source import Source, Stamp
from neuropress.readers import raw
from neuropress.storage.roots import Folder


class Ranges(io.RawIOBase):
    """Bytes without a file descriptor, a name or a path."""

    def __init__(self, path: Path, stamp: Stamp) -> None:
        super().__init__()
        self._data, self._at, self._stamp = io.BytesIO(path.read_bytes()), 0, stamp

    def stamp(self) -> Stamp:
        return self._stamp

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._data.seek(offset, whence)

    def readinto(self, buffer) -> int:
        return self._data.readinto(buffer)


class Remote(Folder):
    """A folder that behaves as a bucket does."""

    def path(self, key: str) -> None:
        return None

    def open(self, key: str) -> io.RawIOBase:
        return Ranges(self.folder / key, self.stamp(key))


@pytest.mark.parametrize("name", FILES)
def test_a_file_elsewhere_is_read_as_one_here(tmp_path: Path, name: str) -> None:
    path = FILES[name](tmp_path)
    here = raw.read(Source(path.name, Folder(tmp_path)), {})
    there = raw.read(Source(path.name, Remote(tmp_path)), {})
    assert len(here) == len(there)
    for one, other in zip(here, there, strict=True):
        assert np.array_equal(read_pixels(one), read_pixels(other))
        assert (one.facts, one.header) == (other.facts, other.header)
