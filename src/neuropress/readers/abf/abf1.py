"""ABF 1: one header of fixed layout, 2048 bytes before version 1.6, 6144 bytes since."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...model.finding import problem
from . import layout
from .header import (
    MODES,
    Bytes,
    Epoch,
    Header,
    Row,
    UserList,
    Wave,
    adc_channel,
    amplifiers,
    check_data,
    clock,
    cut_sweeps,
    dac_channel,
    facts,
    plain,
    protocol_name,
    sample_interval,
    sample_type,
    tags_of,
    text,
    tick,
    user_list,
)

CHANNELS = 16
EPOCHS = 10
WAVES = 2
"""Only the first two of the four DACs play a waveform."""

_PER_ADC = (
    "fADCProgrammableGain", "fInstrumentScaleFactor", "fInstrumentOffset", "fSignalGain", "fSignalOffset",
    "nTelegraphEnable", "nTelegraphInstrument", "fTelegraphAdditGain", "nTelegraphMode",
)  # fmt: skip


def parse(source: Bytes) -> Header:
    """Header of an ABF 1 file. Raises `Problem` (see ``findings/abf.toml``)."""
    head = _head(source)
    channels = int(head["nADCNumChannels"])
    interval = sample_interval(source, head["fADCSampleInterval"], channels, CHANNELS) * channels
    dtype = sample_type(source, int(head["nDataFormat"]))
    if int(head["nOperationMode"]) not in MODES:
        raise source.damaged(f"nOperationMode is {head['nOperationMode']}; known: 1 to 5")
    if head["lClockChange"] and head["fADCSecondSampleInterval"] not in (0, head["fADCSampleInterval"]):
        raise problem(
            "abf.unsupported", f"{source.key}: its sweeps change their sample interval midway", file=source.key
        )
    total = int(head["lActualAcqLength"])
    start = int(head["lDataSectionPtr"]) * layout.BLOCK + int(head["nNumPointsIgnored"]) * dtype.itemsize
    check_data(source, start, total, dtype)
    synch = source.table(
        int(head["lSynchArrayPtr"]) * layout.BLOCK, int(head["lSynchArraySize"]), 8, layout.SYNCH, "the table of sweeps"
    )
    tags = source.table(
        int(head["lTagSectionPtr"]) * layout.BLOCK, int(head["lNumTagEntries"]), 64, layout.TAG, "the table of tags"
    )
    unit = head["fSynchTimeUnit"]
    mode, episodes = int(head["nOperationMode"]), int(head["lActualEpisodes"])
    sweeps = cut_sweeps(source, mode, total, channels, episodes, synch, unit, interval)
    rows = [_row(head, i) for i in _sequence(source, head, channels)]
    waves = _waves(source, head)
    return Header(
        version=f"{float(head['fFileVersionNumber']):.4g}",
        mode=mode,
        interval=interval,
        data=start,
        dtype=dtype,
        adc=tuple(
            adc_channel(source, i, r, head["fADCRange"], int(head["lADCResolution"]), dtype) for i, r in enumerate(rows)
        ),
        dac=_dacs(head),
        waves=waves,
        sweeps=sweeps,
        tags=tags_of(tags, tick(unit, interval, channels)),
        protocol=protocol_name(text(bytes(head["sProtocolPath"]))) if "sProtocolPath" in _names(head) else "",
        started=clock(int(head["lFileStartDate"]), _milliseconds(head), source.warnings),
        facts=facts(interval, amplifiers(rows), ""),
        dump={"header": plain(head), "tags": plain(tags)},
        warnings=tuple(source.warnings),
    )


def _names(head: Any) -> tuple[str, ...]:
    return head.dtype.names or ()


def _head(source: Bytes) -> Any:
    """The header's fields. Where data lie behind byte 2048, the long header's second part does not exist."""
    short = np.frombuffer(source.read(0, layout.ABF1_SHORT, "the header"), layout.V1_SHORT)[0]
    version = float(short["fFileVersionNumber"])
    if not 1 <= version < 2:
        raise source.damaged(f"an ABF 1 file states version {version:.4g}")
    sections = [int(short[p]) * layout.BLOCK for p in ("lDataSectionPtr", "lSynchArrayPtr", "lTagSectionPtr")]
    if version < 1.6 or any(0 < start < layout.ABF1_LONG for start in sections):
        return short
    return np.frombuffer(source.read(0, layout.ABF1_LONG, "the header"), layout.V1_LONG)[0]


def _milliseconds(head: Any) -> int:
    return int(head["lFileStartTime"]) * 1000 + int(head["nFileStartMillisecs"])


def _sequence(source: Bytes, head: Any, channels: int) -> list[int]:
    """Physical numbers of the recorded channels, in their order in the data."""
    sequence = [int(n) for n in head["nADCSamplingSeq"][:channels]]
    if any(not 0 <= n < CHANNELS for n in sequence) or len(set(sequence)) < channels:
        source.warnings.append(f"the channel sequence {sequence} is no list of channels; taken as 0, 1, 2 ...")
        return list(range(channels))
    return sequence


def _row(head: Any, physical: int) -> Row:
    """One recorded channel's settings under the names that ABF 2 gives them."""
    row = {name: head[name][physical] if name in _names(head) else 0 for name in _PER_ADC}
    return row | {
        "nADCNum": physical,
        "name": text(bytes(head["sADCChannelName"][physical])),
        "unit": text(bytes(head["sADCUnits"][physical])),
    }


def _dacs(head: Any) -> tuple[Any, ...]:
    """The four command channels; without a long header nothing says which of them was driven."""
    driven = [bool(d) for d in head["nWaveformEnable"]] if "nWaveformEnable" in _names(head) else []
    return tuple(
        dac_channel(
            i, i, text(bytes(head["sDACChannelName"][i])), text(bytes(head["sDACChannelUnits"][i])),
            head["fDACHoldingLevel"][i], i < len(driven) and driven[i],
        )
        for i in range(len(head["sDACChannelName"]))
    )  # fmt: skip


def _waves(source: Bytes, head: Any) -> tuple[Wave, ...]:
    if "nWaveformEnable" not in _names(head):
        return ()
    return tuple(_wave(source, head, i) for i in range(WAVES) if head["nWaveformEnable"][i])


def _wave(source: Bytes, head: Any, dac: int) -> Wave:
    epochs = tuple(
        Epoch(
            number=n - dac * EPOCHS,
            type=int(head["nEpochType"][n]),
            level=float(head["fEpochInitLevel"][n]),
            level_step=float(head["fEpochLevelInc"][n]),
            duration=int(head["lEpochInitDuration"][n]),
            duration_step=int(head["lEpochDurationInc"][n]),
        )
        for n in range(dac * EPOCHS, (dac + 1) * EPOCHS)
    )
    lists: tuple[UserList, ...] = ()
    if head["nULEnable"][dac]:
        values = text(bytes(head["sULParamValueList"][dac]))
        lists = (user_list(int(head["nULParamToVary"][dac]), values, head["nULRepeat"][dac], source.warnings),)
    return Wave(
        dac=dac,
        source=int(head["nWaveformSource"][dac]),
        holding=float(head["fDACHoldingLevel"][dac]),
        keep_last=bool(head["nInterEpisodeLevel"][dac]),
        epochs=epochs,
        lists=lists,
        path=text(bytes(head["sDACFilePath"][dac])),
        scale=float(head["fDACFileScale"][dac]),
        offset=float(head["fDACFileOffset"][dac]),
        episode=int(head["lDACFileEpisodeNum"][dac]),
    )
