"""Behaviour as CSV or TSV: a column of times and columns with units, or the points of DeepLabCut."""

from __future__ import annotations

from ..format import Claim, Fact, Format, Option
from .columns import check_columns, check_rate, describe_header, is_deeplabcut, split_line

SUFFIXES = (".csv", ".tsv")
VIDEO = Option(
    "video", 'The video of the same session that points were tracked in: "clip.mp4"; else the one that the file names.'
)


def probe(head: bytes, name: str) -> Claim | None:
    """By the names of the columns; by the file's name alone where those do not say all."""
    lines = head.decode("utf-8-sig", "replace").splitlines()[:2]
    if is_deeplabcut([split_line(line) for line in lines]):
        return Claim("behavior_csv", "its rows scorer and bodyparts")
    declared = describe_header(split_line(lines[0]), {}) if lines else []
    if declared and all(declared) and any(column.is_time for column in declared if column):
        return Claim("behavior_csv", "its columns name their units")
    by_name = name.lower().endswith(SUFFIXES)
    return Claim("behavior_csv", "its name ends in .csv or .tsv", strength=1) if by_name else None


FORMAT = Format(
    name="behavior_csv",
    title="behaviour as CSV or TSV: columns that name their units, and tracked points of DeepLabCut",
    module="neuropress.readers.behavior_csv.read",
    suffixes=SUFFIXES,
    probe=probe,
    options=(
        Option(
            "columns",
            'What columns are whose names do not say it: "t = time ms; x = cm; lick = 1; note = ignore".',
            check=check_columns,
        ),
        Option("header", 'Names of the columns, where the file has none: "time_ms,speed (cm/s)".'),
        Option("frame_rate", 'Frames or rows a second: "30", "29.97" or "30000/1001".', check=check_rate),
        Option("decimal", "The decimal mark of numbers; else a point.", kind="choice", choices=("point", "comma")),
        VIDEO,
    ),
    facts=(Fact("rows", "rows below the header"),),
    findings=("behavior.damaged",),
)
