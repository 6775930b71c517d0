"""Send a file and a volume to an archive, in a process that a test kills: ARCHIVE JOURNALS FILE VOLUME PART."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from neuropress.archive import Archive, Dandiset, digests, find_instance
from neuropress.archive.blobs import Blob, send_blob
from neuropress.archive.metadata import make_asset_metadata
from neuropress.archive.zarrs import Member, send_zarr
from neuropress.model.progress import no_progress
from neuropress.storage.content import LocalFile

FILE, VOLUME = "sub-a/sub-a_ses-1_ecephys.nwb", "microscopy/sub-a/micr/sub-a_sample-1_SEM.ome.zarr"


def read_members(volume: Path) -> dict[str, Member]:
    files = sorted(path for path in volume.rglob("*") if path.is_file())
    return {
        path.relative_to(volume).as_posix(): Member(
            LocalFile(path), path.stat().st_size, hashlib.md5(path.read_bytes()).hexdigest()
        )
        for path in files
    }


def send_all(dandiset: Dandiset, journals: Path, file: Path, volume: Path) -> None:
    there = dandiset.list_assets()
    data = file.read_bytes()
    etag = digests.digest_blob(LocalFile(file), len(data), hashlib.sha256(data).hexdigest(), no_progress)
    blob = send_blob(dandiset, Blob(LocalFile(file), len(data), etag), journals, no_progress)
    about = make_asset_metadata(FILE, len(data), {digests.ETAG: etag}, {})
    dandiset.place_asset(about, {"blob_id": blob}, there.get(FILE))
    members = read_members(volume)
    checksum = digests.digest_tree({name: (m.md5, m.size) for name, m in members.items()})
    zarr = send_zarr(dandiset, VOLUME, members, there[VOLUME].zarr_id if VOLUME in there else "", no_progress)
    size = sum(m.size for m in members.values())
    about = make_asset_metadata(VOLUME, size, {digests.ZARR_CHECKSUM: checksum}, {})
    dandiset.place_asset(about, {"zarr_id": zarr}, there.get(VOLUME))


if __name__ == "__main__":
    url, journals, file, volume, part = sys.argv[1:]
    digests.PART = int(part)
    archive = Archive(find_instance(url), os.environ["DANDI_API_KEY"], (0.01, 0.02))
    send_all(Dandiset(archive, "000123"), Path(journals), Path(file), Path(volume))
