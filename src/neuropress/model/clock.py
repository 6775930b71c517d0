"""Times by an exact affine clock: seconds = stored * scale + offset, rounded once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy takes a tenth of a second, and checking tables needs none of it
    import numpy as np

_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?(/[0-9]{1,30})?")
_SUM = re.compile(r"-?[0-9]{1,150}(\.[0-9]{1,30})?(/[0-9]{1,150})?")
"""What two of them add up to, as a ratio."""
_EXACT = 2**53
"""Below it every whole number is a float64."""


def find_number_complaint(text: str) -> str:
    """What is wrong with an exact decimal or ratio; "" for nothing."""
    if not _NUMBER.fullmatch(text) or ("/" in text and not int(text.rpartition("/")[2])):
        return f"must be a decimal or a ratio (12.5, -3, 30000/1001), not {text[:80]!r}"
    return ""


def parse_number(text: str) -> Fraction:
    """The exact value of a decimal or ratio (``29.97``, ``30000/1001``)."""
    number, _, below = text.partition("/")
    return Fraction(number) / Fraction(below or 1)


@dataclass(frozen=True, slots=True)
class Clock:
    """How stored times become seconds.

    Attributes
    ----------
    scale, offset
        Exact decimals (``0.001``) or ratios (``1/30000``) as text. The result is the float64 that is nearest to
        the exact value, on every machine.
    """

    scale: str = "1"
    offset: str = "0"

    def __post_init__(self) -> None:
        for text in (self.scale, self.offset):
            if not _SUM.fullmatch(text):
                raise ValueError(f"a clock has {text[:40]!r}, which is neither a decimal (0.001) nor a ratio (1/30000)")
            if "/" in text and not int(text.rpartition("/")[2]):
                raise ValueError(f"a clock has the ratio {text!r}, which divides by 0")

    def __str__(self) -> str:
        sign, size = ("-", self.offset[1:]) if self.offset.startswith("-") else ("+", self.offset)
        return f"stored*{self.scale} {sign} {size} s"

    def shift(self, seconds: Fraction) -> Clock:
        """The clock of a file whose time 0 is so many seconds later."""
        return Clock(self.scale, str(Fraction(self.offset) + seconds))

    def seconds(self, stored: np.ndarray) -> np.ndarray:
        """Stored times (whole numbers or floats of any shape) as float64 seconds; NaN stays NaN.

        An element's value does not depend on its neighbours, whichever of the ways below a block takes.
        """
        import numpy as np

        scale, offset = Fraction(self.scale), Fraction(self.offset)
        if stored.dtype.kind == "f":
            quick = _of_floats(stored.astype("<f8"), scale, offset)
            if quick is not None:
                return quick
        if stored.size and (stored.dtype.kind in "iu" or _are_whole(stored)):
            quick = _of_integers(stored, scale, offset)
            if quick is not None:
                return quick
        exact = np.fromiter(_each(stored, scale, offset), "<f8", stored.size)
        return exact.reshape(stored.shape)


def _are_whole(stored: np.ndarray) -> bool:
    import numpy as np

    return bool(np.all((np.abs(stored) < _EXACT) & (stored == np.rint(stored))))


def _of_floats(stored: np.ndarray, scale: Fraction, offset: Fraction) -> np.ndarray | None:
    """One IEEE operation on exact operands rounds once; None where it takes two, or an operand is not exact."""
    if scale == 1 and not offset:
        return stored
    if scale == 1 and float(offset) == offset:
        return stored + float(offset)
    if not offset and scale.numerator == 1 and scale.denominator < _EXACT:
        return stored / float(scale.denominator) + 0.0  # of -0.0 an exact 0, as of any whole number
    return None


def _of_integers(stored: np.ndarray, scale: Fraction, offset: Fraction) -> np.ndarray | None:
    """``(stored*a + b) / c`` with all parts below 2**53: the division is the only rounding."""
    import numpy as np

    below = math.lcm(scale.denominator, offset.denominator)
    factor, shift = int(scale * below), int(offset * below)
    ends = [int(stored.min()) * factor + shift, int(stored.max()) * factor + shift]
    # The product alone may be larger than the sum; all of it must fit int64.
    products = [end - shift for end in ends]
    if below >= _EXACT or max(map(abs, ends)) >= _EXACT or max(map(abs, products)) >= 2**63 or abs(factor) >= 2**63:
        return None
    whole = stored.astype("<i8") * factor + shift
    return np.asarray(whole.astype("<f8") / float(below))


def _each(stored: np.ndarray, scale: Fraction, offset: Fraction) -> Iterator[float]:
    for value in stored.ravel().tolist():
        if isinstance(value, float) and not math.isfinite(value):
            yield value * math.copysign(1, scale) if scale else math.nan
            continue
        exact = Fraction(value) * scale + offset
        try:
            yield exact.numerator / exact.denominator  # Python rounds a quotient of whole numbers correctly
        except OverflowError:
            yield math.inf if exact > 0 else -math.inf
