"""The right spelling of a cell: nothing is ever said of a text that could be two things."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from clean_tables import PROFILE
from hypothesis import given
from hypothesis import strategies as st

from neuropress.tables.cells import FlaggedCell, build_cell_parser
from neuropress.tables.spelling import spell_date, spell_number, spell_text, spell_time

KINDS = ("text", "prose", "path", "date", "time", "boolean", "number", "integer", "key")
COLUMNS = [(table, column) for table, spec in PROFILE.tables.items() for column in spec.columns]
texts = st.text(max_size=40) | st.text("0123456789.,:/- '\u00a0kmuHzgPMaE+#_RYS", max_size=20)


@given(texts, st.sampled_from(KINDS), st.sampled_from(["", "Hz", "um", "mW", "?"]))
def test_any_text_is_spelled_or_not(text: str, kind: str, unit: str) -> None:
    spelled = spell_text(text, kind, unit, ())
    assert spell_text(spelled, kind, unit, ()) in (spelled, "")


@given(texts.filter(bool), st.sampled_from(COLUMNS))
def test_a_proposal_is_right_in_its_column(text: str, place: tuple[str, str]) -> None:
    parse = build_cell_parser(place[1], PROFILE.tables[place[0]], PROFILE)
    parsed = parse(text)
    if isinstance(parsed, FlaggedCell) and parsed.proposal:
        again = parse(parsed.proposal)
        assert not (isinstance(again, FlaggedCell) and again.has_error)
        assert parsed.has_error


@given(st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.sampled_from("/-."), st.booleans())
def test_a_date_has_a_spelling_only_if_one_order_gives_a_day(day: date, separator: str, is_american: bool) -> None:
    parts = (f"{day:%m}", f"{day:%d}") if is_american else (f"{day:%d}", f"{day:%m}")
    is_certain = day.day > 12 or day.day == day.month
    assert spell_date(separator.join((*parts, str(day.year)))) == (f"{day:%Y%m%d}" if is_certain else "")
    assert spell_date(f"{day:%Y/%m/%d}") == f"{day:%Y%m%d}"


@given(st.integers(0, 1439), st.integers(1, 17))
def test_a_fraction_of_a_day_is_the_minute_that_it_was_or_nothing(minute: int, digits: int) -> None:
    true = f"{minute // 60:02d}:{minute % 60:02d}"
    assert spell_time(f"{minute / 1440:.{digits}f}") in (true, "")
    if digits >= 4:
        assert spell_time(f"{minute / 1440:.{digits}f}") == true


def test_days_are_counted_from_1900_only_where_1904_would_be_in_the_future() -> None:
    today = date.today()  # noqa: DTZ011
    for days in range(0, 4000, 31):
        day = today - timedelta(days=days)
        counted_from_1900, counted_from_1904 = (day - date(1899, 12, 30)).days, (day - date(1904, 1, 1)).days
        assert spell_date(str(counted_from_1900)) == (f"{day:%Y%m%d}" if days < 1461 else "")
        assert spell_date(str(counted_from_1904)) == ""


@pytest.mark.parametrize(
    ("text", "kind", "unit", "spelled"),
    [
        ("1,234", "number", "", ""), ("1.234", "number", "", ""), ("1.234", "integer", "", ""), ("0.5 m", "number", "um", ""),
        ("12,34", "number", "", "12.34"), ("1234,5", "number", "", "1234.5"), ("1.234.567", "integer", "", "1234567"),
        ("5 mm", "number", "um", "5000"), ("-5 mV", "number", "V", "-0.005"), ("5 V", "number", "mV", ""),
        ("0.5 V", "number", "mV", "500"), ("5 V", "number", "", ""), ("5 V", "number", "bananas", ""),
        ("0.1234567890123456789012345678901 kHz", "number", "Hz", ""),
    ],
)  # fmt: skip
def test_numbers(text: str, kind: str, unit: str, spelled: str) -> None:
    assert spell_number(text, kind, unit) == spelled
