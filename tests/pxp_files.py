"""Packed experiments for tests, written record by record as Technical Note 003 for packed files lays them out."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from ibw_files import make_wave

__all__ = ["make_wave"]


def make_record(kind: int, data: bytes = b"", *, order: str = "<", version: int = 0) -> bytes:
    return struct.pack(f"{order}Hhi", kind, version, len(data)) + data


def make_folder(name: str, *records: bytes, order: str = "<") -> bytes:
    """A data folder; behind the NUL of its name stands what was in memory, as Igor leaves it."""
    start = name.encode().ljust(32, b"\0")[:31].ljust(32, b"\0") if len(name) > 20 else name.encode() + b"\0\xc6garbage"
    return make_record(9, start.ljust(32, b"\0"), order=order) + b"".join(records) + make_record(10, order=order)


def make_variables(
    numbers: Mapping[str, float | complex] | None = None,
    texts: Mapping[str, str] | None = None,
    *,
    order: str = "<",
    version: int = 1,
) -> bytes:
    numbers, texts = numbers or {}, texts or {}
    counts = [21, len(numbers), len(texts), *([0, 0] if version == 2 else [])]
    data = struct.pack(f"{order}{1 + len(counts)}h", version, *counts) + struct.pack(f"{order}21f", *range(21))
    for name, number in numbers.items():
        kind = 5 if isinstance(number, complex) else 4
        data += struct.pack(f"{order}32shhdd4x", name.encode(), 1, kind, number.real, number.imag)
    for name, text in texts.items():
        data += struct.pack(order + {1: "32sh", 2: "32si"}[version], name.encode(), len(text)) + text.encode()
    return make_record(1, data, order=order)


def make_experiment(
    waves: Mapping[str, Any], others: Sequence[bytes] = (), *, order: str = "<", **stated: Any
) -> bytes:
    """Waves by name in the root folder, all with the same scaling and units, between the records of a program."""
    before = make_record(20, bytes(256), order=order) + make_variables(order=order)
    records = [
        make_record(3, make_wave(data, name=name.encode(), order=order, **stated), order=order)
        for name, data in waves.items()
    ]
    after = make_record(4, b"| Recreation\r", order=order) + make_record(5, b"#pragma rtGlobals=1\r", order=order)
    return before + b"".join([*records, *others]) + after
