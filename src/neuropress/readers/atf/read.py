"""Axon text files as recordings: the first column is time, every other one a sweep of a channel.

Samples are the float64 nearest to each decimal of the text. All rows are read with the header, since only they say the
rate, and whether the file is whole.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from ...model.budget import ATF_BYTES, ATF_CELLS
from ...model.content import Channel, LazyArray, Recording, Selection, Sweep
from ...model.finding import problem
from ...model.source import Source, Stamp
from ..stamp import check_unchanged
from . import FORMAT
from .columns import SECONDS, Layout, arrange_columns, check_statements, check_times_title, find_starts
from .header import Header, read_header
from .rows import Block, Rows
from .times import Timing, measure_timing

MAX_BLOCK_SAMPLES = 2**20
STEADY = 0.99
"""Parts of a column's samples that are the one before: 0.23 at most in recordings, and nearly 1 in commands."""
MIN_STEADY = 1000
"""Rows below which nothing is concluded from that."""


def read(source: Source, options: Mapping[str, Any]) -> tuple[Recording, ...]:
    """One `Recording`; its samples stay in memory while there is room, and are read from the text again otherwise.

    Raises
    ------
    Problem
        ``atf.statement``: a person must say what the file does not, or said otherwise; ``atf.command``: it looks like
        a command waveform; ``atf.empty``, ``atf.times``, ``atf.truncated``; and as `read_header` and `Rows` do.
    """
    if source.size() > ATF_BYTES:
        raise problem("atf.unsupported", f"{source.key} has more than {ATF_BYTES} bytes", file=source.key)
    with source.open() as file:
        stamp = file.stamp()
        header = read_header(file, source.key)
        check_times_title(header)
        layout = arrange_columns(header)
        check_statements(header, layout, options)
        rows = Rows(header)
        blocks = list(rows.read_blocks(file))
    if not blocks:
        raise problem("atf.empty", f"{source.key} has a header and no rows", file=source.key)
    if not rows.is_ended and not options.get("whole"):
        what = "its last line has no end, so the file may be cut, within a number or long before its end"
        hint = "Copy the file again; if it is whole, state whole = true in neuropress.toml under its [options]."
        raise problem("atf.truncated", f"{source.key}: {what}", hint=hint, file=source.key)
    timing = measure_timing(header, blocks, rows.printed[0])
    seconds = Decimal(SECONDS[header.titles[0].unit or options["x_unit"]])
    length = sum(len(block.times) for block in blocks)
    step, first = timing.step * seconds, timing.first * seconds
    shortest = step * (length - Decimal("0.5"))  # sweeps without gaps are stated with two rounded numbers
    starts = find_starts(header, layout, shortest, options)
    if "clamp" not in options:
        _check_no_command(header, blocks)
    # A float64 in the result: it has no more digits.
    rate = Decimal(np.format_float_positional(float(1 / step), trim="-"))
    samples = Samples(source, header, stamp, [block.values for block in blocks])
    arrays: dict[str, LazyArray] = {}
    sweeps = [
        Sweep(number, start + max(first, Decimal(0)), length, _add_arrays(arrays, number, columns, length, samples))
        for number, (columns, start) in enumerate(zip(layout.sweeps, starts, strict=True))
    ]
    recording = Recording(
        name="",
        format=FORMAT.name,
        facts={"sampling_rate": str(rate)},
        header=_describe_header(header, timing),
        arrays=arrays,
        warnings=(
            *_list_warnings(header, timing, seconds, rows),
            *(f"{source.key}: sweep {b} begins before sweep {a} ends" for a, b in _list_overlaps(starts, shortest)),
        ),
        close=samples.close,
        rate=rate,
        mode=" ".join(header.values.get("AcquisitionMode", ()))[:80],
        adc=_build_channels(header, layout, options),
        sweeps=tuple(sweeps),
    )
    return (recording,)


