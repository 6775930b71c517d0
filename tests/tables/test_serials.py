"""Real dates and times in workbooks: exact, in both date systems and in every format that shows them whole."""

from __future__ import annotations

import csv
import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from builder import Builder, abf
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900
from table_sources import contents, to_workbook

from neuropress.cli.main import main
from neuropress.tables.serials import parse_date_format, read_day, read_second

FORMATS = {
    "yyyy\\-mm\\-dd": "ymd", "mm-dd-yy": "ymd", "d-mmm-yy": "ymd", "d-mmm": "md", "mmm-yy": "ym", "h:mm AM/PM": "hn",
    "h:mm:ss AM/PM": "hns", "h:mm": "hn", "m/d/yy h:mm": "ymdhn", "mm:ss": "ns", "[h]:mm:ss": "ens", "mmss.0": "ns",
    "[$-409]dddd, mmmm dd, yyyy": "ymd", "[$-F800]dddd\\,\\ mmmm\\ dd\\,\\ yyyy": "ymd", "dd.mm.yyyy;@": "ymd",
    "yyyy\"年\"m\"月\"d\"日\"": "ymd", "[Red]dd/mm/yyyy": "ymd", "[$-411]ggge\"年\"m\"月\"d\"日\"": "",
    "dd/mm/yyyy hh:mm:ss.000": "ymdhns", "yyyymmdd": "ymd", "General": "", "0.00": "", "0.00E+00": "", "@": "",
    "#,##0 \"days\"": "", "[hh]:mm": "en", "hh\\hmm": "hn", "": "", "dddd": "", "\"d\"0": "",
}  # fmt: skip
_LETTERS = {"elapsed": "e"}


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_format_shows(form: str) -> None:
    wanted = FORMATS[form] if "ggg" not in form else ""
    assert {_LETTERS.get(part, part) for part in parse_date_format(form)} == set(wanted)


@given(st.integers(61, 2958465) | st.integers(1, 59), st.booleans())
def test_days_are_those_of_the_calendar(days: int, from_1904: bool) -> None:
    days = min(days, 2957003) if from_1904 else days
    epoch = date(1904, 1, 1) if from_1904 else date(1899, 12, 31 if days < 60 else 30)
    assert read_day(Decimal(days), from_1904=from_1904) == epoch + timedelta(days=days)


@pytest.mark.parametrize(("serial", "from_1904"), [("60", False), ("0.5", False), ("-1", True), ("2958466", False)])
def test_serials_without_a_day(serial: str, from_1904: bool) -> None:
    assert read_day(Decimal(serial), from_1904=from_1904) is None


@given(st.integers(0, 60000), st.integers(0, 86399), st.sampled_from(["double", "15 digits", "sum"]))
def test_every_second_is_read_and_none_between(day: int, second: int, how: str) -> None:
    exact = Decimal(day) + Decimal(second) / 86400
    text = {"double": repr(float(exact)), "15 digits": f"{float(exact):.15g}", "sum": repr(day + second / 86400)}[how]
    assert read_second(Decimal(text)) == second
    between = exact + Decimal("0.25") / 86400
    assert read_second(Decimal(repr(float(between)))) is None


def write_book(lab: Builder, on: object, start: object, forms: tuple[str, str], epoch: datetime) -> None:
    """The dataset's tables as a workbook, with a real date and a real time in its session."""
    source = to_workbook(contents(lab.root / "tables"), lab.root / "book")
    book = openpyxl.load_workbook(source.location)
    book.epoch = epoch
    sheet = book["session"]
    header = [cell.value for cell in sheet[1]]
    for column, value, form in (("session_date", on, forms[0]), ("start_time", start, forms[1])):
        cell = sheet.cell(2, header.index(column) + 1)
        cell.value, cell.number_format = value, form
    book.save(source.location)
    config = lab.root / "neuropress.toml"
    config.write_text(config.read_text("utf-8") + '\n[tables]\nsource = "book.xlsx"\n', "utf-8")


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session()
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    return build


@pytest.mark.parametrize("epoch", [CALENDAR_WINDOWS_1900, CALENDAR_MAC_1904])
@pytest.mark.parametrize("forms", [("dd/mm/yyyy", "h:mm AM/PM"), ("[$-409]d\\-mmm\\-yy;@", "yyyy-mm-dd hh:mm")])
def test_a_workbook_with_real_dates_is_read_exactly(
    lab: Builder, tmp_path: Path, epoch: datetime, forms: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    start: object = time(9, 10) if "AM" in forms[1] else datetime(2025, 6, 20, 9, 10)  # noqa: DTZ001
    write_book(lab, date(2025, 6, 20), start, forms, epoch)
    assert main(["run", str(lab.root)]) == 0
    assert main(["coverage", str(lab.root)]) == 0
    assert main(["explain", str(lab.output("RY_S_0001.nwb")), "session_start_time", "--json"]) == 0
    assert "2025-06-20T09:10" in capsys.readouterr().out
    assert main(["export-tables", str(lab.root), "--to", str(tmp_path / "out")]) == 0
    with (tmp_path / "out/session.csv").open(encoding="utf-8", newline="") as file:
        (session,) = csv.DictReader(file)
    assert (session["session_date"], session["start_time"]) == ("20250620", "09:10")
    system, days = ("1904", 44366) if epoch == CALENDAR_MAC_1904 else ("1900", 45828)
    assert session[f"session_date (serial {system})"] == str(days)
    serial = Decimal(session[f"start_time (serial {system})"])
    whole = 0 if "AM" in forms[1] else days
    assert abs(serial - whole - Decimal(550) / 1440) < Decimal("1e-10")


@pytest.mark.parametrize(
    ("on", "start", "forms", "column"),
    [
        (date(2025, 6, 20), "09:10", ("mmm-yy", "@"), "session_date"),
        (date(2025, 6, 20), time(9, 10, 30), ("yyyy-mm-dd", "h:mm"), "start_time"),
        (date(2025, 6, 20), time(0, 9, 0), ("yyyy-mm-dd", "mm:ss"), "start_time"),
        (60, "09:10", ("yyyy-mm-dd", "@"), "session_date"),
        ("=DATE(2025,6,20)", "09:10", ("yyyy-mm-dd", "@"), "session_date"),
    ],
)
def test_one_cell_that_is_not_certain_withholds_its_row_and_hides_nothing(
    lab: Builder, on: object, start: object, forms: tuple[str, str], column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.session(2, mouse_id="RY_M_0009")
    write_book(lab, on, start, forms, CALENDAR_WINDOWS_1900)
    assert main(["check", str(lab.root), "--json"]) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    errors = {(f["id"], f["location"]["line"], f["location"]["column"]) for f in found if f.get("severity") == "error"}
    id = "table.formula" if str(on).startswith("=") else "table.display"
    assert errors == {(id, 2, column), ("link.dangling", 3, "mouse_id")}
