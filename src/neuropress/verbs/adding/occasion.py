"""When files were acquired, in which session and from which subject: as stated, as in the tables, or drafted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from ...config import Config
from ...model.content import Content, Image, Recording
from ...model.finding import problem
from ...model.profile import TableSpec
from ...model.record import Record
from ...tables import Tables
from .rows import Drafts, list_converters

SERIES = {"ephys": "ClampSeries", "image": "PhotonSeries", "behavior": "SpatialSeries"}
"""Table -> how the types of its series end, in NWB files that a lab already has."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a person says about the files, and what was found out of it.

    Attributes
    ----------
    lab
        Initials.
    session, subject
        Keys of rows; one that is in no table is drafted.
    table
        Of the files' rows, where their content does not tell.
    date
        YYYYMMDD, where the header does not tell it.
    experimenter
        Of a session that is drafted.
    options
        Of the files' reader; they are noted in ``neuropress.toml``.
    days
        Days (YYYYMMDD) that headers of the same call's files tell, by file. All belong to one occasion, so a single
        day holds for a file that does not tell its own.
    date_from
        The file whose header told `date`, where it is another one.
    """

    lab: str
    session: str | None = None
    table: str | None = None
    subject: str | None = None
    date: str | None = None
    experimenter: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    days: Mapping[str, str] = field(default_factory=dict)
    date_from: str = ""


def choose_table(contents: tuple[Content, ...], occasion: Occasion, config: Config) -> str:
    """The table that a person named, else the one of the content's kind. Raises `Problem` (``add.occasion``)."""
    kinds = {Recording: "ephys", Image: "image"}
    table = occasion.table or next((kinds[kind] for kind in kinds if isinstance(contents[0], kind)), "")
    table = table or _find_table_of_series(contents[0])
    if not table:
        known = ", ".join(name for name in config.profile.tables if list_converters(name))
        message = f"a file of the format {contents[0].format} may belong to several tables"
        raise problem("add.occasion", message, hint=f"Name the table of its row: --table (one of {known}).")
    if table not in config.profile.tables or not list_converters(table):
        raise problem("add.occasion", f"no file can be added to table {table!r}", value=table)
    spec = config.profile.tables[table]
    if occasion.lab not in spec.labs:
        message = f"lab {occasion.lab} keeps no table {table} (labs that do: {', '.join(spec.labs)})"
        raise problem("add.occasion", message, value=occasion.lab)
    return table


def _find_table_of_series(content: Content) -> str:
    """The table of an NWB file, by the types of what it holds; empty where they are of several tables or of none."""
    series = content.header.get("series", ())
    types = {str(one.get("type", "")) for one in series if isinstance(one, dict)} if isinstance(series, list) else set()
    tables = {table for table, end in SERIES.items() if any(name.endswith(end) for name in types)}
    return tables.pop() if len(tables) == 1 else ""


def find_occasion(
    contents: tuple[Content, ...], spec: TableSpec, stated: Occasion, tables: Tables, drafts: Drafts
) -> Occasion:
    """The occasion with its day, session and subject; rows that are missing are drafted.

    Raises
    ------
    Problem
        ``add.occasion``: what was stated does not fit the tables, or is not enough.
    """
    if stated.date and not re.fullmatch(r"\d{8}", stated.date):
        raise problem("add.occasion", f"--date {stated.date} is no YYYYMMDD", value=stated.date)
    dated = _find_day(contents, stated, drafts.config)
    if "session_id" not in spec.columns:
        subject = _find_subject(stated, spec, tables, drafts)
        if not subject or not dated.date:
            message = f"a row of {spec.name} has no session" + _list_other_days(dated)
            raise problem("add.occasion", message, hint="Say --subject ID and --date YYYYMMDD.")
        return replace(dated, subject=subject)
    session = tables.get_rows("session").get(stated.session or "")
    if session is not None:
        dated = stated  # its day is the session's own
    elif not stated.session:
        session = _choose_session(dated, tables)
    if session is None:
        return _draft_session(dated, tables, drafts)
    if session.lab != stated.lab:
        message = f"session {session.key} belongs to lab {session.lab}, not to {stated.lab}"
        raise problem("add.occasion", message, value=stated.lab)
    if session.values["session_date"] is None:
        raise problem("add.occasion", f"session {session.key} has no session_date", value=session.key)
    return replace(dated, session=session.key, date=str(session.values["session_date"]))


def _find_day(contents: tuple[Content, ...], stated: Occasion, config: Config) -> Occasion:
    """The occasion with its day: as stated, else the header's, else the only one that the call's other files tell."""
    if date := stated.date or find_header_day(contents, stated.lab, config):
        return replace(stated, date=date)
    days = sorted(set(stated.days.values()))
    if len(days) != 1:
        return stated
    return replace(stated, date=days[0], date_from=next(iter(stated.days)))


