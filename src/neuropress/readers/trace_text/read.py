"""Recordings as text: every column is a named array."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ...model.budget import TRACE_BYTES, TRACE_CELLS
from ...model.content import Content, Selection
from ...model.finding import problem
from ...model.source import Source, Stamp
from ..arrays.build import build_contents
from ..arrays.kept import KeptArrays
from ..arrays.tree import ArrayTree, Variable
from ..atf.times import measure_quanta
from ..number_rows import BadRow, NumberRows, Print, TooMany
from ..stamp import check_unchanged
from . import FORMAT
from .layout import HEAD_BYTES, Layout, NoNumbers, find_layout

COLUMNS = "columns"
LEARNED = 50
"""Columns of which it is looked at how their numbers were printed: one of the first has the times."""


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """Contents as declared; the numbers stay in memory while there is room, and are read again otherwise.

    Raises
    ------
    Problem
        ``arrays.damaged``, with the line; ``arrays.unsupported``: too large; and as `build_contents` does.
    """
    if source.size() > TRACE_BYTES:
        raise problem("arrays.unsupported", f"{source.key} has more than {TRACE_BYTES} bytes", file=source.key)
    kept = KeptArrays()
    with source.open() as file:
        stamp = file.stamp()
        try:
            layout = find_layout(file.read(HEAD_BYTES), options.get("header"), options.get("decimal") == "comma")
        except NoNumbers as error:
            raise problem("arrays.damaged", f"{source.key}: {error}", file=source.key) from error
    rows = _make_rows(layout)
    columns = kept.load(COLUMNS, partial(_read_columns, source, stamp, rows))
    if not rows.is_ended and not options.get("whole"):
        what = "its last line has no end, so the file may be cut, within a number or long before its end"
        hint = "Copy the file again; if it is whole, state whole = true in neuropress.toml under its [options]."
        raise problem("arrays.damaged", f"{source.key}: {what}", hint=hint, file=source.key)
    count = columns.shape[1]
    variables = {}
    for number, name in enumerate(layout.columns.names):
        read_column = partial(_read_column, kept, partial(_read_columns, source, stamp, _make_rows(layout)), number)
        slack = partial(_measure_slack, rows.printed[number]) if number < len(rows.printed) else None
        variables[name] = Variable(name, (count,), np.dtype("f8"), read_column, measure_slack=slack)
    warnings = _list_warnings(source.key, rows)
    tree = ArrayTree(source.key, FORMAT.name, variables, {}, _describe(layout), warnings, kept.close)
    return build_contents(tree, options)


def _make_rows(layout: Layout) -> NumberRows:
    return NumberRows(layout.columns, TRACE_CELLS, LEARNED)


def _read_columns(source: Source, stamp: Stamp, rows: NumberRows) -> np.ndarray:
    """(column, row) all numbers."""
    with source.open() as file:
        check_unchanged(file.stamp(), stamp, source.key)
        try:
            blocks = [block for _, block in rows.iterate_blocks(file)]
        except BadRow as error:
            raise problem("arrays.damaged", f"{source.key} {error}", file=source.key) from error
        except TooMany as error:
            raise problem("arrays.unsupported", f"{source.key}: {error}", file=source.key) from error
    return np.ascontiguousarray(np.concatenate(blocks).T)


def _read_column(kept: KeptArrays, unpack: Any, number: int, selection: Selection) -> np.ndarray:
    whole = kept.load(COLUMNS, unpack)
    return np.asarray(whole[number, selection[0]])


def _measure_slack(printed: Print, numbers: np.ndarray) -> np.ndarray:
    """Half of what the last digit counts, with room for the rounding of the text to a float64."""
    half: np.ndarray = measure_quanta(numbers, printed) / 2 + 4 * np.finfo("f8").eps * np.abs(numbers)
    return half


def _describe(layout: Layout) -> dict[str, Any]:
    delimiter = {b"\t": "tab", b"": "blanks"}.get(layout.columns.delimiter, layout.columns.delimiter.decode())
    return {"delimiter": delimiter, "lines_above": list(layout.lines)}


def _list_warnings(key: str, rows: NumberRows) -> tuple[str, ...]:
    if not rows.most_digits:
        return ()
    return (f"{key}: numbers of up to {rows.most_digits} digits are kept as the nearest float64, of 15 to 17",)
