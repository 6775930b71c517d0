"""What readers declare is what they do, and what people may write as an option never ends in a traceback."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from builder import abf, movie, slices
from hypothesis import given
from hypothesis import strategies as st

from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers import COMMON, Option, check_reader_options, get_formats
from neuropress.readers.raw import choose_format, read
from neuropress.storage.roots import Folder

VALUES: st.SearchStrategy[Any] = st.one_of(
    st.text(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.dates(),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(), st.text(), max_size=2),
)
KINDS = ("text", "choice", "whole number", "number", "yes/no")


def list_undeclared(source: Source) -> set[str]:
    """Facts of a file that its reader does not declare."""
    contents = read(source)
    for content in contents:
        content.close()
    declared = {fact.name for fact in get_formats()[contents[0].format].facts}
    return {name for content in contents for name in content.facts} - declared


def test_facts_are_those_declared(tmp_path: Path) -> None:
    abf(tmp_path / "a.abf")
    movie(tmp_path / "m.tif", imagej=True, metadata={"finterval": 0.1, "unit": "um"}, resolution=(2.0, 2.0))
    slices(tmp_path / "s")
    (tmp_path / "t.swc").write_text("1 1 0 0 0 1 -1\n2 3 1 0 0 1 1\n", "utf-8")
    for key in ("a.abf", "m.tif", "s/", "t.swc"):
        assert list_undeclared(Source(key, Folder(tmp_path))) == set(), key


@pytest.mark.corpus
def test_facts_of_real_files_are_those_declared(corpus: Path) -> None:
    seen = set()
    for path in sorted(p for p in corpus.rglob("*") if p.suffix in (".abf", ".tif", ".tiff", ".swc", ".stk")):
        source = Source(path.relative_to(corpus).as_posix(), Folder(corpus))
        try:
            assert list_undeclared(source) == set(), path
            seen.add(choose_format(source).format)
        except Problem:
            continue
    assert seen == {"abf", "tiff", "swc"}


@given(
    kind=st.sampled_from(KINDS), value=VALUES, limits=st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False))
)
def test_a_value_is_of_its_kind_or_refused(kind: Any, value: Any, limits: tuple[float, float]) -> None:
    option = Option("o", "An option.", kind=kind, choices=("a", "b"), least=limits[0], most=limits[1])
    if option.find_complaint(value):
        assert option.allowed_values in option.find_complaint(value)
        return
    kinds = {"text": str, "choice": str, "whole number": int, "number": (int, float), "yes/no": bool}
    assert isinstance(value, kinds[kind])
    assert kind not in ("whole number", "number") or (type(value) is not bool and limits[0] <= value <= limits[1])
    assert kind != "choice" or value in ("a", "b")


@given(st.dictionaries(st.one_of(st.sampled_from(["reader", "image", "axes", "axis"]), st.text()), VALUES, max_size=3))
def test_any_options_are_taken_or_refused(options: dict[str, Any]) -> None:
    complaint = check_reader_options(options)
    known = {option.name for option in COMMON} | {o.name for format in get_formats().values() for o in format.options}
    if not complaint:
        assert set(options) <= known
        assert all(isinstance(value, str) for value in options.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tyx", ""),
        ("qqyx", ""),
        ("", "letters"),
        ("tux", "letters"),
        ("ttx", "t twice"),
        (datetime.date(2025, 6, 20), "text"),
    ],
)
def test_axes_are_letters_each_once(text: Any, words: str) -> None:
    complaint = check_reader_options({"axes": text})
    assert words in complaint
    assert bool(complaint) == bool(words)
