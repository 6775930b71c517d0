"""The digests by which an archive knows what it holds.

A file's is the ETag of S3 for an upload in parts, whose sizes follow from the file's; a volume's goes over its tree of
folders.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..model.finding import problem
from ..model.progress import Progress
from ..storage.content import Readable, check_digest, read_parts

PART = 64 * 2**20
MOST_PARTS = 10_000
MOST_BYTES = 5 * 2**40
"""Of one file, by S3."""
MOST_PUT = 5 * 2**30
"""Of one file of a volume, which is put as a whole."""
ETAG, ZARR_CHECKSUM, SHA256 = "dandi:dandi-etag", "dandi:dandi-zarr-checksum", "dandi:sha2-256"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a file: its number from 1, and its bytes."""

    number: int
    offset: int
    size: int


def list_parts(size: int) -> tuple[Part, ...]:
    """The parts in which a file of so many bytes is sent; the last may be smaller."""
    length = PART if math.ceil(size / PART) < MOST_PARTS else math.ceil(size / MOST_PARTS)
    starts = range(0, size, length)
    return tuple(Part(number, start, min(length, size - start)) for number, start in enumerate(starts, 1))


def combine_parts(md5s: Iterable[bytes]) -> str:
    """The ETag of a file of the MD5s of its parts."""
    digests = list(md5s)
    return f"{_md5(b''.join(digests))}-{len(digests)}"


def digest_blob(content: Readable, size: int, sha256: str, progress: Progress) -> str:
    """The ETag of a file, read once.

    Raises
    ------
    Problem
        ``storage.changed``: its SHA-256 or size is not the one given, so it is not what was proven.
    """
    total, md5s = hashlib.sha256(), []
    parts = list_parts(size)
    for data in read_parts(content, parts[0].size if parts else PART):
        total.update(data)
        md5s.append(hashlib.md5(data, usedforsecurity=False).digest())
        progress(len(data))
    check_digest(content, total.hexdigest(), sha256)
    return combine_parts(md5s)


def digest_member(content: Readable, sha256: str, progress: Progress) -> str:
    """The MD5 of one file of a volume, hex. Raises `Problem` (``storage.changed``) as `digest_blob`."""
    total, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    for data in read_parts(content, 8 * 2**20):
        total.update(data)
        md5.update(data)
        progress(len(data))
    check_digest(content, total.hexdigest(), sha256)
    return md5.hexdigest()


def digest_tree(files: Mapping[str, tuple[str, int]]) -> str:
    """A volume's checksum, ``<md5>-<files>--<bytes>``, of path -> (MD5, size) of its files."""
    below: dict[str, dict[str, tuple[str, int]]] = {}
    own = []
    for path, entry in files.items():
        name, slash, rest = path.partition("/")
        if slash:
            below.setdefault(name, {})[rest] = entry
        else:
            own.append(_describe(name, *entry))
    folders = []
    for name, members in below.items():
        folders.append(_describe(name, digest_tree(members), sum(size for _, size in members.values())))
    listing = {"directories": sorted(folders, key=_get_name), "files": sorted(own, key=_get_name)}
    md5 = _md5(json.dumps(listing, separators=(",", ":")).encode("ascii"))
    return f"{md5}-{len(files)}--{sum(size for _, size in files.values())}"


def check_size(path: str, size: int, *, is_member: bool = False) -> None:
    """Refuse what no archive can take. Raises `Problem` (``dandi.size``)."""
    most = MOST_PUT if is_member else MOST_BYTES
    if not (is_member or size) or size > most:
        message = f"{path} has {size} bytes; an archive takes from 1 to {most}"
        raise problem("dandi.size", message, file=path, value=str(size), expected=str(most))


def _describe(name: str, digest: str, size: int) -> dict[str, str | int]:
    # The order of these is part of what is digested.
    return {"digest": digest, "name": name, "size": size}


def _get_name(entry: Mapping[str, str | int]) -> str:
    return str(entry["name"])


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
