"""Give each new content a physical key of its own, and send what does not lie there yet.

A physical key is given away once, by a claim: a small object, put on condition that there
is none, that binds the key to a content's digest for good. Two publishers with different
content therefore never write to the same key, whichever of them commits, and an
interrupted one finds its own keys again. Nothing that lies under a key is overwritten
with other bytes: whatever is there and is not ours moves the asset to its next revision.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ..model.finding import problem
from ..model.plan import canonical
from ..storage.parallel import run_all
from ..storage.store import SMALL, Progress, Store, StoreUnavailable
from .assets import DigestedAsset, FileDigest, make_claim, make_revision_key
from .manifest import FOLDER, AssetEntry

WORKERS = 32
LARGE_WORKERS = 3
# obstore keeps such names of a folder for its own temporary files.
_TEMPORARY = re.compile(r"#\d+$")


@dataclass(slots=True)
class SendCounts:
    """Data objects that went out, their bytes, and those that lay there already."""

    objects: int = 0
    size: int = 0
    present: int = 0


class _Outcome(Enum):
    SENT = "sent"
    PRESENT = "present"
    OCCUPIED = "occupied"


@dataclass(frozen=True, slots=True)
class _PlacedAsset:
    """An asset, the physical key that it owns, and its files that seem to lie there already."""

    digested: DigestedAsset
    revision: int
    key: str
    present: frozenset[str]

    def get_object_key(self, file: FileDigest) -> str:
        return f"{self.key}/{file.path}" if file.path else self.key


def make_entry(digested: DigestedAsset, key: str) -> AssetEntry:
    """The release's entry of an asset that lies under `key`."""
    return AssetEntry(
        key=key,
        kind=digested.asset.kind,
        size=digested.size,
        files=len(digested.files),
        sha256=digested.sha256,
        manifest=None if digested.manifest is None else f"{FOLDER}/manifests/{digested.sha256}.jsonl",
        provenance=json.loads(canonical(dict(digested.asset.provenance))),
    )


def send_assets(
    store: Store, assets: Sequence[DigestedAsset], sent: SendCounts, progress: Progress
) -> Mapping[str, AssetEntry]:
    """Send all data and file manifests; logical name -> entry. `sent` is counted up."""
    if store.folder:
        _check_local_names(assets)
    entries: dict[str, AssetEntry] = {}
    pending = [(digested, 1) for digested in assets]
    while pending:
        placed = tuple(run_all(lambda job: _claim_key(store, *job), pending, WORKERS))
        occupied: set[str] = set()
        for placed_asset, file, outcome in _send_files(store, placed, progress):
            if outcome is _Outcome.SENT:
                sent.objects += 1
                sent.size += file.size
            elif outcome is _Outcome.PRESENT:
                sent.present += 1
            else:
                occupied.add(placed_asset.key)
        entries |= {p.digested.asset.name: make_entry(p.digested, p.key) for p in placed if p.key not in occupied}
        pending = [(p.digested, p.revision + 1) for p in placed if p.key in occupied]
    manifests = {entries[d.asset.name].manifest: d.manifest for d in assets if d.manifest is not None}
    for _ in run_all(lambda item: store.create(str(item[0]), item[1]), manifests.items(), WORKERS):
        pass  # one that is there already has the same bytes: its name is their digest
    return entries


def _check_local_names(assets: Iterable[DigestedAsset]) -> None:
    for digested in assets:
        for file in digested.files:
            name = file.path or digested.asset.name
            if _TEMPORARY.search(name):
                raise problem(
                    "release.asset",
                    f"{digested.asset.name}: a folder cannot hold the name {name!r}, which ends in # and a number",
                    hint="Rename the file, or publish to a bucket.",
                    file=digested.asset.get_member(file.path).place,
                )


def _claim_key(store: Store, digested: DigestedAsset, revision: int) -> _PlacedAsset:
    """The first physical key, from a revision on, that can be this content's own."""
    while True:
        key = make_revision_key(digested.asset.name, revision, folder=digested.manifest is not None)
        ours, fresh = _bind_key(store, key, digested.sha256)
        # A key that is ours may still hold what others put there: then the next revision is tried.
        present = _find_present(store, key, digested, fresh=fresh) if ours else None
        if present is not None:
            return _PlacedAsset(digested, revision, key, present)
        revision += 1


def _bind_key(store: Store, key: str, sha256: str) -> tuple[bool, bool]:
    """Bind a physical key to a digest: whether it is bound so, and whether it was just now."""
    name, claim = make_claim(key, sha256)
    if store.create(name, claim):
        return True, True
    held = store.get(name)
    if held is None:
        raise StoreUnavailable(f"{store.url}: {name} cannot be read back after writing it")
    return held == claim, False


def _find_present(store: Store, key: str, digested: DigestedAsset, *, fresh: bool) -> frozenset[str] | None:
    """Paths of the asset's files under a key, by size; None when something else lies there."""
    expected = {file.path: file.size for file in digested.files}
    if digested.manifest is None:
        if fresh and digested.size <= SMALL:
            return frozenset()  # one request: sending it shows whether something is there
        size = store.get_size(key)
        sizes = {} if size is None else {"": size}
    else:
        sizes = {name.removeprefix(f"{key}/"): size for name, size in store.list_objects(key)}
    if any(expected.get(path) != size for path, size in sizes.items()):
        return None
    return frozenset(sizes)


def _send_files(
    store: Store, placed: Sequence[_PlacedAsset], progress: Progress
) -> Iterator[tuple[_PlacedAsset, FileDigest, _Outcome]]:
    def send_job(job: tuple[_PlacedAsset, FileDigest]) -> tuple[_PlacedAsset, FileDigest, _Outcome]:
        return *job, _send_file(store, *job, progress)

    # Large files are sent in parts side by side; few at a time keep the memory bounded.
    for large, workers in ((False, WORKERS), (True, LARGE_WORKERS)):
        jobs = ((asset, file) for asset in placed for file in asset.digested.files if (file.size > SMALL) is large)
        yield from run_all(send_job, jobs, workers)


def _send_file(store: Store, placed: _PlacedAsset, file: FileDigest, progress: Progress) -> _Outcome:
    key = placed.get_object_key(file)
    if file.path not in placed.present:
        content = placed.digested.asset.get_member(file.path)
        if store.upload(content, key, file.size, file.sha256, progress):
            return _Outcome.SENT
    return _Outcome.PRESENT if store.get_sha256(key) == file.sha256 else _Outcome.OCCUPIED
