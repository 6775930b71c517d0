"""Sessions in time: dates, clocks, daylight saving, overlaps; and rows between dates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial

from ..mapping.transforms import (
    compute_session_interval,
    is_ambiguous_local_time,
    is_existing_local_time,
    localize_time,
)
from ..model.finding import Finding, Severity
from ..model.people import find_person, normalize_name
from ..model.profile import Lab, Profile
from ..model.reagents import fold
from ..model.record import Record
from ..tables import Tables
from ..tables.keys import guess_key
from .rule import CheckResult, TableCheck, get_limit, get_row_id, make_cell_finding

RECORDED = ("image", "ephys", "behavior")
_TIMES = ("session_date", "start_time", "end_time")


def parse_day(text: object) -> date:
    """The date of a YYYYMMDD text."""
    return date.fromisoformat(str(text))


def find_lab(session: Record, profile: Profile) -> Lab | None:
    """The lab of a session, also where its key is damaged: its clock is the one that the times were read from."""
    return profile.lab_of(session.key) or profile.lab_of(guess_key(session.key))


def get_session_interval(session: Record, profile: Profile) -> tuple[datetime, datetime] | None:
    """Start and end in UTC; None where one of them is not known."""
    on, start, end = (session.values[c] for c in _TIMES)
    lab = find_lab(session, profile)
    if on is None or start is None or end is None or start == end or lab is None:
        return None
    return _compute_utc_interval(str(on), str(start), str(end), lab.timezone)


@lru_cache(maxsize=1 << 16)
def _compute_utc_interval(on: str, start: str, end: str, zone: str) -> tuple[datetime, datetime]:
    first, last = compute_session_interval(on, start, end, zone)
    return first.astimezone(UTC), last.astimezone(UTC)


def is_overnight(session: Record) -> bool:
    """Whether the session ends on the day after it began."""
    start, end = session.values["start_time"], session.values["end_time"]
    return start is not None and end is not None and str(end) < str(start)


def check_session_times(session: Record, profile: Profile) -> Finding | None:
    """The local times exist, once each, and bound a plausible duration."""
    on, start, end = (session.values[c] for c in _TIMES)
    lab = find_lab(session, profile)
    if on is None or start is None:
        return None
    if start == end:
        message = f"{end} is the start time: the session lasts 0 or 24 hours"
        return make_cell_finding("session.no_length", session, "end_time", message)
    if lab is None:
        return None
    moments = {"start_time": localize_time(str(on), str(start), lab.timezone)}
    if end is not None:
        moments["end_time"] = compute_session_interval(str(on), str(start), str(end), lab.timezone)[1]
    for column, moment in moments.items():
        if not is_existing_local_time(moment):
            message = f"{_format_local_time(moment, lab)} does not exist: the clocks were put forward over it"
            return make_cell_finding("session.skipped_hour", session, column, message)
        if is_ambiguous_local_time(moment):
            local = _format_local_time(moment, lab)
            message = f"{local} came twice that night, when the clocks were put back; the first is taken"
            return make_cell_finding("session.repeated_hour", session, column, message)
    return None


def _format_local_time(moment: datetime, lab: Lab) -> str:
    return f"{moment:%Y-%m-%d %H:%M} {lab.timezone}"


def check_session_duration(session: Record, profile: Profile) -> Finding | None:
    """A session does not last for longer than people work."""
    bounds = get_session_interval(session, profile)
    most = get_limit(profile, "session_hours_max")
    if bounds is None or bounds[1] - bounds[0] <= timedelta(hours=float(most)):
        return None
    hours = (bounds[1] - bounds[0]) / timedelta(hours=1)
    start, end = session.values["start_time"], session.values["end_time"]
    message = f"from {start} to {end} are {hours:g} hours, at most {most} can be"
    return make_cell_finding("session.too_long", session, "end_time", message, expected=f"at most {most} hours")


def check_mouse_age(session: Record, profile: Profile) -> Finding | None:
    """The mouse can have lived until the session."""
    mouse = session.related("mouse")
    on, born = session.values["session_date"], mouse.values["birth_date"] if mouse else None
    if on is None or born is None:
        return None
    days, most = (parse_day(on) - parse_day(born)).days, get_limit(profile, "mouse_age_days_max")
    if days <= most:
        return None
    return make_cell_finding(
        "session.age", session, "session_date", f"the mouse would be {days} days old, more than {most}"
    )


def check_date_order(dataset: Record, profile: Profile) -> Finding | None:
    """The last day is not before the first."""
    first, last = dataset.values["start_date"], dataset.values["end_date"]
    if first is None or last is None or str(first) <= str(last):
        return None
    return make_cell_finding(
        "dates.order", dataset, "end_date", f"{last} is before start_date {first}", expected=f">= {first}"
    )


def make_birth_check(today: date | None) -> TableCheck:
    """No mouse is born after `today`, where that is known, or after something was recorded from it."""
    return partial(_check_births, today=today)


def _check_births(tables: Tables, profile: Profile, today: date | None) -> Iterator[CheckResult]:
    """Nothing is recorded from a mouse before it is born; where all is, the birth date is wrong."""
    date_columns = {"session": "session_date"}
    for table, spec in profile.tables.items():
        for column in ("start_date", "injection_date"):
            if column in spec.columns:
                date_columns[table] = column
    recorded: dict[str, list[tuple[Record, str]]] = {}
    for table, column in date_columns.items():
        for row in tables.iterate_rows(table):
            mouse = row.parents.get("mouse")
            if mouse and row.values[column] is not None:
                recorded.setdefault(mouse.key, []).append((row, column))
    for mouse in tables.iterate_rows("mouse"):
        born, dated = mouse.values["birth_date"], recorded.get(mouse.key, [])
        if born is None or not tables.has_key(mouse):
            continue
        if today and parse_day(born) > today:
            message = f"{born} is after today, {today:%Y%m%d}"
            yield make_cell_finding("dates.future", mouse, "birth_date", message), [get_row_id(mouse)]
            continue
        early = [(row, c) for row, c in dated if str(row.values[c]) < str(born)]
        if len(early) > 1 and len(early) == len(dated):
            message = f"{born} is after everything that was recorded from this mouse ({len(early)} rows)"
            yield make_cell_finding("dates.before_birth", mouse, "birth_date", message), [get_row_id(mouse)]
            continue
        for row, column in early:
            message = f"{row.values[column]} is before the birth of {mouse.key} on {born}"
            yield (
                make_cell_finding("dates.before_birth", row, column, message, expected=f">= {born}"),
                [get_row_id(row)],
            )


def check_empty_sessions(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
    """Something was recorded in every session.

    Not judged while a row that may belong to a session cannot be assigned.
    """
    for table in RECORDED:
        if tables.unkeyed.get(table) or table in tables.broken:
            return
        if any("session" not in row.parents for row in tables.iterate_rows(table)):
            return
    for session in tables.get_rows("session").values():
        if not tables.referencing.get(get_row_id(session)):
            yield (
                make_cell_finding(
                    "session.empty", session, "session_id", "no image, ephys or behavior row points to it"
                ),
                [],
            )


def check_listed_people(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
    """Every experimenter is on the list of people; each unknown name once a lab, at its first session."""
    unknown: dict[tuple[str, str], list[Record]] = {}
    for session in tables.get_rows("session").values():
        typed = session.values["experimenter"]
        if typed is not None and find_person(profile.people, str(typed)) is None:
            unknown.setdefault((session.lab, normalize_name(str(typed))), []).append(session)
    for (_, name), sessions in unknown.items():
        count = f" ({len(sessions)} sessions)" if len(sessions) > 1 else ""
        message = f"{name}{count} is not on the list of people, so the name is written as typed, without an ORCID"
        yield make_cell_finding("people.unlisted", sessions[0], "experimenter", message), []


def check_session_overlaps(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
    """No mouse is in two sessions at a time, and (only recorded) no experimenter."""
    reported: set[tuple[str, str]] = set()
    timed = []
    for session in tables.iterate_rows("session"):
        bounds = get_session_interval(session, profile)
        if bounds:
            timed.append((session, bounds))
    for column, severity in (("mouse_id", Severity.WARNING), ("experimenter", Severity.INFO)):
        groups: dict[str, list[tuple[datetime, datetime, Record]]] = {}
        for session, bounds in timed:
            who = session.values[column]
            if who is not None:
                groups.setdefault(fold(str(who)), []).append((*bounds, session))
        for group in groups.values():
            for earlier, later in _find_overlapping_sessions(group):
                pair = (earlier.key, later.key)
                if pair not in reported:
                    reported.add(pair)
                    message = f"{later.values[column]} is also in {earlier.key} at that time"
                    yield make_cell_finding("session.overlap", later, column, message, severity=severity), []


def _find_overlapping_sessions(group: list[tuple[datetime, datetime, Record]]) -> Iterator[tuple[Record, Record]]:
    """Sessions that begin before the longest one so far has ended."""
    longest: tuple[datetime, Record] | None = None
    for start, end, session in sorted(group, key=lambda entry: (entry[0], entry[2].line)):
        if longest and start < longest[0]:
            yield longest[1], session
        if longest is None or end > longest[0]:
            longest = (end, session)


def make_future_session_check(today: date) -> TableCheck:
    """No session is after `today`. The caller gives the day: results do not hang on a clock."""

    def check_future_sessions(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
        for session in tables.iterate_rows("session"):
            on = session.values["session_date"]
            if on is not None and parse_day(on) > today:
                message = f"{on} is after today, {today:%Y%m%d}"
                yield make_cell_finding("session.future", session, "session_date", message), [get_row_id(session)]

    return check_future_sessions
