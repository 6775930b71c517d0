"""The only openers of raw bytes: confined to their root, read only, every file recorded."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO

from .finding import problem

HEAD = 4096
DIGEST_BYTES = 2**20
_CONTROL = re.compile(r"[\x00-\x1f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
MOST_NAME = 255
"""Bytes of one part of a path: no file system in use takes more."""
_DRIVE = re.compile(r"^[A-Za-z]:")
_NO_NAME = (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.EILSEQ)
_NO_NAME_WINDOWS = (123, 161, 206)


@dataclass(frozen=True, slots=True, order=True)
class Input:
    """A raw file that was touched: its key, size in bytes and modification time in ns."""

    key: str
    size: int
    mtime_ns: int


@dataclass(slots=True)
class Source:
    """One raw object, a file or a folder, of one table cell.

    Attributes
    ----------
    key
        Relative to the source roots, ``/`` as separator; a folder's ends in ``/``.
    root
        The folder that the object must not leave.
    """

    key: str
    root: Path
    _touched: dict[str, Input] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of the key."""
        return PurePosixPath(self.key).name

    @property
    def is_folder(self) -> bool:
        """Whether the object is a folder of members."""
        return (self.root / self.key).is_dir()

    @property
    def inputs(self) -> tuple[Input, ...]:
        """Every file touched so far, sorted by key."""
        return tuple(sorted(self._touched.values()))

    def members(self) -> tuple[str, ...]:
        """Keys of the regular files directly in the folder, sorted by name; hidden files left out."""
        folder = self.root / self.key
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if e.is_file() and not e.name.startswith("."))
        return tuple(f"{self.key.rstrip('/')}/{name}" for name in names)

    def path(self, key: str | None = None) -> Path:
        """A local path of the object or of one of its members, recorded as touched.

        For libraries that want a path. It must be opened for reading only.

        Raises
        ------
        Problem
            ``file.missing`` or ``path.outside`` (a link or ``..`` that leaves the root).
        """
        key = self.key if key is None else key
        path = confine(self.root, key)
        try:
            stat = path.stat()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise problem("file.missing", f"{key}: {reason}", file=key) from error
        if not (S_ISREG(stat.st_mode) or S_ISDIR(stat.st_mode)):
            raise problem("file.special", f"{key} is neither a file nor a folder", file=key)
        if path.is_file():
            self._touched[key] = Input(key, stat.st_size, stat.st_mtime_ns)
        return path

    def open(self, key: str | None = None) -> BinaryIO:
        """The object, or a member, opened for reading."""
        return self.path(key).open("rb")

    def head(self, key: str | None = None, size: int = HEAD) -> bytes:
        """The first `size` bytes."""
        with self.open(key) as file:
            return file.read(size)

    def sibling(self, name: str) -> str | None:
        """Key of a file beside the object, found without regard to case; None when absent."""
        folder = PurePosixPath(self.key.rstrip("/")).parent
        directory = self.root / str(folder)
        if not directory.is_dir():
            return None
        for entry in sorted(os.listdir(directory)):
            if entry.casefold() == name.casefold() and (directory / entry).is_file():
                return str(folder / entry)
        return None


@dataclass(frozen=True, slots=True)
class SourceRoots:
    """The folders (dataset, shares) in which keys are looked up, in this order."""

    roots: tuple[Path, ...]

    def locate(self, key: str) -> Source:
        """Find a raw object.

        Raises
        ------
        Problem
            ``path.unsafe`` for a key with ``..``, a backslash, a drive or a leading ``/``;
            ``file.missing`` when no root holds it; ``path.outside`` when a link leaves the root.
        """
        check_key(key)
        for root in self.roots:
            if exists(root / key, key):
                confine(root, key)
                return Source(key, root)
        looked = ", ".join(str(root) for root in self.roots)
        raise problem("file.missing", f"{key} is in none of the source roots ({looked})", file=key)


def exists(path: Path, key: str) -> bool:
    """Whether there is anything at `path`.

    Raises
    ------
    Problem
        ``path.unsafe``: no file can have such a name (it is too long, or holds what the disk cannot write).
    OSError
        The machine could not look.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno in _NO_NAME or getattr(error, "winerror", None) in _NO_NAME_WINDOWS:
            message = f"no file can be named {key[:80]!r} ({len(key)} characters): {error.strerror}"
            raise problem("path.unsafe", message, file=key) from None
        raise
    except ValueError as error:  # half of a surrogate pair, or a NUL
        raise problem("path.unsafe", f"no file can be named {key[:80]!r}: {error}", file=key) from None
    return True


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


def confine(root: Path, key: str) -> Path:
    """The path of `key` below `root`, links resolved.

    Raises
    ------
    Problem
        ``path.outside`` when the resolved path is not below the resolved root.
    """
    try:
        path = (root / key).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a circle of links, a name that cannot be
        raise problem("path.unsafe", f"{key[:80]!r} cannot be followed: {error}", file=key) from None
    if not path.is_relative_to(root.resolve()):
        raise problem("path.outside", f"{key} leads outside its source root, to {path}", file=key)
    return path


def sha256_file(path: Path, before_read: Callable[[int], None] = lambda nbytes: None) -> str:
    """SHA-256 of a file's bytes, hex; `before_read` is called with how many bytes were read, before each read."""
    known, buffer, size = hashlib.sha256(), memoryview(bytearray(DIGEST_BYTES)), 0
    with path.open("rb", buffering=0) as file:
        while True:
            before_read(size)
            size = file.readinto(buffer) or 0
            if not size:
                return known.hexdigest()
            known.update(buffer[:size])


def natural_key(name: str) -> Sequence[tuple[int, int | str]]:
    """Sort key in natural order: ``z2`` before ``z10``."""
    return [(0, int(p)) if p.isdecimal() else (1, p.casefold()) for p in re.split(r"(\d+)", name) if p]
