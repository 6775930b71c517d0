"""Recordings that lie outside of their session: by their own clock or the declared one, and by how long they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from neuropress.converters import EARLIEST, LATEST

from ..checks.sessions import find_lab, get_session_interval
from ..mapping.transforms import localize_time
from ..model.clock import parse_number
from ..model.content import Content, DataTable, Image, Recording, Series, count_frames
from ..model.finding import Finding, finding
from ..model.profile import Profile
from ..model.record import Record
from ..readers.format import CLOCK, CLOCK_EDGES, CLOCK_OFFSET, CLOCK_THRESHOLD

TOLERANCE = timedelta(minutes=1)
"""Tables state times to the minute."""
MOST = timedelta(days=3650)
CLOCK_OPTIONS = (CLOCK_OFFSET.name, CLOCK.name, CLOCK_THRESHOLD.name, CLOCK_EDGES.name)
TIMES = ("time", "start", "stop", "frame")
"""Arrays of a table or series that hold times, as readers call them."""


def check_clocks(
    record: Record, column: str, key: str, contents: Sequence[Content], profile: Profile
) -> Iterator[Finding]:
    """Contents of a raw file that are not within their session, by their own clock or by a declared one.

    That a recording or movie begins before its session is told by the converter, which writes the negative times. Of
    a file that nobody can place, only whether it is longer than its session.
    """
    session = record.related("session")
    start = _find_session_start(session, profile) if session else None
    if session is None or start is None:
        return
    bounds = get_session_interval(session, profile)
    place = {**record.place(column), "file": key}
    for content in contents:
        zero, clock = _find_zero(session, content, start, profile)
        first, last = _measure_span(content, record)
        length = bounds[1] - bounds[0] if bounds else LATEST
        if zero is None:
            if content.trigger:
                message = f"{key}: its clock is {content.trigger.text}, and nobody knows when that file began"
                yield finding("clock.reference", message, **place)
            if last - first > length + TOLERANCE:
                over = _seconds(last - first - length)
                message = f"{key} lasts for {_seconds(last - first)} s, {over} s longer than {session.key}"
                yield finding("recording.beyond_session", message, **place)
            continue
        began, end = zero + first, bounds[1] if bounds else start + LATEST
        at = f"{key} began at {began.astimezone(_find_zone(session, profile)):%Y-%m-%d %H:%M:%S} by its {clock} clock"
        ended = f"{session.key} {'ended' if bounds else 'had lasted for a day'}"
        if began < start and isinstance(content, (Series, DataTable)):
            message = f"{at}, {_seconds(start - began)} s before {session.key}"
            yield finding("recording.before_session", message, **place)
        elif began >= end + TOLERANCE:
            yield finding("recording.after_session", f"{at}, {_seconds(began - end)} s after {ended}", **place)
        elif zero + last > end + TOLERANCE:
            lasts = f"lasts for {_seconds(last - first)} s, until {_seconds(zero + last - end)} s after {ended}"
            yield finding("recording.beyond_session", f"{at} and {lasts}", **place)


def check_clock_options(key: str, options: Mapping[str, Any], why: str, place: Mapping[str, Any]) -> Iterator[Finding]:
    """What a person stated of a file's clock that has no effect.

    Parameters
    ----------
    why
        Why the file has no time that a clock could shift; empty where it has.
    place
        Of the cell that names it.
    """
    unused = [name for name in CLOCK_OPTIONS if name in options]
    if not why:
        why = f"no {CLOCK.name}, which alone has edges, is stated"
        unused = [name for name in (CLOCK_THRESHOLD.name, CLOCK_EDGES.name) if name in options]
        unused = [] if CLOCK.name in options else unused
    if unused:
        stated = " and ".join(f"{name} = {str(options[name])[:80]!r}" for name in unused)
        yield finding("clock.unused", f"{key}: {stated} has no effect: {why}", **{**place, "file": key})


def _find_session_start(session: Record, profile: Profile) -> datetime | None:
    on, start, lab = session.values["session_date"], session.values.get("start_time"), find_lab(session, profile)
    return localize_time(str(on), str(start), lab.timezone).astimezone(UTC) if on and start and lab else None


def _find_zone(session: Record, profile: Profile) -> ZoneInfo:
    lab = find_lab(session, profile)
    return ZoneInfo(lab.timezone if lab else "UTC")


def _find_zero(session: Record, content: Content, start: datetime, profile: Profile) -> tuple[datetime | None, str]:
    """When a content's time 0 was, in UTC, and by which clock; a clock that is a day off is not believed."""
    declared = content.declared_offset
    if declared is not None:
        return start + _limit(declared), "declared"
    if content.trigger:
        zero, _ = _find_zero(session, content.trigger.content, start, profile)
        return (zero + _limit(content.trigger.first) if zero else None), "declared"
    if content.clock is None:
        return None, ""
    clock = content.clock if content.clock.tzinfo else content.clock.replace(tzinfo=_find_zone(session, profile))
    aware = clock.astimezone(UTC)
    return (aware, "own") if EARLIEST <= aware - start <= LATEST else (None, "")


def _measure_span(content: Content, record: Record) -> tuple[timedelta, timedelta]:
    """From a content's time 0 to its first and last sample; 0 where that is not known without reading samples."""
    first = last = Fraction(0)
    if isinstance(content, Recording) and content.rate > 0:
        ends = (Fraction(one.start) + one.length / Fraction(content.rate) for one in content.sweeps)
        last = max(ends, default=last)
    elif isinstance(content, Image):
        rate, frames = record.values.get("frame_rate"), count_frames(content) if "pixels" in content.arrays else 0
        if isinstance(rate, Decimal) and rate > 0:
            last = frames / Fraction(rate)
    elif isinstance(content, Series) and content.rate:
        first = parse_number(str(content.header.get("start", "0")))
        last = first + content.arrays[content.array].shape[0] / Fraction(content.rate)
    elif isinstance(content, (Series, DataTable)):
        times = list(_read_ends(content))
        first, last = min(times, default=first), max(times, default=last)
    return _limit(first), _limit(last)


def _read_ends(content: Content) -> Iterator[Fraction]:
    """First and last element of each array of times, in seconds."""
    if "clock" not in content.header:
        return
    scale = parse_number(str(content.header["clock"]))
    for name in TIMES:
        array = content.arrays.get(name)
        if array is None or len(array.shape) != 1 or not array.shape[0] or array.dtype.kind not in "iuf":
            continue
        for place in (0, array.shape[0] - 1):
            value = array.read((slice(place, place + 1),))[0].item()
            if abs(value) < 2**62:  # neither NaN nor infinity is
                yield Fraction(value) * scale


def _limit(seconds: Fraction) -> timedelta:
    """To the microsecond, and no more than a few years: what is declared may be anything."""
    if abs(seconds) > MOST.total_seconds():
        return MOST if seconds > 0 else -MOST
    return timedelta(microseconds=int(seconds * 10**6))


def _seconds(span: timedelta) -> str:
    return str(int(span.total_seconds()))
