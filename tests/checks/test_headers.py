"""Cells against header facts: four states, exact limits."""

from decimal import Decimal

import pytest

from neuropress.checks.headers import compare_cells
from neuropress.mapping.rules import Comparison
from neuropress.model.finding import Finding, Severity
from neuropress.model.record import Cell, Record, Value

RATE = Comparison("frame_rate", "frame_rate", error="0.05", warn="0.005")
WIDTH = Comparison("x", "x")
NANOMETRES = Comparison("resolution", "pixel_size", error="Infinity", warn="0.01", scale="0.001")


def record(**values: Value) -> Record:
    cells = {column: Cell("" if value is None else str(value)) for column, value in values.items()}
    return Record("image", "RY_IMG_0001", 7, cells, values)


def compare(rule: Comparison, value: Value, facts: dict[str, str]) -> Finding:
    (compared,) = compare_cells(record(**{rule.column: value}), [rule], facts, "yuste/a.tif")
    assert compared.location.table == "image"
    assert compared.location.line == 7
    assert compared.location.column == rule.column
    assert compared.location.file == "yuste/a.tif"
    return compared


@pytest.mark.parametrize(
    ("rule", "value", "facts", "id", "severity"),
    [
        (RATE, Decimal("500"), {"frame_rate": "500.0"}, "header.agrees", Severity.INFO),
        (RATE, Decimal("502.5"), {"frame_rate": "500"}, "header.agrees", Severity.INFO),
        (RATE, Decimal("502.6"), {"frame_rate": "500"}, "header.disagrees", Severity.WARNING),
        (RATE, Decimal("525"), {"frame_rate": "500"}, "header.disagrees", Severity.WARNING),
        (RATE, Decimal("525.1"), {"frame_rate": "500"}, "header.disagrees", Severity.ERROR),
        (RATE, Decimal("500"), {"frame_rate": "0"}, "header.disagrees", Severity.ERROR),
        (RATE, Decimal("500"), {"x": "5"}, "header.absent", Severity.INFO),
        (RATE, Decimal("500"), {}, "header.unchecked", Severity.INFO),
        (RATE, None, {"frame_rate": "500"}, "header.unchecked", Severity.INFO),
        (WIDTH, 512, {"x": "512"}, "header.agrees", Severity.INFO),
        (WIDTH, 513, {"x": "512"}, "header.disagrees", Severity.ERROR),
        (NANOMETRES, Decimal("4"), {"pixel_size": "0.004"}, "header.agrees", Severity.INFO),
        (NANOMETRES, Decimal("4"), {"pixel_size": "4"}, "header.disagrees", Severity.WARNING),
        (WIDTH, "a", {"x": "a"}, "header.agrees", Severity.INFO),
        (WIDTH, "a", {"x": "b"}, "header.disagrees", Severity.ERROR),
    ],
)
def test_states(rule: Comparison, value: Value, facts: dict[str, str], id: str, severity: Severity) -> None:
    compared = compare(rule, value, facts)
    assert (compared.id, compared.severity) == (id, severity)


def test_the_message_names_cell_file_value_and_limit() -> None:
    compared = compare(RATE, Decimal("550"), {"frame_rate": "500"})
    assert compared.message.startswith("frame_rate: ")
    assert all(fact in compared.message for fact in ("550 in the table", "500 in the file", "10 %", "up to 5 %"))
    assert compared.location.value == "550"
    assert compared.location.expected == "500"
    assert "they must be equal" in compare(WIDTH, 513, {"x": "512"}).message


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        ("500.00000000000008", "500.00000000000008 in the file, a difference of less than 0.0001 %"),
        ("5E+2", "500 in the table, 500 in the file; up to 5 %"),
        ("1e-40", "1e-40 in the file, a difference of more than 10000 %"),
    ],
)
def test_numbers_stand_in_plain_digits(fact: str, words: str) -> None:
    assert words in compare(RATE, Decimal("500"), {"frame_rate": fact}).message
