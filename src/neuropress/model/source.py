"""The only openers of raw bytes: confined to their root, read only, every file recorded.

`neuropress.storage` has the roots: folders and buckets.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol, cast

from .finding import problem
from .key_patterns import matches_key
from .serial import SPARSE

HEAD = 4096
_CONTROL = re.compile(r"[\x00-\x1f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
MOST_NAME = 255
"""Bytes of one part of a path: no file system in use takes more."""
_DRIVE = re.compile(r"^[A-Za-z]:")


type Stamp = tuple[int, int, int | str, int | str]
"""What tells whether a raw file is as it was, without reading it; the first entry is its size in bytes.

Of a file in a folder: size, modification time, change time (both in ns) and inode; no program sets the change
time back. Of an object: size, 0, its ETag and ``""``; without an ETag the time of its last change in ns stands
in the second place.
"""


@dataclass(frozen=True, slots=True, order=True)
class Input:
    """A raw file that was touched: its key, size in bytes, modification time in ns, and of an object its ETag."""

    key: str
    size: int
    mtime_ns: int
    etag: str = field(default="", metadata=SPARSE)

    @classmethod
    def of(cls, key: str, stamp: Stamp) -> Input:
        """What the stamp says of a file."""
        return cls(key, stamp[0], stamp[1], stamp[2] if isinstance(stamp[2], str) else "")


class RawBytes(Protocol):
    """Unbuffered bytes of a raw file: an `io.RawIOBase` that knows what file it reads."""

    def stamp(self) -> Stamp:
        """The stamp of the file that is open, whatever has its name by now."""
        ...


class Root(Protocol):
    """A place of raw files: a folder or a prefix of a bucket. Nothing in it is ever written.

    Whoever asks has checked the key with `check_key`. All methods may be called from many threads, and raise
    `OSError` when the machine, the network or the place as a whole failed.
    """

    @property
    def name(self) -> str:
        """What people call it: the folder's path or the URL."""
        ...

    def holds(self, key: str) -> bool:
        """Whether a file or a folder lies there. Raises `Problem` (``path.outside``, ``path.unsafe``)."""
        ...

    def stamp(self, key: str) -> Stamp | None:
        """The stamp of a file; None of a folder.

        Raises
        ------
        Problem
            ``file.missing``, ``file.special``, ``path.outside``.
        """
        ...

    def members(self, folder: str) -> tuple[str, ...]:
        """Names of the files directly in a folder, sorted."""
        ...

    def files(self, folder: str) -> tuple[str, ...]:
        """Keys of all files below a folder, at any depth, hidden ones too, sorted."""
        ...

    def open(self, key: str) -> io.RawIOBase:
        """A file as seekable `RawBytes`. Raises as `stamp` does."""
        ...

    def path(self, key: str) -> Path | None:
        """Where a file lies on this machine; None where it does not."""
        ...

    def sha256(self, key: str, before_read: BeforeRead = ...) -> str:
        """SHA-256 (hex) of a file, all of which is read."""
        ...


class RawFile(io.BufferedReader):
    """A raw file, open for reading, that can tell whether it is still the same."""

    def stamp(self) -> Stamp:
        """The stamp of the file that is open."""
        return cast(RawBytes, self.raw).stamp()


