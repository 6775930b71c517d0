"""Read releases back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from ..model.finding import problem
from ..storage.store import Store, get_local_folder, open_store
from .assets import FileDigest, parse_manifest
from .manifest import FOLDER, AssetEntry, Release, find_newest_number, list_release_numbers, load_release


def list_releases(url: str, endpoint: str | None = None) -> tuple[str, ...]:
    """Numbers of the committed releases, oldest first."""
    return list_release_numbers(open_store(url, endpoint).list_names(FOLDER)[0])


def read_release(url: str, number: str | None = None, endpoint: str | None = None) -> Release:
    """A committed release; the newest when no number is given.

    Raises
    ------
    Problem
        ``release.none`` when there is none, ``release.unreadable`` when it is damaged.
    """
    return _load_release_or_newest(open_store(url, endpoint), number)


@dataclass(frozen=True, slots=True)
class OpenRelease:
    """A committed release whose assets are read by their logical names."""

    release: Release
    store: Store
    _listed: dict[str, tuple[FileDigest, ...]] = field(default_factory=dict, repr=False)

    def open(self, name: str) -> BinaryIO:
        """A file asset, seekable; nothing but what is read is fetched."""
        return self.store.open(self._get_entry(name).key)

    def stream(self, name: str, member: str = "") -> BinaryIO:
        """A file asset, or one member of a folder asset, as a file; its digest is not compared."""
        entry = self._get_entry(name)
        return self.store.open(f"{entry.key}/{member}" if member else entry.key)

    def read(self, name: str, member: str = "") -> bytes:
        """Bytes of a file asset, or of one member of a folder asset, compared with their digest.

        Raises
        ------
        Problem
            ``release.lost`` or ``release.differs``.
        """
        entry = self._get_entry(name)
        key = f"{entry.key}/{member}" if member else entry.key
        expected = next((file.sha256 for file in self.list_files(name) if file.path == member), None)
        data = self.store.get(key) if expected else None
        if data is None:
            raise problem("release.lost", f"{name}: {key} is gone", file=key)
        if digest_bytes(data) != expected:
            raise problem("release.differs", f"{name}: {key} has other bytes than were published", file=key)
        return data

    def list_files(self, name: str) -> tuple[FileDigest, ...]:
        """Files of an asset with their digests; the path of a file asset's one is empty.

        Raises
        ------
        Problem
            ``release.lost``: its manifest is gone or damaged.
        """
        if name not in self._listed:
            self._listed[name] = load_asset_files(self.store, self._get_entry(name))
        if not self._listed[name]:
            raise problem("release.lost", f"{name}: its manifest is gone or damaged", file=name)
        return self._listed[name]

    def _get_entry(self, name: str) -> AssetEntry:
        entry = self.release.assets.get(name)
        if entry is None:
            raise problem("release.lost", f"release {self.release.number} has no {name}", file=name)
        return entry


@contextmanager
def open_release(url: str, number: str | None = None, endpoint: str | None = None) -> Iterator[OpenRelease]:
    """Open a committed release, the newest when no number is given. Raises like `read_release`."""
    store = open_store(url, endpoint)
    yield OpenRelease(_load_release_or_newest(store, number), store)


def is_release(url: str, endpoint: str | None = None) -> bool:
    """Whether any release has been committed at a URL."""
    folder = get_local_folder(url)
    return (folder is None or folder.is_dir()) and bool(list_releases(url, endpoint))


def _load_release_or_newest(store: Store, number: str | None) -> Release:
    if number is None:
        number = find_newest_number(store)
    release = load_release(store, number)
    if release is None:
        raise problem("release.none", f"there is no release {number} at {store.url}", value=number)
    return release


def load_asset_files(store: Store, entry: AssetEntry) -> tuple[FileDigest, ...]:
    """The asset's files; none when its manifest is missing or damaged, which `audit_releases` reports."""
    if entry.manifest is None:
        return (FileDigest("", entry.size, entry.sha256),)
    data = store.get(entry.manifest)
    if data is None or digest_bytes(data) != entry.sha256:
        return ()
    return parse_manifest(data, entry.manifest)


def digest_bytes(data: bytes) -> str:
    """SHA-256 of bytes, hex."""
    return hashlib.sha256(data).hexdigest()
