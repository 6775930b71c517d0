"""What neuropress remembers beside a dataset: a digest cache, what was verified; and the dataset's lock.

The folder ``.neuropress`` may be deleted at any time: results carry their own receipts, so
deletion costs time only. The lock is therefore a file beside it, ``.neuropress.lock``, and
whoever holds it looks whether it is still there before a result gets its name.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Any, ClassVar
from uuid import uuid4

from filelock import FileLock, Timeout

from ..model.finding import problem
from ..model.parsing import parse_json
from ..model.receipt import InputDigest
from ..model.source import BeforeRead, Root, Stamp, no_wait
from .files import digest_file
from .roots import get_file_stamp


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that is held: its file, and which file that was when it was taken."""

    path: Path
    file: tuple[int, int]

    @classmethod
    def of(cls, path: Path) -> Lock:
        """The lock that a file is now."""
        return cls(path, _get_inode(path))

    def check(self) -> None:
        """See that the lock is still the one that was taken.

        Raises
        ------
        Problem
            ``dataset.locked``: its file was deleted or replaced, so that another may be writing.
        """
        if _get_inode(self.path) != self.file:
            message = f"{self.path} was deleted or replaced during the run, so another neuropress may be writing"
            raise problem("dataset.locked", message, file=str(self.path))


HOLDER = "holder.json"

_HELD: dict[Path, Lock] = {}
"""State folder -> the lock that this process holds."""


def get_held_lock(folder: Path) -> Lock | None:
    """The lock that this process holds on a dataset, by its state folder."""
    return _HELD.get(folder)


@contextmanager
def lock_dataset(folder: Path, verb: str) -> Iterator[None]:
    """One writer at a time per dataset; the lock names its holder and dies with it.

    Raises
    ------
    Problem
        ``dataset.locked``, naming the holder; ``dataset.config``: a link or a file lies
        where the folder or the lock belongs.
    """
    check_state_folder(folder)
    folder.mkdir(exist_ok=True)
    path, holder = check_lock_file(folder), folder / HOLDER
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise problem("dataset.locked", f"{folder.parent} is in use by {describe_holder(folder)}") from None
    try:
        write_atomic(holder, json.dumps({"verb": verb, "pid": os.getpid(), "host": socket.gethostname()}))
        with hold_lock(folder, Lock.of(path)):
            yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


@contextmanager
def hold_lock(folder: Path, lock: Lock) -> Iterator[None]:
    """Have `get_held_lock` know of a lock that was taken. Raises `Problem` (``dataset.locked``)."""
    _HELD[folder] = lock
    try:
        lock.check()
        yield
    finally:
        _HELD.pop(folder, None)


@dataclass(frozen=True, slots=True)
class RunToken:
    """What workers on other machines have of a run's lock: a file that is there as long as the run."""

    path: Path

    def check(self) -> None:
        """See that the run goes on. Raises `Problem` (``dataset.locked``)."""
        if not self.path.is_file():
            message = f"{self.path} is gone: the run that this worker belongs to has ended, or lost its lock"
            raise problem("dataset.locked", message, file=str(self.path))


@contextmanager
def keep_run_token(folder: Path) -> Iterator[RunToken]:
    """The token of a run that holds the dataset's lock; those of runs that were killed are taken away."""
    for left in folder.glob("run-*.token"):
        left.unlink(missing_ok=True)
    token = RunToken(folder / f"run-{uuid4().hex}.token")
    token.path.touch()
    try:
        yield token
    finally:
        token.path.unlink(missing_ok=True)


def check_lock_file(folder: Path) -> Path:
    """Where the lock of a dataset lies, by its state folder. Raises `Problem` (``dataset.config``): it is no file."""
    path = folder.with_name(f"{folder.name}.lock")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise problem("dataset.config", f"{path} is no file, where the lock belongs; move it away", file=str(path))
    return path


