"""One step down the pyramid: the exact mean of 2 x 2 x 2 voxels.

Definition. A voxel of the next level is the mean of the (up to) eight voxels that it
covers: two along each halved axis, one along the others. Where an axis has an odd
length, its last voxel has no neighbour and counts alone. Integers are averaged exactly
and rounded half to even (half up would drift by 1/16 of a step a level). Floats are
summed in float64, pairs along x first, then y, then z, divided, and cast back.
"""

from __future__ import annotations

import numpy as np

type Axes = tuple[bool, bool, bool]
"""Whether z, y and x are halved."""


def halve_extent(extent: int) -> int:
    """Length of an axis one level down: half, rounded up."""
    return -(-extent // 2)


def halve_block(block: np.ndarray, axes: Axes) -> np.ndarray:
    """The next level of a block.

    Parameters
    ----------
    block
        Shape (z, y, x); integers or floats. Where the block does not
        end at the array's edge, its extent along halved axes must be even.
    axes
        Which axes are halved.

    Returns
    -------
    np.ndarray
        Of the same dtype, halved axes rounded up.
    """
    odd = [(0, n % 2 if on else 0) for n, on in zip(block.shape, axes, strict=True)]
    if any(extra for _, extra in odd):
        # The mean of a voxel and its own copy is the voxel: the pad counts for nothing.
        block = np.pad(block, odd, mode="edge")
    block = np.ascontiguousarray(block)
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
        total = (pairs & wide.type((1 << (8 * size)) - 1)) + (pairs >> wide.type(8 * size))
    else:
        total = values.astype(wide)
    total = _add_pairs(total, axes)
    bits = sum(axes)
    if bits:
        up = (total >> wide.type(bits)) & wide.type(1)
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
