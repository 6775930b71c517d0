"""Units: what a symbol says, and conversion to the last digit."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from clean_tables import PROFILE
from hypothesis import given
from hypothesis import strategies as st

from neuropress.mapping.units import convert_number, parse_unit
from neuropress.tables.schema import compile_table_schema

PREFIXES = {"k": 3, "": 0, "m": -3, "u": -6, "\u00b5": -6, "\u03bc": -6, "n": -9, "p": -12}


@given(
    st.decimals(-(10**9), 10**9, places=6), st.sampled_from(sorted(PREFIXES)), st.sampled_from(sorted(PREFIXES)),
    st.sampled_from(["Hz", "V", "A", "W", "g", "m", "s", "L"]),
)  # fmt: skip
def test_a_conversion_is_exact(number: Decimal, given_: str, wanted: str, base: str) -> None:
    converted = convert_number(number, given_ + base, wanted + base)
    assert converted is not None
    assert Fraction(converted) == Fraction(number) * Fraction(10) ** (PREFIXES[given_] - PREFIXES[wanted])


@pytest.mark.parametrize(
    "symbol",
    [
        "",
        "k",
        "khz",
        "KHz",
        "hz",
        "Mw ",
        "um/px",
        "K",
        "%",
        "min",
        "h",
        "gr",
        "x",
        "kk",
        "mmHg",
        "MW",
        "ML",
        "MHZ",
        "GV",
    ],
)
def test_a_symbol_that_is_not_certain_is_no_unit(symbol: str) -> None:
    assert parse_unit(symbol) is None


def test_mega_is_of_hertz_alone() -> None:
    assert convert_number(Decimal("0.02"), "MHz", "Hz") == 20000
    assert convert_number(Decimal("35.5"), "MW", "mW") is None


def test_a_litre_has_two_letters_and_quantities_do_not_mix() -> None:
    assert parse_unit("nl") == parse_unit("nL")
    assert convert_number(Decimal(1), "V", "A") is None
    assert convert_number(Decimal("1" * 29), "V", "mV") is None


def test_the_units_of_the_schemas_are_understood() -> None:
    units = []
    for table, spec in PROFILE.tables.items():
        for column in compile_table_schema(table, spec.schema).columns.values():
            if column.unit:
                assert column.kind in ("number", "integer")
                assert parse_unit(column.unit) is not None, column.name
                units.append(column.unit)
    assert len(units) == 12
