"""Axon text files (ATF 1.0): a column of times, and a column for each sweep of each channel."""

from __future__ import annotations

import re

from ..format import Claim, Fact, Format, Option

FIRST_LINE = re.compile(rb'"?ATF"?[\t, ]+"?([0-9.]{1,8})"?[\t, ]*')
X_UNITS = ("s", "ms", "us")


def probe(head: bytes, name: str) -> Claim | None:
    """By the first line, where tabs or commas may separate; by the name of a file whose first line is damaged."""
    if match := FIRST_LINE.match(head):
        return Claim("atf", f"begins with {match[0].strip()!r}")
    return Claim("atf", "its name ends in .atf", strength=1) if name.lower().endswith(".atf") else None


FORMAT = Format(
    name="atf",
    title="Axon text files, ATF 1.0 (Clampfit, pCLAMP): recordings, each column a sweep of a channel",
    module="neuropress.readers.atf.read",
    suffixes=(".atf",),
    probe=probe,
    options=(
        Option("x_unit", "The unit of the times, where their title states none.", kind="choice", choices=X_UNITS),
        Option("data_unit", "The unit of columns whose titles state none (mV, pA)."),
        Option(
            "clamp",
            "How the cell was clamped, which a text file never says; else the unit decides, with a warning. "
            "A file that looks like a command waveform is one that was recorded, with it.",
            kind="choice",
            choices=("voltage clamp", "current clamp", "I=0"),
        ),
        Option("sweep_interval", "Seconds from one sweep's start to the next, where the header does not say.",
               kind="number", least=0),
        Option("whole", "That the file is whole, although its last line has no end.", kind="yes/no"),
    ),
    facts=(Fact("sampling_rate", "samples a second of each channel, from the sample interval", "Hz"),),
    findings=(
        "atf.command", "atf.damaged", "atf.empty", "atf.statement", "atf.times", "atf.truncated", "atf.unsupported",
    ),
)  # fmt: skip
