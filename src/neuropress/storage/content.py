"""Bytes that can be sent: a file of this machine, an object of a root of raw files, or bytes that were just made."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from ..model.finding import Problem, problem
from ..model.source import RawFile, Root


class Readable(Protocol):
    """One file's bytes, opened anew for every attempt to send them."""

    @property
    def place(self) -> str:
        """Where they lie, for people."""
        ...

    def open(self) -> BinaryIO:
        """The bytes. Raises `FileNotFoundError` when they are gone."""
        ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine."""

    path: Path

    @property
    def place(self) -> str:
        """Its path."""
        return str(self.path)

    def open(self) -> BinaryIO:
        """The file."""
        return self.path.open("rb")


@dataclass(frozen=True, slots=True)
class GeneratedBytes:
    """Bytes that were made for this and lie nowhere."""

    place: str
    data: bytes = field(repr=False)

    def open(self) -> BinaryIO:
        """The bytes."""
        return io.BytesIO(self.data)


@dataclass(frozen=True, slots=True)
class RawObject:
    """A file of a root of raw files."""

    root: Root
    key: str

    @property
    def place(self) -> str:
        """Root and key."""
        return f"{self.root.name}/{self.key}"

    def open(self) -> BinaryIO:
        """The file."""
        try:
            return RawFile(self.root.open(self.key))
        except Problem as bad:
            raise FileNotFoundError(bad.finding.message) from bad


def read_parts(content: Readable, part: int) -> Iterator[bytes]:
    """The content in parts of a size.

    Raises
    ------
    Problem
        ``storage.changed``: it is gone.
    """
    try:
        with content.open() as file:
            while chunk := file.read(part):
                yield chunk
    except (FileNotFoundError, IsADirectoryError):
        place = content.place
        raise problem("storage.changed", f"{place} vanished while it was being published", file=place) from None


def read_verified_parts(content: Readable, part: int, sha256: str, progress: Callable[[int], None]) -> Iterator[bytes]:
    """The content in parts; ends in an error, which aborts the upload, when its digest is another.

    The last part is held back until the digest is known: once all parts are out, an upload can no longer be aborted.
    """
    total = hashlib.sha256()
    held = b""
    for chunk in read_parts(content, part):
        if held:
            yield held
            progress(len(held))
        total.update(chunk)
        held = chunk
    check_digest(content, total.hexdigest(), sha256)
    yield held
    progress(len(held))


def read_in_thread(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same parts, read by a thread of their own.

    The store's client asks for the parts of an upload from within its event loop, where reading an object of
    another bucket with the same client would panic.
    """
    with ThreadPoolExecutor(1) as pool:
        while (part := pool.submit(next, parts, None).result()) is not None:
            yield part


def check_digest(content: Readable, actual: str, expected: str) -> None:
    """Compare the digest of what was read with the known one. Raises `Problem` (``storage.changed``)."""
    if actual != expected:
        place = content.place
        raise problem("storage.changed", f"{place} changed while it was being published", file=place)
