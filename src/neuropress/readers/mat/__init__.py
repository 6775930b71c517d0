"""MATLAB's files: version 4, versions 5 to 7.2 (level 5), and version 7.3, which is HDF5."""

from __future__ import annotations

import struct

from ..arrays import FACTS, FINDINGS, OPTIONS
from ..format import Claim, Format

LEVEL_5 = b"MATLAB 5.0 MAT-file"
LEVEL_73 = b"MATLAB 7.3 MAT-file"
MOST_TYPE_4 = 52
"""M, O, P and T of version 4 as decimal digits, less those of the byte order: P to 5, T to 2."""


def find_level_4(head: bytes) -> str:
    """Byte order of a file that begins as version 4 does, which has no signature; "" of any other."""
    if len(head) < 20:
        return ""
    for order in "<>":
        kind, rows, columns, imaginary, length = struct.unpack(order + "5i", head[:20])
        kind -= 1000 if order == ">" else 0
        is_type = 0 <= kind <= MOST_TYPE_4 and kind % 10 <= 2 and kind // 10 <= 5
        name = head[20 : 20 + max(length, 0)]
        is_named = 1 < length <= 64 and name.endswith(b"\0") and name[:-1].isascii() and name[:1].isalpha()
        if is_type and rows >= 0 and columns >= 0 and imaginary in (0, 1) and is_named:
            return order
    return ""


def probe(head: bytes, name: str) -> Claim | None:
    """By the text at the beginning; version 4, which has none, by its first header and the name."""
    for start in (LEVEL_5, LEVEL_73):
        if head.startswith(start):
            return Claim("mat", f"begins with {start.decode()}")
    if head[124:128] in (b"\x00\x01IM", b"\x01\x00MI") and head[:4].isascii() and head[:1].isalpha():
        return Claim("mat", "has the header of a MAT-file of level 5")
    return Claim("mat", "its name ends in .mat", strength=1) if name.lower().endswith(".mat") else None


FORMAT = Format(
    name="mat",
    title="MATLAB files, versions 4 to 7.3: recordings, movies or behaviour, as a person declares",
    module="neuropress.readers.mat.read",
    suffixes=(".mat",),
    probe=probe,
    options=OPTIONS,
    facts=FACTS,
    findings=(*FINDINGS, "arrays.unsupported"),
)
