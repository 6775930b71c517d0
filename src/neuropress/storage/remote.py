"""A folder of results in a bucket, with those methods of `pathlib.Path` by which results are looked at.

Unlike raw files it is written to. An object is put only where none is, so that a worker who wakes up late never
replaces a byte; what must go first is deleted by whoever holds the dataset's lock.
"""

from __future__ import annotations

import hashlib
import io
import mmap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, Self

from ..model.finding import Problem
from ..model.source import RawFile, Stamp
from .roots import Bucket, make_object_stamp

type ResultPath = Path | BucketPath
"""Where a result lies, or one of its files."""


class ObjectConflictError(OSError):
    """Another object lies where one belongs: of a run that was presumed dead, or of another program."""


class BucketPath:
    """A folder or an object of a bucket.

    Like a `Bucket` it remembers what the store answered and reads no other content under that name; `look_again`
    sees the bucket as it is from then on.

    Parameters
    ----------
    root
        The prefix that it lies below.
    key
        Its path below the root.
    last
        Of a folder: the files one of which is written last. The folder exists when one of them does.
    """

    def __init__(self, root: Bucket, key: str, last: Sequence[str] = ()) -> None:
        self.root, self.key, self._last = root, key, tuple(last)

    @classmethod
    def of_url(cls, url: str, last: Sequence[str] = ()) -> Self:
        """The folder at an ``s3://`` URL, of the AWS environment's endpoint."""
        parent, _, name = url.rstrip("/").rpartition("/")
        return cls(Bucket(parent), name, last)

    @classmethod
    def from_json(cls, data: Sequence[str | None]) -> Self:
        """The reverse of `to_json`."""
        url, endpoint, key, *last = data
        return cls(Bucket(url or "", endpoint), key or "", [name or "" for name in last])

    def to_json(self) -> list[str | None]:
        """What a worker in another process needs to find it."""
        return [self.root.name, self.root.endpoint, self.key, *self._last]

    def look_again(self) -> BucketPath:
        """The same place, with nothing remembered."""
        return BucketPath(Bucket(self.root.name, self.root.endpoint), self.key, self._last)

    def __str__(self) -> str:
        return f"{self.root.name}/{self.key}".rstrip("/")

    def __repr__(self) -> str:
        return f"BucketPath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BucketPath) and (str(self), self.root.endpoint) == (str(other), other.root.endpoint)

    def __hash__(self) -> int:
        return hash(str(self))

    def __truediv__(self, part: str) -> BucketPath:
        return BucketPath(self.root, f"{self.key}/{part}".strip("/"))

    @property
    def name(self) -> str:
        """The last part."""
        return PurePosixPath(self.key).name

    @property
    def suffix(self) -> str:
        """The end of the name, from its last point on."""
        return PurePosixPath(self.key).suffix

    def exists(self) -> bool:
        """Whether it is there whole."""
        return any(self.root.holds(f"{self.key}/{name}") for name in self._last) or (
            not self._last and self.root.holds(self.key)
        )

    def is_file(self) -> bool:
        """Whether it is an object."""
        return not self._last and self.root.holds(self.key) and self.root.stamp(self.key) is not None

    def is_dir(self) -> bool:
        """Whether there are objects below it."""
        return self.exists() and not self.is_file()

    def walk(self) -> Iterator[tuple[BucketPath, list[str], list[str]]]:
        """As `pathlib.Path.walk`: folders that are taken out of the list are not looked into."""
        with self.root.open_store() as store:
            files, found = store.list_names(self.key)
        folders = list(found)
        yield self, folders, list(files)
        for name in folders:
            yield from (self / name).walk()

    def list_files(self) -> dict[str, Stamp]:
        """Path below it and stamp of every object, at any depth, as they are now."""
        prefix = f"{self.key}/"
        return {key.removeprefix(prefix): stamp for key, stamp in self.root.list_stamps(self.key).items()}

    def open(self, mode: Literal["rb"] = "rb") -> RawFile:
        """The object, for reading. Raises `FileNotFoundError`."""
        try:
            return RawFile(self.root.open(self.key))
        except Problem as bad:
            if bad.finding.id == "file.changed":
                raise
            raise FileNotFoundError(bad.finding.message) from bad

    def size(self) -> int:
        """Bytes of the object."""
        with self.open() as file:
            return file.seek(0, io.SEEK_END)

    def read_range(self, start: int, length: int) -> bytes:
        """Some bytes of the object, with one request."""
        return self.root.read_range(self.key, start, length)

    def sha256(self) -> str:
        """SHA-256 of the object, all of which is read, piece by piece."""
        return self.root.sha256(self.key)

    def upload_file(self, file: Path) -> Stamp:
        """Put a finished file of this machine here with one request; its bytes may lie here already.

        One request and not parts: stores put an object on condition that none is there, and leave no parts of an
        upload that was cut off. The file is mapped, so it takes no memory of its own.

        Raises
        ------
        ObjectConflictError
            Other bytes lie here.
        """
        with (
            file.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as data,
        ):
            return self._create(data)

    def write_bytes(self, data: bytes) -> Stamp:
        """Put an object here; raises as `upload_file` does."""
        return self._create(data)

    def _create(self, data: bytes | memoryview) -> Stamp:
        sha256 = hashlib.sha256(data).hexdigest()
        with self.root.open_store(write=True) as store:
            if not store.create(self.key, data, sha256) and store.get_sha256(self.key) != sha256:
                message = f"{self}: an object that this run did not write lies there; convert again, which removes it"
                raise ObjectConflictError(message)
            entry = store.get_info(self.key)
        if entry is None:
            raise FileNotFoundError(f"{self} was deleted while the result was written")
        return make_object_stamp(entry)

    def replace_bytes(self, data: bytes) -> None:
        """Put an object here, in the place of one that may lie here."""
        with self.root.open_store(write=True) as store:
            store.replace(self.key, data)

    def delete_files(self, names: Iterable[str]) -> None:
        """Remove objects below it, by their paths; never of a whole root."""
        assert self.key, f"{self} is a root"
        with self.root.open_store(write=True) as store:
            store.delete([f"{self.key}/{name}" for name in names])