def _list_other_days(occasion: Occasion) -> str:
    """The days among which nobody chose, with their files; empty where there is no such choice."""
    if occasion.date or not occasion.days:
        return ""
    first: dict[str, str] = {}
    for file, day in occasion.days.items():
        first.setdefault(day, file)
    listed = ", ".join(f"{day} ({first[day]})" for day in sorted(first))
    return f"; the files beside it tell different days: {listed}"


def find_header_day(contents: tuple[Content, ...], lab: str, config: Config) -> str:
    """The first day that the headers tell, in the lab's zone; empty where they tell none."""
    zone = ZoneInfo(config.profile.labs[lab].timezone)
    days = []
    for content in contents:
        clock = content.acquired if isinstance(content, Image) else content.started
        if clock:
            days.append((clock.astimezone(zone) if clock.tzinfo else clock).strftime("%Y%m%d"))
    return min(days, default="")


def _choose_session(dated: Occasion, tables: Tables) -> Record | None:
    """The lab's only session of the day, and of the subject if one is stated. Raises `Problem` where it has more."""
    day = dated.date
    found = [
        session
        for session in tables.get_rows("session").values()
        if session.lab == dated.lab and session.values["session_date"] == (day or "")
        if not dated.subject or dated.subject in {row.key for row in session.parents.values()}
    ]
    if len(found) > 1:
        keys = ", ".join(session.key for session in found)
        message = f"lab {dated.lab} has several sessions on {day}: {keys}"
        raise problem("add.occasion", message, hint="Say which: --session ID.", value=day)
    return found[0] if found else None


def _draft_session(stated: Occasion, tables: Tables, drafts: Drafts) -> Occasion:
    spec = drafts.config.profile.tables["session"]
    if stated.session and not re.fullmatch(rf"{stated.lab}_{spec.prefix}_(?!0000)\d{{4}}", stated.session):
        message = f"there is no session {stated.session}, and {stated.lab} could have none of that name"
        raise problem("add.occasion", message, hint=f"As {stated.lab}_{spec.prefix}_0001.", value=stated.session)
    if not stated.date:
        who = f"no session {stated.session}" if stated.session else "no session stated"
        hint = "Say --session ID of one that is in the tables, or --date YYYYMMDD to have one drafted."
        if stated.days:
            hint = "Add it by itself, with --session ID of one that is in the tables, or with --date YYYYMMDD."
        message = f"there is {who}, and the file does not tell its day" + _list_other_days(stated)
        raise problem("add.occasion", message, hint=hint)
    subject = _find_subject(stated, spec, tables, drafts)
    cells = {"session_date": stated.date, "experimenter": stated.experimenter or ""}
    draft = drafts.draft("session", stated.lab, cells | drafts.link("session", subject), key=stated.session)
    return replace(stated, session=draft.key, subject=subject)


def _find_subject(stated: Occasion, spec: TableSpec, tables: Tables, drafts: Drafts) -> str:
    """The stated subject; of a lab that has none yet, a drafted one. Empty: a person must say which of several."""
    homes = [name for column in _list_subject_columns(spec, stated.lab, drafts) for name in spec.foreign[column]]
    prefixes = {drafts.config.profile.tables[name].prefix: name for name in homes}
    if not stated.subject:
        own = [key for name in homes for key in drafts.list_keys(name) if key.startswith(f"{stated.lab}_")]
        return "" if own or not homes else _draft_subject(homes[0], stated, drafts, None)
    if any(stated.subject in tables.get_rows(name) for name in homes):
        return stated.subject
    match = re.fullmatch(rf"{stated.lab}_([A-Z]+)_(?!0000)\d{{4}}", stated.subject)
    if not match or match[1] not in prefixes:
        wanted = " or ".join(f"{stated.lab}_{prefix}_0001" for prefix in prefixes)
        message = f"there is no subject {stated.subject}"
        raise problem("add.occasion", message, hint=f"A new one of lab {stated.lab} is called as {wanted}.")
    return _draft_subject(prefixes[match[1]], stated, drafts, stated.subject)


def _list_subject_columns(spec: TableSpec, lab: str, drafts: Drafts) -> Iterator[str]:
    """Columns of a table's file that name an animal."""
    names = spec.either or tuple(column for column in spec.foreign if column != "session_id")
    yield from (column for column in names if column in drafts.get_raw(spec.name, lab).columns)


def _draft_subject(table: str, stated: Occasion, drafts: Drafts, key: str | None) -> str:
    profile = drafts.config.profile
    species = profile.default("species", profile.labs[stated.lab])
    return drafts.draft(table, stated.lab, {"species": species or ""}, key=key).key