@contextmanager
def lock_result(path: Path) -> Iterator[None]:
    """One writer at a time for a result outside of any dataset, among the runs of one user on one machine.

    The lock lies in the folder for temporary files and goes with the run: nothing is left beside the result. Where no
    lock can be made the run goes on without; a result is whole all the same.

    Raises
    ------
    Problem
        ``dataset.locked``.
    """
    name = hashlib.sha256(f"{os.path.expanduser('~')}\0{path}".encode()).hexdigest()[:32]
    file = Path(gettempdir()) / f"neuropress-{name}.lock"
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise problem("dataset.locked", f"another neuropress is writing {path.name}", file=str(path)) from None
    except OSError:
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):  # Windows keeps a file that is open
            file.unlink()
        lock.release()


def check_state_folder(folder: Path) -> None:
    """Refuse a link or a file in the place of the state folder. Raises `Problem` (``dataset.config``)."""
    if not _is_state_folder(folder):
        what = "a link" if folder.is_symlink() else "no folder"
        message = f"{folder} is {what}, where neuropress keeps its notes; move it away"
        raise problem("dataset.config", message, file=str(folder))


def _is_state_folder(folder: Path) -> bool:
    return not folder.is_symlink() and (folder.is_dir() or not folder.exists())


def _get_inode(path: Path) -> tuple[int, int]:
    try:
        stat = path.lstat()
    except OSError:
        return (0, 0)
    return stat.st_dev, stat.st_ino


def describe_holder(folder: Path) -> str:
    """Who holds a dataset's lock, in words, as far as that can be told."""
    try:
        holder = parse_json((folder / HOLDER).read_bytes())
        return f"neuropress {holder['verb']} (process {holder['pid']} on {holder['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another neuropress"


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a small file whole: temporary name, fsync, rename; nothing is left over when that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)  # of a process that was killed and had this number; or a link, not to be followed
    try:
        with partial.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Wait until a folder's entries are on the disk, so that a new name survives a power cut."""
    if os.name == "nt":  # Windows has no handle for this; its renames are journaled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_STAMP_TYPES = ((int,), (int,), (int, str), (int, str))


def _is_stamped_entry(entry: list[Any]) -> bool:
    """Whether an entry is the four parts of a stamp and a value."""
    # The exact type, because True is an int as well.
    are_typed = (type(part) in types for part, types in zip(entry, _STAMP_TYPES, strict=False))
    return len(entry) == len(_STAMP_TYPES) + 1 and all(are_typed)


def _is_release_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("release"), str)


_ENTRY_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "released.json": _is_release_entry,
}
"""State file -> whether an entry has the form it must have; entries of others are compared whole."""


