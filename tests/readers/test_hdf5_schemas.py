"""Specifications that files bring along: which type is derived from which, and nothing worse than a finding."""

from __future__ import annotations

import json
from typing import Any

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuropress.model.finding import Problem
from neuropress.readers.hdf5.schemas import find_base, read_schemas

NAMES = st.sampled_from(
    [
        "namespaces",
        "schema",
        "namespace",
        "source",
        "groups",
        "neurodata_type_def",
        "neurodata_type_inc",
        "core",
        "ndx-a",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NAMES | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def make_file(documents: dict[str, dict[str, Any]]) -> h5py.File:
    """A file in memory with one version of each extension."""
    file = h5py.File("x.nwb", "w", driver="core", backing_store=False)
    for name, parts in documents.items():
        for part, content in parts.items():
            file[f"specifications/{name}/1.0/{part}"] = json.dumps(content)
    return file


def describe(name: str, types: dict[str, str], *needs: str) -> dict[str, Any]:
    defined = [{"neurodata_type_def": new, "neurodata_type_inc": base} for new, base in types.items()]
    schema = [*({"namespace": one} for one in needs), {"source": "x"}]
    return {"namespace": {"namespaces": [{"name": name, "schema": schema}]}, "x": {"groups": [{"groups": defined}]}}


def test_a_type_is_traced_to_the_one_of_nwb_through_other_extensions() -> None:
    documents = {
        "ndx-a": describe("ndx-a", {"A": "B"}, "core", "ndx-b"),
        "ndx-b": describe("ndx-b", {"B": "C", "C": "TimeSeries"}, "ndx-a"),
    }
    with make_file(documents) as file:
        schemas = read_schemas(file, "key", ["ndx-a"])
        assert list(schemas) == ["ndx-a", "ndx-b"]
        assert find_base("key", schemas, "A", "ndx-a") == "TimeSeries"
        assert find_base("key", schemas, "TimeSeries", "core") == "TimeSeries"


@pytest.mark.parametrize("types", [{"A": "A"}, {"A": "B", "B": "A"}, {"A": ""}, {"A": "C", "C": ""}])
def test_a_type_that_leads_to_none_of_nwb_is_a_finding(types: dict[str, str]) -> None:
    with make_file({"ndx-a": describe("ndx-a", types)}) as file, pytest.raises(Problem) as caught:
        find_base("key", read_schemas(file, "key", ["ndx-a"]), "A", "ndx-a")
    assert caught.value.finding.id == "fragment.schema"


@given(JSON, JSON)
def test_any_specification_is_read_or_a_finding(about: Any, content: Any) -> None:
    with make_file({"ndx-a": {"namespace": about, "x": content}}) as file:
        try:
            find_base("key", read_schemas(file, "key", ["ndx-a"]), "A", "ndx-a")
        except Problem as bad:
            assert bad.finding.id == "fragment.schema"  # noqa: PT017
