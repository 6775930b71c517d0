"""An image of a result, compared with what another library reads of the raw file: axes, extents and every pixel.

The result says by names what its axes are; pages are brought to these names. The receipt is asked for one thing only:
which channel an array holds, where channels are arrays of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ..model.receipt import blocks
from .reading import CannotRead, SecondImage
from .tally import ResultArray, Tally

BLOCK_BYTES = 1 << 28


def compare_image(second: SecondImage, arrays: Sequence[ResultArray]) -> Tally:
    """Axes, shape and samples of every array; and that no channel is missing."""
    tally = Tally(second.mistakes)
    if "type" in second.mistakes:
        tally.check("type", False, "")
    channels = []
    for array in arrays:
        place = _find_place(second, array, tally)
        if place is None:
            continue
        channels.append(place.channel)
        _compare_pixels(second, array, place, tally)
    _check_channels(second, channels, tally)
    return tally


@dataclass(frozen=True, slots=True)
class _Place:
    """How the library's axes lie in an array of the result.

    `axes` has for each of the library's axes its position in the array; None for the channel's, where the array is of
    one `channel`.
    """

    axes: Sequence[int | None]
    channel: int | None


def _find_place(second: SecondImage, array: ResultArray, tally: Tally) -> _Place | None:
    """Match axes by their names, and what the file leaves open with what is left of the result's."""
    stored = array.stored
    chosen = [entry for entry in array.receipt.spec.index.select if isinstance(entry, int)]
    letters = [_name_axis(axis, second.axes) for axis in second.axes]
    ours: list[str] = list(array.meaning.axes)
    is_one_channel = "c" in letters and "c" not in ours
    channel = chosen[0] if is_one_channel and len(chosen) == 1 else None
    places = [ours.index(letter) if letter in ours else None for letter in letters]
    skipped = letters.index("c") if is_one_channel else None
    unnamed = [i for i, place in enumerate(places) if place is None and i != skipped]
    free = [p for p in range(len(ours)) if p not in places]
    if len(free) > len(unnamed):  # a volume always has its depth
        free = [p for p in free if stored.shape[p] > 1]
    if len(free) != len(unnamed) and all(letters[i] == "q" for i in unnamed):
        _check_left_open(second, array, unnamed, free)
    # A single axis under another name is a person's: depths of ImageJ that a row says are frames.
    is_open = all(letters[i] == "q" for i in unnamed) or len(unnamed) == 1
    can_match = len(free) == len(unnamed) and is_open and (not is_one_channel or channel is not None)
    text = (
        f"{array.path} has the axes {_describe_axes(ours, stored.shape)}, "
        f"the library reads {_describe_axes(second.axes, second.shape)}"
    )
    if not tally.check("axes", can_match, text):
        return None
    for i, p in zip(unnamed, free, strict=True):
        places[i] = p
    extents = [1] * len(ours)
    for extent, place in zip(second.shape, places, strict=True):
        if place is not None:
            extents[place] = extent
    return _Place(places, channel) if tally.check("shape", extents == list(stored.shape), text) else None


def _check_left_open(second: SecondImage, array: ResultArray, unnamed: Sequence[int], free: Sequence[int]) -> None:
    """Pages that the library only counts may be depths and times; in which order, it cannot say.

    Raises
    ------
    CannotRead
        There are as many pages as the result has; else it is a difference.
    """
    if prod(second.shape[i] for i in unnamed) == prod(array.stored.shape[p] for p in free):
        names = " ".join(array.meaning.axes[p] for p in free)
        raise CannotRead(f"the library counts pages and does not say how they are {names}")


def _name_axis(axis: str, axes: Sequence[str]) -> str:
    """The result's name of an axis; samples of a pixel are channels where there are no others."""
    return "c" if axis == "s" and "c" not in axes else axis


def _describe_axes(axes: Sequence[str], shape: Sequence[int]) -> str:
    return " ".join(f"{axis}={extent}" for axis, extent in zip(axes, shape, strict=True))


