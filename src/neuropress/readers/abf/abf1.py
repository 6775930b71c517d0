"""ABF 1: one header of fixed layout, 2048 bytes before version 1.6, 6144 bytes since."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...model.finding import problem
from . import layout
from .header import (
    MODES,
    BoundedFile,
    Epoch,
    Header,
    Row,
    UserList,
    Waveform,
    build_adc_channel,
    build_dac_channel,
    build_tags,
    check_data_section,
    check_sample_interval,
    collect_facts,
    compute_tick,
    convert_to_json,
    cut_sweeps,
    decode_text,
    join_amplifier_names,
    parse_protocol_name,
    parse_sample_type,
    parse_start_time,
    parse_user_list,
)

MAX_CHANNELS = 16
EPOCHS_PER_DAC = 10
WAVEFORM_DACS = 2
"""Only the first two of the four DACs play a waveform."""

_PER_ADC = (
    "fADCProgrammableGain", "fInstrumentScaleFactor", "fInstrumentOffset", "fSignalGain", "fSignalOffset",
    "nTelegraphEnable", "nTelegraphInstrument", "fTelegraphAdditGain", "nTelegraphMode",
)  # fmt: skip


def parse_header(file: BoundedFile) -> Header:
    """Header of an ABF 1 file. Raises `Problem` (see ``findings/abf.toml``)."""
    head = _read_fixed_header(file)
    channels = int(head["nADCNumChannels"])
    interval = check_sample_interval(file, head["fADCSampleInterval"], channels, MAX_CHANNELS) * channels
    dtype = parse_sample_type(file, int(head["nDataFormat"]))
    if int(head["nOperationMode"]) not in MODES:
        raise file.make_damaged_problem(f"nOperationMode is {head['nOperationMode']}; known: 1 to 5")
    if head["lClockChange"] and head["fADCSecondSampleInterval"] not in (0, head["fADCSampleInterval"]):
        raise problem("abf.unsupported", f"{file.key}: its sweeps change their sample interval midway", file=file.key)
    total = int(head["lActualAcqLength"])
    start = int(head["lDataSectionPtr"]) * layout.BLOCK + int(head["nNumPointsIgnored"]) * dtype.itemsize
    check_data_section(file, start, total, dtype)
    synch = file.read_table(
        int(head["lSynchArrayPtr"]) * layout.BLOCK, int(head["lSynchArraySize"]), 8, layout.SYNCH, "the table of sweeps"
    )
    tags = file.read_table(
        int(head["lTagSectionPtr"]) * layout.BLOCK, int(head["lNumTagEntries"]), 64, layout.TAG, "the table of tags"
    )
    unit = head["fSynchTimeUnit"]
    mode, episodes = int(head["nOperationMode"]), int(head["lActualEpisodes"])
    sweeps = cut_sweeps(file, mode, total, channels, episodes, synch, unit, interval)
    rows = [_read_adc_row(head, i) for i in _read_channel_sequence(file, head, channels)]
    waves = _read_waveforms(file, head)
    return Header(
        version=f"{float(head['fFileVersionNumber']):.4g}",
        mode=mode,
        interval=interval,
        data_start=start,
        dtype=dtype,
        adc=tuple(
            build_adc_channel(file, i, r, head["fADCRange"], int(head["lADCResolution"]), dtype)
            for i, r in enumerate(rows)
        ),
        dac=_build_dac_channels(head),
        waveforms=waves,
        sweeps=sweeps,
        tags=build_tags(tags, compute_tick(unit, interval, channels)),
        protocol=_read_protocol_name(head),
        started=parse_start_time(int(head["lFileStartDate"]), _get_start_milliseconds(head), file.warnings),
        facts=collect_facts(interval, join_amplifier_names(rows), ""),
        raw_fields={"header": convert_to_json(head), "tags": convert_to_json(tags)},
        warnings=tuple(file.warnings),
    )


def _get_field_names(head: Any) -> tuple[str, ...]:
    return head.dtype.names or ()


def _read_fixed_header(file: BoundedFile) -> Any:
    """The header's fields. Where data lie behind byte 2048, the long header's second part does not exist."""
    short = np.frombuffer(file.read(0, layout.ABF1_SHORT, "the header"), layout.V1_SHORT)[0]
    version = float(short["fFileVersionNumber"])
    if not 1 <= version < 2:
        raise file.make_damaged_problem(f"an ABF 1 file states version {version:.4g}")
    sections = [int(short[p]) * layout.BLOCK for p in ("lDataSectionPtr", "lSynchArrayPtr", "lTagSectionPtr")]
    if version < 1.6 or any(0 < start < layout.ABF1_LONG for start in sections):
        return short
    return np.frombuffer(file.read(0, layout.ABF1_LONG, "the header"), layout.V1_LONG)[0]


def _read_protocol_name(head: Any) -> str:
    """Name of the protocol; only the long header states it."""
    if "sProtocolPath" not in _get_field_names(head):
        return ""
    return parse_protocol_name(decode_text(bytes(head["sProtocolPath"])))


def _get_start_milliseconds(head: Any) -> int:
    return int(head["lFileStartTime"]) * 1000 + int(head["nFileStartMillisecs"])


def _read_channel_sequence(file: BoundedFile, head: Any, channels: int) -> list[int]:
    """Physical numbers of the recorded channels, in their order in the data."""
    sequence = [int(n) for n in head["nADCSamplingSeq"][:channels]]
    if any(not 0 <= n < MAX_CHANNELS for n in sequence) or len(set(sequence)) < channels:
        file.warnings.append(f"the channel sequence {sequence} is no list of channels; taken as 0, 1, 2 ...")
        return list(range(channels))
    return sequence


def _read_adc_row(head: Any, physical: int) -> Row:
    """One recorded channel's settings under the names that ABF 2 gives them."""
    row = {name: head[name][physical] if name in _get_field_names(head) else 0 for name in _PER_ADC}
    return row | {
        "nADCNum": physical,
        "name": decode_text(bytes(head["sADCChannelName"][physical])),
        "unit": decode_text(bytes(head["sADCUnits"][physical])),
    }


