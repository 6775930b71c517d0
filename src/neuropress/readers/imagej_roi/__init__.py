"""Regions of interest of ImageJ and Fiji: one (``.roi``), or what the ROI Manager saved (``RoiSet.zip``)."""

from __future__ import annotations

import re

from ..format import Claim, Fact, Format, Option

MAGIC = b"Iout"
ZIP_MAGIC = b"PK\x03\x04"
_EXTENT = re.compile(r"([1-9][0-9]{0,5})\s*x\s*([1-9][0-9]{0,5})")


def parse_image_size(text: str) -> tuple[int, int] | None:
    """Width and height of ``"512x128"``; None for anything else."""
    match = _EXTENT.fullmatch(text.strip())
    return (int(match[1]), int(match[2])) if match else None


def _check_image_size(text: str) -> str:
    return "" if parse_image_size(text) else f"must be width x height in pixels, as 512x128, not {text[:40]!r}"


def probe(head: bytes, name: str) -> Claim | None:
    """By the first bytes, those of a zip with the name of a member; by the name where the content says nothing."""
    if head.startswith(MAGIC):
        return Claim("imagej_roi", "begins with b'Iout'")
    is_zip = head.startswith(ZIP_MAGIC)
    if is_zip and b".roi" in head.lower():
        return Claim("imagej_roi", "a zip with a member called .roi")
    lower = name.lower()
    if lower.endswith((".roi", "roiset.zip")):
        return Claim("imagej_roi", f"its name ends in {lower[lower.rfind('.') :]}", strength=1)
    return None


FORMAT = Format(
    name="imagej_roi",
    title="ImageJ and Fiji regions of interest: one (.roi), or a set of the ROI Manager (RoiSet.zip)",
    module="neuropress.readers.imagej_roi.read",
    suffixes=(".roi", "roiset.zip"),
    probe=probe,
    options=(
        Option(
            "image_size",
            'Width and height of the image, as "512x128": masks end at its edges, as when ImageJ measures. '
            "Needed only where a region reaches beyond the image.",
            check=_check_image_size,
        ),
    ),
    facts=(Fact("rois", "regions of interest"),),
    findings=("imagej_roi.damaged", "imagej_roi.empty", "imagej_roi.limit", "imagej_roi.unsupported"),
)