class StateFile:
    """A small JSON object on disk; what is unreadable, missing or of another shape was never known."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.data: dict[str, Any] = {}
        is_entry = _ENTRY_CHECKS.get(path.name, lambda entry: True)
        with suppress(OSError, ValueError):
            saved = parse_json(path.read_bytes()) if _is_state_folder(path.parent) and path.is_file() else None
            if isinstance(saved, dict):
                self.data = {key: entry for key, entry in saved.items() if is_entry(entry)}
        self._saved = dict(self.data)

    def save(self) -> None:
        """Write it back, if it changed. Raises `OSError`, also where the folder is a link."""
        if self.data != self._saved:
            if not _is_state_folder(self._path.parent):
                raise NotADirectoryError(f"{self._path.parent} is not the folder that neuropress made")
            write_atomic(self._path, json.dumps(self.data, indent=0, sort_keys=True))
            self._saved = dict(self.data)


class StampedCache:
    """What was found out of files and objects, which holds as long as they have the same `Stamp`.

    On disk a line each, appended: several processes may save, and saving after each of many results costs what is
    new. The last line on a file holds; one that is no entry, as a process that died in the middle leaves it, was never
    known.

    Parameters
    ----------
    folder
        The state folder.
    name
        Of a part that runs beside others, to keep a file of its own: machines that share a folder may mix what they
        append to one file. All files are read.
    """

    FILE: ClassVar[str]
    """How the names of its files begin."""

    def __init__(self, folder: Path, name: str = "") -> None:
        self._path = folder / f"{self.FILE}{name and '-'}{name}.jsonl"
        self._entries: dict[str, list[Any]] = {}
        self._unsaved: dict[str, list[Any]] = {}
        self._is_stale = False
        self.reload()

    @staticmethod
    def is_value(value: Any) -> bool:
        """Whether what was read back can be such a value."""
        raise NotImplementedError

    def reload(self) -> None:
        """Read what other processes have added by now."""
        for path in sorted(self._path.parent.glob(f"{self.FILE}*.jsonl")):
            lines = _read_lines(path)
            for line in lines:
                with suppress(ValueError):
                    entry = parse_json(line)
                    is_known = isinstance(entry, list) and entry and isinstance(entry[0], str)
                    if is_known and _is_stamped_entry(entry[1:]) and self.is_value(entry[-1]):
                        self._entries[entry[0]] = entry[1:]
            if path == self._path:
                self._is_stale = len(lines) > 2 * len(self._entries) + 100
        self._entries |= self._unsaved

    def find(self, name: str, stamp: Stamp) -> Any:
        """What is known of a file with this very stamp; None where nothing is."""
        known = self._entries.get(name)
        return known[-1] if known and tuple(known[:-1]) == stamp else None

    def keep(self, name: str, stamp: Stamp, value: Any) -> None:
        """Know something of a file from now on."""
        self._entries[name] = self._unsaved[name] = [*stamp, value]

    def save(self) -> None:
        """Keep what is new on the disk. Raises `OSError`, also where the folder or the file is a link."""
        if not self._unsaved:
            return
        if not _is_state_folder(self._path.parent):
            raise NotADirectoryError(f"{self._path.parent} is not the folder that neuropress made")
        entries = dict(self._entries if self._is_stale else self._unsaved)
        text = "".join(f"{json.dumps([name, *entry])}\n" for name, entry in entries.items())
        if self._is_stale or self._path.is_symlink() or not self._path.is_file():
            write_atomic(self._path, text)
        else:
            _append(self._path, f"\n{text}")  # what a process that died left of a line ends here
        self._is_stale = False
        self._unsaved.clear()


class DigestCache(StampedCache):
    """SHA-256 of files and objects, computed again only when their `Stamp` changed."""

    FILE = "digests"

    @staticmethod
    def is_value(value: Any) -> bool:
        """Whether it is a digest."""
        return isinstance(value, str) and len(value) == 64

    def get_file_digest(self, path: Path, before_read: BeforeRead = no_wait) -> InputDigest:
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
        name = str(path)
        return self._get_digest(name, name, lambda: get_file_stamp(path.stat()), lambda: digest_file(path, before_read))

    def get_raw_digest(
        self, root: Root, key: str, stamp: Stamp | None = None, before_read: BeforeRead = no_wait
    ) -> InputDigest:
        """Size and digest of a raw file, still of this stamp. Raises as `get_file_digest` and `Root.stamp` do."""
        get_stamp, name = partial(_get_raw_stamp, root, key), f"{root.name}/{key}"
        return self._get_digest(name, key, get_stamp, lambda: root.sha256(key, before_read), stamp)

    def _get_digest(
        self,
        name: str,
        shown: str,
        get_stamp: Callable[[], Stamp],
        read_digest: Callable[[], str],
        stamp: Stamp | None = None,
    ) -> InputDigest:
        before = get_stamp()
        known = self.find(name, before)
        sha256 = known or read_digest()
        if before != (stamp or before) or (not known and get_stamp() != before):
            raise problem("file.changed", f"{shown} changed while it was read", file=shown)
        if not known:
            self.keep(name, before, sha256)
        return InputDigest(before[0], sha256)


def _read_lines(path: Path) -> list[bytes]:
    """The lines of a file of state that are not blank; none where it is missing, or is no file."""
    with suppress(OSError):
        if _is_state_folder(path.parent) and path.is_file():
            return [line for line in path.read_bytes().split(b"\n") if line]
    return []


def _append(path: Path, text: str) -> None:
    """Append in one write, so that processes do not mix their lines. Raises `OSError` of a link."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0))
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def _get_raw_stamp(root: Root, key: str) -> Stamp:
    stamp = root.stamp(key)
    if stamp is None:
        raise problem("file.special", f"{key} is a folder, where a file belongs", file=key)
    return stamp
