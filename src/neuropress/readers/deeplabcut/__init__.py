"""Points that DeepLabCut tracked, as HDF5 that pandas wrote."""

from __future__ import annotations

from ..format import Claim
from ..pose import HDF5, make_format

KEYS = (b"df_with_missing", b"keypoints")
"""Names under which DeepLabCut has kept its table."""


def probe(head: bytes, name: str) -> Claim | None:
    """By the name of pandas' table: the names of a file's first groups stand near its beginning."""
    if head.startswith(HDF5) and b"df_with_missing" in head:
        return Claim("deeplabcut", "its table df_with_missing")
    is_pandas = head.startswith(HDF5) and b"PYTABLES_FORMAT_VERSION" in head
    return Claim("deeplabcut", "its table keypoints of pandas") if is_pandas and b"keypoints" in head else None


FORMAT = make_format("deeplabcut", "points that DeepLabCut tracked, as HDF5 (pandas' table or fixed layout)", probe)
