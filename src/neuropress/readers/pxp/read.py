"""Packed experiments as named arrays: each wave with its unit and scaling, each numeric variable as one number."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np

from ...model.budget import ARRAY_ENTRIES, ARRAY_TEXT
from ...model.content import Content, Selection
from ...model.finding import Problem, problem
from ...model.source import RawFile, Source
from ..arrays.build import build_contents
from ..arrays.language import SECONDS
from ..arrays.plain import read_block, reverse_axes
from ..arrays.tree import ArrayTree, Variable
from ..ibw.header import Wave, build_wave, describe_unread_type, read_wave_header
from ..stamp import check_unchanged
from . import FORMAT, find_order
from .records import HISTORY, VARIABLES, WAVE, Damaged, Record, TooLarge, walk_records
from .variables import parse_variables

KEPT_TEXTS = 200
"""Notes of waves, and text variables, that the header of a result keeps."""
MOST_VARIABLES = 16 * 2**20
"""Bytes of the variables of one folder."""


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """Contents as declared.

    Raises
    ------
    Problem
        ``arrays.damaged``, ``arrays.unsupported``; and as `build_contents` does.
    """
    experiment = _Experiment(source)
    with source.open() as file:
        try:
            experiment.read(file)
        except TooLarge as error:
            raise _make_problem(source, "arrays.unsupported", str(error)) from error
        except Damaged as error:
            raise _make_problem(source, "arrays.damaged", str(error)) from error
    return build_contents(experiment.build_tree(), options)


def _make_problem(source: Source, id: str, message: str) -> Problem:
    return problem(id, f"{source.key}: {message}", file=source.key)


class _Experiment:
    """What the records of one file hold."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._variables: dict[str, Variable] = {}
        self._others: dict[str, str] = {}
        self._notes: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._header: dict[str, Any] = {}

    def read(self, file: RawFile) -> None:
        """Everything but samples. Raises `Damaged`, `TooLarge`."""
        order = find_order(file.read(64))
        if not order:
            raise Damaged("it does not begin with a record of a packed experiment")
        self._header["byte_order"] = "little" if order == "<" else "big"
        for record in walk_records(file, file.stamp()[0], order):
            if record.kind == WAVE:
                self._add_wave(file, record)
            elif record.kind == VARIABLES:
                self._add_variables(file, record, order)
            elif record.kind == HISTORY:
                self._add_history(file, record)

    def build_tree(self) -> ArrayTree:
        """All of it as named arrays."""
        for name, kept in (("notes", self._notes), ("texts", self._texts)):
            if kept:
                self._header[name] = dict(list(kept.items())[:KEPT_TEXTS])
        return ArrayTree(self._source.key, FORMAT.name, self._variables, self._others, self._header)

    def _add_name(self, path: str) -> None:
        if path in self._variables or path in self._others:
            raise Damaged(f"two of its waves or variables are called {path[:80]!r}")
        if len(self._variables) + len(self._others) >= ARRAY_ENTRIES:
            raise TooLarge(f"it has more than {ARRAY_ENTRIES} waves and variables")

    def _add_wave(self, file: RawFile, record: Record) -> None:
        path = ""
        try:
            header = read_wave_header(file, record.start, f"its wave at byte {record.start}")
            path = record.folder + header.fields["name"]
            self._add_name(path)
            if unread := describe_unread_type(header.fields["type"]):
                self._others[path] = unread
                return
            wave = build_wave(file, header, record.end, f"its wave {path!r}")
        except Problem as caught:
            if caught.finding.id not in ("ibw.empty", "ibw.unsupported"):
                raise Damaged(caught.finding.message) from caught
            self._others[path] = f"not read ({caught.finding.message})"
            return
        self._variables[path] = self._make_variable(path, wave)
        if note := wave.header.get("note"):
            self._notes[path] = note

    def _make_variable(self, path: str, wave: Wave) -> Variable:
        read = reverse_axes(partial(_read_samples, self._source, wave))
        intervals = [_measure_interval(wave, axis) for axis in range(len(wave.shape))]
        step, unit = wave.steps[0], wave.dim_units[0]
        # A step of 1 without a unit is Igor's way to say nothing.
        remark = f"x goes by {step} {unit or 'of an unnamed unit'}" if unit or step != 1 else ""
        return Variable(
            path,
            wave.shape,
            wave.dtype.newbyteorder("="),
            read,
            unit=wave.unit,
            intervals=tuple(intervals) if any(intervals) else (),
            remark=remark,
        )

    def _add_variables(self, file: RawFile, record: Record, order: str) -> None:
        if record.end - record.start > MOST_VARIABLES:
            raise TooLarge(f"the variables of one folder have more than {MOST_VARIABLES} bytes")
        file.seek(record.start)
        numbers, texts = parse_variables(file.read(record.end - record.start), order)
        for name, number in numbers.items():
            path = record.folder + name
            self._add_name(path)
            if number is None:
                self._others[path] = "a complex number"
            else:
                self._variables[path] = _make_number(path, number)
        for name, text in texts.items():
            path = record.folder + name
            self._add_name(path)
            self._others[path] = f"the text {text[:60]!r}"
            self._texts[path] = text[:ARRAY_TEXT]

    def _add_history(self, file: RawFile, record: Record) -> None:
        """What was typed and done in Igor, as far as it is no longer than any other text that is kept."""
        if record.end - record.start > ARRAY_TEXT:
            self._header["history"] = f"a text of {record.end - record.start} bytes"
            return
        file.seek(record.start)
        text = file.read(record.end - record.start).decode("utf-8", "backslashreplace")
        self._header["history"] = text.replace("\r\n", "\n").replace("\r", "\n")


def _measure_interval(wave: Wave, axis: int) -> str:
    """Exact seconds from element to element; "" where the axis is no time, or the wave does not say."""
    step, unit = wave.steps[axis], wave.dim_units[axis]
    if unit not in SECONDS:
        return ""
    if not (step.is_finite() and Decimal("1e-300") < step < Decimal("1e300")):
        raise Damaged(f"its wave {wave.header['name']!r} has samples {step} {unit} apart")
    return str(step * Decimal(SECONDS[unit]))


def _make_number(path: str, number: float) -> Variable:
    stored = np.array([number], "f8")
    return Variable(path, (1,), stored.dtype, stored.__getitem__)


def _read_samples(source: Source, wave: Wave, selection: Selection) -> np.ndarray:
    """A block of the wave with its axes reversed: Igor's first dimension is the fastest."""
    with source.open() as file:
        check_unchanged(file.stamp(), wave.stamp, source.key)
        make = partial(_make_problem, source)
        return read_block(file, wave.data_start, wave.dtype, wave.shape[::-1], selection, make)
