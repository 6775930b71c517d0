"""Named transforms: exact units, exact inverses, explicit zones."""

from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuropress.mapping.transforms import (
    ABSENT,
    TRANSFORMS,
    compute_session_interval,
    escape_value,
    format_decimal,
    is_ambiguous_local_time,
    is_existing_local_time,
    localize_time,
)

SCALES = ("1", "0.000001", "0.001", "1000", "0.000000001")


def forward(name: str, *values: object, **args: object) -> object:
    return TRANSFORMS[name].forward(list(values), args)  # type: ignore[arg-type]


def test_a_hundred_thousand_cells_come_back_exactly() -> None:
    choose = random.Random(2025)
    number = TRANSFORMS["number"]
    assert number.inverse
    for _ in range(100_000):
        text = f"{choose.randrange(0, 1_000_000)}.{choose.randrange(0, 1000):03d}"
        args = {"scale": choose.choice(SCALES)}
        value = number.forward([Decimal(text)], args)
        assert number.inverse(value, args) == format_decimal(Decimal(text)), (text, args)


def test_the_same_by_floats_would_not_come_back() -> None:
    lost = sum(float(f"{n / 1000:.3f}") * 1e-6 / 1e-6 != float(f"{n / 1000:.3f}") for n in range(1, 10_000))
    assert lost > 0  # the reason for decimals


@given(st.decimals(min_value=0, max_value=10**6, places=4, allow_nan=False), st.sampled_from(SCALES))
def test_any_decimal_comes_back(value: Decimal, scale: str) -> None:
    number = TRANSFORMS["number"]
    assert number.inverse
    assert number.inverse(number.forward([value], {"scale": scale}), {"scale": scale}) == format_decimal(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.50", "0.5"), ("1E+3", "1000"), ("-0", "0"), ("0.000001", "0.000001"), ("24", "24"), ("100", "100")],
)
def test_decimal_text(value: str, text: str) -> None:
    assert format_decimal(Decimal(value)) == text


def test_texts_stay_as_they_stand() -> None:
    assert forward("quantity", "24.50", unit="g") == "24.50 g"
    assert TRANSFORMS["quantity"].inverse
    assert TRANSFORMS["quantity"].inverse("24.50 g", {"unit": "g"}) == "24.50"
    assert forward("copy", None, "TRUE") == "TRUE"
    assert forward("template", "a", None, "c", parts=["<{}>", "[{}]", "({})"], sep=" ") == "<a> (c)"
    assert forward("repeat", Decimal("0.8"), scale="0.000001", times=2) == [8e-7, 8e-7]


def test_lines_of_key_values_can_be_parsed_back() -> None:
    line = forward("key_values", "a;b=c%", None, "d\ne", keys=["x", "y", "z"])
    assert line == "x=a%3Bb%3Dc%25; z=d%0Ae"


@given(st.text())
def test_escaped_values_hold_no_separator(text: str) -> None:
    from urllib.parse import unquote

    escaped = escape_value(text)
    assert not set(escaped) & set(";=\r\n")
    assert unquote(escaped) == text


def test_zones_are_explicit() -> None:
    assert forward("zoned", "20250620", "14:05", "America/New_York") == "2025-06-20T14:05:00-04:00"
    assert forward("zoned", "20250301", "Asia/Jerusalem") == "2025-03-01T00:00:00+02:00"
    assert forward("zoned", "20250620", None, "America/New_York") is ABSENT


def test_the_hours_of_daylight_saving() -> None:
    zone = "America/New_York"
    assert not is_existing_local_time(localize_time("20250309", "02:30", zone))
    assert is_existing_local_time(localize_time("20250309", "03:30", zone))
    assert is_ambiguous_local_time(localize_time("20251102", "01:30", zone))
    assert not is_ambiguous_local_time(localize_time("20251102", "02:30", zone))
    first, last = compute_session_interval("20250620", "23:30", "01:10", zone)
    assert last - first == timedelta(hours=1, minutes=40)


def test_genotypes_pair_with_strains() -> None:
    assert forward("genotype", "Camk2a-Cre;Ai162", "+/\u2212; +/-") == "Camk2a-Cre +/-; Ai162 +/-"
    assert forward("genotype", "Camk2a-Cre;Ai162", "+/-") == "+/-"
    assert forward("genotype", "C57BL/6J", None) is ABSENT
