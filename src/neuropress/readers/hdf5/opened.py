"""A raw HDF5 file that stays open while arrays in it are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import h5py
import numpy as np

from ...model.content import Content, LazyArray, Selection
from ...model.source import Source
from ..stamp import check_unchanged
from .guard import GuardFindings, check_file
from .stream import RawStream


class GuardedFile:
    """A raw HDF5 file, looked at before anything of it is read; its contents keep it open until they are closed.

    Parameters
    ----------
    source
        A file, on this machine or in a bucket.
    ids
        Findings on what may not be in it, and on damage; `Problem` with one of them is raised by all methods, and here.
    """

    def __init__(self, source: Source, ids: GuardFindings) -> None:
        self.key = source.key
        self._source, self._stamp = source, source.stamp()
        self._stream = RawStream(source, ids)
        self._open: set[str] = set()
        try:
            with self._stream.translate_errors():
                self.file = h5py.File(self._stream, "r")
                self.spare = check_file(self.file, PurePosixPath(source.key), ids)
        except BaseException:
            self._stream.close()
            raise

    def read_contents(self, make: Callable[[GuardedFile], Sequence[Content]]) -> tuple[Content, ...]:
        """What `make` finds in it. Raises `Problem` for damage, and what `make` raises; the file is closed then."""
        try:
            with self._stream.translate_errors():
                contents = make(self)
                # One of several may be chosen, and the others closed.
                self._open = {content.name for content in contents}
                return tuple(replace(content, close=partial(self._close_one, content.name)) for content in contents)
        except BaseException:
            self.close()
            raise

    def make_array(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], read: Callable[[Selection], np.ndarray]
    ) -> LazyArray:
        """An array whose `read` is called with damage translated, and only while the file is as it was."""

        def read_checked(selection: Selection) -> np.ndarray:
            check_unchanged(self._source.stamp(), self._stamp, self.key)
            with self._stream.translate_errors():
                return np.ascontiguousarray(read(selection), dtype=dtype)

        return LazyArray(name, shape, dtype, ("sample", "q")[: len(shape)], read_checked, shape)

    def _close_one(self, name: str) -> None:
        self._open.discard(name)
        if not self._open:
            self.close()

    def close(self) -> None:
        """Close it; reading of its arrays fails from then on."""
        self.file.close()
        self._stream.close()
