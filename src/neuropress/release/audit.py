"""Whether what lies in a store is what was published: every release, its history, and every byte if asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..model.finding import Finding, Problem, finding, problem
from ..model.plan import canonical
from ..storage.parallel import run_all
from ..storage.store import Store, open_store
from .assets import FileDigest, read_manifest
from .history import successor_key
from .manifest import FOLDER, LATEST, Entry, Release, load_release, readme, release_numbers
from .read import files_of, sha256_of

WORKERS = 16


@dataclass(frozen=True, slots=True)
class Audit:
    """One release and what is wrong with it; good when that is nothing."""

    number: str
    findings: tuple[Finding, ...]
    assets: int = 0
    size: int = 0


def verify_release(
    url: str, number: str | None = None, *, deep: bool = False, endpoint: str | None = None
) -> tuple[Finding, ...]:
    """Compare one release, the newest when no number is given, with what lies in the store; see `audit`."""
    store = open_store(url, endpoint)
    if number is None:
        numbers = release_numbers(store.list_names(FOLDER)[0])
        if not numbers:
            raise problem("release.none", f"no release has been committed at {store.url}")
        number = numbers[-1]
    return audit(store, [number], deep=deep)[0].findings


def audit(store: Store, numbers: Sequence[str], *, deep: bool = False) -> list[Audit]:
    """Compare releases with what lies in the store. What several of them hold is looked at once.

    Sizes and existence by listing, manifests and history by their digests; `deep` reads all data
    again and compares digests, so that one changed byte anywhere is found.

    Raises
    ------
    Problem
        ``release.none``: there is no release of a number.
    """
    loaded = {number: _load(store, number) for number in numbers}
    releases = [release for release in loaded.values() if isinstance(release, Release)]
    entries = {(name, entry.key, entry.sha256): entry for r in releases for name, entry in r.assets.items()}
    found = _check_entries(store, entries, deep=deep)
    audits = []
    for number, release in loaded.items():
        if isinstance(release, Finding):
            audits.append(Audit(number, (release,)))
            continue
        own = [f for name, entry in sorted(release.assets.items()) for f in found[name, entry.key, entry.sha256]]
        told = (*_check_history(store, release), *own, *(_check_text(store, release) if deep else ()))
        audits.append(Audit(number, told, len(release.assets), sum(e.size for e in release.assets.values())))
    return audits


def check_hint(store: Store, newest: Release) -> Iterator[Finding]:
    """Whether the hint names the newest release; nothing relies on it."""
    hint = f"{canonical({'number': newest.number, 'sha256': newest.sha256})}\n".encode("ascii")
    if store.get(LATEST) != hint:
        yield finding("release.text", f"{LATEST} does not name {newest.number}, the newest release", file=LATEST)


type EntryId = tuple[str, str, str]


def _load(store: Store, number: str) -> Release | Finding:
    try:
        release = load_release(store, number)
    except Problem as bad:
        return bad.finding
    if release is None:
        raise problem("release.none", f"there is no release {number} at {store.url}", value=number)
    return release


def _check_entries(store: Store, entries: Mapping[EntryId, Entry], *, deep: bool) -> dict[EntryId, list[Finding]]:
    checked = run_all(lambda item: _look(lambda: _check_entry(store, item[0][0], item[1])), entries.items(), WORKERS)
    found = {id: list(told) for id, told in zip(entries, checked, strict=True)}
    if not deep:
        return found
    broken = {f.location.file for told in found.values() for f in told}
    sound = {id: entry for id, entry in entries.items() if entry.manifest not in broken}
    jobs = [
        (id, entry.key + (f"/{file.path}" if file.path else ""), file)
        for id, entry in sound.items()
        for file in files_of(store, entry)
    ]
    jobs = [job for job in jobs if job[1] not in broken]
    results = run_all(lambda job: _look(lambda: _check_bytes(store, job[0][0], job[1], job[2])), jobs, WORKERS)
    for (id, *_), told in zip(jobs, results, strict=True):
        found[id] += told
    claims = run_all(lambda item: tuple(_check_claim(store, item[0][0], item[1])), entries.items(), WORKERS)
    for id, told in zip(entries, claims, strict=True):
        found[id] += told
    return found


def _look(check: Callable[[], Iterable[Finding]]) -> tuple[Finding, ...]:
    """What a check finds; a link in a folder concerns its one asset, and the others are looked at as well."""
    try:
        return tuple(check())
    except Problem as bad:
        if bad.finding.id != "storage.link":
            raise
        return (bad.finding,)


def _check_history(store: Store, release: Release) -> Iterator[Finding]:
    """Whether the release is the one that was committed after its parent, and the parent is what it was."""
    key = successor_key(release.parent.number if release.parent else None)
    committed = store.get(key)
    if committed is None:
        yield finding("release.lost", f"{key} is gone, which holds what was committed", file=key)
    elif committed != release.to_bytes():
        message = f"release {release.number} is not what was committed: {release.key} and {key} differ"
        yield finding("release.differs", message, file=release.key)
    if release.parent:
        key = f"{FOLDER}/{release.parent.number}.json"
        data = store.get(key)
        if data is None:
            yield finding("release.lost", f"{key}, the release before {release.number}, is gone", file=key)
        elif sha256_of(data) != release.parent.sha256:
            message = f"{key} is not the release that {release.number} names as its parent"
            yield finding("release.differs", message, file=key)


def _check_text(store: Store, release: Release) -> Iterator[Finding]:
    key = f"{FOLDER}/{release.number}/README.md"
    if store.get(key) != readme(release, store.url).encode("utf-8"):
        yield finding("release.text", f"{key} is not the text that follows from the release", file=key)


def _check_claim(store: Store, name: str, entry: Entry) -> Iterator[Finding]:
    """Whether the object that binds the key to its content still does."""
    key = f"{FOLDER}/claims/{hashlib.sha256(entry.key.encode()).hexdigest()}.json"
    data = store.get(key)
    expected = f"{canonical({'key': entry.key, 'sha256': entry.sha256})}\n".encode("ascii")
    if data != expected:
        what = "is gone" if data is None else "has other bytes than were published"
        yield finding("release.lost" if data is None else "release.differs", f"{name}: {key} {what}", file=key)


def _check_entry(store: Store, name: str, entry: Entry) -> Iterator[Finding]:
    if entry.manifest is None:
        yield from _compare_size(name, entry.key, entry.size, store.get_size(entry.key))
        return
    data = store.get(entry.manifest)
    if data is None:
        yield finding("release.lost", f"{name}: its manifest is gone", file=entry.manifest)
        return
    if sha256_of(data) != entry.sha256:
        yield finding("release.differs", f"{name}: its manifest has other bytes", file=entry.manifest)
        return
    try:
        files = read_manifest(data, entry.manifest)
    except Problem as bad:
        yield bad.finding
        return
    lying = dict(store.list_objects(entry.key))
    for file in files:
        key = f"{entry.key}/{file.path}"
        yield from _compare_size(name, key, file.size, lying.pop(key, None))
    for key in sorted(lying):
        yield finding("release.extra", f"{name}: {key} is not part of it", file=key)


def _compare_size(name: str, key: str, expected: int, size: int | None) -> Iterator[Finding]:
    if size is None:
        yield finding("release.lost", f"{name}: {key} is gone", file=key)
    elif size != expected:
        message = f"{name}: {key} has {size} bytes instead of {expected}"
        yield finding("release.differs", message, file=key, value=str(size), expected=str(expected))


def _check_bytes(store: Store, name: str, key: str, file: FileDigest) -> Iterable[Finding]:
    found = store.read_sha256(key)
    if found != file.sha256:
        message = f"{name}: {key} has other bytes than were published"
        yield finding("release.differs", message, file=key, value=found, expected=file.sha256)
