"""Igor Pro's packed experiments: many waves and variables in folders, one record after the other.

Records that Technical Note 003 for packed files does not describe (pictures, windows, settings) are passed over.
"""

from __future__ import annotations

import struct

from ..arrays import FACTS, FINDINGS, OPTIONS
from ..format import Claim, Format

SUFFIXES = (".pxp", ".pxt")
HEADER_BYTES = 8
"""Of a record: its type, version and length."""
TYPE_MASK = 0x7FFF
SUPERSEDED = 0x8000
"""The bit of a type that a later record replaces this one."""
MOST_TYPES = 0x100


def find_order(head: bytes) -> str:
    """Byte order of a file by the type of its first record, which is a small number above 0; "" of another file."""
    for order in "<>":
        if len(head) >= HEADER_BYTES:
            kind, _version, length = struct.unpack_from(f"{order}Hhi", head)
            if 0 < kind & TYPE_MASK < MOST_TYPES and length >= 0:
                return order
    return ""


def probe(head: bytes, name: str) -> Claim | None:
    """By the name: a small number at the beginning is no signature."""
    is_named = name.lower().endswith(SUFFIXES)
    return Claim("pxp", "its name ends in .pxp or .pxt", strength=1) if is_named else None


FORMAT = Format(
    name="pxp",
    title="Igor Pro packed experiments: recordings, movies or behaviour, as a person declares",
    module="neuropress.readers.pxp.read",
    suffixes=SUFFIXES,
    probe=probe,
    options=OPTIONS,
    facts=FACTS,
    findings=(*FINDINGS, "arrays.unsupported", "ibw.empty", "ibw.unsupported"),
)
