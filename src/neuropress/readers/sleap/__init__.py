"""Points that SLEAP tracked, as its analysis HDF5."""

from __future__ import annotations

from ..format import Claim
from ..pose import HDF5, make_format

_NAMES = (b"node_names", b"track_names", b"tracks")
"""Datasets of every analysis file; HDF5 may move their names behind the first data."""
SUFFIXES = (".analysis.h5", ".slp")
"""As SLEAP calls what it exports, and its projects."""


def probe(head: bytes, name: str) -> Claim | None:
    """By the names of its datasets where these stand near the beginning, else by the name that SLEAP gives."""
    if not head.startswith(HDF5):
        return None
    if all(one in head for one in _NAMES):
        return Claim("sleap", "its datasets tracks, node_names and track_names")
    suffix = next((one for one in SUFFIXES if name.lower().endswith(one)), "")
    return Claim("sleap", f"an HDF5 file whose name ends in {suffix}") if suffix else None


TITLE = "points that SLEAP tracked, as analysis HDF5 (projects, .slp, are called by their name)"
FORMAT = make_format("sleap", TITLE, probe)
