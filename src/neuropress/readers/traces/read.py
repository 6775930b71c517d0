"""Traces of regions as one series; which axis of an array is time, its reader cannot know."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from ...model.budget import TRACE_BYTES, TRACE_CELLS
from ...model.content import Series
from ...model.finding import Problem, problem
from ...model.source import Source
from ..numpy_files import MAGIC
from ..numpy_files.errors import DamagedFile
from ..numpy_files.header import make_npy_array, read_npy_header
from ..regions import describe_trace, make_array
from . import FORMAT

BLANK = ("", "nan", "na")
_MEANING = "Traces of regions as another program computed them; the row's processing_methods say how"


def read(source: Source, options: Mapping[str, Any]) -> tuple[Series, ...]:
    """One series: of a table (time, roi) with the names of its columns, of an array (q, q).

    Raises
    ------
    Problem
        ``traces.damaged``: cells that are no numbers, rows of another length, or no table of numbers at all.
    """
    if source.head().startswith(MAGIC):
        return (_read_npy(source),)
    if source.size() > TRACE_BYTES:
        raise _make_problem(source, f"it has more than {TRACE_BYTES} bytes")
    text = source.read().decode("utf-8-sig", "surrogateescape")
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    try:
        names, rows = _parse_rows(source, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise _make_problem(source, f"it cannot be split into cells ({error})") from error
    data = np.array(rows, "<f8").reshape(len(rows), len(names))
    about = {**describe_trace("traces", "", _MEANING), "names": names}
    lazy = make_array("traces", data, "time", "roi")
    return (Series("", FORMAT.name, {"frames": str(len(rows))}, about, {"traces": lazy}, array="traces"),)


def _parse_rows(source: Source, lines: Any) -> tuple[list[str], list[list[float]]]:
    """Names of the columns, and the numbers below."""
    names = [name.strip() for name in next(lines, [])]
    if not names or len(set(names)) < len(names):
        raise _make_problem(source, "its first line does not name each column by a name of its own")
    rows: list[list[float]] = []
    for cells in lines:
        if not cells:
            continue
        if len(cells) != len(names):
            message = f"line {lines.line_num} has {len(cells)} cells, the header {len(names)}"
            raise _make_problem(source, message)
        if len(rows) * len(names) > TRACE_CELLS:
            raise _make_problem(source, f"it has more than {TRACE_CELLS} cells")
        rows.append(
            [_parse_number(source, cell, lines.line_num, name) for cell, name in zip(cells, names, strict=True)]
        )
    if not rows:
        raise _make_problem(source, "it has no line of numbers")
    return names, rows


def _parse_number(source: Source, cell: str, line: int, name: str) -> float:
    text = cell.strip()
    if text.lower() in BLANK:
        return float("nan")
    try:
        number = float(Decimal(text)) if len(text) <= 64 else float("nan")
    except (InvalidOperation, OverflowError):
        number = float("inf")
    if not np.isfinite(number):
        raise _make_problem(source, f"line {line}, column {name[:80]!r}: {text[:40]!r} is no number")
    return number


def _read_npy(source: Source) -> Series:
    try:
        header = read_npy_header(source, source.key)
    except DamagedFile as error:
        raise _make_problem(source, str(error)) from error
    if header.is_pickled or len(header.shape) != 2 or header.descr == "|b1":
        held = "objects" if header.is_pickled else f"{header.descr} of {header.shape}"
        raise _make_problem(source, f"it holds {held}, and traces are numbers of two axes")
    lazy = make_npy_array(source, source.key, header, "traces", ("q", "q"))
    return Series("", FORMAT.name, {}, describe_trace("traces", "", _MEANING), {"traces": lazy}, array="traces")


def _make_problem(source: Source, message: str) -> Problem:
    return problem("traces.damaged", f"{source.key}: {message}", file=source.key)
