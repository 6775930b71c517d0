"""The one rule by which findings lose the text of private cells and no other."""

import pytest

from neuropress.model.budget import SHOWN_CHARS
from neuropress.model.finding import catalogue, finding
from neuropress.model.privacy import hide_for, hide_private, shorten, withhold_text
from neuropress.model.profile import load_profile

PROFILE = load_profile("dendritic-consortium")
TABLE, PRIVATE = next((name, spec.private[0]) for name, spec in PROFILE.tables.items() if spec.private)
SECRET = "what nobody may read"


def made(column: str | None = PRIVATE, table: str | None = TABLE, text: str = SECRET):
    where = {"table": table, "column": column, "value": text, "expected": text, "key": "RY_M_0001", "line": 2}
    return finding("cell.range", f"{column} is {text}", hint=f"write {text}", **where)


def test_a_private_cell_is_told_without_its_text() -> None:
    hidden = hide_for(made(), PROFILE)
    assert SECRET not in repr(hidden)
    assert hidden.message == f"{PRIVATE}: {catalogue()['cell.range']['meaning']} The text is private and not shown."
    assert hidden.hint == catalogue()["cell.range"]["fix"]
    assert (hidden.location.key, hidden.location.line, hidden.location.column) == ("RY_M_0001", 2, PRIVATE)
    assert hidden == hide_private(made(), [PRIVATE]) == withhold_text(made())


@pytest.mark.parametrize(
    ("column", "table"), [("notes", TABLE), (None, TABLE), (PRIVATE, "no such table"), ("x", None)]
)
def test_other_cells_keep_their_text(column: str | None, table: str | None) -> None:
    assert hide_for(made(column, table), PROFILE) == made(column, table)


def test_without_a_column_only_the_meaning_is_told() -> None:
    assert withhold_text(made(None)).message.startswith(catalogue()["cell.range"]["meaning"])


@pytest.mark.parametrize("where", ["message", "hint", "value"])
@pytest.mark.parametrize(("length", "is_cut"), [(SHOWN_CHARS, False), (SHOWN_CHARS + 1, True)])
def test_a_very_long_text_is_cut_and_says_how_long_it_is(where: str, length: int, is_cut: bool) -> None:
    long = "x" * length
    texts = {"message": "m", "hint": "h", "value": "v", where: long}
    found = finding("cell.range", texts["message"], hint=texts["hint"], table=TABLE, value=texts["value"])
    short = shorten(found)
    told = {"message": short.message, "hint": short.hint, "value": short.location.value}
    assert told == texts | ({where: f"{'x' * SHOWN_CHARS}... ({length} characters)"} if is_cut else {})


def test_what_is_short_enough_stays_beside_what_is_not() -> None:
    found = finding("cell.range", "x" * 2 * SHOWN_CHARS, hint="h" * SHOWN_CHARS, value="v" * SHOWN_CHARS)
    short = shorten(found)
    assert (short.hint, short.location.value) == (found.hint, found.location.value)


def test_no_value_stays_no_value() -> None:
    found = finding("cell.range", "x" * 2 * SHOWN_CHARS, table=TABLE)
    assert shorten(found).location.value is None
