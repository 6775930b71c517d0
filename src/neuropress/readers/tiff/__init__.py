"""TIFF and its dialects: ImageJ, OME (sets of files too), ScanImage, MetaMorph."""

from __future__ import annotations

from ..format import Claim, Format
from ..images import AXES, IMAGE_FACTS, IMAGE_FINDINGS, is_tiff

_XML_STARTS = (b"<?xml", b"<OME", b"\xef\xbb\xbf<?xml", b"<!--")


def is_companion(head: bytes) -> bool:
    """Whether the bytes begin the OME-XML of a set of TIFF files."""
    return head.startswith(_XML_STARTS) and b"OME" in head and b"openmicroscopy" in head


def probe(head: bytes, name: str) -> Claim | None:
    """Recognise a TIFF or BigTIFF by its first four bytes, the OME-XML of a set of TIFF files by its root."""
    if name.endswith("/"):
        return None
    if is_companion(head):
        return Claim(FORMAT.name, "is the OME-XML of a set of TIFF files")
    if not is_tiff(head):
        return None
    return Claim(FORMAT.name, "begins like a BigTIFF" if b"+" in head[2:4] else "begins like a TIFF")


FORMAT = Format(
    name="tiff",
    title="TIFF, BigTIFF, ImageJ, OME-TIFF, ScanImage, MetaMorph STK: images and movies",
    module="neuropress.readers.tiff.read",
    suffixes=(".tif", ".tiff", ".btf", ".tf8", ".stk", ".companion.ome"),
    probe=probe,
    options=(AXES,),
    facts=IMAGE_FACTS,
    findings=(*IMAGE_FINDINGS, "tiff.member"),
)
