"""Units of measurement: what a symbol says, and exact conversion between SI prefixes. The one place for both."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

_EXPONENTS = {"": 0, "G": 9, "M": 6, "k": 3, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15}
_BASES = ("Hz", "V", "A", "W", "g", "m", "s", "L", "l")
# Where case got lost, MW and ML were mW and mL; of hertz alone both letters show whether it did.
_SYMBOL = re.compile(rf"([kmunpf]?)({'|'.join(_BASES)})|([GM])(Hz)")
_EXACT_DIGITS = 28
"""Decimals of more digits would be rounded by the arithmetic's default precision."""


class Unit(NamedTuple):
    """A unit as a base unit times a power of ten: ``mW`` is (``W``, -3)."""

    base: str
    exponent: int


def parse_unit(symbol: str) -> Unit | None:
    """What a symbol says; None where it is not certain. Case counts: ``mW`` is no ``MW``, and ``khz`` is no unit."""
    match = _SYMBOL.fullmatch(symbol.replace("\u00b5", "u").replace("\u03bc", "u"))
    if match is None:
        return None
    prefix, base = match[1] or match[3] or "", match[2] or match[4]
    return Unit("L" if base == "l" else base, _EXPONENTS[prefix])


def convert_number(number: Decimal, symbol: str, wanted: str) -> Decimal | None:
    """A number of one unit in another, exactly and with its digits kept; None where that is not possible."""
    unit, target = parse_unit(symbol), parse_unit(wanted)
    if unit is None or target is None or unit.base != target.base:
        return None
    if len(number.as_tuple().digits) > _EXACT_DIGITS:
        return None
    return number.scaleb(unit.exponent - target.exponent)
