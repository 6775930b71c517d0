"""What converters of behaviour share: names, fields that the file states, and time 0 that nobody states."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction

from neuropress.model.content import Content
from neuropress.model.finding import Finding, finding
from neuropress.model.plan import Field

from . import Job

UNALIGNED = "Alignment unknown: time 0 of the file is taken for the session's start"


def find_delay(job: Job, content: Content) -> Fraction:
    """Seconds from the session's start to time 0 of a file; 0 where nobody knows, which the description says."""
    known = job.find_start(content)
    return known.seconds if known else Fraction(0)


def describe_clock(job: Job, content: Content) -> str:
    """What a description says of time 0: that nobody knows it, or what declares it; empty for the file's own clock."""
    known = job.find_start(content)
    return known.declared[:1].upper() + known.declared[1:] if known else UNALIGNED


def clean_name(name: str) -> str:
    """A name without what NWB does not allow in it."""
    return re.sub(r"[/:\\]", "_", name)


def make_header_field(converter: str, job: Job, name: str, value: object) -> Field:
    """A field from the file's header or the options that it was read with."""
    return Field(value, f"{converter}:{name}", "header", (job.make_fact_ref(name, value),))


def list_clock_findings(jobs: Sequence[Job]) -> Iterator[Finding]:
    """A finding for each row whose file counts from a moment that nobody states, or whose clocks differ."""
    for job in jobs:
        starts = [job.find_start(content) for content in job.contents]
        yield from dict.fromkeys(one for start in starts if start for one in start.findings)
        if not all(starts):
            message = (
                f"{job.source} counts from a time of its own that nobody states; the session's start is taken for it"
            )
            yield finding("behavior.alignment", message, **job.locate())
