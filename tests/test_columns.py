"""JSON in columns: it gives back what it was given, and what others wrote costs no more than the budget."""

from __future__ import annotations

import contextlib
import json
import random
import re
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuropress.model.budget import DECODED_BYTES, OverBudget
from neuropress.model.columns import encode
from neuropress.model.columns_reader import decode
from neuropress.model.plan import canonical


def same(one: Any, other: Any) -> bool:
    """Equal in every type, in the sign of zero, in NaN and in the order of members."""
    return json.dumps(one) == json.dumps(other)


NUMBERS = st.one_of(
    st.integers(), st.integers(-3, 3), st.floats(), st.sampled_from([0, 0.0, -0.0, 1, 1.0, True, False, None, 2**63])
)
SCALARS = st.one_of(
    NUMBERS,
    st.text(max_size=6),
    st.sampled_from(["~", "~~list", "0", "00", "9" * 40, "sweep001", "1.50", "\ud800", "é", "٣", "ab" * 32, "AB" * 32]),
)
NAMES = st.one_of(
    st.text("~/a1", max_size=5),
    st.sampled_from(["~groups", "~rest", "~list", "~column", "~columns", "~data", "~paths", "~order"]),
    st.builds("/x{}/y{:03d}/{}".format, st.integers(0, 3), st.integers(0, 12), st.sampled_from("abc")),
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=40
)


@st.composite
def records(draw: st.DrawFn) -> Any:
    """Objects and lists of many records of few shapes, as provenance has them."""
    shapes = draw(st.lists(JSON, min_size=1, max_size=3))
    leaf = st.one_of(st.just(7), st.integers(0, 2), SCALARS)

    def vary(part: Any) -> Any:
        if isinstance(part, dict):
            return {name: vary(item) for name, item in part.items()}
        return [vary(item) for item in part] if isinstance(part, list) else draw(st.just(part) | leaf)

    values = [vary(shapes[draw(st.integers(0, len(shapes) - 1))]) for _ in range(draw(st.integers(0, 24)))]
    if draw(st.booleans()):
        return values
    names = draw(st.lists(NAMES, min_size=len(values), max_size=len(values), unique=True))
    made = dict(zip(names, values, strict=True))
    return dict(sorted(made.items())) if draw(st.booleans()) else made


@given(JSON | records())
def test_it_gives_back_exactly_what_it_was_given(data: Any) -> None:
    written = encode(data)
    assert same(decode(written), data)
    assert same(decode(json.loads(json.dumps(written))), data)
    assert len(json.dumps(written)) <= 2 * len(json.dumps(data)) + 100


@given(JSON | records())
def test_members_that_a_writer_sorts_are_sorted_and_nothing_else(data: Any) -> None:
    data = json.loads(canonical(data))
    text = canonical(encode(data))
    assert same(decode(json.loads(text)), data)
    assert canonical(encode(decode(json.loads(text)))) == text


@given(st.lists(st.integers(-5, 5) | st.integers(), max_size=60))
def test_whole_numbers(numbers: list[int]) -> None:
    assert decode(encode(numbers)) == numbers


def sweeps(count: int, channels: int = 1) -> dict[str, Any]:
    return {
        f"/acquisition/RY_E_0001_sweep{i:03d}_ch{c}/rate": {"value": 20000.0, "sources": [{"column": f"sweep{i}"}]}
        for i in range(count)
        for c in range(channels)
    }


def test_records_that_are_alike_are_written_once_and_readable() -> None:
    assert encode(sweeps(200)) == {
        "~groups": [
            {
                "~rows": 200,
                "~names": {"~text": ["/acquisition/RY_E_0001_sweep", [3, {"~range": [0, 1]}], "_ch0/rate"]},
                "~each": {"value": 20000.0, "sources": [{"column": {"~text": ["sweep", [1, {"~range": [0, 1]}]]}}]},
            }
        ]
    }
    many = dict(sorted(sweeps(1500, 3).items()))  # past sweep999, which is then no longer the last one
    assert len(canonical(encode(many))) < 500
    assert same(decode(encode(many)), many)
    assert same(decode(encode(sweeps(1500, 3))), sweeps(1500, 3))


def test_digests_take_46_bytes_and_equal_ones_none() -> None:
    choose = random.Random(1)
    digests = {f"s_{i}.tif": {"size": 9, "sha256": choose.randbytes(32).hex()} for i in range(2000)}
    assert len(canonical(encode(digests))) < 2000 * 46 + 200
    assert len(canonical(encode({name: {"size": 9, "sha256": "ab" * 32} for name in digests}))) < 250


def test_few_or_small_records_stand_as_they_are() -> None:
    for plain in ({"a": {"x": 1}, "b": {"x": 2}}, [1, 2, 3], {"": {}}, [], "~", {"a": []}):
        assert encode(plain) == plain


REFUSED = re.compile(r"^[^\n]{10,200}$")
"""One line that says what is wrong, however long that is."""


def group(rows: Any, each: Any, **more: Any) -> dict[str, Any]:
    return {"~groups": [{"~rows": rows, "~each": each, **more}]}


NESTED: Any = {"~range": [0, 0]}
for _ in range(15):
    NESTED = {"~values": [0], "~which": NESTED}
