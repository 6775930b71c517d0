"""Places of raw files: folders, and prefixes of S3 buckets. Nothing in them is ever written."""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, Final

from ..model.finding import Problem, Unusable, problem
from ..model.source import BeforeRead, Root, Stamp, check_key, no_wait
from .files import confine_path, digest_file, path_exists
from .parallel import run_all

if TYPE_CHECKING:
    from .store import ObjectInfo, Store

FOLDER: Final = "folder"
MAX_SINGLE_LOOKUPS = 2
"""Objects of one folder that are asked for one by one; then a listing answers for a thousand with one request."""
DIGEST_PIECE = 8 * 2**20
DIGEST_READERS = 2


def open_root(place: Path | str, endpoint: str | None = None) -> Root:
    """The root at a folder's path or an ``s3://bucket/prefix``; a bucket is asked when first looked into."""
    return Bucket(place, endpoint) if isinstance(place, str) else Folder(place)


def get_file_stamp(stat: os.stat_result) -> Stamp:
    """The stamp of a file of this machine."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


class _LocalBytes(io.FileIO):
    def stamp(self) -> Stamp:
        return get_file_stamp(os.fstat(self.fileno()))


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine as a `Root`; links may lead anywhere inside it."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's path."""
        return str(self.folder)

    def holds(self, key: str) -> bool:
        """Whether a file or a folder lies there."""
        if not path_exists(self.folder / key, key):
            return False
        confine_path(self.folder, key)
        return True

    def stamp(self, key: str) -> Stamp | None:
        """Size, times and inode of a file; None of a folder."""
        path = confine_path(self.folder, key)
        try:
            stat = path.stat()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise problem("file.missing", f"{key}: {reason}", file=key) from error
        if S_ISDIR(stat.st_mode):
            return None
        if not S_ISREG(stat.st_mode):
            raise problem("file.special", f"{key} is neither a file nor a folder", file=key)
        return get_file_stamp(stat)

    def members(self, folder: str) -> tuple[str, ...]:
        """Names of the files directly in a folder, sorted."""
        with os.scandir(confine_path(self.folder, folder)) as entries:
            return tuple(sorted(entry.name for entry in entries if entry.is_file()))

    def files(self, folder: str) -> tuple[str, ...]:
        """Keys of all files below a folder; links to folders are not followed."""
        return tuple(sorted(_walk(str(confine_path(self.folder, folder)), f"{folder.rstrip('/')}/")))

    def open(self, key: str) -> io.RawIOBase:
        """The file, unbuffered."""
        return _LocalBytes(confine_path(self.folder, key))

    def path(self, key: str) -> Path:
        """The file's path, links resolved."""
        return confine_path(self.folder, key)

    def sha256(self, key: str, before_read: BeforeRead = no_wait) -> str:
        """SHA-256 of a file."""
        return digest_file(confine_path(self.folder, key), before_read)


