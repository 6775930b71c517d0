"""What a URL means, a folder or a bucket, and what may lie in a folder that holds releases."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from urllib.parse import urlsplit

from ..model.finding import problem

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-_]{1,61}[a-z0-9]")


def get_local_folder(url: str) -> Path | None:
    """The folder that a URL names; None for a bucket. Raises `Problem` (``storage.url``)."""
    if url.startswith("s3://"):
        return None
    if not url.strip() or "://" in url or "\0" in url:
        scheme = url.split("://", 1)[0][:20] if "://" in url else url[:20]
        raise problem("storage.url", f"{scheme!r}... is neither s3://bucket/prefix nor a folder")
    return Path(url).resolve()


def check_path(folder: Path, key: str) -> None:
    """See that a key leads to a file or a folder below `folder`, or to nothing, and through no link.

    Raises
    ------
    Problem
        ``storage.link``: opening it would read or write elsewhere, or wait for good (a pipe).
    """
    path = folder
    for part in key.split("/"):
        path /= part
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            what = "a link" if stat.S_ISLNK(mode) else "a pipe or a device"
            message = f"{path} is {what}, where a file or a folder of the release belongs"
            raise problem("storage.link", message, file=key)


def parse_bucket_url(url: str) -> tuple[str, str]:
    """The parts of an ``s3://`` URL. Raises `Problem` (``storage.url``)."""
    rest = url.removeprefix("s3://")
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.rstrip("/")
    if "@" in bucket or ":" in bucket or urlsplit(url).query:
        raise problem("storage.url", "an s3:// URL holds no credentials and no query: s3://bucket/prefix")
    if not _BUCKET.fullmatch(bucket):
        raise problem("storage.url", f"{bucket!r} is no bucket name (3-63 of a-z 0-9 . - _)")
    if prefix and (any(p in ("", ".", "..") for p in prefix.split("/")) or any(ord(c) < 32 for c in prefix)):
        raise problem("storage.url", f"{url}: the prefix has an empty part, '.', '..' or a control character")
    return bucket, prefix


def overlap_prefixes(one: str, other: str) -> bool:
    """Whether what lies below one of two plain ``s3://`` URLs may lie below the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def normalise_bucket_url(url: str) -> str:
    """The plain form of an ``s3://`` URL. Raises `Problem` (``storage.url``)."""
    bucket, prefix = parse_bucket_url(url)
    return f"s3://{bucket}/{prefix}".rstrip("/")
