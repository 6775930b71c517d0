"""Points that DeepLabCut tracked, as HDF5 that pandas wrote."""

from __future__ import annotations

from ..behavior_csv.columns import check_rate
from ..format import Claim, Fact, Format, Option

HDF5 = b"\x89HDF\r\n\x1a\n"
KEYS = (b"df_with_missing", b"keypoints")
"""Names under which DeepLabCut has kept its table."""


def probe(head: bytes, name: str) -> Claim | None:
    """By the name of pandas' table: the names of a file's first groups stand near its beginning."""
    if head.startswith(HDF5) and b"df_with_missing" in head:
        return Claim("deeplabcut", "its table df_with_missing")
    is_pandas = head.startswith(HDF5) and b"PYTABLES_FORMAT_VERSION" in head
    return Claim("deeplabcut", "its table keypoints of pandas") if is_pandas and b"keypoints" in head else None


FORMAT = Format(
    name="deeplabcut",
    title="points that DeepLabCut tracked, as HDF5 (pandas' table or fixed layout)",
    module="neuropress.readers.deeplabcut.read",
    probe=probe,
    options=(Option("frame_rate", 'Frames a second of the video: "30", "29.97" or "30000/1001".', check=check_rate),),
    facts=(Fact("rows", "frames of which there are points"),),
    findings=("pose.damaged", "pose.unsafe"),
)