def _walk(folder: str, prefix: str) -> Iterator[str]:
    """Keys of the files at any depth; a folder that may not be looked into has none."""
    with suppress(PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_file():
                yield f"{prefix}{entry.name}"


class Bucket:
    """A prefix of an S3 bucket as a `Root`.

    What the store answered about an object it remembers, and reads no other content under that name: an object that is
    replaced meanwhile is ``file.changed``. Whoever wants to know how things stand now makes a new one; the
    connection is kept.

    Parameters
    ----------
    url
        ``s3://bucket/prefix``.
    endpoint
        Of an S3 server other than AWS; default from the AWS environment.
    """

    def __init__(self, url: str, endpoint: str | None = None) -> None:
        self.name = url.rstrip("/")
        self.endpoint = endpoint
        self._known: dict[str, Stamp | str | None] = {}
        self._members: dict[str, tuple[str, ...]] = {}
        self._lookups: Counter[str] = Counter()

    def holds(self, key: str) -> bool:
        """Whether an object, or any object below it, lies there."""
        return self._look_up(key) is not None

    def stamp(self, key: str) -> Stamp | None:
        """Size and ETag of an object; None of a folder."""
        stamp = self._look_up(key)
        if stamp is None:
            raise problem("file.missing", f"{key}: there is no such object at {self.name}", file=key)
        return None if isinstance(stamp, str) else stamp

    def members(self, folder: str) -> tuple[str, ...]:
        """Names of the objects directly in a folder, sorted; ``folder/`` itself, an empty object, is none."""
        folder = folder.rstrip("/")
        if folder not in self._members:
            with self.open_store() as store:
                entries, folders = store.list_folder(folder)
            prefix = f"{folder}/" if folder else ""
            for name in (*entries, *folders):
                check_key(prefix + name)
            self._known |= {prefix + name: FOLDER for name in folders}
            # An object and a folder may bear one name; as a folder of files could not, the object counts.
            self._known |= {prefix + name: make_object_stamp(entry) for name, entry in entries.items()}
            if entries or folders:
                self._known.setdefault(folder, FOLDER)
            self._members[folder] = tuple(sorted(entries))
        return self._members[folder]

    def files(self, folder: str) -> tuple[str, ...]:
        """Keys of all objects below a folder, at any depth, sorted."""
        return tuple(self.list_stamps(folder))

    def list_stamps(self, folder: str) -> dict[str, Stamp]:
        """Key and stamp, as it is now, of all objects below a folder, at any depth, sorted."""
        folder = folder.rstrip("/")
        with self.open_store() as store:
            found = sorted((key, make_object_stamp(entry)) for key, entry in store.list_entries(folder))
        stamps = {key: stamp for key, stamp in found if key != folder}
        for key in stamps:
            check_key(key)
        self._known |= stamps
        return stamps

    def open(self, key: str) -> io.RawIOBase:
        """The object, read in pieces as asked for."""
        from .objects import ObjectBytes

        stamp = self._get_object_stamp(key)
        return ObjectBytes(lambda start, length: self._read_range(key, stamp, start, length), stamp)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Some bytes of an object, with one request. Raises as `stamp` does, and ``file.changed``."""
        return self._read_range(key, self._get_object_stamp(key), start, length)

    def path(self, key: str) -> None:
        """None: an object lies nowhere on this machine."""

    def sha256(self, key: str, before_read: BeforeRead = no_wait) -> str:
        """SHA-256 of an object, all of which is read, whatever was stated when it was put."""
        stamp = self._get_object_stamp(key)
        starts = range(0, stamp[0], DIGEST_PIECE)

        def read_piece(start: int) -> bytes:
            return self._read_range(key, stamp, start, min(DIGEST_PIECE, stamp[0] - start))

        total = hashlib.sha256()
        for piece in run_all(read_piece, starts, DIGEST_READERS):
            total.update(piece)
            before_read(len(piece))
        return total.hexdigest()

    def _get_object_stamp(self, key: str) -> Stamp:
        stamp = self.stamp(key)
        if stamp is None:
            raise problem("file.special", f"{key} is a folder, where a file belongs", file=key)
        return stamp

    def _read_range(self, key: str, stamp: Stamp, start: int, length: int) -> bytes:
        etag = stamp[2] if isinstance(stamp[2], str) else ""
        with self.open_store() as store:
            return store.read_range(key, start, length, etag)

    def _look_up(self, key: str) -> Stamp | str | None:
        """The stamp of an object, `FOLDER`, or None for nothing."""
        key = key.rstrip("/")
        if key in self._known:
            return self._known[key]
        parent = str(PurePosixPath(key).parent).removeprefix(".")
        self._lookups[parent] += 1
        if parent in self._members or self._lookups[parent] > MAX_SINGLE_LOOKUPS:
            self.members(parent)
            return self._known.setdefault(key, None)
        with self.open_store() as store:
            entry = store.get_info(key)
        if entry is not None:
            self._known[key] = make_object_stamp(entry)
        else:
            self.members(key)  # also tells whether the bucket is there
        return self._known.setdefault(key, None)

    @contextmanager
    def open_store(self, *, write: bool = False) -> Iterator[Store]:
        """The store; what it refuses is no fault of the row that names the object."""
        try:
            yield _connect(self.name, self.endpoint, _list_aws_settings(), write)
        except Problem as bad:
            if bad.finding.id.startswith("storage."):
                raise Unusable(bad.finding) from None
            raise


def make_object_stamp(entry: ObjectInfo) -> Stamp:
    """The stamp of an object."""
    # Listings and answers to HEAD state the time with different precision, so an ETag goes before it.
    return (entry.size, 0, entry.etag, "") if entry.etag else (entry.size, entry.modified_ns, "", "")


def _list_aws_settings() -> tuple[tuple[str, str], ...]:
    return tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))


@lru_cache(maxsize=16)
def _connect(url: str, endpoint: str | None, environment: tuple[tuple[str, str], ...], write: bool) -> Store:
    """One connection for all that is read from a place, until the environment says something else."""
    from .store import open_store

    return open_store(url, endpoint, write=write)
