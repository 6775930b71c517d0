"""Variables of a data folder: numbers, which may say a rate or a gain, and texts."""

from __future__ import annotations

import struct

from ...model.budget import ARRAY_ENTRIES
from .records import Damaged, TooLarge

COUNTS = {1: "3h", 2: "5h"}
"""Version -> how many system variables, numbers and texts there are, and how many that follow formulas."""
NUMBER = "32shhdd4x"
"""Name; 1 for a number; its type, of which the lowest bit means complex; real and imaginary part. Packed."""
TEXT = {1: "32sh", 2: "32si"}
"""Name and length; the text follows. Lengths had two bytes in version 1."""
SYSTEM_BYTES = 4


def parse_variables(data: bytes, order: str) -> tuple[dict[str, float | None], dict[str, str]]:
    """Numbers, None of complex ones, and texts of a record. The variables K0 to K20 and formulas are passed over.

    Raises
    ------
    Damaged, TooLarge
    """
    try:
        (version,) = struct.unpack_from(f"{order}h", data)
        if version not in COUNTS:
            raise TooLarge(f"its variables are of version {version}, which is not documented")
        counts = struct.unpack_from(order + COUNTS[version], data, 2)
        if min(counts) < 0:
            raise Damaged(f"it promises {list(counts)} variables")
        if sum(counts) > ARRAY_ENTRIES:
            raise TooLarge(f"a folder has more than {ARRAY_ENTRIES} variables")
        at = 2 + 2 * len(counts) + SYSTEM_BYTES * counts[0]
        numbers: dict[str, float | None] = {}
        for _ in range(counts[1]):
            name, _is_number, kind, real, _imaginary = struct.unpack_from(order + NUMBER, data, at)
            numbers[_decode(name)] = None if kind & 1 else real
            at += struct.calcsize(order + NUMBER)
        texts: dict[str, str] = {}
        for _ in range(counts[2]):
            name, length = struct.unpack_from(order + TEXT[version], data, at)
            at += struct.calcsize(order + TEXT[version])
            if not 0 <= length <= len(data) - at:
                raise Damaged(f"the text {_decode(name)!r} promises {length} bytes, {len(data) - at} are left")
            texts[_decode(name)] = _decode(data[at : at + length])
            at += length
    except struct.error as error:
        raise Damaged(f"variables of {len(data)} bytes end too early") from error
    return numbers, texts


def _decode(text: bytes) -> str:
    return text.split(b"\0")[0].decode("utf-8", "backslashreplace")
