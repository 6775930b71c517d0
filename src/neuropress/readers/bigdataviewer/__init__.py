"""BigDataViewer's XML with its HDF5 beside it: setups over time, each at its full resolution."""

from __future__ import annotations

from ..format import Claim, Format
from ..images import AXES, IMAGE_FACTS

ROOT = b"<SpimData"


def probe(head: bytes, name: str) -> Claim | None:
    """By the root of the XML; an HDF5 of that layout is read where ``reader`` says so."""
    return Claim("bigdataviewer", "is an XML of BigDataViewer") if ROOT in head and head.lstrip()[:1] == b"<" else None


FORMAT = Format(
    name="bigdataviewer",
    title="BigDataViewer (BigStitcher, Fiji): an XML and its HDF5; each setup is an image, with its times",
    module="neuropress.readers.bigdataviewer.read",
    suffixes=(".xml",),
    probe=probe,
    options=(AXES,),
    facts=tuple(fact for fact in IMAGE_FACTS if fact.name in ("x", "y", "z", "pixel_size")),
    findings=("arrays.damaged", "arrays.unsafe", "bigdataviewer.damaged", "bigdataviewer.unsupported", "image.axes"),
)
