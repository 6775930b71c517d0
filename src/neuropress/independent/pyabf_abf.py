"""ABF by pyABF: samples in their unit, rate, starts, date, and the commands, which no other library has."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Mapping
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pyabf
from pyabf.stimulus import Stimulus

from .reading import SecondRecording

EPISODIC = 5
DATES = (1990_01_01, 2100_12_31)
HIGHEST_LEVEL = 1e6
EPOCH_TABLE, FILE = 1, 2
STEP, RAMP, COSINE = 1, 2, 5
TRAINS = (3, 4, 5, 7)
BLOCK, ABF1_HOLDING = 512, 1394
"""Bytes of a block of ABF; where the levels of holding (``fDACHoldingLevel``) lie in ABF 1."""


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondRecording:
    """See `neuropress.independent.SecondReaderModule`."""
    warnings.simplefilter("ignore")
    abf = pyabf.ABF(str(path))
    lengths = tuple(_measure_sweep(abf, sweep) for sweep in abf.sweepList)
    firsts = np.concatenate([[0], np.cumsum(lengths)])

    def read_samples(sweep: int, channel: int, start: int, stop: int) -> np.ndarray:
        first = int(firsts[sweep])
        return np.asarray(abf.data[channel, first + start : first + stop])

    def read_command(sweep: int, output: int) -> np.ndarray:
        if sources.get(output) == FILE:  # pyABF would open whatever path the header names
            return np.zeros(0)
        return np.asarray(Stimulus(abf, output).stimulusWaveform(sweep)[: lengths[sweep]])

    outputs = list(_list_outputs(abf))
    sources = {number: source for number, _, source in outputs}
    return SecondRecording(
        lengths=lengths,
        rate=float(abf.dataRate),
        starts=tuple(float(start) for start in abf.sweepTimesSec),
        started=abf.abfDateTime if isinstance(abf.abfDateTime, datetime) else None,
        units=tuple("" if unit == "?" else str(unit).strip("\0 ") for unit in abf.adcUnits),
        scales=(),
        read=read_samples,
        driven=tuple(number for number, enabled, source in outputs if enabled and source in (EPOCH_TABLE, FILE)),
        command_units=_list_command_units(abf),
        read_command=read_command,
        mistakes=dict(_find_mistakes(abf)),
    )


def _measure_sweep(abf: Any, sweep: int) -> int:
    abf.setSweep(sweep)
    return len(abf.sweepY)


def _is_abf1(abf: Any) -> bool:
    return bool(abf.abfVersion["major"] == 1)


def _list_outputs(abf: Any) -> Iterator[tuple[int, int, int]]:
    """Number of each output, whether it played a waveform, and from what; ABF 1 has waveforms for two.

    Without the long header of version 1.6 nothing is stated: pyABF reads samples in its place.
    """
    if _is_abf1(abf):
        header, count = abf._headerV1, 2 if abf._headerV1.fFileVersionNumber >= 1.6 else 0
    else:
        header, count = abf._dacSection, len(abf._dacSection.nWaveformEnable)
    for number in range(count):
        yield number, int(header.nWaveformEnable[number]), int(header.nWaveformSource[number])


def _list_command_units(abf: Any) -> tuple[str, ...]:
    if _is_abf1(abf):
        return tuple(str(unit).strip("\0 ") for unit in abf._headerV1.sDACChannelUnit)
    texts = abf._stringsSection._indexedStrings
    return tuple(str(texts[index]).strip("\0 ") for index in abf._dacSection.lDACChannelUnitsIndex)


def _find_mistakes(abf: Any) -> Iterator[tuple[str, str]]:
    """What pyABF is known to read wrong in files with such a header, with the fields that decide."""
    header = abf._headerV1 if _is_abf1(abf) else abf._headerV2
    date = int(header.lFileStartDate if _is_abf1(abf) else header.uFileStartDate)
    name = "lFileStartDate" if _is_abf1(abf) else "uFileStartDate"
    if not DATES[0] <= date <= DATES[1]:
        yield "date", f"pyABF makes a date of what is none, or takes the file's own ({name} {date})"
    interval = _get_interval(abf)
    if 1e6 / interval != int(1e6 / interval):
        yield "rate", f"pyABF cuts the rate to a whole number (sample interval {interval:g} us)"
    yield from _find_mistaken_starts(abf)
    for number, enabled, source in _list_outputs(abf):
        if enabled and (why := _find_mistaken_command(abf, number, source)):
            yield f"command {number}", why
    if _is_abf1(abf) and header.nNumPointsIgnored:
        yield "samples", f"pyABF skips bytes instead of samples (nNumPointsIgnored {header.nNumPointsIgnored})"


def _get_interval(abf: Any) -> float:
    """Microseconds between two samples of a channel."""
    if _is_abf1(abf):
        return float(abf._headerV1.fADCSampleInterval) * int(abf.channelCount)
    return float(abf._protocolSection.fADCSequenceInterval)


def _find_mistaken_starts(abf: Any) -> Iterator[tuple[str, str]]:
    """Of later sweeps; and of the first one, which moves the clock of all of them."""
    first = _read_first_start(abf)
    if first:
        yield "date", f"pyABF begins with the first sweep, which began later (first lStart of SynchArray {first})"
    if abf.sweepCount < 2:
        return
    if _is_abf1(abf):
        if abf._headerV1.lSynchArraySize:
            rows = abf._headerV1.lSynchArraySize
            yield "start", f"pyABF does not read the table of sweeps of ABF 1 (lSynchArraySize {rows})"
        return
    starts = np.asarray(abf._synchArraySection.lStart, float)
    unit = float(abf._protocolSection.fSynchTimeUnit)
    seconds = starts * (unit or _get_interval(abf) / abf.channelCount) / 1e6
    taken = np.asarray(abf.sweepTimesSec)
    if len(seconds) != len(taken) or not np.allclose(seconds - seconds[0], taken, rtol=0, atol=1e-6):
        period = abf._protocolSection.fEpisodeStartToStart
        yield (
            "start",
            f"pyABF counts sweeps by a fixed period (fEpisodeStartToStart {period:g}), which the table of sweeps does "
            "not have (SynchArray lStart)",
        )


def _read_first_start(abf: Any) -> int:
    """The table's first entry, in its own unit; 0 where there is no table."""
    if not _is_abf1(abf):
        return int(next(iter(abf._synchArraySection.lStart), 0))
    header = abf._headerV1
    return int(_read_number(abf, "<i", header.lSynchArrayPtr * BLOCK)) if header.lSynchArraySize else 0


