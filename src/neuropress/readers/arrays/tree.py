"""A file as named arrays: what the readers of such formats give, and what is made contents of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...model.content import LazyArray, Selection
from ...model.finding import Problem, problem

LISTED = 30
"""Arrays that a message lists; `inspect --write-mapping` shows more."""
HEADER_LISTED = 2_000
"""Arrays that the header of a result lists."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A named array of numbers or truths, read part by part.

    Attributes
    ----------
    path
        As a person names it; ``/`` nests.
    shape, dtype
        As the program that wrote it shows it; `dtype` in native byte order.
    read
        ``read(selection)`` gives the block of one slice an axis.
    unit, axes
        What the file itself says: a unit, a letter for each axis (``tyx``); empty where it does not.
    spacing
        um per pixel by axis, where the file says it.
    intervals
        Exact seconds from element to element along each axis, "" of one that is no time; empty where there is none.
    remark
        What else a person should know who declares it.
    block, kept
        What is read at once, and what is kept of it (see `LazyArray`); empty where nothing is known.
    measure_slack
        How far each number may be from what was meant, by the digits that were printed; by its type without it.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[Selection], np.ndarray]
    unit: str = ""
    axes: str = ""
    spacing: Mapping[str, str] = field(default_factory=dict)
    intervals: tuple[str, ...] = ()
    remark: str = ""
    block: tuple[int, ...] = ()
    kept: int = 0
    measure_slack: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def size(self) -> int:
        """Elements."""
        size = 1
        for extent in self.shape:
            size *= extent
        return size

    def describe(self) -> str:
        """Path, extents, type, unit and remark, for people."""
        extents = " x ".join(map(str, self.shape)) or "one number"
        return f"{self.path} ({', '.join(filter(None, (extents, self.dtype.name, self.unit, self.remark)))})"

    def read_whole(self) -> np.ndarray:
        """All elements."""
        return self.read(tuple(slice(0, extent) for extent in self.shape))

    def make_array(self, name: str, axes: tuple[str, ...]) -> LazyArray:
        """The array as a content has it."""
        return LazyArray(name, self.shape, self.dtype, axes, self.read, self.shape)


@dataclass(frozen=True, slots=True)
class ArrayTree:
    """What a reader found in a file.

    Attributes
    ----------
    key, format
        Of the file, and its reader's format.
    variables
        Path -> array.
    others
        Path -> what else is there: texts, objects, functions, complex numbers.
    header
        What the file says of itself.
    warnings
        What the reader had to work around.
    """

    key: str
    format: str
    variables: Mapping[str, Variable]
    others: Mapping[str, str] = field(default_factory=dict)
    header: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    close: Callable[[], None] = lambda: None

    def list_arrays(self, most: int = LISTED) -> str:
        """The arrays, and how many other things there are, for people."""
        shown = [variable.describe() for variable in list(self.variables.values())[:most]]
        if len(self.variables) > most:
            shown.append(f"{len(self.variables) - most} more")
        if self.others:
            example = next(iter(self.others.items()))
            shown.append(f"{len(self.others)} that are no arrays of numbers ({example[0]}: {example[1]})")
        return "; ".join(shown) or "nothing"

    def describe(self) -> dict[str, Any]:
        """What a header of a content says of all that is in the file."""
        arrays = {
            path: f"{one.dtype.name} {list(one.shape)}" for path, one in list(self.variables.items())[:HEADER_LISTED]
        }
        others = dict(list(self.others.items())[:HEADER_LISTED])
        counted = {"array_count": len(self.variables)} if len(self.variables) > HEADER_LISTED else {}
        return {**self.header, "arrays": arrays, **counted, **({"others": others} if others else {})}

    def make_problem(self, id: str, message: str, value: str = "") -> Problem:
        """A finding on the file."""
        return problem(id, f"{self.key}: {message}", file=self.key, **({"value": value[:80]} if value else {}))
