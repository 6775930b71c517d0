"""Axon Binary Format, versions 1 and 2: recordings made with pCLAMP and AxoScope.

Samples are given as stored (int16, or float32 in some files); `Channel.gain` and
`Channel.offset` state the header's scale.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np

from ...model.content import LazyArray, Recording, Selection, Stimulus, Sweep
from ...model.finding import problem
from ...model.source import RawFile, Source
from ..stamp import check_unchanged
from . import FORMAT, abf1, abf2
from .header import MODES, BoundedFile, Header, compute_rate
from .stimulus import Command, Render, rebuild_commands

MAX_BLOCK_SAMPLES = 1 << 20
"""Samples of a channel in a block: bounds memory for recordings of hours."""


def read(source: Source, options: Mapping[str, Any]) -> tuple[Recording, ...]:
    """One `Recording`: header now, samples and commands when their arrays are read.

    Raises
    ------
    Problem
        ``file.empty``, ``abf.not_abf``, ``abf.truncated``, ``abf.damaged``, ``abf.empty``,
        ``abf.unsupported``.
    """
    header = read_header(source, source.key)
    samples = Samples(source, source.key, header)
    rebuilt, unknown = rebuild_commands(header, source, _open_command_file)
    arrays: dict[str, LazyArray] = {}
    firsts = accumulate((length for _, length in header.sweeps), initial=0)
    sweeps = tuple(
        _build_sweep(i, first, header, samples, rebuilt, arrays)
        for i, first in zip(range(len(header.sweeps)), firsts, strict=False)
    )
    recording = Recording(
        name="",
        format=FORMAT.name,
        facts=header.facts,
        header={"version": header.version, **header.raw_fields},
        arrays=arrays,
        warnings=(*header.warnings, *unknown),
        close=samples.close,
        rate=compute_rate(header.interval),
        mode=MODES[header.mode],
        protocol=header.protocol,
        started=header.started,
        adc=header.adc,
        dac=header.dac,
        sweeps=sweeps,
        tags=header.tags,
    )
    return (recording,)


def read_header(source: Source, key: str) -> Header:
    """Parse and check the header of a file. Raises `Problem` as `read` does."""
    size = source.size(key)
    if size == 0:
        raise problem("file.empty", f"{key} has no bytes", file=key)
    with source.open(key) as file:
        view = BoundedFile(file, size, key)
        signature = view.read(0, 4, "the signature")
        if signature == b"ABF ":
            return abf1.parse_header(view)
        if signature == b"ABF2":
            return abf2.parse_header(view)
    raise problem("abf.not_abf", f"{key} begins with {signature!r}, not with 'ABF ' or 'ABF2'", file=key)


class Samples:
    """The interleaved samples of a file, opened at the first read, one read at a time."""

    def __init__(self, source: Source, key: str, header: Header) -> None:
        self._source, self._key, self._header = source, key, header
        self._channels = len(header.adc)
        self._file: RawFile | None = None
        self._stamp = source.stamp(key)
        self._lock = threading.Lock()

    def read(self, first: int, channel: int, selection: Selection) -> np.ndarray:
        """Samples of one channel, counted from its sample `first` on, as stored."""
        start, stop = selection[0].start, selection[0].stop
        kind = self._header.dtype.newbyteorder("<")
        width = self._channels * kind.itemsize
        with self._lock:
            if self._file is None:
                self._file = self._source.open(self._key)
            self._file.seek(self._header.data_start + (first + start) * width)
            raw = self._file.read((stop - start) * width)
            if len(raw) < (stop - start) * width:
                raise problem("abf.truncated", f"{self._key} became shorter while it was read", file=self._key)
            check_unchanged(self._file.stamp(), self._stamp, self._key)
        frames = np.frombuffer(raw, kind).reshape(-1, self._channels)
        return frames[:, channel].astype(self._header.dtype)

    def close(self) -> None:
        """Close the file; a later read opens it again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def _build_sweep(
    index: int, first: int, header: Header, samples: Samples, rebuilt: list[Command], arrays: dict[str, LazyArray]
) -> Sweep:
    """One sweep, whose samples begin at sample `first` of each channel; its arrays are added to `arrays`."""
    start, length = header.sweeps[index]
    responses, stimuli = {}, []
    for channel in header.adc:
        name = f"sweep{index:03d}/adc{channel.index}"
        responses[channel.index] = name
        block = (min(length, MAX_BLOCK_SAMPLES),)
        read_block = partial(samples.read, first, channel.index)
        arrays[name] = LazyArray(name, (length,), channel.dtype, ("sample",), read_block, block)
    for command in rebuilt:
        if index in command.sweeps:
            name = f"sweep{index:03d}/dac{command.dac}"
            stimuli.append(Stimulus(command.dac, name, command.how))
            read_part = partial(_render_block, command.render, index)
            arrays[name] = LazyArray(name, (length,), np.dtype("f8"), ("sample",), read_part, (length,))
    return Sweep(index, start, length, responses, tuple(stimuli))


def _render_block(render: Render, sweep: int, selection: Selection) -> np.ndarray:
    return render(sweep)[selection[0]].astype("f8", copy=False)


def _open_command_file(source: Source, key: str) -> list[Render]:
    """The sweeps of a command file that is an ABF: its first channel, in its unit."""
    header = read_header(source, key)
    channel = header.adc[0]
    samples = Samples(source, key, header)

    def render(first: int, length: int, _: int) -> np.ndarray:
        try:
            stored = samples.read(first, 0, (slice(0, length),))
        finally:
            samples.close()
        return stored * float(channel.gain) + float(channel.offset)

    lengths = [length for _, length in header.sweeps]
    return [
        partial(render, first, length) for first, length in zip(accumulate(lengths, initial=0), lengths, strict=False)
    ]
