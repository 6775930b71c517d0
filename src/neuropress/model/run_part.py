"""A part of a run that several processes share without talking: the K-th of N."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunPart:
    """One of several runs that together make what a single one would.

    Attributes
    ----------
    number
        Which one, from 1.
    count
        How many there are.

    Examples
    --------
    >>> from neuropress.model.run_part import RunPart
    >>> part = RunPart.parse("2/3")
    >>> str(part), part.take("abcdefg")
    ('2/3', 'cd')
    >>> part.rotate(1)
    RunPart(number=3, count=3)
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"part {self.number} of {self.count} is none: K of K/N goes from 1 to N")

    @classmethod
    def parse(cls, text: str) -> RunPart:
        """A part from ``K/N``. Raises `ValueError`."""
        number, slash, count = text.partition("/")
        if not (slash and number.isdecimal() and count.isdecimal()):
            raise ValueError(f"{text!r} is not K/N, as 1/8")
        return cls(int(number), int(count))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def rotate(self, steps: int) -> RunPart:
        """The part that stands for this one where shares begin elsewhere, so that small things spread over all."""
        return RunPart((self.number - 1 + steps) % self.count + 1, self.count)

    def owns(self, ordinal: int) -> bool:
        """Whether what cannot be divided belongs to this part."""
        return ordinal % self.count == self.number - 1

    def take[T](self, items: Sequence[T]) -> Sequence[T]:
        """This part's share: neighbours, as many as every other part has, or one less or more."""
        first, last = ((len(items) * n) // self.count for n in (self.number - 1, self.number))
        return items[first:last]
