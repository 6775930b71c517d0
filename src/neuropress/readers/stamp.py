"""Whether a raw file is still the one whose header was read."""

from __future__ import annotations

from ..model.finding import problem
from ..model.source import Stamp


def check_unchanged(now: Stamp, known: Stamp | None, key: str) -> None:
    """Compare a file's stamp with the one that it had when its header was read; without one, nothing is known.

    Raises
    ------
    Problem
        ``file.changed``
    """
    if known is not None and now != known:
        sizes = f"{known[0]} bytes, then {now[0]}" if now[0] != known[0] else "its modification time moved"
        raise problem("file.changed", f"{key} changed while it was read ({sizes})", file=key)
