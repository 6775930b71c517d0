"""The session itself: the NWB file's own fields and its subject.

Profile defaults in use: ``dataset_name``, ``species``, ``experiment_description`` and
``keywords`` (a list with semicolons); people's formal names come from the profile's people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from neuropress.converters import Built, Job
from neuropress.mapping.rules import Slots
from neuropress.model.finding import Finding, finding, problem
from neuropress.model.people import find_person
from neuropress.model.plan import Field, Node, digest
from neuropress.model.record import Record

NAME = "session"
REVISION = 3
TABLES = ("session",)
COLUMN: Mapping[str, str] = {}
TARGET = "session"
SLOTS: Slots = {
    "file": frozenset(
        (
            "experiment_description", "experimenter", "institution", "keywords", "lab", "notes", "pharmacology",
            "protocol", "session_description", "session_id", "session_start_time", "surgery",
        )
    ),
    "subject": frozenset(
        ("age", "date_of_birth", "description", "genotype", "sex", "species", "strain", "subject_id", "weight")
    ),
    "reagents": frozenset(("injection", "plasmid", "virus")),
}  # fmt: skip
BINDINGS: Mapping[str, str] = {}

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
    fields["identifier"] = _build_identifier(job)
    if "experimenter" in fields:
        fields["experimenter"] = _name_people(job, fields["experimenter"])
    if "keywords" in fields:
        fields["keywords"] = _split_keywords(fields["keywords"])
    virus = _join_virus_lines(job)
    if virus:
        fields["virus"] = virus
    subject, more = _build_subject(job)
    return Built((Node("/", "NWBFile", fields), subject), tuple(more))


def _build_identifier(job: Job) -> Field:
    """``<dataset>:<session>:<digest of the row and those it depends on>``: the same rows, the same name.

    Of a session in several files each ends in its part: object ids follow from the identifier.
    """
    profile, lab = job.profile, job.profile.lab_of(job.record.key)
    rows = {}
    for record in job.record.lineage():
        private = profile.tables[record.table].private if record.table in profile.tables else ()
        rows[f"{record.table}/{record.key}"] = {c: v.text for c, v in record.cells.items() if c not in private}
    dataset = profile.default("dataset_name", lab) or profile.name
    value = f"{dataset}:{job.record.key}:{digest(rows)[:16]}" + (f":{job.part}" if job.part else "")
    return Field(value, "session:identifier", "digest", (job.record.ref("session_id"),))


def _name_people(job: Job, field: Field) -> Field:
    """``Family, Given`` of those whom the list of people knows; any other name exactly as typed."""
    people = [find_person(job.profile.people, name) for name in field.value]
    if not any(people):
        return field
    names = [person.name if person else typed for person, typed in zip(people, field.value, strict=True)]
    return replace(field, value=names, rule="session:experimenter", via="people")


def _split_keywords(field: Field) -> Field:
    words = [word.strip() for text in field.value for word in text.split(";")]
    return replace(field, value=[word for word in words if word], rule="session:keywords", via="split")


def _join_virus_lines(job: Job) -> Field | None:
    """One line for the virus with its plasmid, one for the mouse's own plasmid, one for each injection."""
    lines = [job.fields.get("reagents", {}).get(name) for name in ("virus", "plasmid", "injection")]
    stated = [line for line in lines if line is not None]
    if not stated:
        return None
    text = "\n".join(line.value for line in stated)
    return Field(text, "session:virus", "lines", tuple(ref for line in stated for ref in line.sources))


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
    return Node("/general/subject", "Subject", fields), findings
