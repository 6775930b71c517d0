"""Nikon's ND2, versions 2 and 3: positions, times of frames, depth, channels."""

from __future__ import annotations

from ..format import Claim, Format
from ..images import AXES
from ..microscopes import FACTS, FINDINGS

SIGNATURE = b"\xda\xce\xbe\x0a"
_JPEG2000 = b"\0\0\0\x0cjP  "


def probe(head: bytes, name: str) -> Claim | None:
    """By the first chunk; a JPEG 2000 by its name too, since the first ND2 files are such."""
    if name.endswith("/"):
        return None
    if head.startswith(SIGNATURE):
        return Claim("nd2", f"begins with {SIGNATURE!r}")
    if head.startswith(_JPEG2000) and name.lower().endswith(".nd2"):
        return Claim("nd2", "a JPEG 2000 whose name ends in .nd2")
    return None


FORMAT = Format(
    name="nd2",
    title="Nikon ND2, versions 2 and 3: images, stacks, movies; each position is an image of its own",
    module="neuropress.readers.nd2.read",
    suffixes=(".nd2",),
    probe=probe,
    options=(AXES,),
    facts=FACTS,
    findings=(*FINDINGS, "image.axes"),
)
