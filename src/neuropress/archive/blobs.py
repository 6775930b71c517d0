"""Files: sent in parts that the archive signs for, and known by their digest ever after."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model.finding import problem
from ..model.progress import Progress
from ..storage.content import Readable
from ..storage.parallel import run_all
from .client import Archive, Refused
from .dandiset import Dandiset
from .digests import ETAG, Part, combine_parts, list_parts
from .journal import Journal, SentParts

WORKERS = 4
"""Parts under way at once: each is held in memory."""
TRIES = 3
"""How often a file is begun anew where the archive refuses what was begun: addresses last some days."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A file to be sent: its bytes, size and ETag (`neuropress.archive.digests.digest_blob`)."""

    content: Readable
    size: int
    etag: str


def send_blob(dandiset: Dandiset, blob: Blob, journals: Path, progress: Progress) -> str:
    """Send a file, or what is missing of it; returns the id by which assets name it.

    Nothing is sent where the archive has these bytes already, in whichever dandiset.

    Parameters
    ----------
    journals
        Folder in which parts that were sent are noted.

    Raises
    ------
    Problem
        ``storage.changed``: the file is not what was digested; what `neuropress.archive.client.Archive` raises.
    """
    archive = dandiset.archive
    journal = Journal(journals, f"{archive.instance.name}-{dandiset.identifier}-{blob.etag}")
    last: Refused | None = None
    for _ in range(TRIES):
        sent = journal.load()
        if sent is None or len(sent.urls) != len(list_parts(blob.size)):
            begun = _begin_upload(dandiset, blob, journal)
            if isinstance(begun, str):
                journal.end()
                return begun
            sent = begun
        try:
            _send_parts(archive, blob, journal, sent, progress)
            _complete_upload(archive, blob, sent)
            stored = archive.post(f"/uploads/{sent.upload_id}/validate/")
            journal.end()
            return str(stored["blob_id"])
        except Refused as refused:
            # Its addresses have expired, or it was completed by a run whose end nobody saw.
            journal.end()
            last = refused
            if refused.status not in (400, 403, 404, 409):
                raise
    assert last is not None
    raise last


def _begin_upload(dandiset: Dandiset, blob: Blob, journal: Journal) -> SentParts | str:
    """A new upload, or the id of the file that the archive has already."""
    digest = {"algorithm": ETAG, "value": blob.etag}
    wanted = {"contentSize": blob.size, "digest": digest, "dandiset": dandiset.identifier}
    try:
        begun = dandiset.archive.post("/uploads/initialize/", wanted)
    except Refused as refused:
        if refused.status == 409 and refused.location:
            return refused.location
        raise
    parts = list_parts(blob.size)
    try:
        stated = sorted(begun["parts"], key=lambda part: part["part_number"])
        if [(p["part_number"], p["size"]) for p in stated] != [(p.number, p.size) for p in parts]:
            raise ValueError("the parts are others than ours")
        return journal.begin(str(begun["upload_id"]), [str(part["upload_url"]) for part in stated])
    except (KeyError, TypeError, ValueError) as error:
        raise problem("dandi.refused", f"{dandiset.archive.instance.name} begins no upload: {error}") from error


def _send_parts(archive: Archive, blob: Blob, journal: Journal, sent: SentParts, progress: Progress) -> None:
    parts = list_parts(blob.size)

    def send_part(part: Part) -> None:
        with blob.content.open() as file:
            file.seek(part.offset)
            data = file.read(part.size)
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        answer = archive.put_signed(sent.urls[part.number - 1], data)
        if answer.headers.get("etag", "").strip('"') != md5:
            message = f"part {part.number} of {blob.content.place} has other bytes at {archive.instance.name}"
            raise problem("dandi.refused", message)
        journal.note(sent, part.number, md5)
        progress(len(data))

    progress(sum(part.size for part in parts if part.number in sent.etags))
    for _ in run_all(send_part, [part for part in parts if part.number not in sent.etags], WORKERS):
        pass
    if combine_parts(bytes.fromhex(sent.etags[part.number]) for part in parts) != blob.etag:
        journal.end()
        place = blob.content.place
        raise problem("storage.changed", f"{place} changed while it was being sent", file=place)


def _complete_upload(archive: Archive, blob: Blob, sent: SentParts) -> None:
    """Have the parts put together. Where that was done already, `validate` sees it."""
    parts: list[Mapping[str, Any]] = [
        {"part_number": part.number, "size": part.size, "etag": sent.etags[part.number]}
        for part in list_parts(blob.size)
    ]
    completion = archive.post(f"/uploads/{sent.upload_id}/complete/", {"parts": parts})
    try:
        archive.post_signed(str(completion["complete_url"]), str(completion["body"]).encode("utf-8"))
    except Refused as refused:
        if refused.status != 404:
            raise
