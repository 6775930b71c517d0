"""The sample interval by the printed times: exact where they are even, never one that they do not bear out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from ...model.finding import problem
from ..number_rows import Print
from .header import Header
from .rows import Block

JITTER = 1e-6
"""Sample intervals by which programs that count times in binary fractions are off."""
WIDEST = 1e-3
"""Of the rates that printed times leave open, the largest from the smallest, in parts of it."""
SHORTEST_STEP = 1e-12
"""In the unit of the times; no digitizer is as fast."""
MAX_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Timing:
    """Sampling in the unit of the times.

    Attributes
    ----------
    first, step
        Time of the first sample, and from one to the next.
    bounds
        The steps that the printed times leave open; None where they all are the first one and multiples of `step`.
    """

    first: Decimal
    step: Decimal
    bounds: tuple[float, float] | None = None


def measure_timing(header: Header, blocks: Sequence[Block], printed: Print) -> Timing:
    """Sampling by the times of all rows, each of which must fit.

    Raises
    ------
    Problem
        ``atf.times``: they are not evenly spaced, too coarsely printed, or one only.
    """
    first, count = float(blocks[0].times[0]), sum(len(block.times) for block in blocks)
    last = float(blocks[-1].times[-1])
    if count < 2:
        raise _make_times_problem(header, header.data_line, "is the only row: one time gives no rate")
    if not abs(first) + abs(last) < 1e12 or last - first < SHORTEST_STEP * count:
        raise _make_times_problem(header, header.data_line, f"times go from {first:g} to {last:g}")
    lowest, highest = _find_bounds(header, blocks, printed, (last - first) / (count - 1))
    if lowest > 0 and highest - lowest <= WIDEST * lowest:
        step = choose_step(lowest, highest)
        return Timing(_to_decimal(first), step, None if _is_exact(blocks, step) else (lowest, highest))
    # Few times leave much open; as multiples of one step they are believed all the same.
    start = np.concatenate([block.times[:2] for block in blocks[:2]])
    step = _to_decimal(start[1]) - _to_decimal(start[0])
    if step <= 0 or not _is_exact(blocks, step):
        what = f"times are printed so coarsely that samples may be {max(lowest, 0):.4g} to {highest:.4g} apart"
        raise _make_times_problem(header, header.data_line, what)
    return Timing(_to_decimal(first), step)


def _is_exact(blocks: Sequence[Block], step: Decimal) -> bool:
    """Whether all times are the first one and multiples of the step."""
    first, row = blocks[0].times[0], 0
    for block in blocks:
        expected = first + float(step) * np.arange(row, row + len(block.times))
        slack = JITTER * float(step) + 4 * np.finfo("f8").eps * np.abs(block.times)
        if not (np.abs(block.times - expected) <= slack).all():
            return False
        row += len(block.times)
    return True


def _find_bounds(header: Header, blocks: Sequence[Block], printed: Print, mean: float) -> tuple[float, float]:
    """Smallest and largest step by which every time is as printed. Raises `Problem` at the first that is not."""
    first = float(blocks[0].times[0])
    lowest, highest, row = -np.inf, np.inf, 0
    for block in blocks:
        numbers = np.arange(row, row + len(block.times))
        since = block.times - first
        slack = (measure_quanta(block.times, printed) + measure_quanta(np.array([first]), printed)) / 2
        slack += JITTER * mean + 4 * np.finfo("f8").eps * np.abs(block.times)
        skip = 1 if row == 0 else 0
        lower = np.maximum.accumulate((since - slack)[skip:] / numbers[skip:]).clip(min=lowest)
        upper = np.minimum.accumulate((since + slack)[skip:] / numbers[skip:]).clip(max=highest)
        odd = np.flatnonzero(lower > upper)
        if odd.size:
            at = int(odd[0]) + skip
            what = f"time {float(block.times[at])!r} does not fit even samples, as all times above it do"
            raise _make_times_problem(header, block.line + at, what)
        if len(lower):
            lowest, highest = float(lower[-1]), float(upper[-1])
        row += len(block.times)
    return lowest, highest


def measure_quanta(times: np.ndarray, printed: Print) -> np.ndarray:
    """What the last digit of each time counts, printed with so many decimals or so many digits at most."""
    magnitudes = np.floor(np.log10(np.maximum(np.abs(times), 1e-300)))
    return np.maximum(10.0**-printed.decimals, 10.0 ** (magnitudes - printed.digits + 1))


def choose_step(lowest: float, highest: float) -> Decimal:
    """The step that is a decimal of fewest digits, or whose rate is one; the rate where both have as many."""
    step = Decimal((lowest + highest) / 2)
    for digits in range(1, MAX_DIGITS + 1):
        rate = Decimal(f"{1 / step:.{digits - 1}e}")
        if 1 / Decimal(highest) <= rate <= 1 / Decimal(lowest):
            return 1 / rate
        rounded = Decimal(f"{step:.{digits - 1}e}")
        if Decimal(lowest) <= rounded <= Decimal(highest):
            return rounded
    return step


def _to_decimal(number: float) -> Decimal:
    return Decimal(repr(float(number)))


def _make_times_problem(header: Header, line: int, what: str) -> Exception:
    return problem("atf.times", f"{header.key} line {line}: {what}", file=header.key, line=line)
