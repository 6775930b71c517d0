"""When a session began: by its row, or by the earliest header of its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from neuropress.converters import Job

from ..mapping.transforms import localize_time
from ..model.content import Content
from ..model.plan import Field
from ..model.profile import Profile
from ..model.record import CellRef, Record


def find_start(record: Record, profile: Profile) -> datetime | None:
    """The start of a row's session in the lab's zone, where its cells state one."""
    session = record.related("session")
    lab = profile.lab_of(session.key) if session else None
    if session is None or lab is None:
        return None
    on, start = session.values["session_date"], session.values["start_time"]
    return localize_time(str(on), str(start), lab.timezone) if on and start else None


def start_from_header(
    record: Record, opened: Iterable[tuple[str, Sequence[Content]]], profile: Profile
) -> Field | None:
    """The earliest header clock on the session's date, in the lab's zone."""
    lab = profile.lab_of(record.key)
    if lab is None:
        return None
    zone = ZoneInfo(lab.timezone)
    clocks = []
    for key, contents in opened:
        for content in contents:
            clock = content.clock
            if clock and clock.tzinfo:  # a header that states its zone is believed; the others tell local time
                clock = clock.astimezone(zone).replace(tzinfo=None)
            if clock and (offset := content.declared_offset):  # the file began later than the session
                clock -= timedelta(seconds=float(offset))
            if clock and clock.strftime("%Y%m%d") == record.values["session_date"]:
                clocks.append((clock, key))
    if not clocks:
        return None
    clock, earliest = min(clocks)
    value = localize_time(clock.strftime("%Y%m%d"), clock.time().isoformat(), lab.timezone).isoformat()
    sources = (CellRef("file", earliest, "started", clock.isoformat(), "header"), record.ref("session_date"))
    return Field(value, "session:start_from_header", "zoned", sources)


def localize_start(job: Job) -> datetime:
    """The session's start as an aware datetime in the lab's zone."""
    lab = job.profile.lab_of(job.record.key)
    start = datetime.fromisoformat(job.fields["file"]["session_start_time"].value)
    return start.astimezone(ZoneInfo(lab.timezone)) if lab else start
