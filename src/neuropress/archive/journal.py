"""Which parts of a file are at an archive already, so that a file is not begun anew after a fault.

One small file of lines for each file that is being sent, readable for its owner alone: the addresses to which the parts
go are signed, and whoever has one may put that part for some days. It is deleted when the file is sent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from ..model.parsing import parse_json

FOLDER = "dandi"
MOST_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class SentParts:
    """An upload that the archive has begun.

    Attributes
    ----------
    urls
        Where each part goes, the first first.
    etags
        Number of a part that is there -> its MD5, hex.
    """

    upload_id: str
    urls: tuple[str, ...]
    etags: dict[int, str] = field(default_factory=dict)


class Journal:
    """What is known of the upload of one file to one archive.

    Parameters
    ----------
    folder
        Of all journals; it is made when it is needed.
    name
        Of the archive, the dandiset and the file's digest.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.jsonl"
        self._lock = Lock()

    def load(self) -> SentParts | None:
        """What an earlier run left; None where there is nothing that can be used. A torn last line is passed over."""
        try:
            if self._path.is_symlink() or self._path.stat().st_size > MOST_BYTES:
                return None
            lines = self._path.read_bytes().splitlines()
        except OSError:
            return None
        entries = [entry for entry in map(_read_line, lines) if entry is not None]
        try:
            first, etags = entries[0], {int(e["part"]): str(e["etag"]) for e in entries[1:]}
            urls = first["urls"]
            if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
                return None
            return SentParts(str(first["upload_id"]), tuple(urls), etags)
        except (IndexError, KeyError, TypeError, ValueError):
            return None

    def begin(self, upload_id: str, urls: Sequence[str]) -> SentParts:
        """Note a new upload; what was known of another is gone."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.end()
        with open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(_format_line({"upload_id": upload_id, "urls": list(urls)}))
        return SentParts(upload_id, tuple(urls))

    def note(self, sent: SentParts, part: int, etag: str) -> None:
        """Note a part that is there. Several threads may."""
        with self._lock:
            sent.etags[part] = etag
            with self._path.open("ab") as file:
                file.write(_format_line({"part": part, "etag": etag}))

    def end(self) -> None:
        """Forget it: the file is there, or must be begun anew."""
        self._path.unlink(missing_ok=True)


def _format_line(entry: Any) -> bytes:
    return json.dumps(entry).encode("ascii") + b"\n"


def _read_line(line: bytes) -> Any:
    try:
        return parse_json(line)
    except (ValueError, RecursionError):
        return None
