"""Olympus FluoView: OIF (a main file with a folder) and OIB (both in one OLE file)."""

from __future__ import annotations

from ..format import Claim, Format
from ..images import AXES, IMAGE_FINDINGS
from ..microscopes import FACTS

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_TEXT_STARTS = (b"\xff\xfe[\0", b"[")


def probe(head: bytes, name: str) -> Claim | None:
    """By content and name together: OLE files and settings are of many programs."""
    plain = name.lower()
    if plain.endswith(".oib") and head.startswith(OLE):
        return Claim("oif", "an OLE file whose name ends in .oib")
    if plain.endswith(".oif") and head.startswith(_TEXT_STARTS):
        return Claim("oif", "settings whose name ends in .oif")
    return None


FORMAT = Format(
    name="oif",
    title="Olympus FluoView OIF (with its folder .oif.files) and OIB: images, stacks, movies",
    module="neuropress.readers.oif.read",
    suffixes=(".oif", ".oib"),
    probe=probe,
    options=(AXES,),
    facts=FACTS,
    findings=(*IMAGE_FINDINGS, "microscope.damaged", "microscope.truncated", "oif.member"),
)
