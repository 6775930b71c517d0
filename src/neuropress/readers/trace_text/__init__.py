"""Recordings as plain text: columns of numbers, with or without a line of names, as a person declares."""

from __future__ import annotations

import re

from ..arrays import FINDINGS, RECORDING_FACTS, RECORDING_OPTIONS
from ..format import Claim, Format, Option

SUFFIXES = (".txt", ".dat", ".asc", ".csv", ".tsv")
UNCLAIMED = (".txt", ".dat", ".asc")
"""Names that no other reader claims: a CSV is one of behaviour unless ``channels`` is stated."""
NUMBERS = re.compile(rb"[ \t]*[+-]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?(?:[ \t;,]+\S*)*[ \t]*")
LOOKED_AT = 40
"""Lines above the first numbers that may be there."""


def probe(head: bytes, name: str) -> Claim | None:
    """By the name, of a file in which a line begins with a number."""
    if not name.lower().endswith(UNCLAIMED):
        return None
    lines = head.splitlines()[:LOOKED_AT]
    if any(len(line) < 4096 and NUMBERS.fullmatch(line) for line in lines) and b"\0" not in head:
        return Claim("trace_text", "its name, and lines of numbers", strength=1)
    return None


FORMAT = Format(
    name="trace_text",
    title="recordings as text: columns of numbers (TXT, DAT, CSV, TSV), as a person declares",
    module="neuropress.readers.trace_text.read",
    suffixes=SUFFIXES,
    probe=probe,
    options=(
        *RECORDING_OPTIONS,
        Option("header", 'Names of the columns, where the file has none: "t,V"; else they are column1, column2, ...'),
        Option("decimal", "The decimal mark of numbers; else a point.", kind="choice", choices=("point", "comma")),
        Option("whole", "That the file is whole, although its last line has no end.", kind="yes/no"),
    ),
    facts=RECORDING_FACTS,
    findings=(*FINDINGS, "arrays.unsupported"),
)