@dataclass(slots=True)
class Source:
    """One raw object, a file or a folder, of one table cell.

    Attributes
    ----------
    key
        Relative to the source roots, ``/`` as separator; a folder's ends in ``/``.
    root
        Where it lies; it must not leave that place.
    scratch
        Folder of what is made of raw files on the way to a result; it may be deleted at any time. None: there is none.
    is_trusted
        Whether the settings here let a program unpickle or execute it; what a result says of that counts for nothing.
    """

    key: str
    root: Root
    _touched: dict[str, Input] = field(default_factory=dict)
    scratch: Path | None = None
    is_trusted: bool = False

    @property
    def name(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.key).name

    @property
    def is_folder(self) -> bool:
        """Whether the object is a folder of members."""
        return self.root.holds(self.key) and self.root.stamp(self.key) is None

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Every file touched so far, sorted by key."""
        return tuple(sorted(self._touched.values()))

    def members(self) -> tuple[str, ...]:
        """Keys of the regular files directly in the folder, sorted by name; hidden files left out."""
        names = self.root.members(self.key.rstrip("/"))
        return tuple(f"{self.key.rstrip('/')}/{name}" for name in names if not name.startswith("."))

    def files(self) -> tuple[str, ...]:
        """Paths below the object of all its files, at any depth, sorted; ``("",)`` when it is a file itself."""
        if not self.is_folder:
            return ("",)
        folder = self.key.rstrip("/")
        return tuple(key.removeprefix(f"{folder}/") for key in self.root.files(folder))

    def list_keys(self) -> tuple[str, ...]:
        """Keys of all files of the object: its own, or those at any depth below the folder; hidden ones left out."""
        if not self.is_folder:
            return (self.key,)
        visible = (path for path in self.files() if not any(part.startswith(".") for part in path.split("/")))
        return tuple(f"{self.key.rstrip('/')}/{path}" for path in visible)

    def stamp(self, key: str | None = None) -> Stamp:
        """The stamp of the object or of one of its members, recorded as touched.

        Raises
        ------
        Problem
            ``file.missing``, ``file.special``, or ``path.outside`` (a link or ``..`` that leaves the root).
        """
        key = self.key if key is None else key
        stamp = self.root.stamp(key)
        if stamp is None:
            raise problem("file.special", f"{key} is a folder, where a file belongs", file=key)
        self._touched[key] = Input.of(key, stamp)
        return stamp

    def size(self, key: str | None = None) -> int:
        """Bytes of the object or of one of its members. Raises as `stamp` does."""
        return self.stamp(key)[0]

    def open_bytes(self, key: str | None = None) -> io.RawIOBase:
        """The object, or a member, opened for reading without a buffer, as `RawBytes`. Raises as `stamp` does."""
        key = self.key if key is None else key
        self.stamp(key)
        return self.root.open(key)

    def open(self, key: str | None = None) -> RawFile:
        """The object, or a member, opened for reading. Raises as `stamp` does."""
        return RawFile(self.open_bytes(key))

    def read(self, key: str | None = None) -> bytes:
        """All bytes of the object or of one of its members."""
        with self.open(key) as file:
            return file.read()

    def head(self, key: str | None = None, size: int = HEAD) -> bytes:
        """The first `size` bytes."""
        with self.open(key) as file:
            return file.read(size)

    def path(self, key: str | None = None) -> Path:
        """A local path, for libraries that cannot read a file that is open; it must be opened for reading only.

        Raises
        ------
        Problem
            ``file.remote``: it lies in a bucket; and as `stamp` does.
        """
        key = self.key if key is None else key
        self.stamp(key)
        path = self.root.path(key)
        if path is None:
            message = f"{key} lies at {self.root.name}, and its format is read from local files only"
            raise problem("file.remote", message, file=key)
        return path

    def sibling(self, name: str) -> str | None:
        """Key of a file beside the object, found without regard to case; None when absent."""
        folder = str(PurePosixPath(self.key.rstrip("/")).parent)
        for entry in self.root.members("" if folder == "." else folder):
            if entry.casefold() == name.casefold():
                return f"{folder}/{entry}" if folder != "." else entry
        return None


@dataclass(frozen=True, slots=True)
class SourceRoots:
    """The places (dataset, shares, buckets) in which keys are looked up, in this order.

    `scratch` is that of a `Source`, `trusted` are the keys, or patterns of keys, of those that are trusted.
    """

    roots: tuple[Root, ...]
    scratch: Path | None = None
    trusted: tuple[str, ...] = ()

    def locate(self, key: str) -> Source:
        """Find a raw object.

        Raises
        ------
        Problem
            ``path.unsafe`` for a key with ``..``, a backslash, a drive or a leading ``/``;
            ``file.missing`` when no root holds it; ``path.outside`` when a link leaves the root.
        OSError
            A root cannot be looked into.
        """
        check_key(key)
        for root in self.roots:
            if root.holds(key):
                is_trusted = any(matches_key(pattern, key) for pattern in self.trusted)
                return Source(key, root, scratch=self.scratch, is_trusted=is_trusted)
        looked = ", ".join(root.name for root in self.roots)
        raise problem("file.missing", f"{key} is in none of the source roots ({looked})", file=key)


def check_key(key: str) -> None:
    """Refuse keys that could name anything outside their root."""
    parts = key.rstrip("/").split("/")
    why = (
        "contains a backslash" if "\\" in key
        else "is absolute" if key.startswith("/") or _DRIVE.match(key)
        else "contains '..' or an empty part" if any(p in ("", ".", "..") for p in parts)
        else "contains a control character" if _CONTROL.search(key)
        else "contains half of a surrogate pair" if _SURROGATE.search(key)
        else "has a part of more than 255 bytes" if any(len(p.encode()) > MOST_NAME for p in parts)
        else ""
    )  # fmt: skip
    if why:
        shown = key if len(key) <= MOST_NAME else f"{key[:80]}... ({len(key)} characters)"
        raise problem("path.unsafe", f"the key {shown!r} {why}", file=shown)


type BeforeRead = Callable[[int], None]
"""Called before each read with the bytes of the one before; it may wait, or raise to give up."""


def no_wait(nbytes: int) -> None:
    """Read on."""


def natural_key(name: str) -> Sequence[tuple[int, int | str]]:
    """Sort key in natural order: ``z2`` before ``z10``."""
    return [(0, int(p)) if p.isdecimal() else (1, p.casefold()) for p in re.split(r"(\d+)", name) if p]
