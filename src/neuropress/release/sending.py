"""Give each new content a physical key of its own, and send what does not lie there yet.

A physical key is given away once, by a claim: a small object, put on condition that there
is none, that binds the key to a content's digest for good. Two publishers with different
content therefore never write to the same key, whichever of them commits, and an
interrupted one finds its own keys again. Nothing that lies under a key is overwritten
with other bytes: whatever is there and is not ours moves the asset to its next revision.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from ..model.finding import problem
from ..model.plan import canonical
from ..storage.parallel import run_all
from ..storage.store import SMALL, Progress, Store, StoreUnavailable
from .assets import Digested, FileDigest, revision_key
from .manifest import FOLDER, Entry

WORKERS = 32
LARGE_WORKERS = 3
# obstore keeps such names of a folder for its own temporary files.
_TEMPORARY = re.compile(r"#\d+$")


@dataclass(slots=True)
class Sent:
    """Data objects that went out, their bytes, and those that lay there already."""

    objects: int = 0
    size: int = 0
    present: int = 0


class _Outcome(Enum):
    SENT = "sent"
    PRESENT = "present"
    OCCUPIED = "occupied"


@dataclass(frozen=True, slots=True)
class _Placed:
    """An asset, the physical key that it owns, and its files that seem to lie there already."""

    digested: Digested
    revision: int
    key: str
    present: frozenset[str]

    def object_key(self, file: FileDigest) -> str:
        return f"{self.key}/{file.path}" if file.path else self.key


def entry_of(digested: Digested, key: str) -> Entry:
    """The release's entry of an asset that lies under `key`."""
    return Entry(
        key=key,
        kind=digested.asset.kind,
        size=digested.size,
        files=len(digested.files),
        sha256=digested.sha256,
        manifest=None if digested.manifest is None else f"{FOLDER}/manifests/{digested.sha256}.jsonl",
        provenance=json.loads(canonical(dict(digested.asset.provenance))),
    )


def send_assets(store: Store, assets: Sequence[Digested], sent: Sent, progress: Progress) -> Mapping[str, Entry]:
    """Send all data and file manifests; logical name -> entry. `sent` is counted up."""
    if store.folder:
        _check_local_names(assets)
    entries: dict[str, Entry] = {}
    pending = [(digested, 1) for digested in assets]
    while pending:
        placed = tuple(run_all(lambda job: _place(store, *job), pending, WORKERS))
        occupied: set[str] = set()
        for place, file, outcome in _send_files(store, placed, progress):
            if outcome is _Outcome.SENT:
                sent.objects += 1
                sent.size += file.size
            elif outcome is _Outcome.PRESENT:
                sent.present += 1
            else:
                occupied.add(place.key)
        entries |= {p.digested.asset.name: entry_of(p.digested, p.key) for p in placed if p.key not in occupied}
        pending = [(p.digested, p.revision + 1) for p in placed if p.key in occupied]
    manifests = {entries[d.asset.name].manifest: d.manifest for d in assets if d.manifest is not None}
    for _ in run_all(lambda item: store.create(str(item[0]), item[1]), manifests.items(), WORKERS):
        pass  # one that is there already has the same bytes: its name is their digest
    return entries


def _check_local_names(assets: Iterable[Digested]) -> None:
    for digested in assets:
        for file in digested.files:
            name = file.path or digested.asset.name
            if _TEMPORARY.search(name):
                raise problem(
                    "release.asset",
                    f"{digested.asset.name}: a folder cannot hold the name {name!r}, which ends in # and a number",
                    hint="Rename the file, or publish to a bucket.",
                    file=digested.asset.member(file.path).place,
                )


def _place(store: Store, digested: Digested, revision: int) -> _Placed:
    """The first physical key, from a revision on, that can be this content's own."""
    while True:
        key = revision_key(digested.asset.name, revision, folder=digested.manifest is not None)
        ours, fresh = _claim(store, key, digested.sha256)
        present = _lying(store, key, digested, fresh=fresh) if ours else None
        if present is not None:
            return _Placed(digested, revision, key, present)
        revision += 1


def _claim(store: Store, key: str, sha256: str) -> tuple[bool, bool]:
    """Bind a physical key to a digest: whether it is bound so, and whether it was just now."""
    name = f"{FOLDER}/claims/{hashlib.sha256(key.encode()).hexdigest()}.json"
    claim = f"{canonical({'key': key, 'sha256': sha256})}\n".encode("ascii")
    if store.create(name, claim):
        return True, True
    held = store.get(name)
    if held is None:
        raise StoreUnavailable(f"{store.url}: {name} cannot be read back after writing it")
    return held == claim, False


def _lying(store: Store, key: str, digested: Digested, *, fresh: bool) -> frozenset[str] | None:
    """Paths of the asset's files under a key, by size; None when something else lies there."""
    expected = {file.path: file.size for file in digested.files}
    if digested.manifest is None:
        if fresh and digested.size <= SMALL:
            return frozenset()  # sending it tells
        size = store.get_size(key)
        found = {} if size is None else {"": size}
    else:
        found = {name.removeprefix(f"{key}/"): size for name, size in store.list_objects(key)}
    return frozenset(found) if all(expected.get(path) == size for path, size in found.items()) else None


def _send_files(
    store: Store, placed: Sequence[_Placed], progress: Progress
) -> Iterator[tuple[_Placed, FileDigest, _Outcome]]:
    def work(job: tuple[_Placed, FileDigest]) -> tuple[_Placed, FileDigest, _Outcome]:
        return *job, _send_file(store, *job, progress)

    # Large files are sent in parts side by side; few at a time keep the memory bounded.
    for large, workers in ((False, WORKERS), (True, LARGE_WORKERS)):
        jobs = ((place, file) for place in placed for file in place.digested.files if (file.size > SMALL) is large)
        yield from run_all(work, jobs, workers)


def _send_file(store: Store, place: _Placed, file: FileDigest, progress: Progress) -> _Outcome:
    key = place.object_key(file)
    if file.path not in place.present:
        content = place.digested.asset.member(file.path)
        if store.upload(content, key, file.size, file.sha256, progress):
            return _Outcome.SENT
    return _Outcome.PRESENT if store.get_sha256(key) == file.sha256 else _Outcome.OCCUPIED
