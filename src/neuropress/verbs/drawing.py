"""Pictures of raw samples: a frame in grey, traces as their extremes in each column of pixels. PNG, no plot library."""

from __future__ import annotations

from itertools import pairwise

import imagecodecs
import numpy as np

from ..model.content import LazyArray

WIDTH, HEIGHT = 1000, 240
"""Pixels of one trace."""
MARGIN = 8
INK, PAPER = 0, 255
MOST_SAMPLES = 2**24
"""Samples of a trace that are drawn: the first 16 million."""
LOWEST, HIGHEST = 0.5, 99.5
"""Percentiles of a frame that become black and white."""


def draw_frame(pixels: LazyArray) -> bytes:
    """The middle frame or plane, in its first channel; colours as they are where they are bytes."""
    selection = []
    for axis, length in zip(pixels.axes, pixels.shape, strict=True):
        if axis in "yx" or (axis == "s" and length in (3, 4)):
            selection.append(slice(0, length))
        else:
            middle = 0 if axis in "cs" else length // 2
            selection.append(slice(middle, middle + 1))
    block = pixels.read(tuple(selection))
    kept = [i for i, axis in enumerate(pixels.axes) if axis in "yx" or (axis == "s" and block.shape[i] > 1)]
    order = sorted(kept, key=lambda i: "yxs".find(pixels.axes[i]))
    dropped = tuple(i for i in range(block.ndim) if i not in kept)
    frame = np.ascontiguousarray(block.squeeze(dropped).transpose([kept.index(i) for i in order]))
    if frame.dtype != np.uint8:
        frame = _stretch(frame)
    return bytes(imagecodecs.png_encode(frame))


def _stretch(frame: np.ndarray) -> np.ndarray:
    """Grey values of bytes: between the percentiles, whatever the type."""
    values = frame.astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (LOWEST, HIGHEST)) if finite.size else (0.0, 1.0)
    scaled = (values - low) / ((high - low) or 1.0)
    return (np.nan_to_num(scaled).clip(0, 1) * 255).astype(np.uint8)


def draw_traces(arrays: list[LazyArray]) -> bytes:
    """Each array's first axis as a trace, one below the other; of several columns the first."""
    strips = []
    for array in arrays:
        length = min(array.shape[0], MOST_SAMPLES)
        block = array.read((slice(0, length), *(slice(0, 1) for _ in array.shape[1:])))
        strips.append(_draw_trace(block.reshape(length).astype(np.float64)))
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(np.vstack(strips))))


def _draw_trace(samples: np.ndarray) -> np.ndarray:
    """A strip of `HEIGHT` x `WIDTH` in which a column shows the lowest to the highest of its samples."""
    strip = np.full((HEIGHT, WIDTH), PAPER, np.uint8)
    finite = samples[np.isfinite(samples)]
    if not finite.size:
        return strip
    low, high = float(finite.min()), float(finite.max())
    room = HEIGHT - 2 * MARGIN - 1
    rows = HEIGHT - 1 - MARGIN - np.nan_to_num((samples - low) / ((high - low) or 1.0)) * room
    edges = np.linspace(0, samples.size, WIDTH + 1).astype(np.int64)
    for column, (start, stop) in enumerate(pairwise(edges)):
        # One sample beyond the column, so that steep flanks are joined; fewer samples than columns repeat.
        part = rows[min(start, samples.size - 1) : max(stop + 1, start + 1)]
        strip[int(part.min()) : int(part.max()) + 1, column] = INK
    return strip
