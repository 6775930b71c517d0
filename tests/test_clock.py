"""Clocks give the float64 nearest to the exact value; elements of every type are digested and compared exactly."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from neuropress.model.clock import Clock
from neuropress.model.elements import differing, digest_elements, element_text, element_type

numbers = st.builds("{}{}.{}".format, st.sampled_from(["", "-"]), st.integers(0, 10**9), st.integers(0, 10**9))
ratios = st.builds("{}/{}".format, st.integers(-(10**6), 10**6), st.integers(1, 10**6))


def nearest(exact: Fraction) -> float:
    try:
        return exact.numerator / exact.denominator
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5), numbers | ratios, numbers | ratios)
@example([2**53 + 1, -(2**63)], "1.0", "0.0")
@example([1], "0.0", "0.1")
def test_whole_numbers_become_the_nearest_seconds(stored: list[int], scale: str, offset: str) -> None:
    found = Clock(scale, offset).seconds(np.array(stored, "<i8"))
    assert found.tolist() == [nearest(v * Fraction(scale) + Fraction(offset)) for v in stored]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5), numbers | ratios, numbers)
def test_floats_become_the_nearest_seconds(stored: list[float], scale: str, offset: str) -> None:
    found = Clock(scale, offset).seconds(np.array(stored, "<f8"))
    assert found.tolist() == [nearest(Fraction(v) * Fraction(scale) + Fraction(offset)) for v in stored]


@given(st.lists(st.floats(width=32) | st.integers(-1000, 1000).map(float), min_size=2, max_size=6), numbers, numbers)
@example([-0.0, 0.5], "0.001", "0")
@example([-0.0, 0.5], "1", "0")
def test_an_element_does_not_depend_on_its_neighbours(stored: list[float], scale: str, offset: str) -> None:
    clock, block = Clock(scale, offset), np.array(stored, "<f4")
    whole = clock.seconds(block)
    alone = np.concatenate([clock.seconds(block[i : i + 1]) for i in range(len(block))])
    assert digest_elements(whole) == digest_elements(alone) or np.isnan(whole).any()
    np.testing.assert_array_equal(whole, alone)


def test_what_is_no_number_stays_so() -> None:
    found = Clock("-0.5", "1").seconds(np.array([np.nan, np.inf, 2.0]))
    assert math.isnan(found[0])
    assert found[1:].tolist() == [-math.inf, 0.0]
    assert Clock().seconds(np.empty((0,), "<i4")).shape == (0,)
    assert Clock("0.001").seconds(np.array([[1, 2], [3, 4]], ">u2")).tolist() == [[0.001, 0.002], [0.003, 0.004]]


@pytest.mark.parametrize(
    "text", ["", "1e3", "1/0", "nan", ".5", "1.", "9" * 151, f"1/{'9' * 151}", "1/2/3", "\u0661", " 1"]
)
def test_clocks_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="a clock has"):
        Clock(text)


@pytest.mark.parametrize("text", ["x:<u4 y:<u4 weight:<f4", "text", "<i2", "|u1", "t:<f8"])
def test_types_have_a_text(text: str) -> None:
    assert element_text(element_type(text)) == text


@pytest.mark.parametrize(
    "text", ["O", "x:O", "x:<u4 x:<u4", "<U5", "V8", "x:", " ".join(f"a{i}:<u4" for i in range(33)), "x:<u4  y:<u4"]
)
def test_types_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is no type of"):
        element_type(text)


def test_texts_are_digested_with_their_borders() -> None:
    one, other = (np.array(parts, element_type("text")) for parts in (["ab", "c"], ["a", "bc"]))
    assert digest_elements(one) != digest_elements(other)
    assert differing(one, other).tolist() == [True, True]


def test_bits_are_compared() -> None:
    a = np.array([(1, np.nan), (2, 0.0)], element_type("x:<u2 w:<f8"))
    b = a.copy()
    b["w"][1] = -0.0
    assert differing(a, b).tolist() == [False, True]
    assert differing(a["w"], b["w"]).tolist() == [False, True]
    assert differing(np.array([1 + 2j]), np.array([1 - 2j])).tolist() == [True]
