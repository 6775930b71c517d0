"""Leica LIF: all images of a project."""

from __future__ import annotations

from ..format import Claim, Format
from ..images import AXES
from ..microscopes import FACTS, FINDINGS


def probe(head: bytes, name: str) -> Claim | None:
    """By the two marks of the block of XML that the file begins with."""
    if name.endswith("/") or not head.startswith(b"\x70\0\0\0") or head[8:9] != b"\x2a":
        return None
    return Claim("lif", "begins with a Leica block of XML")


FORMAT = Format(
    name="lif",
    title="Leica LIF: images, stacks, movies, wavelength scans; each image of the project by itself",
    module="neuropress.readers.lif.read",
    suffixes=(".lif",),
    probe=probe,
    options=(AXES,),
    facts=FACTS,
    findings=(*FINDINGS, "image.axes"),
)
