"""What converters of behaviour share: names, fields that the file states, and time 0 that nobody states."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from neuropress.model.content import Content
from neuropress.model.finding import Finding, finding
from neuropress.model.plan import Field

from . import Job

OFFSET = "clock_offset"
"""What a person states of the file's time 0, in the header that the reader gives."""
UNALIGNED = "Alignment unknown: time 0 of the file is taken for the session's start"


def find_offset(content: Content) -> str:
    """What a person declared of time 0: to a reader that knows the option (its start counts from it), or to none."""
    return str(content.header.get(OFFSET, "")) or content.clock_offset


def clean_name(name: str) -> str:
    """A name without what NWB does not allow in it."""
    return re.sub(r"[/:\\]", "_", name)


def make_header_field(converter: str, job: Job, name: str, value: object) -> Field:
    """A field from the file's header or the options that it was read with."""
    return Field(value, f"{converter}:{name}", "header", (job.make_fact_ref(name, value),))


def list_unaligned(jobs: Sequence[Job]) -> Iterator[Finding]:
    """A finding for each row whose file counts from a moment that nobody states."""
    for job in jobs:
        if not all(map(find_offset, job.contents)):
            message = (
                f"{job.source} counts from a time of its own that nobody states; the session's start is taken for it"
            )
            yield finding("behavior.alignment", message, **job.locate())
