"""Libraries at arm's length: one header at a time, bounded reads, their failures as findings, their words as warnings.

The libraries believe what they read. They are given a file that refuses what no header needs, and what they raise,
log or warn about belongs to the file that is open, not to a program.
"""

from __future__ import annotations

import importlib
import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...model import budget
from ...model.finding import Problem, problem
from ...model.source import RawFile, Source, Stamp
from . import EXTRA

_ONE_AT_A_TIME = threading.RLock()
"""Python's own filter of warnings is one for all threads."""


def import_library(name: str, key: str) -> Any:
    """A library of the extra, imported when the first file needs it.

    Raises
    ------
    Problem
        ``format.library``: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        message = f"{key}: its format is read by the library {name}, which cannot be imported ({error})"
        hint = f"Install it: python -m pip install 'neuropress[{EXTRA}]'"
        raise problem("format.library", message, hint=hint, file=key) from error


class HeaderFile(io.RawIOBase):
    """A raw file as a library reads its headers.

    It is no `io.BufferedReader`, which nd2 would map into memory: a mapped file that shrinks kills the process. A
    read is never larger than the file's rest or `budget.HEADER_READ`, whatever a damaged length asks for.
    """

    def __init__(self, source: Source, key: str | None = None) -> None:
        super().__init__()
        self.key = key or source.key
        self._file: RawFile = source.open(self.key)
        self._lock = threading.Lock()
        self.file_stamp: Stamp = self._file.stamp()
        self.file_size = self.file_stamp[0]
        self.failure: OSError | Problem | None = None

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be sought in."""
        return True

    def tell(self) -> int:
        """The place of the next read."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place; one before the begin or behind all files is a wrong header."""
        at = offset + {0: 0, 1: self._file.tell(), 2: self.file_size}[whence]
        if not 0 <= at < 2**63:
            raise ValueError(f"seek to byte {at}")
        return self._file.seek(at)

    def read(self, size: int | None = -1, /) -> bytes:
        """Bytes from here on, fewer at the end."""
        left = max(self.file_size - self._file.tell(), 0)
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > budget.HEADER_READ:
            message = f"{self.key}: its header has a part of {wanted} bytes, more than {budget.HEADER_READ}"
            self.failure = problem("image.hostile", message, file=self.key)
            raise self.failure
        try:
            return self._file.read(wanted)
        except (OSError, Problem) as error:
            self.failure = self.failure or error
            raise

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer as far as the file reaches."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read_at(self, at: int, size: int) -> bytes:
        """`size` bytes from byte `at`, fewer at the end."""
        with self._lock:
            self.seek(at)
            return self.read(size)

    def close(self) -> None:
        """Close the file itself, too."""
        self._file.close()
        super().close()


@contextmanager
def guard_library(library: str, file: HeaderFile, notes: list[str]) -> Iterator[None]:
    """Run a library on one file; what it logs and warns about is added to `notes`.

    Raises
    ------
    Problem
        ``microscope.damaged`` for whatever it raises; a `Problem` or a failure of the machine goes on as it is.
    """
    logger, records = logging.getLogger(library), _Records()
    with _ONE_AT_A_TIME, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        logger.addHandler(records)
        try:
            yield
        except Problem:
            raise
        except (Exception, RecursionError, MemoryError) as error:
            if file.failure:
                raise file.failure from error
            text = f"{type(error).__name__}: {str(error)[:300]}".rstrip(": ")
            raise problem(
                "microscope.damaged", f"{file.key}: the library {library} cannot read it ({text})", file=file.key
            ) from error
        finally:
            logger.removeHandler(records)
        if file.failure:  # a library that passes over failures must not make a shorter header of them
            raise file.failure
    texts = [*records.texts, *(str(warning.message) for warning in caught if _is_about_file(warning))]
    notes += [f"{library} says: {text[:300]}" for text in dict.fromkeys(texts)]


def _is_about_file(warning: warnings.WarningMessage) -> bool:
    return not issubclass(warning.category, (ResourceWarning, DeprecationWarning, PendingDeprecationWarning))


class _Records(logging.Handler):
    """What a library logs in this thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.thread, self.texts = threading.get_ident(), list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        if threading.get_ident() == self.thread:
            self.texts.append(record.getMessage())
