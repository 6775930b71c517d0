"""One step down the pyramid: the exact mean of 2 x 2 x 2 voxels, or of labels the most frequent one.

Definition of the mean. A voxel of the next level is the mean of the (up to) eight voxels that it
covers: two along each halved axis, one along the others. Where an axis has an odd
length, its last voxel has no neighbour and counts alone. Integers are averaged exactly
and rounded half to even (half up would drift by 1/16 of a step a level). Floats are
summed in float64, pairs along x first, then y, then z, divided, and cast back.

Definition of the mode. A voxel of the next level has the value that is most frequent among the voxels that
it covers. Of values that are equally frequent it is the smallest that is not 0, the background: small objects
vanish later so. No value comes about that was not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Literal

import numpy as np

type Axes = tuple[bool, bool, bool]
"""Whether z, y and x are halved."""

type Reduction = Literal["mean", "mode"]

SORTING: dict[int, Sequence[tuple[int, int]]] = {
    2: ((0, 1),),
    4: ((0, 1), (2, 3), (0, 2), (1, 3), (1, 2)),
    8: (
        (0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (1, 2), (5, 6),
        (0, 4), (1, 5), (2, 6), (3, 7), (2, 4), (3, 5), (1, 2), (3, 4), (5, 6),
    ),
}  # fmt: skip
"""Batcher's networks: which two of so many values to put in order, one pair after the other."""


def halve_extent(extent: int) -> int:
    """Length of an axis one level down: half, rounded up."""
    return -(-extent // 2)


def halve_block(block: np.ndarray, axes: Axes, reduction: Reduction = "mean") -> np.ndarray:
    """The next level of a block.

    Parameters
    ----------
    block
        Shape (z, y, x); integers or floats. Where the block does not
        end at the array's edge, its extent along halved axes must be even.
    axes
        Which axes are halved.
    reduction
        ``mode`` for labels, which are integers.

    Returns
    -------
    np.ndarray
        Of the same dtype, halved axes rounded up.
    """
    odd = [(0, n % 2 if on else 0) for n, on in zip(block.shape, axes, strict=True)]
    if any(extra for _, extra in odd):
        # The mean of a voxel and its own copy is the voxel: the pad counts for nothing. Neither does it change a mode:
        # along that axis every voxel counts twice.
        block = np.pad(block, odd, mode="edge")
    block = np.ascontiguousarray(block)
    if reduction == "mode":
        return _take_modes(block, axes)
    if block.dtype.kind == "f":
        return _average_floats(block, axes)
    return _average_long_integers(block, axes) if block.dtype.itemsize == 8 else _average_integers(block, axes)


def _average_floats(block: np.ndarray, axes: Axes) -> np.ndarray:
    total = block.astype(np.float64)
    if axes[2]:
        total = total[:, :, 0::2] + total[:, :, 1::2]
    total = _add_pairs(total, axes)
    with np.errstate(over="ignore"):
        return (total * 0.5 ** sum(axes)).astype(block.dtype)


def _average_integers(block: np.ndarray, axes: Axes) -> np.ndarray:
    size = block.dtype.itemsize
    narrow, wide = np.dtype(f"u{size}"), np.dtype(f"u{2 * size}")
    # Adding 2**(n-1) makes signed unsigned; it is even, so rounding half to even is unmoved.
    flip = narrow.type(1 << (8 * size - 1)) if block.dtype.kind == "i" else narrow.type(0)
    values = block.view(narrow) ^ flip if flip else block.view(narrow)
    if axes[2]:
        # Two neighbours seen as one number of twice the width: their sum without strided access.
        pairs = values.view(wide)
        total = pairs & wide.type((1 << (8 * size)) - 1)
        total += pairs >> wide.type(8 * size)
    else:
        total = values.astype(wide)
    total = _add_pairs(total, axes)
    bits = sum(axes)
    if bits:
        up = total >> wide.type(bits)
        up &= wide.type(1)
        up += wide.type((1 << (bits - 1)) - 1)
        total += up
        total >>= wide.type(bits)
    result = total.astype(narrow)
    return (result ^ flip if flip else result).view(block.dtype)


def _average_long_integers(block: np.ndarray, axes: Axes) -> np.ndarray:
    """The same for 64 bits, whose sums fit no wider integer: the upper and the lower half apart."""
    flip = np.uint64(1 << 63) if block.dtype.kind == "i" else np.uint64(0)
    values = block.view(np.uint64) ^ flip
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)
    upper, lower = values >> half, values & low
    if axes[2]:
        upper, lower = (part[:, :, 0::2] + part[:, :, 1::2] for part in (upper, lower))
    upper, lower = _add_pairs(upper, axes), _add_pairs(lower, axes)
    bits = np.uint64(sum(axes))
    if bits:
        lower = lower + ((upper & ((np.uint64(1) << bits) - np.uint64(1))) << half)
        upper = upper >> bits
        lower = lower + (((lower >> bits) & np.uint64(1)) + (np.uint64(1) << (bits - np.uint64(1))) - np.uint64(1))
        lower = lower >> bits
    result: np.ndarray = (((upper << half) + lower) ^ flip).view(block.dtype)
    return result


