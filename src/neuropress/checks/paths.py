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
    """The date level of a path is the session's date; where all rows agree on another, the session's is wrong."""
    for session in tables.table("session").values():
        on = session.values["session_date"]
        cause = tables.causes.get(row_id(session))
        if on is None or (cause and cause.id == "key.duplicate"):
            continue  # of two sessions with one key nobody knows which one a row points to
        also = f"{day(on) + timedelta(days=1):%Y%m%d}" if crosses_midnight(session) else ""
        rows = {row.key: (row, list(located(row, profile))) for row in tables.pointing.get(row_id(session), ())}
        dates = {parts.date for _, paths in rows.values() for _, parts in paths}
        with_paths = [row for row, paths in rows.values() if paths]
        if len(with_paths) > 1 and len(dates) == 1 and dates.isdisjoint({str(on), also}):
            written = dates.pop()
            message = f"{on}, but the paths of all {len(with_paths)} rows of the session have the date {written}"
            yield tell("session.date", session, "session_date", message, expected=written), [row_id(session)]
            continue
        for row, paths in rows.values():
            yield from _row_dates(row, paths, session, also)


def _row_dates(row: Record, paths: list[tuple[str, ObjectKey]], session: Record, also: str) -> Iterator[Found]:
    """Each path with a wrong date; one finding where all paths of the row have the same one."""
    on = str(session.values["session_date"])
    wrong = [(column, parts.date) for column, parts in paths if parts.date != on]
    if len(wrong) == len(paths) and len({written for _, written in wrong}) == 1:
        wrong = wrong[:1]
    for column, written in wrong:
        if written == also:
            message = f"has the date {written}, on which {session.key} ended"
            yield tell("path.next_day", row, column, message), []
        else:
            message = f"has the date {written}; {session.key} was on {on}"
            yield tell("path.date", row, column, message, expected=on), [row_id(row)]


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
        if source is not None and source.lab != record.lab and tables.sound(record, ("source_id",)):
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