def _read_number(abf: Any, form: str, offset: int) -> float:
    """A field of the header that pyABF does not read."""
    with open(abf.abfFilePath, "rb") as file:
        file.seek(offset)
        return float(struct.unpack(form, file.read(struct.calcsize(form)))[0])


def _find_mistaken_command(abf: Any, number: int, source: int) -> str:
    """Why pyABF's drawing of an output's command is no command that the header determines; empty where it is one."""
    if abf.nOperationMode != EPISODIC:
        return f"pyABF draws commands of recordings that are not episodic (nOperationMode {abf.nOperationMode})"
    if source == FILE:
        return "pyABF plays the file of the first output, unscaled (nWaveformSource 2, fDACFileScale, fDACFileOffset)"
    if not _is_abf1(abf) and abf._protocolSection.nAlternateDACOutputState:
        return "pyABF does not alternate the outputs (nAlternateDACOutputState 1)"
    if _is_abf1(abf) and _read_number(abf, "<f", ABF1_HOLDING + 4 * number) != abf.holdingCommand[number]:
        return "pyABF takes levels of epochs for those of holding in ABF 1 (fDACHoldingLevel, fEpochInitLevel)"
    if _varies_by_list(abf, number):
        return "pyABF does not apply user lists (nULEnable, UserList section)"
    if not _is_abf1(abf) and len(set(abf._synchArraySection.lLength)) > 1:
        return "pyABF draws holding for sweeps of several lengths (SynchArray lLength)"
    return _find_undrawable(abf, number)


def _varies_by_list(abf: Any, number: int) -> bool:
    if not _is_abf1(abf):
        return any(abf._userListSection.nULEnable)  # it does not read whose list it is
    flags = abf._headerV1.nULEnable  # int16 of four outputs, read as int32
    return bool(flags) and bool(int(flags[0]) >> 16 * number & 0xFFFF)


def _find_undrawable(abf: Any, number: int) -> str:
    """A table of epochs that no sweep can hold, or of types that pyABF does not draw as the program did."""
    table = pyabf.waveform.EpochTable(abf, number)
    room = abf.sweepPointCount - abf.sweepPointCount // 64
    for sweep in abf.sweepList:
        durations = [epoch.duration + epoch.durationDelta * sweep for epoch in table.epochs]
        levels = [epoch.level + epoch.levelDelta * sweep for epoch in table.epochs]
        if sum(durations) > room or min(durations, default=0) < 0:
            return f"pyABF draws epochs that are longer than sweep {sweep} (lEpochInitDuration)"
        if not all(isfinite(level) and abs(level) < HIGHEST_LEVEL for level in (*levels, table.holdingLevel)):
            return "pyABF draws levels that no amplifier has (fEpochInitLevel, fDACHoldingLevel)"
    for before, epoch in zip([None, *table.epochs], table.epochs, strict=False):
        kind = epoch.epochType
        if kind not in (STEP, RAMP, *TRAINS) or (kind in TRAINS and _is_abf1(abf)):
            return f"pyABF does not draw epochs of the type {kind} (nEpochType)"
        if kind == COSINE:
            return "pyABF draws cosines with one sample too few a train (nEpochType 5)"
        if kind in TRAINS and (epoch.pulsePeriod <= 0 or epoch.duration % epoch.pulsePeriod or epoch.durationDelta):
            return "pyABF leaves the end of a pulse train open (lEpochPulsePeriod, lEpochInitDuration)"
        if before is not None and before.epochType in TRAINS and kind != STEP:
            return "pyABF goes on from a pulse train as if it had ended at its level (nEpochType)"
    return ""
