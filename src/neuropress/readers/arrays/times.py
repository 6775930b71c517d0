"""The sampling interval by an array of times: exact where they are even, never one that they do not bear out."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from ...model.budget import ARRAY_TIMES
from ..atf.times import JITTER, WIDEST, choose_step
from .traces import Trace
from .tree import ArrayTree


@dataclass(frozen=True, slots=True)
class Timing:
    """Even times, in the unit in which they are stored."""

    first: Decimal
    step: Decimal


class NotEven(Exception):
    """The times are no multiples of one step; the text says where."""


def measure_trace(tree: ArrayTree, trace: Trace) -> Timing:
    """Sampling by the times of one sweep, each of which must fit.

    Raises
    ------
    Problem
        ``arrays.times``: they are not evenly spaced, or too coarse or too few to say the rate.
    """
    if trace.length > ARRAY_TIMES:
        message = (
            f"{trace.variable.path} has {trace.length} times, more than {ARRAY_TIMES}; state rate in place of time"
        )
        raise tree.make_problem("arrays.times", message)
    try:
        times = trace.read_whole()
        slack = trace.variable.measure_slack
        return measure_times(times, slack(times) if slack else None)
    except NotEven as error:
        raise tree.make_problem("arrays.times", f"the times {trace.variable.path}: {error}") from error


def measure_times(stored: np.ndarray, slack: np.ndarray | None = None) -> Timing:
    """The step of even times.

    Parameters
    ----------
    stored
        (sample,) times.
    slack
        How far each may be from what was meant; half of the last binary digit of its type without it.

    Raises
    ------
    NotEven
    """
    times = stored.astype("f8")
    if len(times) < 2:
        raise NotEven("one time gives no rate")
    if not np.isfinite(times).all():
        raise NotEven(f"time {int(np.flatnonzero(~np.isfinite(times))[0])} is {times[~np.isfinite(times)][0]}")
    mean = (times[-1] - times[0]) / (len(times) - 1)
    if not (0 < mean < 1e15 and abs(times[0]) < 1e15):
        raise NotEven(f"they go from {times[0]:g} to {times[-1]:g}")
    if slack is None:
        slack = np.abs(times) * (4 * np.finfo(stored.dtype).eps) if stored.dtype.kind == "f" else np.zeros(len(times))
    first = Decimal(repr(float(times[0])))
    lowest, highest = _find_bounds(times, slack + JITTER * mean, stored)
    if lowest > 0 and highest - lowest <= WIDEST * lowest:
        return Timing(first, choose_step(lowest, highest))
    # Coarse times leave much open; as multiples of one step they are believed all the same.
    step = Decimal(repr(float(times[1]))) - first
    expected = times[0] + float(step) * np.arange(len(times))
    if step <= 0 or not (np.abs(times - expected) <= JITTER * mean + 4 * np.finfo("f8").eps * np.abs(times)).all():
        raise NotEven(f"they are so coarse that samples may be {max(lowest, 0):.4g} to {highest:.4g} apart")
    return Timing(first, step)


def _find_bounds(times: np.ndarray, slack: np.ndarray, stored: np.ndarray) -> tuple[float, float]:
    """Smallest and largest step by which every time is as stored. Raises `NotEven` at the first that is not."""
    numbers = np.arange(1, len(times))
    since, room = times[1:] - times[0], slack[1:] + slack[0]
    lower = np.maximum.accumulate((since - room) / numbers)
    upper = np.minimum.accumulate((since + room) / numbers)
    odd = np.flatnonzero(lower > upper)
    if odd.size:
        at = int(odd[0]) + 1
        raise NotEven(f"number {at}, {stored[at]!s}, does not fit even samples, as all before it do")
    return float(lower[-1]), float(upper[-1])