CHAIN = {str(i): {"~text": [[1, {"~column": str(i + 1)}]] * 1000} for i in range(20)}
BOMBS = {
    "constant": group(10**12, 0),
    "range": group(10**12, {"~range": [0, 1]}),
    "ranges": group(10**12, {"~ranges": [[0, 1, 10**12]]}),
    "range-longer": group(3, {"~ranges": [[0, 1, 10**12]]}),
    "ranges-negative": group(3, {"~ranges": [[0, 1, 10**12], [0, 1, 3 - 10**12]]}),
    "rows-huge": group(10**400, 0),
    "empty": group(10**9, {}),
    "lists": group(10**7, [[[[]]]]),
    "text": group(10**5, "x" * 10**5),
    "text-parts": group(10**6, {"~text": [""] * 1000}),
    "text-names": group(10**5, 0, **{"~names": {"~text": ["x" * 10**5, [1, {"~range": [0, 1]}]]}}),
    "values": group(10**6, {"~values": ["x" * 10**6], "~which": {"~range": [0, 0]}}),
    "which-which": group(2 * 10**6, NESTED),
    "shared": {"~columns": {"1": {"~range": [0, 1]}}, "~data": [group(10**6, {"~column": "1"})] * 1000},
    "chain": {"~columns": CHAIN, "~data": group(9, {"~column": "0"})},
    "itself": {"~columns": {"1": {"~text": [[1, {"~column": "1"}]]}}, "~data": group(9, {"~column": "1"})},
    "many": [group(10**6, 0)] * 1000,
    "order": {**group(10**6, 0), "~order": {"~range": [0, 10**18]}},
    "paths": {"~paths": {"x" * 10**6: {str(i): 0 for i in range(1000)}}},
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_costs_anything(name: str) -> None:
    tracemalloc.start()
    begun = time.process_time()
    with pytest.raises(ValueError, match=REFUSED):
        decode(BOMBS[name])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * DECODED_BYTES
    assert time.process_time() - begun < 60


def test_the_budget_is_named() -> None:
    with pytest.raises(OverBudget, match=f"more than {DECODED_BYTES} bytes"):
        decode(group(10**12, {"~range": [0, 1]}))
    assert decode(group(1000, {"~range": [0, 1]}), most=100_000) == list(range(1000))
    with pytest.raises(OverBudget, match="more than 1000 bytes"):
        decode(group(1000, {"~range": [0, 1]}), most=1000)


@pytest.mark.parametrize(
    "wrong",
    [
        {"~groups": []},
        {"~groups": {}},
        {"~groups": [5]},
        group(2, 0, more=1),
        group(True, 0),
        group(0, 0),
        group(2.0, 0),
        group(2, {"~list": [1]}),
        group(2, {"~list": [[1], [2]]}),
        group(2, {"~list": "ab"}),
        group(2, {"~range": [0]}),
        group(2, {"~range": [0.5, 1]}),
        group(2, {"~range": [0, 2**70]}),
        group(2, {"~ranges": [[0, 1]]}),
        group(2, {"~ranges": [[0, 1, 1]] * 3}),
        group(2, {"~text": [[0, {"~range": [0, 1]}]]}),
        group(2, {"~text": [[3, {"~range": [-1, 1]}]]}),
        group(2, {"~text": [5]}),
        group(2, {"~sha256": ["x", "y"]}),
        group(2, {"~sha256": ["A" * 42 + "é"] * 2}),
        group(2, {"~sha256": [b"".hex(), None]}),
        group(2, {"~values": ["a"], "~which": {"~range": [0, 1]}}),
        group(2, {"~values": ["a"]}),
        group(2, {"~values": ["a"], "~which": -1}),
        group(2, {"~unknown": 1}),
        group(2, {"~list": [1, 2], "a": 1}),
        group(2, {"~column": "1"}),
        group(2, {"~column": []}),
        group(2, 0, **{"~names": {"~list": ["a", "a"]}}),
        group(2, 0, **{"~names": {"~list": ["a", 1]}}),
        {**group(2, 0), "~rest": {}},
        {**group(2, 0, **{"~names": {"~list": ["a", "b"]}}), "~rest": {"a": 1}},
        {**group(2, 0), "~order": {"~list": [0, 0]}},
        {**group(2, 0), "~order": {"~list": [0, 2]}},
        {"~columns": [], "~data": 1},
        {"~columns": {}},
        {"~paths": {"a": 1}},
        {"~paths": []},
        {"~unknown": 1},
        {"a": {"~list": [1]}},
    ],
    ids=str,
)
def test_what_is_nothing_that_is_written_is_a_value_error(wrong: Any) -> None:
    with pytest.raises(ValueError, match=REFUSED):
        decode(wrong)


ODD = st.sampled_from([None, -1, 0, 2, 10**13, 1.5, True, "", "1", [], {}, {"~column": "1"}, {"~range": [0, 1]}])


@given(records() | st.builds(sweeps, st.integers(2, 9), st.integers(1, 2)), st.data())
def test_changed_documents_are_read_or_refused(data: Any, source: st.DataObject) -> None:
    written = json.loads(json.dumps(encode(data)))
    places = [
        (part, key)
        for part in _parts(written)
        for key in (part if isinstance(part, dict) else range(len(part)))
    ]  # fmt: skip
    if places:
        part, key = source.draw(st.sampled_from(places))
        part[key] = source.draw(ODD)
    with contextlib.suppress(ValueError):
        json.dumps(decode(written))


def _parts(data: Any) -> list[Any]:
    if not isinstance(data, (dict, list)):
        return []
    return [data, *(part for item in (data.values() if isinstance(data, dict) else data) for part in _parts(item))]
