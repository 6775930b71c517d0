"""Columns and masks of a result, compared element by element with what another library reads of the raw file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .reading import SecondArrays
from .tally import ResultArray, Tally

SECONDS = 1e-9
"""What a library that computes times in float64 may be off by; and a few of their last bits."""


def compare_arrays(second: SecondArrays, arrays: Sequence[ResultArray]) -> Tally:
    """Every array that the library gives is in the result, with these extents and elements; and its times."""
    tally = Tally(second.mistakes, second.left_out)
    stored = {array.receipt.spec.array: array for array in arrays}
    for name, theirs in second.arrays.items():
        text = f"the library reads {name!r}, of which the result has nothing"
        if tally.check("shape", name in stored, text):
            is_turned = second.is_open and theirs.shape != stored[name].stored.shape
            _compare_array(stored[name], theirs.T if is_turned else theirs, tally)
    if second.times is not None:
        _compare_times(second.times, arrays, tally)
    return tally


def _compare_array(array: ResultArray, theirs: np.ndarray, tally: Tally) -> None:
    text = f"{array.path} has the extents {array.stored.shape}, the library reads {theirs.shape}"
    if not tally.check("shape", tuple(array.stored.shape) == theirs.shape, text):
        return
    ours = _read_whole(array)
    if array.receipt.spec.clock is not None:
        _check_elements("times", array, ours, theirs, _are_close(ours, theirs), tally)
    elif theirs.dtype.names:
        for name in theirs.dtype.names:
            _check_elements("samples", array, ours[name], theirs[name], ours[name] == theirs[name], tally)
    else:
        _check_elements("samples", array, ours, theirs, _are_same(ours, theirs), tally)


def _compare_times(times: np.ndarray, arrays: Sequence[ResultArray], tally: Tally) -> None:
    """Timestamps of a series, or those that its rate and its start make."""
    for array in arrays:
        if array.receipt.spec.clock is not None:
            _compare_array(array, times, tally)
        elif array.meaning.rate is not None and array.meaning.start is not None:
            ours = array.meaning.start + np.arange(len(times)) / array.meaning.rate
            _check_elements("times", array, ours, times, _are_close(ours, times), tally)


def _read_whole(array: ResultArray) -> np.ndarray:
    """All of it: readers of such files keep them whole, within limits."""
    return np.asarray(array.stored[tuple(slice(0, extent) for extent in array.stored.shape)])


def _are_close(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(ours - theirs) <= SECONDS + 8 * np.finfo("f8").eps * np.abs(theirs))


def _are_same(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Texts by their letters, numbers by their values; NaN is like NaN."""
    if theirs.dtype.kind not in "biuf":
        pairs = zip(ours.reshape(-1).tolist(), theirs.reshape(-1).tolist(), strict=True)
        return np.array([_decode(a) == str(b) for a, b in pairs], bool).reshape(ours.shape)
    return np.asarray((ours == theirs) | ((ours != ours) & (theirs != theirs)))


def _decode(text: object) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _check_elements(
    subject: str, array: ResultArray, ours: np.ndarray, theirs: np.ndarray, same: np.ndarray, tally: Tally
) -> None:
    count = int(same.size - np.count_nonzero(same))
    text = ""
    if count:
        at = np.unravel_index(int(np.argmin(same)), same.shape)
        place = ", ".join(map(str, at))
        text = f"{array.path} at {place} is {ours[at]}, the library reads {theirs[at]}; {count} of {same.size} differ"
    tally.check(subject, not count, text)
