"""Path cells against their row, their session and each other; keys against labs and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ..model.images import find_images
from ..model.profile import Profile
from ..model.record import Record
from ..tables import Tables
from ..tables.keys import ObjectKey, is_date, normalise_key, parse_key_prefix, parse_object_key
from .rule import CheckResult, get_limit, get_row_id, make_cell_finding
from .sessions import is_overnight, parse_day


def parse_path_cells(record: Record, profile: Profile) -> Iterator[tuple[str, ObjectKey]]:
    """The path cells of a row whose levels can be read, also where one of these is wrong: column and levels."""
    for column in profile.tables[record.table].paths:
        text = record.cells[column].text
        parts = parse_object_key(text, profile) if text else None
        if parts and is_date(parts.date):
            yield column, parts


def _iterate_path_cells(tables: Tables, profile: Profile) -> Iterator[tuple[Record, str, ObjectKey]]:
    """The path cells of all tables that can be read: row, column and levels."""
    for table, spec in profile.tables.items():
        if not spec.paths:
            continue
        for record in tables.iterate_rows(table):
            for column, parts in parse_path_cells(record, profile):
                yield record, column, parts


def check_path_labs(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
    """The first level of a path is the folder of the row's own lab."""
    for record, column, parts in _iterate_path_cells(tables, profile):
        lab = profile.lab_of(record.key) if _has_sure_lab(record, tables, profile) else None
        if lab and parts.folder != lab.folder and column not in tables.get_error_columns(record):
            message = f"is under {parts.folder!r}, but the row belongs to {lab.name} ({lab.folder!r})"
            wrong_lab = make_cell_finding("path.lab", record, column, message, expected=lab.folder)
            yield wrong_lab, [get_row_id(record)]


def _has_sure_lab(record: Record, tables: Tables, profile: Profile) -> bool:
    """Whether a row's key tells its lab: of a key that stands there twice, only where the row's parents agree."""
    if tables.has_key(record):
        return True
    if parse_key_prefix(record.key) != profile.tables[record.table].prefix:  # it is the key of some other row
        return False
    parents = record.parents.values()
    return bool(parents) and all(parent.lab == record.lab for parent in parents)