def _check_channels(second: SecondImage, channels: list[int | None], tally: Tally) -> None:
    counted = sorted(number for number in channels if number is not None)
    if not counted:
        return
    extent = next(second.shape[i] for i, axis in enumerate(second.axes) if axis in "cs")
    text = f"the result has the channels {counted}, the library reads {extent}"
    tally.check("shape", counted == list(range(extent)), text)


def _compare_pixels(second: SecondImage, array: ResultArray, place: _Place, tally: Tally) -> None:
    """Block by block of the result, each page once where a block holds all of it."""
    stored = array.stored
    dtype = np.dtype(stored.dtype).newbyteorder("=")
    if not tally.check("samples", dtype == second.dtype, f"{array.path} is {dtype}, the library reads {second.dtype}"):
        return
    count = sum(axis in "yxs" for axis in second.axes)
    lead = len(second.axes) - count
    for block in blocks(stored.shape, _choose_block(stored.shape, stored.chunks, place, lead, dtype.itemsize)):
        pixels = stored[block]
        for number, page_index in _list_pages(second, place, block, lead):
            ours = _take_page(pixels, place, block, page_index, lead)
            theirs = second.read_page(number)
            if place.axes[-1] is None and second.axes[-1] == "s":
                theirs = theirs[..., place.channel]
            if not _compare_page(array, number, ours, theirs, tally):
                return


def _choose_block(
    shape: tuple[int, ...], chunks: tuple[int, ...] | None, place: _Place, lead: int, itemsize: int
) -> tuple[int, ...]:
    """Whole pages, and as many of them as a chunk holds, so that none is unpacked twice."""
    whole = {p for p in place.axes[lead:] if p is not None}
    block = [n if p in whole else min(n, (chunks or shape)[p]) for p, n in enumerate(shape)]
    for p in range(len(shape)):
        if p not in whole:
            while block[p] > 1 and prod(block) * itemsize > BLOCK_BYTES:
                block[p] = -(-block[p] // 2)
    return tuple(max(1, n) for n in block)


def _list_pages(
    second: SecondImage, place: _Place, block: tuple[slice, ...], lead: int
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Number and leading indices of every page that lies in a block of the result."""
    spans = []
    for i in range(lead):
        p = place.axes[i]
        spans.append(range(block[p].start, block[p].stop) if p is not None else [place.channel or 0])
    grid = np.array(np.meshgrid(*spans, indexing="ij")).reshape(lead, -1).T if lead else np.zeros((1, 0), int)
    for index in grid:
        number = int(np.ravel_multi_index(tuple(index), second.shape[:lead])) if lead else 0
        yield number, tuple(int(n) for n in index)


def _take_page(
    pixels: np.ndarray, place: _Place, block: tuple[slice, ...], index: tuple[int, ...], lead: int
) -> np.ndarray:
    """The page's pixels out of a block of the result, with the library's axes."""
    selection: list[int | slice] = [0] * pixels.ndim
    for i, p in enumerate(place.axes):
        if p is not None:
            selection[p] = index[i] - block[p].start if i < lead else slice(None)
    kept = [p for p, entry in enumerate(selection) if isinstance(entry, slice)]
    wanted = [p for p in place.axes[lead:] if p is not None]
    return pixels[tuple(selection)].transpose([kept.index(p) for p in wanted])


def _compare_page(array: ResultArray, number: int, ours: np.ndarray, theirs: np.ndarray, tally: Tally) -> bool:
    if ours.shape != theirs.shape:
        text = f"{array.path}: page {number + 1} has the shape {ours.shape}, the library reads {theirs.shape}"
        return tally.check("shape", False, text)
    wrong = (ours != theirs) & ~((ours != ours) & (theirs != theirs))
    if not wrong.any():
        return tally.check("samples", True, "")
    at = tuple(int(n) for n in np.argwhere(wrong)[0])
    counted = f"{int(wrong.sum())} of {wrong.size} pixels differ"
    text = f"{array.path}: page {number + 1} at {list(at)} is {ours[at]}, the library reads {theirs[at]}; {counted}"
    return tally.check("samples", False, text)
