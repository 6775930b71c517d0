"""Volumes: put file by file into an archive of their own, and known by the checksum of their tree."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ..model.finding import problem
from ..model.progress import Progress
from ..storage.content import Readable
from ..storage.failures import StoreUnavailable
from ..storage.parallel import run_all
from .client import Archive, Refused
from .dandiset import Dandiset
from .digests import digest_tree

WORKERS = 8
SENT_AT_ONCE = 255
DELETED_AT_ONCE = 100
"""Files of one request."""
TRIES = 3
FIRST_WAIT, LONGEST_WAIT, MOST_WAIT = 0.2, 10.0, 6 * 3600.0
"""Seconds between two questions whether the archive has digested a volume, and all in all."""
PENDING, COMPLETE = "Pending", "Complete"


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a volume: its bytes, size, and MD5 in hex."""

    content: Readable
    size: int
    md5: str


def send_zarr(dandiset: Dandiset, path: str, members: Mapping[str, Member], zarr_id: str, progress: Progress) -> str:
    """Make a volume at the archive what it is here: what is missing or differs is sent, what is no more is deleted.

    Parameters
    ----------
    path
        Under which the dandiset has it.
    zarr_id
        Of the volume that the dandiset has there; empty where it has none.

    Returns
    -------
    str
        Id by which an asset names it. Its checksum at the archive is that of `members`.

    Raises
    ------
    Problem
        ``dandi.differs``: the archive digests it to something else.
    """
    archive = dandiset.archive
    zarr_id = zarr_id or _find_or_make(dandiset, path)
    expected = digest_tree({name: (member.md5, member.size) for name, member in members.items()})
    checksum = ""
    for number in range(TRIES):
        state = _wait_for(archive, zarr_id)
        if state["status"] == COMPLETE and state.get("checksum") == expected:
            return zarr_id
        _send_differences(archive, zarr_id, members, progress if number == 0 else _count_nothing)
        if archive.get(f"/zarr/{zarr_id}/").get("status") == PENDING:
            _finalize(archive, zarr_id)
        state = _wait_for(archive, zarr_id)
        checksum = str(state.get("checksum"))
        if checksum == expected:
            return zarr_id
    message = f"{path} has the checksum {checksum} at {archive.instance.name}"
    raise problem("dandi.differs", message, file=path, value=checksum, expected=expected)


def _find_or_make(dandiset: Dandiset, path: str) -> str:
    """A volume of that name, which an earlier run may have made before it was cut off."""
    archive = dandiset.archive
    try:
        return str(archive.post("/zarr/", {"name": path, "dandiset": dandiset.identifier})["zarr_id"])
    except Refused as refused:
        if refused.status != 400:
            raise
        for entry in archive.list_pages("/zarr/", dandiset=dandiset.identifier, name=path):
            if entry.get("name") == path:
                return str(entry["zarr_id"])
        raise


def _send_differences(archive: Archive, zarr_id: str, members: Mapping[str, Member], progress: Progress) -> None:
    there = {str(e["Key"]): (str(e["ETag"]).strip('"'), e["Size"]) for e in _list_files(archive, zarr_id)}
    strays = sorted(there.keys() - members.keys())
    for some in batched(strays, DELETED_AT_ONCE):
        archive.delete(f"/zarr/{zarr_id}/files/", [{"path": name} for name in some])
    wanted = [name for name, member in members.items() if there.get(name) != (member.md5, member.size)]
    progress(sum(member.size for member in members.values()) - sum(members[name].size for name in wanted))
    for batch in batched(wanted, SENT_AT_ONCE):
        _send_batch(archive, zarr_id, {name: members[name] for name in batch}, progress)


def _send_batch(archive: Archive, zarr_id: str, members: Mapping[str, Member], progress: Progress) -> None:
    """Send some files; what is refused as too late is signed for and sent once more."""
    left: Sequence[str] = list(members)
    for _ in range(TRIES):
        wanted = [{"path": name, "base64md5": _encode_md5(members[name].md5)} for name in left]
        urls = archive.post(f"/zarr/{zarr_id}/files/", wanted)
        if not isinstance(urls, list) or len(urls) != len(left):
            raise problem("dandi.refused", f"{archive.instance.name} signs no addresses for the files of {zarr_id}")
        jobs = [(name, str(url)) for name, url in zip(left, urls, strict=True)]
        late = run_all(lambda job: _send_file(archive, job[1], members[job[0]], progress), jobs, WORKERS)
        left = [name for name, refused in zip(left, list(late), strict=True) if refused]
        if not left:
            return
    raise problem("dandi.refused", f"{archive.instance.name} takes none of its own addresses for {left[0]}")


def _send_file(archive: Archive, url: str, member: Member, progress: Progress) -> bool:
    """Put one file; whether its address is refused."""
    with member.content.open() as file:
        data = file.read(member.size + 1)
    headers = {"Content-MD5": _encode_md5(member.md5)}
    signed = ";".join(parse_qs(urlsplit(url).query).get("X-Amz-SignedHeaders", []))
    if "x-amz-tagging" in signed.split(";"):
        headers["x-amz-tagging"] = "embargoed=true"
    try:
        archive.put_signed(url, data, headers)
    except Refused as refused:
        if refused.status != 403:
            raise
        return True
    progress(len(data))
    return False


def _list_files(archive: Archive, zarr_id: str) -> Iterator[Any]:
    yield from archive.list_pages(f"/zarr/{zarr_id}/files/")


def _finalize(archive: Archive, zarr_id: str) -> None:
    try:
        archive.post(f"/zarr/{zarr_id}/finalize/")
    except Refused as refused:
        if refused.status != 400:  # an earlier try was heard
            raise


def _wait_for(archive: Archive, zarr_id: str) -> Mapping[str, Any]:
    """The state of a volume when the archive is not busy with it."""
    waited, wait = 0.0, FIRST_WAIT
    while waited < MOST_WAIT:
        state = archive.get(f"/zarr/{zarr_id}/")
        if state.get("status") in (PENDING, COMPLETE):
            return dict(state)
        time.sleep(wait)
        waited, wait = waited + wait, min(2 * wait, LONGEST_WAIT)
    raise StoreUnavailable(f"{archive.instance.name} does not come to an end with the volume {zarr_id}")


def _encode_md5(md5: str) -> str:
    return base64.b64encode(bytes.fromhex(md5)).decode("ascii")


def _count_nothing(nbytes: int) -> None:
    """Bytes that were counted already."""
