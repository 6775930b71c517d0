"""NWB files that a lab already has: kept byte by byte, with a record of what they say and how it agrees with the row.

A session's own file, made of its other rows, names them with their digests; nothing of them is merged into it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from neuropress.converters import Built, Job, names_nwb
from neuropress.mapping.rules import Slots
from neuropress.mapping.transforms import localize_time
from neuropress.model.content import list_contents
from neuropress.model.finding import Finding, finding, problem
from neuropress.model.plan import Field, Node
from neuropress.model.profile import Profile
from neuropress.model.record import CellRef, Record

NAME = "lab_nwb"
REVISION = 1
TABLES = ("image", "ephys", "behavior")
COLUMN: Mapping[str, str] = dict.fromkeys(TABLES, "file_path_raw")
TARGET = "asset"
SLOTS: Slots = {"asset": frozenset(("id", "type", "session", "notes"))}
BINDINGS: Mapping[str, str] = {}
NO_CLOCK = "a lab's NWB stays byte for byte, with its own times"
FALLBACK = True
"""Where another package makes a session of such files, that is what the lab installed it for."""
KEPT_AS = "NWB file"
"""What a session's own file calls it, which names it."""

NUMBERS = ("series", "samples", "sampling_rate", "frame_rate", "x", "y")
MINUTE = timedelta(minutes=1)
"""Tables state the start to the minute."""

type Stated = tuple[str, tuple[CellRef, ...], Record, str]
"""What rows say of a fact: text, cells, and the row and column that a finding is on."""


def takes(record: Record) -> bool:
    """Rows whose file is called like NWB."""
    return record.table in TABLES and names_nwb(record, COLUMN[record.table])


def bindings(record: Record) -> Mapping[str, Record | None]:
    """The rules need no relations but the row's own."""
    return {}


def build(jobs: Sequence[Job]) -> Built:
    """The record of one row's NWB file: what row and file say, and whether they say the same.

    Raises
    ------
    Problem
        ``asset.content``: a reader found something else in it.
    """
    (job,) = jobs
    if len(job.contents) != 1 or "nwb_version" not in job.contents[0].facts:
        message = f"{job.source} holds {list_contents(job.contents) or 'nothing'}, and no NWB"
        raise problem("asset.content", message, **job.locate())
    (content,) = job.contents
    fields = dict(job.fields["asset"])
    about = (CellRef("converter", NAME, "format", content.format, "constant"),)
    fields["format"] = Field(content.format, f"{NAME}:format", "constant", about)
    for name, text in content.facts.items():
        source = (job.make_fact_ref(name, text),)
        if name in NUMBERS:
            number = float(text) if "." in text or "e" in text else int(text)
            fields[f"facts/{name}"] = Field(number, f"{NAME}:{name}", "number", source)
        else:
            fields[f"stated/{name}"] = Field(text, f"{NAME}:{name}", "text", source)
    findings: list[Finding] = []
    for name, (text, cells, record, column) in _collect_stated(job).items():
        place = {**record.place(column if column in record.cells else None), "file": job.source}
        fields[f"compared/{name}/row"] = Field(text, f"{NAME}:row", "text", cells)
        said = content.facts.get(name)
        if said is None:
            message = f"{job.source} does not say its {name}; the row says {text}"
            findings.append(finding("nwb.unstated", message, **place))
            continue
        agrees, fact = _agree(name, text, said, job), job.make_fact_ref(name, said)
        fields[f"compared/{name}/file"] = Field(said, f"{NAME}:file", "text", (fact,))
        fields[f"compared/{name}/agrees"] = Field(agrees, f"{NAME}:agrees", "compare", (*cells, fact))
        if not agrees:
            message = f"{job.source} says {name} {said[:200]}, the row says {text}"
            findings.append(finding("nwb.differs", message, **place, expected=said))
    return Built((Node("/asset", "LabNWB", fields, {}, {}),), tuple(findings))


def _collect_stated(job: Job) -> dict[str, Stated]:
    """What the row and those that it depends on say of the facts that an NWB file has, too."""
    found: dict[str, Stated] = {}
    session = job.record.related("session")
    animal = session and (session.related("mouse") or session.related("subject"))
    if session:
        found |= _collect_start(session, job.profile)
        found |= _collect_cells(session, {"session_id": "session_id"})
    if animal:
        key = f"{animal.table}_id"
        columns = {"subject_id": key, "sex": "sex", "strain": "strain", "weight": "weight"}
        found |= _collect_cells(animal, {**columns, "date_of_birth": "birth_date"})
        species = job.profile.default("species", job.profile.lab_of(job.record.key))
        if species and "species" not in animal.cells:
            reference = CellRef(job.profile.name, "", "species", species, "default")
            found["species"] = species, (reference,), animal, key
        found |= _collect_cells(animal, {"species": "species"})
    return found


def _collect_cells(record: Record, columns: Mapping[str, str]) -> dict[str, Stated]:
    cells = {fact: column for fact, column in columns.items() if record.values.get(column) is not None}
    return {fact: (record.cells[column].text, (record.ref(column),), record, column) for fact, column in cells.items()}


def _collect_start(session: Record, profile: Profile) -> dict[str, Stated]:
    """The session's start with its zone; its day alone where no time is stated."""
    lab, day, time = profile.lab_of(session.key), session.values["session_date"], session.values.get("start_time")
    if day is None or lab is None:
        return {}
    cells = tuple(session.ref(column) for column in ("session_date", "start_time") if session.values.get(column))
    text = localize_time(str(day), str(time), lab.timezone).isoformat() if time else str(day)
    return {"session_start_time": (text, cells, session, "start_time" if time else "session_date")}


def _agree(name: str, row: str, file: str, job: Job) -> bool:
    """Whether a row and the file say the same, as exactly as the row says it."""
    if name == "session_start_time":
        return _agree_on_start(row, file, job)
    if name == "date_of_birth":
        return re.sub(r"\D", "", file[:10]) == row
    if name == "weight":
        grams = [_parse_grams(text) for text in (row, file)]
        return grams[0] is not None and grams[0] == grams[1]
    return row.strip().casefold() == file.strip().casefold()


def _agree_on_start(row: str, file: str, job: Job) -> bool:
    lab = job.profile.lab_of(job.record.key)
    try:
        moment = datetime.fromisoformat(file)
    except ValueError:
        return False
    zone = ZoneInfo(lab.timezone) if lab else UTC
    moment = moment.astimezone(zone) if moment.tzinfo else moment.replace(tzinfo=zone)
    if row.isdigit():
        return f"{moment:%Y%m%d}" == row
    return abs(moment.astimezone(UTC) - datetime.fromisoformat(row).astimezone(UTC)) < MINUTE


def _parse_grams(text: str) -> float | None:
    match = re.fullmatch(r"\s*([0-9.]+)\s*(kg|g|)\s*", text)
    try:
        return round(float(match[1]) * (1000 if match[2] == "kg" else 1), 6) if match else None
    except ValueError:
        return None