class Samples:
    """The columns of a file, parsed again where those of other files have taken their place in memory."""

    _kept: ClassVar[list[weakref.ref[Samples]]] = []
    _keeping = threading.Lock()

    def __init__(self, source: Source, header: Header, stamp: Stamp, blocks: list[np.ndarray]) -> None:
        self._source, self._header, self._stamp = source, header, stamp
        self._blocks: list[np.ndarray] = []
        self._parsing = threading.Lock()
        self._keep(blocks)

    def read(self, column: int, selection: Selection) -> np.ndarray:
        """Samples of a column, the first one behind the times being 0."""
        start, stop = selection[0].start, selection[0].stop
        parts, first = [], 0
        for block in self._load():
            if first < stop and first + block.shape[1] > start:
                parts.append(block[column, max(start - first, 0) : stop - first])
            first += block.shape[1]
        return np.concatenate(parts) if parts else np.zeros(0)

    def close(self) -> None:
        """Forget the samples; a later read parses the text again."""
        self._blocks = []

    def _load(self) -> list[np.ndarray]:
        with self._parsing:  # threads that read several columns parse the text once
            blocks = self._blocks
            if not blocks:
                with self._source.open() as file:
                    check_unchanged(file.stamp(), self._stamp, self._header.key)
                    blocks = [block.values for block in Rows(self._header).read_blocks(file)]
                self._keep(blocks)
            return blocks

    def _keep(self, blocks: list[np.ndarray]) -> None:
        """Have samples in memory, and those of other files as far as there is room, the latest first."""
        with Samples._keeping:
            self._blocks = blocks
            others = [one for ref in Samples._kept if (one := ref()) is not None and one is not self]
            room = ATF_CELLS - self._count_samples()
            for one in reversed(others):
                room -= one._count_samples()
                if room < 0:
                    one.close()
            Samples._kept = [weakref.ref(one) for one in (*others, self)]

    def _count_samples(self) -> int:
        return sum(block.size for block in self._blocks)


def _add_arrays(
    arrays: dict[str, LazyArray], sweep: int, columns: Sequence[int], length: int, samples: Samples
) -> dict[int, str]:
    """The columns of a sweep, added to `arrays`; their names by channel."""
    names = {index: f"sweep{sweep:03d}/adc{index}" for index in range(len(columns))}
    block = (min(length, MAX_BLOCK_SAMPLES),)
    for name, column in zip(names.values(), columns, strict=True):
        read_block = partial(samples.read, column)
        arrays[name] = LazyArray(name, (length,), np.dtype("f8"), ("sample",), read_block, block)
    return names


def _list_overlaps(starts: Sequence[Decimal], shortest: Decimal) -> Iterator[tuple[int, int]]:
    """Numbers of sweeps of which the second begins before the first one ends."""
    for number, (first, second) in enumerate(pairwise(starts)):
        if second - first < shortest:
            yield number, number + 1


def _check_no_command(header: Header, blocks: Sequence[Block]) -> None:
    """Raises `Problem` (``atf.command``) where every column keeps its values, as no digitised signal does."""
    count = sum(len(block.times) for block in blocks)
    if count < MIN_STEADY:
        return
    repeats = sum((block.values[:, 1:] == block.values[:, :-1]).sum(axis=1) for block in blocks)
    share = float(np.min(repeats)) / max(count - len(blocks), 1)
    if share >= STEADY:
        what = f"in each column {share:.2%} of the samples repeat the one before, as in no signal that was recorded"
        raise problem("atf.command", f"{header.key} looks like a command waveform: {what}", file=header.key)


def _build_channels(header: Header, layout: Layout, options: Mapping[str, Any]) -> tuple[Channel, ...]:
    stated = options.get("data_unit", "").strip()
    return tuple(
        Channel(index, name, unit or stated, Decimal(1), Decimal(0), np.dtype("f8"), clamp=options.get("clamp", ""))
        for index, (name, unit) in enumerate(zip(layout.names, layout.units, strict=True))
    )


def _describe_header(header: Header, timing: Timing) -> dict[str, Any]:
    """All that stands above the rows, and how the times were understood."""
    return {
        "version": header.version,
        "delimiter": "tab" if header.delimiter == b"\t" else "comma",
        "records": list(header.records),
        "titles": [title.text for title in header.titles],
        "first_time": f"{timing.first.normalize():f}",
        "time_step": f"{timing.step.normalize():f}",
    }


def _list_warnings(header: Header, timing: Timing, seconds: Decimal, rows: Rows) -> Iterator[str]:
    if timing.bounds:
        low, high = (float(1 / (Decimal(step) * seconds)) for step in reversed(timing.bounds))
        rate = float(1 / (timing.step * seconds))
        rates = f"{low:.9g} to {high:.9g} Hz; {rate:.9g} has fewest digits"
        yield f"{header.key}: its times, as printed, leave open {rates}"
    if timing.first < 0:
        yield f"{header.key}: its times begin at {timing.first:f}; they count from the first sample"
    if rows.most_digits:
        yield f"{header.key}: numbers of up to {rows.most_digits} digits are kept as the nearest float64, of 15 to 17"
