"""The published schemas: whole, strict, and what the fast path decides is what jsonschema decides."""

import json
from collections.abc import Iterator
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from clean_tables import PROFILE, write_clean
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from neuropress.model.record import Record, Value
from neuropress.tables import load_tables
from neuropress.tables.schema import compile_table_schema, load_schema_document


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    tables = load_tables(write_clean(tmp_path_factory.mktemp("clean")), PROFILE)
    return {name: next(iter(rows.values())) for name, rows in tables.records.items()}


def validator(table: str) -> Draft202012Validator:
    common = Resource.from_contents(dict(load_schema_document("common.schema.json")))
    registry: Registry[Any] = Registry().with_resource("common.schema.json", common)
    return Draft202012Validator(dict(load_schema_document(f"{table}.schema.json")), registry=registry)


@pytest.mark.parametrize("table", PROFILE.tables)
def test_a_schema_names_the_published_columns_in_order_and_describes_each(table: str) -> None:
    text = files("neuropress.data.schemas").joinpath(f"{table}.schema.json").read_text("utf-8")
    schema, spec = json.loads(text), PROFILE.tables[table]
    Draft202012Validator.check_schema(schema)
    assert schema["title"] == table
    assert schema["required"] == list(spec.columns)
    assert list(schema["properties"]) == [*spec.columns, *spec.optional]
    assert all(column["title"] and column["description"].endswith(".") for column in schema["properties"].values())
    assert text == json.dumps(schema, indent=2) + "\n"


@pytest.mark.parametrize("table", PROFILE.tables)
def test_examples_in_a_schema_are_valid(table: str) -> None:
    schema = validator(table)
    for name, column in load_schema_document(f"{table}.schema.json")["properties"].items():
        for value in column.get("examples", ()):
            assert schema.evolve(schema=column).is_valid(value), name


@pytest.mark.parametrize("table", PROFILE.tables)
def test_a_good_row_is_accepted_and_none_with_a_blank_more_or_less(table: str, records: dict[str, Record]) -> None:
    schema, row = validator(table), dict(records[table].values)
    assert list(schema.iter_errors(row)) == []
    assert not schema.is_valid(row | {"extra": None})
    for name, column in compile_table_schema(table).columns.items():
        if name in row:
            assert not schema.is_valid({k: v for k, v in row.items() if k != name})
            assert column.nullable or not schema.is_valid(row | {name: None})


BAD: list[tuple[str, str, Value]] = [
    ("analysis", "analysis_id", "RY_AN_0001"), ("analysis", "source_id", "RY_E_0001"),
    ("analysis", "source_type", "plot"), ("analysis", "file_path", "yuste/20250620/image/raw/a.pdf"),
    ("analysis", "file_path", "report.pdf"), ("behavior", "behavior_id", "RY_B_0001"),
    ("behavior", "file_path_raw", "yuste/20250620/behavior/raw/a.csv"),
    ("cell_detection_dataset", "mouse_id", "JL_M_0001"), ("ephys", "sampling_rate", Decimal(0)),
    ("ephys", "sampling_rate", "20000"), ("ephys", "recording_type", "patch"),
    ("ephys", "file_path_raw", "yuste/20250620/ephys/raw/../../x.abf"),
    ("ephys", "file_path_raw", "yuste\\20250620\\ephys\\raw\\a.abf"),
    ("ephys", "file_path_raw", "s3://other/yuste/20250620/ephys/raw/a.abf"),
    ("image", "image_id", "RY_IMG_00001"), ("image", "frame_rate", None), ("image", "x", 0),
    ("image", "x", Decimal("1.5")), ("image", "numerical_aperture", Decimal("1.71")),
    ("image", "objective_magn", "20"), ("image", "laser_line", 100),
    ("image", "file_path_roi", "yuste/20250620/image/raw/a.zip"), ("micro_ct_dataset", "start_date", "2025-07-01"),
    ("model", "model_type", "toy"), ("mouse", "mouse_id", "RY_M_0001\n"), ("mouse", "mouse_id", "RY_MD_0001"),
    ("mouse", "sex", "male"), ("mouse", "genotype", "het"), ("mouse", "virus_id", "RY_V_0001;RY_V_0002"),
    ("plasmid", "wavelength", 5090), ("sem_dataset", "resolution", Decimal(-4)), ("session", "start_time", "9:30"),
    ("session", "start_time", None), ("session", "experimenter", "A, B"), ("session", "session_date", "20251301"),
    ("virus", "floxed", "TRUE"), ("virus", "titer", "1e12-1e13"), ("virus", "serotype", "AAV"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column", "value"), BAD)
def test_a_bad_row_is_rejected(table: str, column: str, value: Value, records: dict[str, Record]) -> None:
    row = dict(records[table].values) | {column: value}
    assert not validator(table).is_valid(row)


def columns() -> Iterator[tuple[str, str]]:
    for table in PROFILE.tables:
        for column in compile_table_schema(table).columns:
            yield table, column


seeds = st.sampled_from(
    [
        "RY_M_0001",
        "20250620",
        "09:30",
        "AAV9",
        "a;b",
        "+/-;+/-",
        "1.2e13 GC/mL",
        "yuste/20250620/image/raw/a.tif",
        "20x",
    ]
)


@pytest.mark.parametrize(("table", "column"), list(columns()))
@given(
    text=st.text(max_size=12) | st.tuples(seeds, st.text(max_size=2)).map("".join),
    number=st.decimals(allow_nan=False, allow_infinity=False) | st.integers(),
)
@settings(max_examples=30)
@example(text="a\n", number=Decimal("1.7"))
def test_the_fast_path_decides_as_jsonschema_does(table: str, column: str, text: str, number: Decimal | int) -> None:
    whole = validator(table)
    slow = whole.evolve(schema=whole.schema["properties"][column])
    fast = compile_table_schema(table).columns[column].accepts
    for value in (text, number, True, None):
        assert fast(value) == slow.is_valid(value), value


def test_no_column_of_the_profile_lacks_a_schema(tmp_path: Path) -> None:
    assert sum(len(spec.columns) for spec in PROFILE.tables.values() if not spec.optional_table) == 115
    assert set(PROFILE.tables) == {name for name, _ in columns()}
    labs = {"ML", "RY", "JB", "EN", "JL", "IS"}
    assert set(PROFILE.labs) == labs
    for spec in PROFILE.tables.values():
        assert set(spec.labs) <= labs
        assert {*spec.foreign, *spec.paths, *spec.private, spec.key} <= {*spec.columns, *spec.optional}
