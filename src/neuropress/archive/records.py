"""What of a release or a dataset lies in which dandiset: a record that is created once, and compared later.

Of a release it lies beside the manifest, of a working copy in the dataset's folder, whose release is the empty text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..model.finding import Finding, Problem, finding, problem
from ..model.parsing import parse_json
from ..model.plan import canonical
from ..model.serial import SPARSE, from_json, to_json
from ..storage.failures import StoreUnavailable
from ..storage.store import Store
from .client import Archive
from .dandiset import DRAFT, Dandiset, RemoteAsset
from .instances import INSTANCES, find_instance

FORMAT = 1
FOLDER = "dandi"
_NAME = re.compile(r"[0-9]{6}(?:\.r([0-9]+))?\.json")


@dataclass(frozen=True, slots=True)
class PlacedAsset:
    """One asset of a dandiset: its id there, the digest by which the archive knows it, and the result's own SHA-256.

    `name` is the release's asset, empty for what describes volumes (``samples.tsv``). `sent_sha256` stands where a copy
    was sent that names its videos otherwise: the SHA-256 of that.
    """

    name: str
    asset_id: str
    size: int
    digest: str
    sha256: str
    sent_sha256: str = field(default="", metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """What lies where after an upload, and after those before it.

    Attributes
    ----------
    instance, api
        Name and address of the archive.
    version
        Of the dandiset: its draft.
    release, manifest
        Number of the release, and the SHA-256 of its manifest; empty for a dataset's own record.
    assets
        Path in the dandiset -> what lies there.
    """

    instance: str
    api: str
    dandiset: str
    version: str
    release: str
    manifest: str
    assets: Mapping[str, PlacedAsset]
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        """Canonical JSON and a line end."""
        return f"{canonical(to_json(self))}\n".encode("ascii")


def put_record(store: Store, record: UploadRecord) -> str:
    """Put a record beside its release's manifest, or into a dataset, and return its key; nothing is written over.

    Where the last one of this dandiset is equal, that is left as it is. One that differs, as after a file of the draft
    was replaced, or of another archive's dandiset of that number, lies beside it with a revision in its name.
    """
    data = record.to_bytes()
    last = find_record(store, record.release, record.api, record.dandiset)
    if last and last[1] == record:
        return last[0]
    revision = 1
    while True:
        suffix = f".r{revision}" if revision > 1 else ""
        key = f"{_get_folder(record.release)}/{record.dandiset}{suffix}.json"
        if store.create(key, data):
            return key
        revision += 1


def find_record(store: Store, release: str, api: str, dandiset: str) -> tuple[str, UploadRecord] | None:
    """Key and content of the last record of one dandiset; None where there is none."""
    for key, record in load_records(store, release).items():
        if isinstance(record, UploadRecord) and (record.api, record.dandiset) == (api, dandiset):
            return key, record
    return None


def load_records(store: Store, release: str) -> dict[str, UploadRecord | Finding]:
    """Key -> record of every dandiset that the release was sent to, the last of each; a finding for a damaged one."""
    folder = _get_folder(release)
    found: dict[tuple[str, str], tuple[int, str, UploadRecord]] = {}
    damaged: dict[str, UploadRecord | Finding] = {}
    for name in store.list_names(folder)[0]:
        key = f"{folder}/{name}"
        match = _NAME.fullmatch(name)
        if match is None:
            continue
        try:
            record = _read_record(store.get(key) or b"", key)
        except Problem as bad:
            damaged[key] = bad.finding
            continue
        entry = (int(match[1] or 1), key, record)
        place = (record.api, record.dandiset)
        found[place] = max(found.get(place, entry), entry, key=lambda one: one[0])
    return {**damaged, **{key: record for _, key, record in found.values()}}


def check_record(record: UploadRecord, key: str, place: str) -> Iterator[Finding]:
    """Compare what an archive tells of its draft with a record.

    Parameters
    ----------
    key
        Of an account, for what is embargoed; empty for none. It is sent to archives that are known by name only:
        whoever can write to a store could lead it elsewhere.
    place
        Where the record lies, for messages.
    """
    name = record.instance
    try:
        # A release may come from anybody: the key goes to no address that it names.
        archive = Archive(find_instance(record.api), key if record.api in INSTANCES.values() else "")
        there = Dandiset(archive, record.dandiset).list_assets()
    except (StoreUnavailable, Problem) as error:
        said = error.finding.message if isinstance(error, Problem) else str(error)
        yield finding("dandi.unreachable", f"dandiset {record.dandiset} was not compared: {said}", file=place)
        return
    for path, placed in sorted(record.assets.items()):
        asset = there.get(path)
        where = f"{path} of dandiset {record.dandiset} at {name}"
        if asset is None:
            yield finding("dandi.gone", f"{where} is gone", file=place, value=path)
        elif asset.digest != placed.digest:
            message = f"{where} has the digest {asset.digest or 'none'}"
            yield finding("dandi.differs", message, file=place, value=asset.digest, expected=placed.digest)


def make_record(
    dandiset: Dandiset,
    there: Mapping[str, RemoteAsset],
    release: str,
    manifest: str,
    assets: Mapping[str, PlacedAsset],
    before: UploadRecord | None,
) -> UploadRecord:
    """The record of what a dandiset's draft holds: of this upload, and of earlier ones what still lies `there`."""
    instance = dandiset.archive.instance
    kept = before.assets if before else {}
    still = {path: one for path, one in kept.items() if path in there and there[path].asset_id == one.asset_id}
    assets = dict(sorted({**still, **assets}.items()))
    return UploadRecord(instance.name, instance.api, dandiset.identifier, DRAFT, release, manifest, assets)


def _get_folder(release: str) -> str:
    return f"releases/{release}/{FOLDER}" if release else FOLDER


def _read_record(data: bytes, place: str) -> UploadRecord:
    try:
        record = from_json(UploadRecord, parse_json(data))
        if record.format != FORMAT or record.to_bytes() != data:
            raise ValueError("its bytes are not as neuropress wrote them")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise problem("dandi.record", f"{place} is no readable record: {error}", file=place) from error
    return record
