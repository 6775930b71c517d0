"""What neuropress remembers beside a dataset: a lock, a digest cache, what was verified.

All of it may be deleted: results carry their own receipts, so deletion costs time only.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .model.finding import problem
from .model.receipt import InputDigest
from .model.source import Input, sha256_file


@contextmanager
def locked(folder: Path, verb: str) -> Iterator[None]:
    """One writer at a time per dataset; the lock names its holder and dies with it.

    Raises
    ------
    Problem
        ``dataset.locked``, naming the holder.
    """
    folder.mkdir(exist_ok=True)
    holder = folder / "holder.json"
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise problem("dataset.locked", f"{folder.parent} is in use by {_holder(holder)}") from None
    try:
        write_atomic(holder, json.dumps({"verb": verb, "pid": os.getpid(), "host": socket.gethostname()}))
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        who = json.loads(path.read_text("utf-8"))
        return f"neuropress {who['verb']} (process {who['pid']} on {who['host']})"
    except (OSError, ValueError, KeyError):
        return "another neuropress"


def write_atomic(path: Path, text: str) -> None:
    """Write a small text file whole: temporary name, fsync, rename; nothing is left over when that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


class Memory:
    """A small JSON object on disk; unreadable or missing means empty."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.data: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            self.data = {}
        self._saved = dict(self.data)

    def save(self) -> None:
        """Write it back, if it changed."""
        if self.data != self._saved:
            write_atomic(self._path, json.dumps(self.data, indent=0, sort_keys=True))
            self._saved = dict(self.data)


class DigestCache:
    """SHA-256 of files, computed again only when size or modification time changed."""

    def __init__(self, folder: Path) -> None:
        self._memory = Memory(folder / "digests.json")

    def digest(self, path: Path) -> InputDigest:
        """Size and digest of a file, from the cache where its stat is unchanged."""
        stat = path.stat()
        key, known = str(path), self._memory.data.get(str(path))
        if known and known[:2] == [stat.st_size, stat.st_mtime_ns]:
            return InputDigest(stat.st_size, known[2])
        sha256 = sha256_file(path)
        self._memory.data[key] = [stat.st_size, stat.st_mtime_ns, sha256]
        return InputDigest(stat.st_size, sha256)

    def of_input(self, root: Path, touched: Input) -> InputDigest:
        """Digest of a touched raw file.

        Raises
        ------
        Problem
            ``file.changed``: it is not the file that was planned with.
        """
        path = root / touched.key
        found = self.digest(path)
        if found.size != touched.size or path.stat().st_mtime_ns != touched.mtime_ns:
            raise problem("file.changed", f"{touched.key} changed while it was read", file=touched.key)
        return found

    def save(self) -> None:
        """Keep what was computed."""
        self._memory.save()
