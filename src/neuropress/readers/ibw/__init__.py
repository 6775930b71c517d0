"""Igor Pro binary waves, versions 1, 2, 3 and 5: one array with its scaling, units and note."""

from __future__ import annotations

import struct
from typing import Literal

from ..format import Claim, Fact, Format, Option

HEADER_BYTES = {1: 8 + 110, 2: 16 + 110, 3: 20 + 110, 5: 64 + 320}
"""Version -> bytes of its two headers; the samples follow."""
SUMMED_BYTES = {version: size + (16 if version < 5 else 0) for version, size in HEADER_BYTES.items()}
"""Version -> bytes under the checksum: up to version 3 it counts the first 16 bytes of the samples, too."""
X_UNITS = ("s", "ms", "us")


def find_version(head: bytes) -> tuple[int, Literal["<", ">"]]:
    """Version (0 for none) and byte order of a file, by its first two bytes, one of which is 0."""
    order: Literal["<", ">"] = "<" if head[1:2] == b"\0" else ">"
    version = struct.unpack(f"{order}H", head[:2])[0] if len(head) >= 2 else 0
    return (version, order) if version in HEADER_BYTES else (0, order)


def compute_checksum(head: bytes, version: int, order: Literal["<", ">"]) -> int:
    """Sum of the headers' 16-bit words, which the writer made 0."""
    size = SUMMED_BYTES[version]
    words: tuple[int, ...] = struct.unpack(f"{order}{size // 2}H", head[:size])
    return sum(words) & 0xFFFF


def probe(head: bytes, name: str) -> Claim | None:
    """By version and checksum together, since two bytes are too few; by the name where the checksum is wrong."""
    version, order = find_version(head)
    if version and len(head) >= SUMMED_BYTES[version] and compute_checksum(head, version, order) == 0:
        return Claim("ibw", f"an Igor wave of version {version} whose header has the right checksum")
    return Claim("ibw", "its name ends in .ibw", strength=1) if name.lower().endswith(".ibw") else None


FORMAT = Format(
    name="ibw",
    title="Igor Pro binary waves, versions 1, 2, 3 and 5: recordings, each column a sweep",
    module="neuropress.readers.ibw.read",
    suffixes=(".ibw",),
    probe=probe,
    options=(
        Option("x_unit", "The unit of x, where the wave states none.", kind="choice", choices=X_UNITS),
        Option("data_unit", "The unit of the wave's samples (mV, pA), where the wave states none."),
        Option("command", "Name of the wave beside it that holds the current or voltage that was applied."),
        Option(
            "clamp",
            "How the cell was clamped, where no command says it; a wave never does. "
            "A current in current clamp, or a voltage in voltage clamp, is no response and becomes a plain TimeSeries.",
            kind="choice",
            choices=("voltage clamp", "current clamp", "I=0"),
        ),
        Option("sweep_interval", "Seconds from one column's start to the next.", kind="number", least=0),
    ),
    facts=(Fact("sampling_rate", "samples a second of each channel, from the sample interval", "Hz"),),
    findings=("ibw.checksum", "ibw.damaged", "ibw.empty", "ibw.statement", "ibw.truncated", "ibw.unsupported"),
)
