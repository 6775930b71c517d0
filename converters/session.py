"""The session itself: the NWB file's own fields and its subject.

Profile defaults in use: ``dataset_name``, ``species``, ``experiment_description`` (marked, unless it is the lab's) and
``keywords`` (a list with semicolons, a lab's only); how names are written comes from the list of people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from neuropress.converters import Built, Job
from neuropress.mapping.rules import Slots
from neuropress.model.finding import Finding, finding, problem
from neuropress.model.people import find_person
from neuropress.model.plan import Field, Node, digest
from neuropress.model.record import CellRef, Record

NAME = "session"
REVISION = 3
TABLES = ("session",)
COLUMN: Mapping[str, str] = {}
TARGET = "session"
SLOTS: Slots = {
    "file": frozenset(
        (
            "data_collection", "experiment_description", "experimenter", "institution", "keywords", "lab", "notes",
            "pharmacology", "protocol", "session_description", "session_id", "session_start_time", "slices", "surgery",
        )
    ),
    "subject": frozenset(
        ("age", "date_of_birth", "description", "genotype", "sex", "species", "strain", "subject_id", "weight")
    ),
    "reagents": frozenset(("injected_virus", "plasmid", "virus")),
    "collection": frozenset(("behavior", "ephys", "image")),
    "drugs": frozenset(("behavior",)),
    "words": frozenset(("behavior", "ephys", "image")),
    "end": frozenset(("time",)),
}  # fmt: skip
BINDINGS: Mapping[str, str] = {}

BOUNDS = "/events/session"
AGE_UNKNOWN = "P0D/"
"""ISO 8601: from 0 days to open, that is any age; DANDI demands an age or a date of birth."""


def takes(record: Record) -> bool:
    """Every session row."""
    return record.table == "session"


def bindings(record: Record) -> Mapping[str, Record | None]:
    """A session's mapping needs no relations but the row's own."""
    return {}


def build(jobs: Sequence[Job]) -> Built:
    """The nodes ``/`` and ``/general/subject`` of one session.

    Where the row has no start time, the caller puts one into
    ``fields["file"]["session_start_time"]``, with the rule and the header it came from.

    Raises
    ------
    Problem
        ``session.no_start``.
    """
    (job,) = jobs
    fields = dict(job.fields.get("file", {}))
    if "session_start_time" not in fields:
        raise problem("session.no_start", f"{job.record.key} has no start time", **job.locate("start_time"))
    fields["identifier"] = build_identifier(job)
    if "experimenter" in fields:
        fields["experimenter"] = _name_people(job, fields["experimenter"])
    fields |= _join_lines(job, fields)
    subject, findings = _build_subject(job)
    bounds = _build_bounds(job, fields["session_start_time"])
    return Built((Node("/", "NWBFile", fields), subject, *bounds), tuple(findings))


def build_identifier(job: Job, column: str = "session_id") -> Field:
    """``<dataset>:<key>:<digest of the row and those it depends on>``: the same rows, the same name.

    Of a session in several files each ends in its part: object ids follow from the identifier.
    """
    profile, lab = job.profile, job.profile.lab_of(job.record.key)
    rows = {}
    for record in job.record.lineage():
        private = profile.tables[record.table].private if record.table in profile.tables else ()
        rows[f"{record.table}/{record.key}"] = {c: v.text for c, v in record.cells.items() if c not in private}
    dataset = profile.default("dataset_name", lab) or profile.name
    value = name_part(f"{dataset}:{job.record.key}:{digest(rows)[:16]}", "", job.part)
    return Field(value, "session:identifier", "digest", (job.record.ref(column),))


def name_part(identifier: str, part: str, other: str) -> str:
    """The identifier of another file of a session: the same but for the part that it ends in."""
    whole = identifier.removesuffix(f":{part}") if part else identifier
    return f"{whole}:{other}" if other else whole


def _name_people(job: Job, field: Field) -> Field:
    """``Family, Given`` of those whom the list of people knows; any other name exactly as typed."""
    people = [find_person(job.profile.people, name) for name in field.value]
    if not any(people):
        return field
    names = [person.name if person else typed for person, typed in zip(people, field.value, strict=True)]
    return replace(field, value=names, rule="session:experimenter", via="people")


def _join_lines(job: Job, fields: Mapping[str, Field]) -> dict[str, Field]:
    """Fields that several rules and rows give: keywords, drugs, viruses, notes on files; each line once."""
    made = job.fields
    reagents, collected = made.get("reagents", {}), made.get("collection", {})
    words = [fields[name] for name in ("keywords",) if name in fields] + list(made.get("words", {}).values())
    drugs = [fields[name] for name in ("pharmacology",) if name in fields] + list(made.get("drugs", {}).values())
    joined = {
        "slices": _join_fields("slices", [fields["slices"]] if "slices" in fields else []),
        "keywords": _join_fields("keywords", words, ";"),
        "pharmacology": _join_fields("pharmacology", drugs),
        "virus": _join_fields("virus", [reagents[name] for name in ("virus", "injected_virus") if name in reagents]),
        "data_collection": _join_fields("data_collection", list(collected.values())),
    }
    return {name: field for name, field in joined.items() if field is not None}


def _join_fields(name: str, parts: Sequence[Field], separator: str = "") -> Field | None:
    """One text of all lines, or one list of all words where they are separated; sources each once."""
    if not parts:
        return None
    texts = [text for part in parts for text in (part.value if isinstance(part.value, list) else [part.value])]
    lines = [line for text in texts for line in text.split("\n")]
    if separator:
        lines = [word.strip() for line in lines for word in line.split(separator)]
    known = list(dict.fromkeys(line for line in lines if line))
    if not known:
        return None
    value: Any = known if separator else "\n".join(known)
    if len(parts) == 1 and value == parts[0].value:
        return parts[0]
    sources = tuple(dict.fromkeys(ref for part in parts for ref in part.sources))
    return Field(value, f"session:{name}", "split" if separator else "lines", sources)


def _build_bounds(job: Job, start: Field) -> list[Node]:
    """The session's start and end as an events table: NWB has no field for the end.

    An interval would be a table of one row, which nwbinspector does not want.
    """
    stated = job.fields.get("end", {}).get("time")
    if stated is None:
        return []
    first, last = datetime.fromisoformat(start.value), datetime.fromisoformat(stated.value)
    if last <= first:  # past midnight, when the zone's offset may be another one: the local date is put forward
        lab = job.profile.lab_of(job.record.key)
        zone = ZoneInfo(lab.timezone) if lab else last.tzinfo
        last = (last.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
    seconds = (last.astimezone(UTC) - first.astimezone(UTC)).total_seconds()
    refs = dict.fromkeys((*stated.sources, *start.sources))
    # Seconds bear neither the day nor the zone.
    sources = tuple(ref for ref in refs if ref.column not in ("session_date", "timezone"))
    stated_here = (CellRef("converter", NAME, "bounds", "", "constant"),)
    fields = {
        "description": Field("Start and end of the session", "session:bounds", "constant", stated_here),
        "timestamp": Field([0.0, seconds], "session:bounds", "session_seconds", sources),
        "annotation": Field(["start", "end"], "session:bounds", "constant", stated_here),
    }
    return [Node(BOUNDS, "EventsTable", fields)]


def _build_subject(job: Job) -> tuple[Node, list[Finding]]:
    fields = dict(job.fields.get("subject", {}))
    findings = []
    if not fields.keys() & {"date_of_birth", "age"}:
        mouse = job.record.related("mouse")
        sources = (mouse.ref("birth_date"),) if mouse and "birth_date" in mouse.cells else ()
        fields["age"] = Field(AGE_UNKNOWN, "session:age_unknown", "absent", sources)
        who = fields["subject_id"].value if "subject_id" in fields else job.record.key
        message = f"{who} has no birth_date; the file says {AGE_UNKNOWN}, that is any age"
        findings.append(finding("session.age_unknown", message, table="mouse", key=who, column="birth_date"))
    plasmid = job.fields.get("reagents", {}).get("plasmid")
    if plasmid and "description" in fields:
        whole = f"{fields['description'].value}\nPlasmid of the mouse: {plasmid.value}"
        stated = (*fields["description"].sources, *plasmid.sources)
        fields["description"] = Field(whole, "session:description", "lines", stated)
    return Node("/general/subject", "Subject", fields), findings
