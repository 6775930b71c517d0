"""What a result says of itself is looked up in it: places by the NWB schema, values by what was read back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import h5py
import pytest
from builder import Builder, abf, movie, slices
from hdmf.build import ObjectMapper
from hdmf.utils import get_docval
from hypothesis import given
from hypothesis import strategies as st
from pynwb import get_type_map

from neuropress.cli.main import main
from neuropress.model.plan import Field
from neuropress.model.record import CellRef
from neuropress.results import KINDS, detect_kind
from neuropress.results.fields import compare_fields, find_unmatched_fields, is_same_value
from neuropress.results.nwb.fields import FieldReader


def list_schema_places() -> list[tuple[str, str, str, str]]:
    """Type, argument, and where the schema stores it: the dataset or group, and the attribute."""
    types = get_type_map()
    catalog = types.namespace_catalog
    mappers = types._TypeMap__mapper_cls  # the public way to a mapper needs an object
    found = []
    for name in catalog.get_namespace("core").get_registered_types():
        cls = types.get_dt_container_cls(name, "core")
        spec = catalog.get_spec("core", name)
        mapper = next((mappers[c] for c in cls.__mro__ if c in mappers), ObjectMapper)(spec)
        for argument in get_docval(cls.__init__):
            place = mapper.get_carg_spec(argument["name"]) or mapper.get_attr_spec(argument["name"])
            kind = type(place).__name__
            if kind not in ("AttributeSpec", "NWBDatasetSpec") or "manifold" in argument["name"]:
                continue
            parts, step = [], place
            while step is not None and step is not spec:
                parts.insert(0, step.name)
                step = step.parent
            if None in parts or "manifold" in parts or getattr(place, "data_type", None) in ("Image", "Data"):
                continue
            attribute = parts.pop() if kind == "AttributeSpec" else ""
            if type(spec).__name__ == "NWBGroupSpec":
                found.append((name, argument["name"], "/".join(parts), attribute))
    return found


@pytest.mark.parametrize("place", list_schema_places(), ids=lambda place: f"{place[0]}.{place[1]}")
def test_every_argument_of_every_type_is_found_where_the_schema_stores_it(place: tuple[str, str, str, str]) -> None:
    name, argument, path, attribute = place
    with h5py.File("one.h5", "w", driver="core", backing_store=False) as file:
        root = "/" if name == "NWBFile" else "/holder"
        item: Any = file.require_group(root)
        if path:
            item = file.create_dataset(f"{root.rstrip('/')}/{path}", data="here" if not attribute else "other")
        if attribute:
            item.attrs[attribute] = "here"
        assert FieldReader(file, 100).read([f"{root.rstrip('/')}/{argument}"]) == {
            f"{root.rstrip('/')}/{argument}": "here"
        }


@given(st.recursive(st.integers() | st.floats() | st.text() | st.booleans(), lambda inner: st.lists(inner, max_size=4)))
def test_a_value_is_the_same_as_itself_after_json(value: Any) -> None:
    assert is_same_value(value, json.loads(json.dumps(value)))


@pytest.mark.parametrize(
    ("stated", "stored", "same"),
    [
        (1, 1.0, True), (True, 1, False), (math.nan, math.nan, True), (math.nan, 0.0, False), ("0:3", [0, 1, 2], True),
        ("0:3", [0, 1], False), ("2025-06-20T09:00:00.500-04:00", "2025-06-20T09:00:00.500000-04:00", True),
        ("2025-06-20T09:00:00-04:00", "2025-06-20T13:00:00+00:00", False), ([1, 2], [1, 2, 3], False), ("a", "b", False),
        ("1", 1, False), ([], [], True),
    ],
)  # fmt: skip
def test_same_values(stated: Any, stored: Any, same: bool) -> None:
    assert is_same_value(stated, stored) is same


def test_a_copy_must_be_the_cell_s_text() -> None:
    ref = CellRef("ephys", "RY_E_0001", "ephys_id", "RY_E_0001")
    made = {"/a": Field("RY_E_0001_ch0", "x:cell_id", "copy", (ref,)), "/b": Field("RY_E_0001", "x:id", "copy", (ref,))}
    stored = {name: field.value for name, field in made.items()}
    assert list(compare_fields(made, stored)) == ["/a"]
    assert list(compare_fields(made, {})) == ["/a", "/b"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    folder = tmp_path_factory.mktemp("fields")
    build = Builder(folder / "ds")
    build.session(1)
    build.ephys(abf(folder / "e.abf"), "20000")
    build.movie(movie(folder / "m.tif"), (12, 20, 16), pixel_size="0.8", laser_line="920")
    build.sem(slices(folder / "v"))
    assert main(["convert", str(build.root)]) == 0
    return build


def test_every_field_of_every_result_is_borne_out(results: Builder) -> None:
    kinds = set()
    for path in (results.output("RY_S_0001.nwb"), results.output("JL_SD_0001.ome.zarr")):
        assert path is not None
        kind = detect_kind(path)
        made = kind.load().read_provenance(path)
        assert made.fields
        assert find_unmatched_fields(kind.load(), path, made.fields) == {}
        kinds.add(kind.name)
    assert kinds < set(KINDS)


def test_a_value_that_is_gone_is_an_error_of_verify_no_coverage_and_told_by_explain(
    results: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = results.output("RY_S_0001.nwb")
    assert path is not None
    whole = path.read_bytes()
    try:
        with h5py.File(path, "r+") as file:
            del file["general/subject/weight"]
            file["general/subject/strain"][()] = "another"
        assert main(["verify", str(results.root), "--json"]) == 1
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        told = {line["location"]["array"] for line in lines if line.get("id") == "verify.field"}
        assert told == {"/general/subject/weight", "/general/subject/strain"}
        assert main(["coverage", str(results.root), "--json"]) == 1
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        rows = {line["column"]: line for line in lines if "column" in line and "record" in line}
        assert (rows["mouse.weight"]["core NWB"], rows["mouse.weight"]["record"]) == (0, 1)
        assert "coverage.lost" in {line.get("id") for line in lines}
        assert main(["explain", str(path), "/general/subject/weight"]) == 0
        assert "NOT in the result" in capsys.readouterr().out
    finally:
        path.write_bytes(whole)
