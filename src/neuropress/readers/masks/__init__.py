"""Regions as pixels of an image: labels, or one plane a region; TIFF, PNG, NPY, and what Cellpose saves."""

from __future__ import annotations

from ..format import Claim, Fact, Format
from ..images import IMAGE_FINDINGS, is_tiff
from ..numpy_files import MAGIC

PNG = b"\x89PNG\r\n\x1a\n"


def probe(head: bytes, name: str) -> Claim | None:
    """Any image and any array of NumPy: that it holds regions, only the column says that names it."""
    if is_tiff(head):
        return Claim("masks", "begins like a TIFF")
    if head.startswith(PNG):
        return Claim("masks", "begins like a PNG")
    if head.startswith(MAGIC) and name != "stat.npy":
        return Claim("masks", "begins like an NPY file")
    return None


FORMAT = Format(
    name="masks",
    title="regions as an image: labels (0 is background), or a plane of 0 and 1 for each; TIFF, PNG, NPY, Cellpose",
    module="neuropress.readers.masks.read",
    purpose="masks",
    probe=probe,
    facts=(Fact("rois", "regions of interest"),),
    findings=(*IMAGE_FINDINGS, "pickle.refused", "regions.damaged", "regions.empty", "regions.limit"),
)
