"""What is at the archive already, and what is sent, a result after the other."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...archive import Dandiset, RemoteAsset
from ...archive.blobs import Blob, send_blob
from ...archive.digests import ETAG, SHA256, ZARR_CHECKSUM, digest_blob, digest_member, digest_tree
from ...archive.metadata import make_asset_metadata
from ...archive.zarrs import Member, send_zarr
from ...model.progress import Progress, expect_bytes, no_progress, track
from ...release import FileDigest
from ...release.assets import format_manifest
from ...storage.parallel import run_all
from ...storage.state import StateFile
from .tree import VOLUME, PlacedResult

DIGESTS = "dandi.json"
"""State: SHA-256 of a result -> its digest at an archive, so that what was sent is not read again."""


@dataclass(slots=True)
class Shipment:
    """A result on its way, with its digest at the archive.

    Attributes
    ----------
    before
        What lies at its path; None where nothing does.
    members
        Of a volume: its files, once they were read.
    is_recorded
        Whether, by the dataset's record, these bytes were sent before; asked for where the archive is not.
    """

    placed: PlacedResult
    digest: str
    before: RemoteAsset | None
    members: Mapping[str, Member] = field(default_factory=dict)
    is_recorded: bool = False

    @property
    def files(self) -> Sequence[FileDigest]:
        """Its files with their digests."""
        return self.placed.asset.files or ()

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)

    @property
    def is_there(self) -> bool:
        """Whether the archive has these very bytes at this path."""
        return self.before is not None and self.before.digest == self.digest

    @property
    def state(self) -> str:
        """What would be done with it, in a word or two."""
        if self.is_there:
            return "there already"
        if self.is_recorded:
            return "sent before"
        return "would replace" if self.before else "would send"


def prepare(
    placed: Sequence[PlacedResult], there: Mapping[str, RemoteAsset], state: Path, progress: Progress
) -> list[Shipment]:
    """Digest each result as the archive would, unless that was done before.

    Raises
    ------
    Problem
        ``storage.changed``: a file is not what was proven.
    """
    cache = StateFile(state / DIGESTS)
    shipments = []
    for one in track(progress, "digest", placed, lambda one: one.path):
        expect_bytes(progress, sum(file.size for file in one.asset.files or ()))
        key, known = _get_key(one), cache.data.get(_get_key(one))
        shipment = Shipment(one, str(known or ""), there.get(one.path))
        if not known:
            shipment.digest = _digest(shipment, progress)
            cache.data[key] = shipment.digest
            cache.save()
        shipments.append(shipment)
    return shipments


def send(dandiset: Dandiset, shipment: Shipment, described: Mapping[str, Any], state: Path, progress: Progress) -> None:
    """Bring one result to its path, whatever an earlier run left there.

    Parameters
    ----------
    described
        What dandi read out of it.
    state
        Folder of the dataset's state, for the journal of parts.
    """
    placed, before = shipment.placed, shipment.before
    expect_bytes(progress, shipment.size)
    if placed.asset.kind == VOLUME:
        members = shipment.members or _read_members(shipment, no_progress)
        zarr_id = send_zarr(dandiset, placed.path, members, before.zarr_id if before else "", progress)
        stored, digests = {"zarr_id": zarr_id}, {ZARR_CHECKSUM: shipment.digest}
    else:
        (file,) = shipment.files
        blob = Blob(placed.asset.get_member(""), file.size, shipment.digest)
        stored = {"blob_id": send_blob(dandiset, blob, state / "dandi", progress)}
        digests = {ETAG: shipment.digest, SHA256: file.sha256}
    metadata = make_asset_metadata(placed.path, shipment.size, digests, described)
    dandiset.place_asset(metadata, stored, before)


def get_sha256(kind: str, files: Sequence[FileDigest]) -> str:
    """SHA-256 of a file; of a volume that of the manifest of its files, as in a release."""
    return hashlib.sha256(format_manifest(tuple(files))).hexdigest() if kind == VOLUME else files[0].sha256


def _get_key(placed: PlacedResult) -> str:
    kind = placed.asset.kind
    return f"{'zarr' if kind == VOLUME else 'blob'} {get_sha256(kind, placed.asset.files or ())}"


def _digest(shipment: Shipment, progress: Progress) -> str:
    asset = shipment.placed.asset
    if asset.kind == VOLUME:
        shipment.members = _read_members(shipment, progress)
        return digest_tree({name: (member.md5, member.size) for name, member in shipment.members.items()})
    (file,) = shipment.files
    return digest_blob(asset.get_member(""), file.size, file.sha256, progress)


def _read_members(shipment: Shipment, progress: Progress) -> dict[str, Member]:
    asset = shipment.placed.asset

    def read(file: FileDigest) -> tuple[str, Member]:
        content = asset.get_member(file.path)
        return file.path, Member(content, file.size, digest_member(content, file.sha256, progress))

    return dict(run_all(read, shipment.files, os.cpu_count() or 4))
