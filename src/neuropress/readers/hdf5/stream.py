"""A raw file as HDF5 reads it, with the cause of a failure."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from ...model.finding import Problem
from ...model.source import Source
from .guard import GuardFindings, translate_errors


class GuardedStream(io.BufferedReader):
    """A raw file as HDF5 reads it; h5py does not hand on why a read failed, so the first failure is kept.

    Parameters
    ----------
    ids
        Findings on files of this sort.
    """

    def __init__(self, source: Source, ids: GuardFindings) -> None:
        super().__init__(source.open_bytes())
        self._key, self._ids = PurePosixPath(source.key), ids
        self._failure: OSError | Problem | None = None

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer, as any file does."""
        try:
            return super().readinto(buffer)
        except (OSError, Problem) as error:
            self._failure = self._failure or error
            raise

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        """Damage and what is over the budget as a finding; what failed to be read is none."""
        try:
            with translate_errors(self._key, self._ids):
                yield
        except Problem:
            if self._failure:
                raise self._failure from None
            raise
