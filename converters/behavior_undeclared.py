"""Behaviour tables that do not say what they hold: nothing is made of them, and a warning says what to add.

Apart from `behavior_table`, so that what its rules promise does not bind these rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neuropress.mapping.rules import Slots
from neuropress.model.content import Content
from neuropress.model.finding import finding
from neuropress.model.record import Record

from . import Built, Job
from .behavior_table import bindings, takes

NAME = "behavior_undeclared"
REVISION = 1
TABLES = ("behavior",)
COLUMN: Mapping[str, str] = {"behavior": "file_path_raw"}
TARGET = "session"
SLOTS: Slots = {}
BINDINGS: Mapping[str, str] = {}
WANTS = "a table without units or times"

__all__ = ["bindings", "build", "select", "takes"]


def select(record: Record, contents: Sequence[Content]) -> Sequence[Content]:
    """What the reader could not make out."""
    return [content for content in contents if "undeclared" in content.header]


def build(jobs: Sequence[Job]) -> Built:
    """A finding for each row."""
    findings = []
    for job in jobs:
        for content in job.contents:
            message = f"{job.source} is not converted: {content.header['undeclared']}"
            hint = (
                "Add what the message shows to neuropress.toml; "
                f"neuropress formats {content.format} lists what can be stated."
            )
            findings.append(finding("behavior.undeclared", message, hint=hint, **job.locate()))
    return Built((), tuple(findings))