def _build_dac_channels(head: Any) -> tuple[Any, ...]:
    """The four command channels; without a long header nothing says which of them was driven."""
    driven: list[bool] = []
    if "nWaveformEnable" in _get_field_names(head):
        driven = [bool(enabled) for enabled in head["nWaveformEnable"]]
    return tuple(
        build_dac_channel(
            i, i, decode_text(bytes(head["sDACChannelName"][i])), decode_text(bytes(head["sDACChannelUnits"][i])),
            head["fDACHoldingLevel"][i], i < len(driven) and driven[i],
        )
        for i in range(len(head["sDACChannelName"]))
    )  # fmt: skip


def _read_waveforms(file: BoundedFile, head: Any) -> tuple[Waveform, ...]:
    if "nWaveformEnable" not in _get_field_names(head):
        return ()
    return tuple(_read_waveform(file, head, i) for i in range(WAVEFORM_DACS) if head["nWaveformEnable"][i])


def _read_waveform(file: BoundedFile, head: Any, dac: int) -> Waveform:
    epochs = tuple(
        Epoch(
            number=n - dac * EPOCHS_PER_DAC,
            type=int(head["nEpochType"][n]),
            level=float(head["fEpochInitLevel"][n]),
            level_step=float(head["fEpochLevelInc"][n]),
            duration=int(head["lEpochInitDuration"][n]),
            duration_step=int(head["lEpochDurationInc"][n]),
        )
        for n in range(dac * EPOCHS_PER_DAC, (dac + 1) * EPOCHS_PER_DAC)
    )
    lists: tuple[UserList, ...] = ()
    if head["nULEnable"][dac]:
        values = decode_text(bytes(head["sULParamValueList"][dac]))
        lists = (parse_user_list(int(head["nULParamToVary"][dac]), values, head["nULRepeat"][dac], file.warnings),)
    return Waveform(
        dac=dac,
        source=int(head["nWaveformSource"][dac]),
        holding=float(head["fDACHoldingLevel"][dac]),
        keep_last=bool(head["nInterEpisodeLevel"][dac]),
        epochs=epochs,
        lists=lists,
        path=decode_text(bytes(head["sDACFilePath"][dac])),
        scale=float(head["fDACFileScale"][dac]),
        offset=float(head["fDACFileOffset"][dac]),
        episode=int(head["lDACFileEpisodeNum"][dac]),
    )
