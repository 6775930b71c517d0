"""Points and boxes in a volume: what columns of a file say of each axis, and where that is in the volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from .content import DataTable
from .serial import SPARSE

type Unit = Literal["pixel", "micrometer"]
type Ends = Literal["", "included", "excluded"]
CLASS, SCORE, OBJECT = "class", "score", "object"
"""Roles of columns that tell no place."""


@dataclass(frozen=True, slots=True)
class PointAxis:
    """How columns tell a place along one axis of the volume.

    Attributes
    ----------
    name
        ``z``, ``y`` or ``x``.
    columns
        One column: the place of a point, or the only plane of a box; two: where a box begins, and where it ends.
    is_size
        The second column is how long the box is.
    unit
        Of the columns' numbers.
    first
        The number of the first pixel.
    ends
        Whether the pixel that a box ends with belongs to it; empty where that makes no difference.
    spacing, scale
        Size of a pixel that was counted, and of the volume's voxel, in the volume's unit, exact; empty in a reader.
    per_unit
        How many of the volume's units a unit of the columns has, where these are no pixels; empty in a reader.
    """

    name: str
    columns: tuple[str, ...]
    is_size: bool = field(default=False, metadata=SPARSE)
    unit: Unit = "pixel"
    first: int = 0
    ends: Ends = field(default="", metadata=SPARSE)
    spacing: str = ""
    scale: str = ""
    per_unit: str = field(default="", metadata=SPARSE)

    def find_edges(self, begin: Any, end: Any, number: Any, *, is_box: bool) -> tuple[Any, Any]:
        """Where a point or a box begins and ends, in the volume's coordinates and unit.

        There the middle of the first voxel is at 0. Numbers may be exact decimals, or arrays of floats.

        Parameters
        ----------
        begin, end
            What the columns say; `end` is None of a single column.
        number
            Makes constants of the numbers' kind: ``Decimal`` or ``float``.
        is_box
            Whether a single column is a plane of a box, which is a pixel thick.
        """
        if self.unit != "pixel":
            factor = number(self.per_unit)
            low = begin * factor
            high = low if end is None else end * factor
            return low, low + high if self.is_size else high
        half, spacing = number("0.5"), number(self.spacing)
        shift = (spacing - number(self.scale)) * half  # both begin at one corner, not with one middle
        margin = half if is_box else number("0")
        low = begin - self.first
        if end is None:
            high = low + margin
        elif self.is_size:
            high = low + end - margin
        else:
            high = end - self.first + (margin if self.ends == "included" else -margin)
        return (low - margin) * spacing + shift, high * spacing + shift


@dataclass(frozen=True, slots=True)
class Points(DataTable):
    """Places in an image, one a row: points, boxes, or corners of objects.

    All columns are texts, as the file has them.

    Attributes
    ----------
    axes
        What columns say of places.
    roles
        `CLASS`, `SCORE` or `OBJECT` -> the column; rows of one object are its corners.
    stated
        Option of the reader -> its text, as a person stated it or as the format has it.
    lines
        Line of the file that each row begins in, counted from 1; without one where rows have no lines.
    """

    axes: tuple[PointAxis, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    stated: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[int, ...] = field(default=(), repr=False)

    @property
    def is_box(self) -> bool:
        """Whether rows are boxes."""
        return any(len(axis.columns) > 1 for axis in self.axes)


def format_exact(value: Decimal) -> str:
    """A decimal without exponent and without needless zeros."""
    text = format(value.normalize(), "f")
    return "0" if text == "-0" else text
