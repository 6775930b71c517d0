"""Whether what lies in a store is what was published: every release, its history, and every byte if asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..model.finding import Finding, Problem, finding, problem
from ..model.plan import canonical
from ..model.progress import Progress, expect_bytes, no_progress
from ..storage.parallel import run_all
from ..storage.store import Store, open_store
from .assets import FileDigest, make_claim, parse_manifest
from .history import make_successor_key
from .manifest import FOLDER, LATEST, AssetEntry, Release, find_newest_number, format_readme, load_release, parse_number
from .read import digest_bytes, load_asset_files

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
    """Compare one release, the newest when no number is given, with what lies in the store; see `audit_releases`."""
    store = open_store(url, endpoint)
    if number is None:
        number = find_newest_number(store)
    return audit_releases(store, [number], deep=deep)[0].findings


def audit_releases(
    store: Store, numbers: Sequence[str], *, deep: bool = False, progress: Progress = no_progress
) -> list[Audit]:
    """Compare releases with what lies in the store. What several of them hold is looked at once.

    Sizes and existence by listing, manifests and history by their digests; `deep` reads all data
    again and compares digests, so that one changed byte anywhere is found.

    Raises
    ------
    Problem
        ``release.none``: there is no release of a number; ``release.number``: it is no number.
    """
    loaded = {number: _load_release(store, number) for number in numbers}
    releases = [release for release in loaded.values() if isinstance(release, Release)]
    entries = {(name, entry.key, entry.sha256): entry for r in releases for name, entry in r.assets.items()}
    findings = _check_entries(store, entries, progress, deep=deep)
    audits = []
    for number, release in loaded.items():
        if isinstance(release, Finding):
            audits.append(Audit(number, (release,)))
            continue
        of_release = [*_check_history(store, release)]
        for name, entry in sorted(release.assets.items()):
            of_release += findings[name, entry.key, entry.sha256]
        if deep:
            of_release += _check_readme(store, release)
        size = sum(entry.size for entry in release.assets.values())
        audits.append(Audit(number, tuple(of_release), len(release.assets), size))
    return audits


def check_hint(store: Store, newest: Release) -> Iterator[Finding]:
    """Whether the hint names the newest release; nothing relies on it."""
    hint = f"{canonical({'number': newest.number, 'sha256': newest.sha256})}\n".encode("ascii")
    if store.get(LATEST) != hint:
        yield finding("release.text", f"{LATEST} does not name {newest.number}, the newest release", file=LATEST)


type EntryId = tuple[str, str, str]
"""Logical name, physical key and SHA-256 of an asset: releases that agree in them share the findings."""


def _load_release(store: Store, number: str) -> Release | Finding:
    parse_number(number)  # what is typed wrong is no damage
    try:
        release = load_release(store, number)
    except Problem as bad:
        return bad.finding
    if release is None:
        raise problem("release.none", f"there is no release {number} at {store.url}", value=number)
    return release


def _check_entries(
    store: Store, entries: Mapping[EntryId, AssetEntry], progress: Progress, *, deep: bool
) -> dict[EntryId, list[Finding]]:
    """Findings on each asset; `deep` looks at the bytes of all files that nothing else is wrong with."""

    def check_entry(item: tuple[EntryId, AssetEntry]) -> tuple[Finding, ...]:
        (name, _, _), entry = item
        return _collect_findings(lambda: _check_entry(store, name, entry))

    checked = run_all(check_entry, entries.items(), WORKERS)
    findings = {id: list(of_entry) for id, of_entry in zip(entries, checked, strict=True)}
    if deep:
        _check_all_bytes(store, entries, findings, progress)
        _check_all_claims(store, entries, findings)
    return findings


def _check_all_bytes(
    store: Store, entries: Mapping[EntryId, AssetEntry], findings: dict[EntryId, list[Finding]], progress: Progress
) -> None:
    """Read every file that is there and has its size; what is found is added to `findings`."""
    damaged = {f.location.file for of_entry in findings.values() for f in of_entry}
    jobs = []
    for id, entry in entries.items():
        if entry.manifest in damaged:
            continue
        for file in load_asset_files(store, entry):
            key = f"{entry.key}/{file.path}" if file.path else entry.key
            if key not in damaged:
                jobs.append((id, key, file))

    expect_bytes(progress, sum(file.size for _, _, file in jobs))

    def check_bytes(job: tuple[EntryId, str, FileDigest]) -> tuple[Finding, ...]:
        (name, _, _), key, file = job
        return _collect_findings(lambda: _check_bytes(store, name, key, file, progress))

    for (id, _, _), of_file in zip(jobs, run_all(check_bytes, jobs, WORKERS), strict=True):
        findings[id] += of_file


def _check_all_claims(
    store: Store, entries: Mapping[EntryId, AssetEntry], findings: dict[EntryId, list[Finding]]
) -> None:
    def check_claim(item: tuple[EntryId, AssetEntry]) -> tuple[Finding, ...]:
        (name, _, _), entry = item
        return tuple(_check_claim(store, name, entry))

    for id, of_claim in zip(entries, run_all(check_claim, entries.items(), WORKERS), strict=True):
        findings[id] += of_claim


def _collect_findings(check: Callable[[], Iterable[Finding]]) -> tuple[Finding, ...]:
    """What a check finds; a link in a folder concerns its one asset, and the others are looked at as well."""
    try:
        return tuple(check())
    except Problem as bad:
        if bad.finding.id != "storage.link":
            raise
        return (bad.finding,)


def _check_history(store: Store, release: Release) -> Iterator[Finding]:
    """Whether the release is the one that was committed after its parent, and the parent is what it was."""
    key = make_successor_key(release.parent.number if release.parent else None)
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
        elif digest_bytes(data) != release.parent.sha256:
            message = f"{key} is not the release that {release.number} names as its parent"
            yield finding("release.differs", message, file=key)


def _check_readme(store: Store, release: Release) -> Iterator[Finding]:
    key = f"{FOLDER}/{release.number}/README.md"
    if store.get(key) != format_readme(release, store.url).encode("utf-8"):
        yield finding("release.text", f"{key} is not the text that follows from the release", file=key)


def _check_claim(store: Store, name: str, entry: AssetEntry) -> Iterator[Finding]:
    """Whether the object that binds the key to its content still does."""
    key, claim = make_claim(entry.key, entry.sha256)
    data = store.get(key)
    if data != claim:
        what = "is gone" if data is None else "has other bytes than were published"
        yield finding("release.lost" if data is None else "release.differs", f"{name}: {key} {what}", file=key)


def _check_entry(store: Store, name: str, entry: AssetEntry) -> Iterator[Finding]:
    if entry.manifest is None:
        yield from _compare_size(name, entry.key, entry.size, store.get_size(entry.key))
        return
    data = store.get(entry.manifest)
    if data is None:
        yield finding("release.lost", f"{name}: its manifest is gone", file=entry.manifest)
        return
    if digest_bytes(data) != entry.sha256:
        yield finding("release.differs", f"{name}: its manifest has other bytes", file=entry.manifest)
        return
    try:
        files = parse_manifest(data, entry.manifest)
    except Problem as bad:
        yield bad.finding
        return
    sizes = dict(store.list_objects(entry.key))
    for file in files:
        key = f"{entry.key}/{file.path}"
        yield from _compare_size(name, key, file.size, sizes.pop(key, None))
    for key in sorted(sizes):
        yield finding("release.extra", f"{name}: {key} is not part of it", file=key)


def _compare_size(name: str, key: str, expected: int, size: int | None) -> Iterator[Finding]:
    if size is None:
        yield finding("release.lost", f"{name}: {key} is gone", file=key)
    elif size != expected:
        message = f"{name}: {key} has {size} bytes instead of {expected}"
        yield finding("release.differs", message, file=key, value=str(size), expected=str(expected))


def _check_bytes(store: Store, name: str, key: str, file: FileDigest, progress: Progress) -> Iterable[Finding]:
    actual = store.read_sha256(key, progress)
    if actual != file.sha256:
        message = f"{name}: {key} has other bytes than were published"
        yield finding("release.differs", message, file=key, value=actual, expected=file.sha256)