def _add_pairs(total: np.ndarray, axes: Axes) -> np.ndarray:
    if axes[1]:
        total = total[:, 0::2] + total[:, 1::2]
    if axes[0]:
        total = total[0::2] + total[1::2]
    return total


def _take_modes(block: np.ndarray, axes: Axes) -> np.ndarray:
    """The most frequent label of each cell of 2 x 2 x 2 voxels (or 2 x 2, or 2).

    Most cells lie within one object: only those that do not are counted.
    """
    steps = [2 if on else 1 for on in axes]
    corner = block[:: steps[0], :: steps[1], :: steps[2]]
    mixed = ~_find_uniform_cells(block, axes)
    result = corner.copy()  # the block itself is still to be hashed and compressed
    if mixed.any():
        offsets = product(*(range(step) for step in steps))
        cells = [block[z :: steps[0], y :: steps[1], x :: steps[2]][mixed] for z, y, x in offsets]
        result[mixed] = _find_modes(cells)
    return result


def _find_uniform_cells(block: np.ndarray, axes: Axes) -> np.ndarray:
    """Cells whose voxels are all alike; z and y first, whose neighbours are compared without strided access."""
    first, same = block, None
    for axis in (0, 1):
        if axes[axis]:
            even, odd = (tuple(slice(i, None, 2) if axis == n else slice(None) for n in range(3)) for i in (0, 1))
            equal = first[even] == first[odd]
            same = equal if same is None else same[even] & same[odd] & equal
            first = first[even]
    if same is None:
        same = np.ones(block.shape, bool)
    if not axes[2]:
        return same
    # Two neighbours along x seen as one number of twice the width, as for the mean.
    both: np.ndarray = np.ascontiguousarray(same).view(np.uint16) == 0x0101
    if block.dtype.itemsize == 8:
        both &= first[:, :, 0::2] == first[:, :, 1::2]
        return both
    bits = 8 * block.dtype.itemsize
    pairs = np.ascontiguousarray(first).view(f"u{2 * block.dtype.itemsize}")
    wide = pairs.dtype.type
    both &= (pairs & wide((1 << bits) - 1)) == (pairs >> wide(bits))
    return both


def _find_modes(cells: Sequence[np.ndarray]) -> np.ndarray:
    """Elementwise mode of 2, 4 or 8 arrays; ties by the module's definition."""
    ordered = list(cells)
    for low, high in SORTING.get(len(ordered), ()):
        pair = ordered[low], ordered[high]
        ordered[low], ordered[high] = np.minimum(*pair), np.maximum(*pair)
    best = ordered[0].copy()
    most = np.ones(best.shape, np.uint8)
    run = most.copy()
    for before, value in pairwise(ordered):
        run = np.where(value == before, run + np.uint8(1), np.uint8(1))
        # In ascending order the first of several is the smallest; only the background gives way to a later one.
        wins = (run > most) | ((run == most) & (best == 0))
        np.copyto(best, value, where=wins)
        np.maximum(most, run, out=most)
    return best
