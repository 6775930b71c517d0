"""Read releases back and check that everything they name is there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import BinaryIO

from ..model.finding import Finding, finding, problem
from .assets import FileDigest, read_manifest
from .catalog import FOLDER, Entry, Release, load_release, release_numbers
from .parallel import run_all
from .store import Store, local_folder, open_store

WORKERS = 16


def list_releases(url: str, endpoint: str | None = None) -> tuple[str, ...]:
    """Numbers of the committed releases, oldest first."""
    return release_numbers(open_store(url, endpoint).names(FOLDER)[0])


def read_release(url: str, number: str | None = None, endpoint: str | None = None) -> Release:
    """A committed release; the newest when no number is given.

    Raises
    ------
    Problem
        ``release.none`` when there is none, ``release.unreadable`` when it is damaged.
    """
    return _read(open_store(url, endpoint), number)


def verify_release(
    url: str, number: str | None = None, *, deep: bool = False, endpoint: str | None = None
) -> tuple[Finding, ...]:
    """Compare a release with what lies in the store.

    Sizes and existence by listing; `deep` reads all data again and compares digests.

    Returns
    -------
    tuple of Finding
        ``release.lost``, ``release.differs``, ``release.extra``; empty when all is well.
    """
    store = open_store(url, endpoint)
    release = _read(store, number)
    found = list(run_all(lambda item: tuple(_check(store, *item)), sorted(release.assets.items()), WORKERS))
    broken = {f.location.file for f in chain(*found)}
    if deep:
        data = (
            (name, entry.key + (f"/{file.path}" if file.path else ""), file)
            for name, entry in sorted(release.assets.items())
            for file in _files(store, entry)
        )
        sound = (item for item in data if item[1] not in broken)
        found.extend(run_all(lambda item: tuple(_check_bytes(store, *item)), sound, WORKERS))
    return tuple(chain(*found))


@dataclass(frozen=True, slots=True)
class OpenRelease:
    """A committed release whose assets are read by their logical names."""

    release: Release
    store: Store
    _listed: dict[str, tuple[FileDigest, ...]] = field(default_factory=dict, repr=False)

    def open(self, name: str) -> BinaryIO:
        """A file asset, seekable; nothing but what is read is fetched."""
        return self.store.open(self._entry(name).key)

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
        if _digest(data) != known:
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
            self._listed[name] = _files(self.store, self._entry(name))
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
    folder = local_folder(url)
    return (folder is None or folder.is_dir()) and bool(list_releases(url, endpoint))


def _read(store: Store, number: str | None) -> Release:
    if number is None:
        numbers = release_numbers(store.names(FOLDER)[0])
        if not numbers:
            raise problem("release.none", f"no release has been committed at {store.url}")
        number = numbers[-1]
    release = load_release(store, number)
    if release is None:
        raise problem("release.none", f"there is no release {number} at {store.url}", value=number)
    return release


def _files(store: Store, entry: Entry) -> tuple[FileDigest, ...]:
    """The asset's files; none when its manifest is missing or damaged, which `_check` tells."""
    if entry.manifest is None:
        return (FileDigest("", entry.size, entry.sha256),)
    data = store.get(entry.manifest)
    return read_manifest(data) if data is not None and _digest(data) == entry.sha256 else ()


def _check(store: Store, name: str, entry: Entry) -> Iterator[Finding]:
    if entry.manifest is None:
        yield from _compare_size(name, entry.key, entry.size, store.size(entry.key))
        return
    data = store.get(entry.manifest)
    if data is None:
        yield finding("release.lost", f"{name}: its manifest is gone", file=entry.manifest)
        return
    if _digest(data) != entry.sha256:
        yield finding("release.differs", f"{name}: its manifest has other bytes", file=entry.manifest)
        return
    lying = dict(store.list(entry.key))
    for file in read_manifest(data):
        key = f"{entry.key}/{file.path}"
        yield from _compare_size(name, key, file.size, lying.pop(key, None))
    for key in sorted(lying):
        yield finding("release.extra", f"{name}: {key} is not part of it", file=key)


def _compare_size(name: str, key: str, expected: int, size: int | None) -> Iterator[Finding]:
    if size is None:
        yield finding("release.lost", f"{name}: {key} is gone", file=key)
    elif size != expected:
        told = f"{name}: {key} has {size} bytes instead of {expected}"
        yield finding("release.differs", told, file=key, value=str(size), expected=str(expected))


def _check_bytes(store: Store, name: str, key: str, file: FileDigest) -> Iterator[Finding]:
    found = store.read_sha256(key)
    if found != file.sha256:
        told = f"{name}: {key} has other bytes than were published"
        yield finding("release.differs", told, file=key, value=found, expected=file.sha256)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