def check_session_path_dates(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
    """The date level of a path is the session's date; where all rows agree on another, the session's is wrong."""
    namesakes: dict[str, list[Record]] = {}
    for other in tables.keyless.get("session", ()):
        namesakes.setdefault(other.key, []).append(other)
    for session in tables.get_rows("session").values():
        on = session.values["session_date"]
        others = namesakes.get(session.key, [])
        if on is None or any(other.values["session_date"] is None for other in others):
            continue
        next_day = f"{parse_day(on) + timedelta(days=1):%Y%m%d}" if is_overnight(session) else ""
        rows: dict[int, tuple[Record, list[tuple[str, ObjectKey]]]] = {}
        for row in tables.list_referencing(session):
            rows[id(row)] = row, list(parse_path_cells(row, profile))
        if others:  # of two sessions with one key nobody knows which one a row points to
            days = {str(other.values["session_date"]) for other in others}
            elsewhere = {i for i, (_, paths) in rows.items() if not days.isdisjoint(parts.date for _, parts in paths)}
            rows = {i: entry for i, entry in rows.items() if i not in elsewhere}
        dates = {parts.date for _, paths in rows.values() for _, parts in paths}
        with_paths = [row for row, paths in rows.values() if paths]
        if len(with_paths) > 1 and len(dates) == 1 and not others and dates.isdisjoint({str(on), next_day}):
            written = dates.pop()
            message = f"{on}, but the paths of all {len(with_paths)} rows of the session have the date {written}"
            wrong_date = make_cell_finding("session.date", session, "session_date", message, expected=written)
            yield wrong_date, [get_row_id(session)]
            continue
        for row, paths in rows.values():
            yield from _check_row_path_dates(row, paths, session, next_day)


def _check_row_path_dates(
    row: Record, paths: list[tuple[str, ObjectKey]], session: Record, next_day: str
) -> Iterator[CheckResult]:
    """Each path with a wrong date; one finding where all paths of the row have the same one."""
    on = str(session.values["session_date"])
    wrong = [(column, parts.date) for column, parts in paths if parts.date != on]
    if len(wrong) == len(paths) and len({written for _, written in wrong}) == 1:
        wrong = wrong[:1]
    for column, written in wrong:
        if written == next_day:
            message = f"has the date {written}, on which {session.key} ended"
            yield make_cell_finding("path.next_day", row, column, message), []
        else:
            message = f"has the date {written}; {session.key} was on {on}"
            yield make_cell_finding("path.date", row, column, message, expected=on), [get_row_id(row)]


def check_acquisition_path_dates(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
    """The date level of a volume's paths lies within its acquisition."""
    for record, column, parts in _iterate_path_cells(tables, profile):
        first, last = record.values.get("start_date"), record.values.get("end_date")
        if first is None or (last is not None and str(last) < str(first)):
            continue
        if not tables.has_sound_cells(record, ("start_date", "end_date")):
            continue
        if not str(first) <= parts.date <= str(last or "99999999"):
            until = f"to {last}" if last else "on"
            message = f"has the date {parts.date}; the acquisition was from {first} {until}"
            yield make_cell_finding("path.acquisition", record, column, message), []


def check_duplicate_paths(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
    """A raw object belongs to one row; other files should."""
    first: dict[str, tuple[Record, str]] = {}
    for record, column, parts in _iterate_path_cells(tables, profile):
        key = normalise_key(record.cells[column].text, profile).rstrip("/")
        other, other_column = first.setdefault(key, (record, column))
        if other is record or _take_other_images(record, other, profile):
            continue
        message = f"{key} is also the {other_column} of {other.key} (line {other.line})"
        if parts.version == "raw":
            rows = [get_row_id(other), get_row_id(record)]  # nobody knows which of the two is right
            yield make_cell_finding("path.twice", record, column, message), rows
        else:
            yield make_cell_finding("path.shared", record, column, message), []


def _take_other_images(one: Record, other: Record, profile: Profile) -> bool:
    """Whether the settings say of both rows which images of the file are meant, and never the same."""
    images, others = (set(find_images(profile.images, record.key)) for record in (one, other))
    return bool(images) and bool(others) and images.isdisjoint(others)


def check_linked_labs(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
    """Sessions and what was recorded in them belong to one lab; an analysis may look at another's data."""
    for table, column in (("session", "mouse"), ("image", "session"), ("ephys", "session"), ("behavior", "session")):
        for record in tables.iterate_rows(table):
            parent = record.related(column)
            if parent is not None and parent.lab != record.lab and tables.has_key(record):
                yield make_cell_finding("link.other_lab", record, f"{column}_id", f"{parent.key} is of another lab"), []
    for record in tables.iterate_rows("analysis"):
        source = record.related("source")
        if source is None or not tables.has_key(record):
            continue
        if source.lab != record.lab and tables.has_sound_cells(record, ("source_id",)):
            yield make_cell_finding("analysis.other_lab", record, "source_id", f"{source.key} is of another lab"), []


def check_key_numbers(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
    """The four digits of a lab's keys will not run out soon."""
    for table, spec in profile.tables.items():
        last: dict[str, Record] = {}
        for record in tables.get_rows(table).values():
            known = last.setdefault(record.lab, record)
            if record.key > known.key:
                last[record.lab] = record
        for record in last.values():
            number = int(record.key[-4:])
            if number >= get_limit(profile, "key_number_warn"):
                message = f"{record.key}: {9999 - number} numbers are left for {table} rows of lab {record.lab}"
                yield make_cell_finding("key.exhausted", record, spec.key, message), []
