"""Folders that hold releases: which path a URL means, and what may lie there."""

from __future__ import annotations

import stat
from pathlib import Path

from ..model.finding import problem


def local_folder(url: str) -> Path | None:
    """The folder that a URL names; None for a bucket. Raises `Problem` (``release.url``)."""
    if url.startswith("s3://"):
        return None
    if not url.strip() or "://" in url or "\0" in url:
        scheme = url.split("://", 1)[0][:20] if "://" in url else url[:20]
        raise problem("release.url", f"cannot publish to {scheme!r}...: neither s3://bucket/prefix nor a folder")
    return Path(url).resolve()


def check_path(folder: Path, key: str) -> None:
    """See that a key leads to a file or a folder below `folder`, or to nothing, and through no link.

    Raises
    ------
    Problem
        ``release.link``: opening it would read or write elsewhere, or wait for good (a pipe).
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
            raise problem("release.link", message, file=key)
