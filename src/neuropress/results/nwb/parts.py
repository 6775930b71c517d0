"""How values of a session follow from its names and values, learned from two sessions of one shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hdmf.build import ReferenceBuilder

from .shapes import STAND_IN, Shape


class Unexplained(Exception):
    """A value does not follow from single names and values of the plan."""


@dataclass(slots=True)
class Filling:
    """A session that is being made: its own names and values, its builders by number, what is to refer to them."""

    shape: Shape
    made: list[Any] = field(default_factory=list)
    pending: list[tuple[Any, int]] = field(default_factory=list)

    def refer(self, item: Any, number: int) -> Any:
        """Have an item refer to a builder, which may be made later."""
        self.pending.append((item, number))
        return item


type Part = Callable[[Filling], Any]
"""Gives a value of a session."""


@dataclass(frozen=True, slots=True)
class Same:
    """A value that all have."""

    value: Any

    def __call__(self, filling: Filling) -> Any:
        """See `Part`."""
        return self.value


class Reference(ReferenceBuilder):  # type: ignore[misc]
    """A reference to an object of the same file; for `BuilderWriter` hdmf's."""

    builder = None

    def __init__(self) -> None:
        # Not hdmf's own: it checks arguments for longer than all else takes.
        pass


class Learner:
    """Compares what was made of a plan with what was made of the one that stands in for all others of its shape.

    Parameters
    ----------
    shape, other
        Of the plan, and of the stand-in.
    """

    def __init__(self, shape: Shape, other: Shape) -> None:
        self._filling = Filling(shape)
        self._numbers: dict[Any, int] = {}
        self._texts: dict[str, Part] = {}
        for number, name in enumerate(other.names):
            self._texts[name] = lambda filling, number=number: filling.shape.names[number]  # type: ignore[misc]
        for number, value in enumerate(other.values):
            part = lambda filling, number=number: filling.shape.values[number]  # noqa: E731
            if isinstance(value, str):
                self._texts[value] = part
            else:
                self._numbers[value] = number
                self._texts[value.hex()] = lambda filling, part=part: part(filling).hex()  # type: ignore[misc]
        self._builders: dict[int, int] = {}
        self._other_builders: dict[int, int] = {}

    def note_builders(self, builders: Sequence[Any], others: Sequence[Any]) -> None:
        """Know the objects that values may refer to, by their place in the order in which they are made."""
        self._builders = {id(one): number for number, one in enumerate(builders)}
        self._other_builders = {id(one): number for number, one in enumerate(others)}

    def find_builder(self, real: Any, other: Any) -> int:
        """The number of an object that both have. Raises `Unexplained`."""
        number = self._builders.get(id(real))
        if number is None or number != self._other_builders.get(id(other)):
            raise Unexplained
        return number

    def learn(self, real: Any, other: Any) -> Part:
        """How a value is made. Raises `Unexplained`."""
        if type(real) is not type(other):
            raise Unexplained
        if isinstance(real, ReferenceBuilder):
            number = self.find_builder(real.builder, other.builder)
            return lambda filling: filling.refer(Reference(), number)
        if isinstance(real, (list, tuple)):
            return self._learn_list(real, other)
        if isinstance(real, dict):
            return self._learn_members(real, other)
        if isinstance(real, np.ndarray):
            return self._learn_array(real, other)
        if isinstance(real, bytes):
            text = self.learn_text(real.decode(), other.decode())
            return Same(real) if isinstance(text, Same) else lambda filling: text(filling).encode()
        if isinstance(real, str):
            return self.learn_text(real, other)
        if not isinstance(real, (float, int, np.generic, type(None))):
            raise Unexplained
        if real == other or (real != real and other != other):
            return Same(real)
        return self._learn_number(real, other)

    def learn_text(self, real: str, other: str) -> Part:
        """The same for all, or with names and texts of the plan in it. Raises `Unexplained`."""
        if real == other:
            return Same(real)
        pieces = [other] if other in self._texts else [text for text in STAND_IN.split(other) if text]
        parts: list[Part] = [self._texts.get(text, Same(text)) for text in pieces]

        def join(filling: Filling) -> str:
            return "".join([part(filling) for part in parts])

        made = parts[0] if len(parts) == 1 else join
        self.check(made, real)
        return made

    def _learn_number(self, real: Any, other: Any) -> Part:
        number, kind = self._numbers.get(other), type(real)
        if number is None or not isinstance(real, (float, np.floating)):
            raise Unexplained

        def made(filling: Filling) -> Any:
            return kind(filling.shape.values[number])

        self.check(made, real)
        return made

    def check(self, made: Part, real: Any) -> None:
        """See that it makes what was made of the plan, too. Raises `Unexplained`."""
        if made(self._filling) != real:
            raise Unexplained

    def _learn_list(self, real: Any, other: Any) -> Part:
        if len(real) != len(other):
            raise Unexplained
        kind, parts = type(real), [self.learn(one, its) for one, its in zip(real, other, strict=True)]
        if all(isinstance(part, Same) for part in parts):
            return Same(real)
        return lambda filling: kind([part(filling) for part in parts])

    def _learn_members(self, real: dict[str, Any], other: dict[str, Any]) -> Part:
        names = self._learn_list(list(real), list(other))
        members = self._learn_list(list(real.values()), list(other.values()))
        if isinstance(names, Same) and isinstance(members, Same):
            return Same(real)
        return lambda filling: dict(zip(names(filling), members(filling), strict=True))

    def _learn_array(self, real: np.ndarray, other: np.ndarray) -> Part:
        if real.shape != other.shape or real.dtype != other.dtype:
            raise Unexplained
        if real.dtype.kind in "iubf" and np.array_equal(real, other, equal_nan=real.dtype.kind == "f"):
            return Same(real)
        if real.ndim != 1 or real.dtype.kind != "f":
            raise Unexplained
        parts, dtype = self._learn_list(list(real), list(other)), real.dtype
        return lambda filling: np.array(parts(filling), dtype)
