"""Igor waves for tests, written field by field at the offsets that WaveMetrics' Technical Note 003 gives."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

KINDS = {
    "f4": 2,
    "f8": 4,
    "i1": 8,
    "i2": 16,
    "i4": 32,
    "u1": 72,
    "u2": 80,
    "u4": 96,
    "i8": 128,
    "u8": 192,
    "c8": 3,
    "c16": 5,
}
FILE_HEADER = {1: 8, 2: 16, 3: 20, 5: 64}
CHECKSUM_AT = {1: 6, 2: 14, 3: 18, 5: 2}


def make_wave(
    data: np.ndarray,
    *,
    version: int = 5,
    order: str = "<",
    name: bytes = b"wave0",
    unit: bytes = b"mV",
    dim_units: tuple[bytes, ...] = (b"s",),
    steps: tuple[float, ...] = (0.00005,),
    starts: tuple[float, ...] = (0.0,),
    note: bytes = b"",
    formula: bytes = b"",
    long_unit: bytes = b"",
    long_dim_units: tuple[bytes, ...] = (),
    labels: tuple[bytes, ...] = (),
    change: dict[int, tuple[str, Any]] | None = None,
) -> bytes:
    """A whole file; `change` overwrites fields (offset -> format, value) before the checksum is made."""
    kind = data.dtype.newbyteorder("=").str[1:]
    samples = data.astype(data.dtype.newbyteorder(order)).tobytes(order="F")
    base = FILE_HEADER[version]
    short = version < 5
    head = bytearray(base + (110 if short else 320))

    def put(offset: int, format: str, *values: Any) -> None:
        struct.pack_into(order + format, head, offset, *values)

    put(0, "h", version)
    if short:
        sizes = {1: [], 2: [len(note), 0], 3: [len(note), len(formula), 0]}[version]
        put(2, f"{1 + len(sizes)}i", 110 + len(samples) + 16, *sizes)
        put(base, "h", KINDS[kind])
        put(base + 6, "20s", name)
        put(base + 34, "4s4si", unit, dim_units[0], data.size)
        put(base + 48, "dd", steps[0], starts[0])
        put(base + 96, "I", 3_000_000_000)
        put(base + 102, "I", 3_000_000_001)
        tail = bytes(16) + note * (version > 1) + formula * (version > 2)
    else:
        extra = [long_unit, *pad(long_dim_units, b""), *pad(labels, b"")]
        put(4, "12i", 320 + len(samples), len(formula), len(note), *(len(part) for part in extra))
        put(base + 4, "IIih", 3_000_000_000, 3_000_000_001, data.size, KINDS[kind])
        put(base + 28, "32s", name)
        put(base + 68, "4i", *pad(data.shape, 0))
        put(base + 84, "4d", *pad(steps, 1.0))
        put(base + 116, "4d", *pad(starts, 0.0))
        put(base + 148, "4s4s4s4s4s", unit, *pad(dim_units, b""))
        tail = formula + note + b"".join(extra)
    for offset, (format, value) in (change or {}).items():
        put(offset, format, value)
    file = bytearray(head + samples + tail)
    seal(file, version, order)
    return bytes(file)


def seal(file: bytearray, version: int, order: str) -> None:
    """Set the checksum; up to version 3 it runs over the first 16 bytes behind the header, too."""
    summed = FILE_HEADER[version] + (126 if version < 5 else 320)
    struct.pack_into(order + "H", file, CHECKSUM_AT[version], 0)
    words = struct.unpack(f"{order}{summed // 2}H", file[:summed])
    struct.pack_into(order + "H", file, CHECKSUM_AT[version], -sum(words) & 0xFFFF)


def pad(values: tuple[Any, ...], filler: Any) -> tuple[Any, ...]:
    return (*values, *[filler] * (4 - len(values)))
