"""Path cells against their row, their session and each other; keys against labs and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from ..model.finding import Finding
from ..model.profile import Profile
from ..model.record import Record
from ..tables import Tables
from ..tables.keys import ObjectKey, normalise_key, object_key
from .rule import Found, limit, row_id, tell
from .sessions import crosses_midnight, day


def located(record: Record, profile: Profile) -> Iterator[tuple[str, ObjectKey]]:
    """The path cells of a row that can be read: column and levels."""
    for column in profile.tables[record.table].paths:
        text = record.values[column]
        parts = object_key(str(text), profile) if text is not None else None
        if parts:
            yield column, parts


def own_lab(tables: Tables, profile: Profile) -> Iterator[Found]:
    """The first level of a path is the folder of the row's own lab."""
    for table, spec in profile.tables.items():
        for record in tables.table(table).values() if spec.paths else ():
            lab = profile.lab_of(record.key)
            for column, parts in located(record, profile):
                if lab and parts.folder != lab.folder:
                    message = f"is under {parts.folder!r}, but the row belongs to {lab.name} ({lab.folder!r})"
                    yield tell("path.lab", record, column, message, expected=lab.folder), [row_id(record)]


def session_dates(tables: Tables, profile: Profile) -> Iterator[Found]:
    """The date level of a path is the session's date; where all of several agree on another, the session is wrong."""
    recorded = [t for t, spec in profile.tables.items() if "session_id" in spec.foreign and spec.paths]
    for session in tables.table("session").values():
        on = session.values["session_date"]
        rows = [row for row in tables.pointing.get(row_id(session), ()) if row.table in recorded]
        cells = [(row, column, parts.date) for row in rows for column, parts in located(row, profile)]
        wrong = [(row, column, written) for row, column, written in cells if on is not None and written != on]
        written_dates = {written for _, _, written in wrong}
        next_day = f"{day(on) + timedelta(days=1):%Y%m%d}" if on is not None and crosses_midnight(session) else ""
        if len(cells) == len(wrong) > 1 and len(written_dates) == 1 and next_day not in written_dates:
            written = written_dates.pop()
            message = f"{on}, but all {len(cells)} paths of the session have the date {written}"
            yield tell("session.date", session, "session_date", message, expected=written), [row_id(session)]
            continue
        for row, column, written in wrong:
            if written == next_day:
                message = f"has the date {written}, on which {session.key} ended"
                yield tell("path.next_day", row, column, message), []
            else:
                message = f"has the date {written}; {session.key} was on {on}"
                yield tell("path.date", row, column, message, expected=str(on)), [row_id(row)]


def acquisition_dates(record: Record, profile: Profile) -> Finding | None:
    """The date level of a volume's paths lies within its acquisition."""
    first, last = record.values["start_date"], record.values["end_date"]
    if first is None or (last is not None and str(last) < str(first)):
        return None
    for column, parts in located(record, profile):
        if not str(first) <= parts.date <= str(last or "99999999"):
            until = f"to {last}" if last else "on"
            message = f"has the date {parts.date}; the acquisition was from {first} {until}"
            return tell("path.acquisition", record, column, message)
    return None


def claimed_twice(tables: Tables, profile: Profile) -> Iterator[Found]:
    """A raw object belongs to one row; other files should."""
    first: dict[str, tuple[Record, str]] = {}
    for table, spec in profile.tables.items():
        for record in tables.table(table).values() if spec.paths else ():
            for column, parts in located(record, profile):
                key = normalise_key(record.cells[column].text, profile).rstrip("/")
                other, where = first.setdefault(key, (record, column))
                if other is record:
                    continue
                message = f"{key} is also the {where} of {other.key} (line {other.line})"
                raw = parts.version == "raw"
                yield (
                    tell("path.twice" if raw else "path.shared", record, column, message),
                    ([row_id(other), row_id(record)] if raw else []),
                )


def other_lab(tables: Tables, profile: Profile) -> Iterator[Found]:
    """Sessions and what was recorded in them belong to one lab; an analysis may look at another's data."""
    for table, column in (("session", "mouse"), ("image", "session"), ("ephys", "session"), ("behavior", "session")):
        for record in tables.table(table).values():
            parent = record.related(column)
            if parent is not None and parent.lab != record.lab:
                yield tell("link.other_lab", record, f"{column}_id", f"{parent.key} is of another lab"), []
    for record in tables.table("analysis").values():
        source = record.related("source")
        if source is not None and source.lab != record.lab:
            yield tell("analysis.other_lab", record, "source_id", f"{source.key} is of another lab"), []


def numbers_left(tables: Tables, profile: Profile) -> Iterator[Found]:
    """The four digits of a lab's keys will not run out soon."""
    for table, spec in profile.tables.items():
        last: dict[str, Record] = {}
        for record in tables.table(table).values():
            known = last.setdefault(record.lab, record)
            if record.key > known.key:
                last[record.lab] = record
        for record in last.values():
            number = int(record.key[-4:])
            if number >= limit(profile, "key_number_warn"):
                message = f"{record.key}: {9999 - number} numbers are left for {table} rows of lab {record.lab}"
                yield tell("key.exhausted", record, spec.key, message), []
