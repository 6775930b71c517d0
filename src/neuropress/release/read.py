"""Read releases back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from ..model.finding import problem
from ..storage.store import Store, get_local_folder, open_store
from .assets import FileDigest, read_manifest
from .manifest import FOLDER, Entry, Release, load_release, release_numbers


def list_releases(url: str, endpoint: str | None = None) -> tuple[str, ...]:
    """Numbers of the committed releases, oldest first."""
    return release_numbers(open_store(url, endpoint).list_names(FOLDER)[0])


def read_release(url: str, number: str | None = None, endpoint: str | None = None) -> Release:
    """A committed release; the newest when no number is given.

    Raises
    ------
    Problem
        ``release.none`` when there is none, ``release.unreadable`` when it is damaged.
    """
    return _read(open_store(url, endpoint), number)


@dataclass(frozen=True, slots=True)
class OpenRelease:
    """A committed release whose assets are read by their logical names."""

    release: Release
    store: Store
    _listed: dict[str, tuple[FileDigest, ...]] = field(default_factory=dict, repr=False)

    def open(self, name: str) -> BinaryIO:
        """A file asset, seekable; nothing but what is read is fetched."""
        return self.store.open(self._entry(name).key)

    def stream(self, name: str, member: str = "") -> BinaryIO:
        """A file asset, or one member of a folder asset, as a file; its digest is not compared."""
        entry = self._entry(name)
        return self.store.open(f"{entry.key}/{member}" if member else entry.key)

    def read(self, name: str, member: str = "") -> bytes:
        """Bytes of a file asset, or of one member of a folder asset, compared with their digest.

        Raises
        ------
        Problem
            ``release.lost`` or ``release.differs``.
        """
        entry = self._entry(name)
        key = f"{entry.key}/{member}" if member else entry.key
        known = next((f.sha256 for f in self.files(name) if f.path == member), None)
        data = self.store.get(key) if known else None
        if data is None:
            raise problem("release.lost", f"{name}: {key} is gone", file=key)
        if sha256_of(data) != known:
            raise problem("release.differs", f"{name}: {key} has other bytes than were published", file=key)
        return data

    def files(self, name: str) -> tuple[FileDigest, ...]:
        """Files of an asset with their digests; the path of a file asset's one is empty.

        Raises
        ------
        Problem
            ``release.lost``: its manifest is gone or damaged.
        """
        if name not in self._listed:
            self._listed[name] = files_of(self.store, self._entry(name))
        if not self._listed[name]:
            raise problem("release.lost", f"{name}: its manifest is gone or damaged", file=name)
        return self._listed[name]

    def _entry(self, name: str) -> Entry:
        entry = self.release.assets.get(name)
        if entry is None:
            raise problem("release.lost", f"release {self.release.number} has no {name}", file=name)
        return entry


@contextmanager
def open_release(url: str, number: str | None = None, endpoint: str | None = None) -> Iterator[OpenRelease]:
    """Open a committed release, the newest when no number is given. Raises like `read_release`."""
    store = open_store(url, endpoint)
    yield OpenRelease(_read(store, number), store)


def is_release(url: str, endpoint: str | None = None) -> bool:
    """Whether any release has been committed at a URL."""
    folder = get_local_folder(url)
    return (folder is None or folder.is_dir()) and bool(list_releases(url, endpoint))


def _read(store: Store, number: str | None) -> Release:
    if number is None:
        numbers = release_numbers(store.list_names(FOLDER)[0])
        if not numbers:
            raise problem("release.none", f"no release has been committed at {store.url}")
        number = numbers[-1]
    release = load_release(store, number)
    if release is None:
        raise problem("release.none", f"there is no release {number} at {store.url}", value=number)
    return release


def files_of(store: Store, entry: Entry) -> tuple[FileDigest, ...]:
    """The asset's files; none when its manifest is missing or damaged, which `audit` finds."""
    if entry.manifest is None:
        return (FileDigest("", entry.size, entry.sha256),)
    data = store.get(entry.manifest)
    return read_manifest(data, entry.manifest) if data is not None and sha256_of(data) == entry.sha256 else ()


def sha256_of(data: bytes) -> str:
    """SHA-256 of bytes, hex."""
    return hashlib.sha256(data).hexdigest()
