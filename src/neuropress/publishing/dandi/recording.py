"""What lies where after an upload: records in the dataset's folder ``dandi``, and beside the release that was sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...archive import Dandiset, RemoteAsset
from ...archive.instances import DEFAULT
from ...archive.records import PlacedAsset, UploadRecord, find_record, load_records, make_record, put_record
from ...model.finding import Finding
from ...model.report import Outcome
from ...planning.targets import Wanted
from ...proof import Proof
from ...release import FileDigest, OpenRelease
from ...storage.store import Store, open_store
from ...workspace import Workspace
from .sending import Shipment, get_sha256
from .tree import KINDS_SENT

OWN = ""
"""In place of a release's number: the record of the dataset itself."""


@dataclass(frozen=True)
class Records:
    """The records of one dandiset, of a dataset and, where that is what is sent, of a release."""

    workspace: Workspace
    dandiset: Dandiset
    opened: OpenRelease | None

    def keep(self, shipments: Sequence[Shipment], there: Mapping[str, RemoteAsset]) -> Iterator[Outcome]:
        """Record what was sent and what earlier uploads left there."""
        assets = {shipment.placed.path: _describe(shipment) for shipment in shipments}
        places = [(_open_dataset(self.workspace), OWN, OWN)]
        if self.opened is not None:
            places.append((self.opened.store, self.opened.release.number, self.opened.release.sha256))
        for store, release, manifest in places:
            before = self._find(store, release)
            record = make_record(self.dandiset, there, release, manifest, assets, before)
            why = f"{len(record.assets)} files of dandiset {record.dandiset}"
            yield Outcome(put_record(store, record), "recorded", why)

    def recognise(self, shipments: Sequence[Shipment]) -> None:
        """Tell shipments whether the dataset's record has them, for a dry run that asks nobody."""
        record = self._find(_open_dataset(self.workspace), OWN)
        for shipment in shipments:
            placed = record.assets.get(shipment.placed.path) if record else None
            shipment.is_recorded = placed is not None and placed.digest == shipment.digest

    def _find(self, store: Store, release: str) -> UploadRecord | None:
        found = find_record(store, release, self.dandiset.archive.instance.api, self.dandiset.identifier)
        return found[1] if found else None


def list_dandisets(workspace: Workspace) -> dict[tuple[str, str], list[str]]:
    """Name and SHA-256 of a result -> the dandisets that have these very bytes, by the dataset's records."""
    found: dict[tuple[str, str], list[str]] = {}
    for record in load_records(_open_dataset(workspace), OWN).values():
        if isinstance(record, Finding):
            continue
        name = record.dandiset if record.instance == DEFAULT else f"{record.instance}:{record.dandiset}"
        for placed in record.assets.values():
            if placed.name:
                found.setdefault((placed.name, placed.sha256), []).append(name)
    return found


def find_dandisets(sent: Mapping[tuple[str, str], Sequence[str]], wanted: Wanted, proof: Proof | None) -> str | None:
    """Which dandisets have these very files of a result; None where none has."""
    if proof is None or wanted.target.kind not in KINDS_SENT:
        return None
    files = [FileDigest(file.path, file.size, file.sha256) for file in proof.files]
    return ", ".join(sent.get((wanted.target.path, get_sha256(wanted.target.kind, files)), ())) or None


def _open_dataset(workspace: Workspace) -> Store:
    return open_store(str(workspace.config.root))


def _describe(shipment: Shipment) -> PlacedAsset:
    placed, lies = shipment.placed, shipment.before
    assert lies is not None
    sha256 = get_sha256(placed.asset.kind, shipment.files)
    own, sent = (placed.proven, sha256) if placed.proven else (sha256, "")
    return PlacedAsset(placed.asset.name, lies.asset_id, lies.size, lies.digest, own, sent)
