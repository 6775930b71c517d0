"""What results say of how they were made, as far as their standing follows from it, kept beside the dataset."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from stat import S_ISREG
from typing import Any

from .. import __version__
from ..model.provenance import FORMAT, Provenance
from ..model.receipt import Receipt
from ..model.serial import from_json, to_json
from ..model.source import Stamp
from ..results import KINDS, load_kind
from ..storage.remote import ResultPath
from ..storage.roots import get_file_stamp
from ..storage.state import StampedCache
from .targets import Wanted

_REST: Mapping[str, Any] = {"arrays": {}, "derived": {}, "grafts": {}}
"""Most of a receipt: whether a result is current does not follow from it."""
_READABLE_BY = f"{__version__} {FORMAT}"
"""Another version may refuse what this one read."""


class ReceiptCache(StampedCache):
    """Receipts without arrays of results on this machine: reading all that one says of itself takes milliseconds."""

    FILE = "receipts"

    @staticmethod
    def is_value(value: Any) -> bool:
        """Whether it is a receipt that this version has read."""
        return isinstance(value, dict) and value.get("readable_by") == _READABLE_BY

    def read(self, wanted: Wanted, path: ResultPath) -> Receipt:
        """The receipt of a result. Raises `Problem` (``result.unreadable``, ``result.foreign``)."""
        kind = KINDS[wanted.target.kind]
        before = _find_stamp(path, kind.last_files)
        known = self.find(str(path), before) if before else None
        if known:
            with suppress(TypeError):  # somebody else wrote it
                return from_json(Receipt, {**known["receipt"], **_REST})
        receipt = read_whole(wanted, path).receipt
        if before and _find_stamp(path, kind.last_files) == before:
            plain = to_json(replace(receipt, **_REST))
            kept = {name: value for name, value in plain.items() if name not in _REST}
            self.keep(str(path), before, {"readable_by": _READABLE_BY, "receipt": kept})
        return receipt


def read_whole(wanted: Wanted, path: ResultPath) -> Provenance:
    """All that a result says about itself. Raises `Problem` (``result.unreadable``, ``result.foreign``)."""
    return load_kind(wanted.target.kind).read_provenance(path)


def _find_stamp(path: ResultPath, last_files: tuple[str, ...]) -> Stamp | None:
    """Stamp of the one file in which a result speaks of itself; None in a bucket, and where that is no file."""
    if not isinstance(path, Path):
        return None
    for name in last_files or ("",):
        with suppress(OSError):
            stat = (path / name).lstat()
            return get_file_stamp(stat) if S_ISREG(stat.st_mode) else None
    return None
