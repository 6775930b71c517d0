"""What neuropress remembers beside a dataset: a digest cache, what was verified; and the dataset's lock.

The folder ``.neuropress`` may be deleted at any time: results carry their own receipts, so
deletion costs time only. The lock is therefore a file beside it, ``.neuropress.lock``, and
whoever holds it looks whether it is still there before a result gets its name.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..model.budget import parse_json
from ..model.finding import problem
from ..model.receipt import InputDigest
from ..model.source import BeforeRead, Root, Stamp, no_wait, sha256_file
from .roots import file_stamp


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that is held: its file, and which file that was when it was taken."""

    path: Path
    file: tuple[int, int]

    def check(self) -> None:
        """See that the lock is still the one that was taken.

        Raises
        ------
        Problem
            ``dataset.locked``: its file was deleted or replaced, so that another may be writing.
        """
        if _identity(self.path) != self.file:
            message = f"{self.path} was deleted or replaced during the run, so another neuropress may be writing"
            raise problem("dataset.locked", message, file=str(self.path))


_HELD: dict[Path, Lock] = {}
"""State folder -> the lock that this process holds."""


def held_lock(folder: Path) -> Lock | None:
    """The lock that this process holds on a dataset, by its state folder."""
    return _HELD.get(folder)


@contextmanager
def locked(folder: Path, verb: str) -> Iterator[None]:
    """One writer at a time per dataset; the lock names its holder and dies with it.

    Raises
    ------
    Problem
        ``dataset.locked``, naming the holder; ``dataset.config``: a link or a file lies
        where the folder or the lock belongs.
    """
    check_state(folder)
    folder.mkdir(exist_ok=True)
    path, holder = folder.with_name(f"{folder.name}.lock"), folder / "holder.json"
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise problem("dataset.config", f"{path} is no file, where the lock belongs; move it away", file=str(path))
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise problem("dataset.locked", f"{folder.parent} is in use by {_holder(holder)}") from None
    try:
        write_atomic(holder, json.dumps({"verb": verb, "pid": os.getpid(), "host": socket.gethostname()}))
        _HELD[folder] = Lock(path, _identity(path))
        _HELD[folder].check()
        yield
    finally:
        _HELD.pop(folder, None)
        with suppress(OSError):
            holder.unlink()
        lock.release()


def check_state(folder: Path) -> None:
    """Refuse a link or a file in the place of the state folder. Raises `Problem` (``dataset.config``)."""
    if not _is_ours(folder):
        what = "a link" if folder.is_symlink() else "no folder"
        message = f"{folder} is {what}, where neuropress keeps its notes; move it away"
        raise problem("dataset.config", message, file=str(folder))


def _is_ours(folder: Path) -> bool:
    return not folder.is_symlink() and (folder.is_dir() or not folder.exists())


def _identity(path: Path) -> tuple[int, int]:
    try:
        stat = path.lstat()
    except OSError:
        return (0, 0)
    return stat.st_dev, stat.st_ino


def _holder(path: Path) -> str:
    try:
        who = parse_json(path.read_bytes())
        return f"neuropress {who['verb']} (process {who['pid']} on {who['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another neuropress"


def write_atomic(path: Path, text: str) -> None:
    """Write a small text file whole: temporary name, fsync, rename; nothing is left over when that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)  # of a process that was killed and had this number; or a link, not to be followed
    try:
        with partial.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        settle_folder(path.parent)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def settle_folder(folder: Path) -> None:
    """Wait until a folder's entries are on the disk, so that a new name survives a power cut."""
    if os.name == "nt":  # Windows has no handle for this; its renames are journaled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_digest(entry: Any) -> bool:
    *stamp, sha256 = entry if isinstance(entry, list) and entry else [None]
    whole = len(stamp) == 4 and all(type(n) in kinds for n, kinds in zip(stamp, _STAMP, strict=True))
    return whole and isinstance(sha256, str) and len(sha256) == 64


_STAMP = ((int,), (int,), (int, str), (int, str))


def _is_release(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("release"), str)


_SHAPES: Mapping[str, Callable[[Any], bool]] = {"digests.json": _is_digest, "released.json": _is_release}
"""Memory -> what each of its entries must be; others are compared whole with what they should be."""


class Memory:
    """A small JSON object on disk; what is unreadable, missing or of another shape was never known."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.data: dict[str, Any] = {}
        fits = _SHAPES.get(path.name, lambda entry: True)
        with suppress(OSError, ValueError):
            known = parse_json(path.read_bytes()) if _is_ours(path.parent) and path.is_file() else None
            self.data = {k: v for k, v in known.items() if fits(v)} if isinstance(known, dict) else {}
        self._saved = dict(self.data)

    def save(self) -> None:
        """Write it back, if it changed. Raises `OSError`, also where the folder is a link."""
        if self.data != self._saved:
            if not _is_ours(self._path.parent):
                raise NotADirectoryError(f"{self._path.parent} is not the folder that neuropress made")
            write_atomic(self._path, json.dumps(self.data, indent=0, sort_keys=True))
            self._saved = dict(self.data)


class DigestCache:
    """SHA-256 of files and objects, computed again only when their `Stamp` changed."""

    def __init__(self, folder: Path) -> None:
        self._memory = Memory(folder / "digests.json")

    def digest(self, path: Path, before_read: BeforeRead = no_wait) -> InputDigest:
        """Size and digest of a file of this machine, from the cache where its stamp is unchanged.

        Parameters
        ----------
        before_read
            See `neuropress.model.source.BeforeRead`.

        Raises
        ------
        Problem
            ``file.changed``: it is being written to.
        """
        return self._digest(str(path), lambda: file_stamp(path.stat()), lambda: sha256_file(path, before_read))

    def of_raw(self, root: Root, key: str, before_read: BeforeRead = no_wait) -> InputDigest:
        """Size and digest of a raw file. Raises as `digest` and `Root.stamp` do."""
        return self._digest(f"{root.name}/{key}", partial(_raw_stamp, root, key), lambda: root.sha256(key, before_read))

    def _digest(self, name: str, stamp: Callable[[], Stamp], read: Callable[[], str]) -> InputDigest:
        before, known = stamp(), self._memory.data.get(name)
        if known and tuple(known[:4]) == before:
            return InputDigest(before[0], known[4])
        sha256 = read()
        if stamp() != before:
            raise problem("file.changed", f"{name} changed while it was read", file=name)
        self._memory.data[name] = [*before, sha256]
        return InputDigest(before[0], sha256)

    def save(self) -> None:
        """Keep what was computed."""
        self._memory.save()


def _raw_stamp(root: Root, key: str) -> Stamp:
    stamp = root.stamp(key)
    if stamp is None:
        raise problem("file.special", f"{key} is a folder, where a file belongs", file=key)
    return stamp
