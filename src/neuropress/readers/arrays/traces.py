"""One-dimensional parts of arrays: the samples of one channel in each sweep, by a reference that a person wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from ...model.budget import ARRAY_SWEEPS
from ...model.content import LazyArray, Selection
from ...model.source import natural_key
from .language import Reference
from .tree import ArrayTree, Variable

BLOCK_SAMPLES = 2**20


@dataclass(frozen=True, slots=True)
class Trace:
    """A row of an array along its axis of time; `places` has a number for every other axis, None for that of time."""

    variable: Variable
    places: tuple[int | None, ...]

    @property
    def length(self) -> int:
        """Samples."""
        return self.variable.shape[self.places.index(None)]

    @property
    def interval(self) -> str:
        """Exact seconds from sample to sample by the file itself; empty where it does not say."""
        intervals = self.variable.intervals
        return intervals[self.places.index(None)] if intervals else ""

    def read(self, selection: Selection) -> np.ndarray:
        """(sample,) a part of it."""
        whole = tuple(selection[0] if place is None else slice(place, place + 1) for place in self.places)
        return self.variable.read(whole).reshape(-1)

    def read_whole(self) -> np.ndarray:
        """(sample,) all of it."""
        return self.read((slice(0, self.length),))

    def make_array(self, name: str) -> LazyArray:
        """The array as a recording has it."""
        block = (max(1, min(self.length, BLOCK_SAMPLES)),)
        return LazyArray(name, (self.length,), self.variable.dtype, ("sample",), self.read, block)


def find_variables(tree: ArrayTree, reference: Reference, option: str) -> list[Variable]:
    """The arrays that fit a path, those of several in natural order.

    Raises
    ------
    Problem
        ``arrays.declaration``: there is none, or what fits is no array of numbers.
    """
    if reference.path in tree.variables:
        return [tree.variables[reference.path]]
    if "*" in reference.path:
        pattern = reference.compile_pattern()
        paths = sorted(filter(pattern.fullmatch, tree.variables), key=lambda path: tuple(natural_key(path)))
        if paths:
            return [tree.variables[path] for path in paths]
    if reference.path in tree.others:
        what = f"{reference.path!r} is {tree.others[reference.path]}, no array of numbers"
    else:
        close = get_close_matches(reference.path, list(tree.variables)[:10_000], n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else f"; it holds {tree.list_arrays()}"
        what = f"there is no array {reference.path[:80]!r}{hint}"
    raise tree.make_problem("arrays.declaration", f"the option {option}: {what}", reference.path)


def find_number(tree: ArrayTree, reference: Reference, option: str) -> float:
    """The only number of an array. Raises `Problem` (``arrays.declaration``)."""
    (variable, *others) = find_variables(tree, reference, option)
    if others or variable.size != 1 or variable.dtype.kind not in "iuf":
        what = f"the option {option}: {reference.text!r} is not one number ({variable.describe()})"
        raise tree.make_problem("arrays.declaration", what, reference.text)
    return float(variable.read_whole().reshape(-1)[0])


def find_traces(tree: ArrayTree, reference: Reference, option: str) -> list[Trace]:
    """One trace a sweep.

    Raises
    ------
    Problem
        ``arrays.declaration``: no such array, or its axes are not those that were stated, or nobody stated them.
    """
    variables = find_variables(tree, reference, option)
    traces: list[Trace] = []
    for variable in variables:
        if variable.dtype.kind not in "iuf":
            what = f"the option {option}: {variable.describe()} has no numbers that are samples"
            raise tree.make_problem("arrays.declaration", what, variable.path)
        traces += _split_variable(tree, variable, reference, option)
    if len(traces) > ARRAY_SWEEPS:
        what = f"the option {option}: {reference.text!r} makes {len(traces)} sweeps, more than {ARRAY_SWEEPS}"
        raise tree.make_problem("arrays.declaration", what, reference.text)
    return traces


def _split_variable(tree: ArrayTree, variable: Variable, reference: Reference, option: str) -> list[Trace]:
    shape = variable.shape
    axes: Sequence[str | int] = reference.axes
    if not axes:
        long = [axis for axis, extent in enumerate(shape) if extent != 1]
        if len(long) > 1 or not shape:
            example = ",".join(["t", "s", *"0" * len(shape)][: len(shape)]) or "t"
            what = f"say what the axes of {variable.describe()} are: t is time, s sweeps, a number one place of an axis"
            message = f'the option {option}: {what}, as in "{variable.path}[{example}]"'
            raise tree.make_problem("arrays.declaration", message, reference.text)
        axes = ["t" if axis == (long or [0])[0] else 0 for axis in range(len(shape))]
    is_fitting = len(axes) == len(shape)
    if is_fitting:
        pairs = zip(axes, shape, strict=True)
        is_fitting = all(not isinstance(axis, int) or axis < extent for axis, extent in pairs)
    if not is_fitting:
        message = f"the option {option}: {reference.text!r} does not fit {variable.describe()}; places count from 0"
        raise tree.make_problem("arrays.declaration", message, reference.text)
    sweeps = shape[list(axes).index("s")] if "s" in axes else 1
    if sweeps > ARRAY_SWEEPS:
        message = f"the option {option}: {reference.text!r} has {sweeps} sweeps, more than {ARRAY_SWEEPS}"
        raise tree.make_problem("arrays.declaration", message, reference.text)
    return [
        Trace(variable, tuple(None if axis == "t" else sweep if axis == "s" else int(axis) for axis in axes))
        for sweep in range(sweeps)
    ]
