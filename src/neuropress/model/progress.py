"""How work says how far it is."""

from __future__ import annotations

from collections.abc import Callable

type Progress = Callable[[int], None]
"""Called with the number of uncompressed bytes that were just written, read or sent."""


def no_progress(nbytes: int) -> None:
    """Progress that nobody watches."""
