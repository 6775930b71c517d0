"""ABF by neo: samples as stored, scale, units, rate, starts and date; no commands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from neo.rawio.axonrawio import AxonRawIO

from .reading import SecondRecording

FIRST_FULL_DATE = 1900_01_01
EPISODIC = 5


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondRecording:
    """See `neuropress.independent.SecondReaderModule`."""
    reader = AxonRawIO(str(path))
    reader.parse_header()
    sweeps = range(reader.segment_count(0))
    channels = reader.header["signal_channels"]

    def read_samples(sweep: int, channel: int, start: int, stop: int) -> np.ndarray:
        chunk = reader.get_analogsignal_chunk(
            0, sweep, i_start=start, i_stop=stop, stream_index=0, channel_indexes=[channel]
        )
        return np.asarray(chunk)[:, 0]

    return SecondRecording(
        lengths=tuple(int(reader.get_signal_size(0, sweep, 0)) for sweep in sweeps),
        rate=float(reader.get_signal_sampling_rate(0)),
        starts=tuple(float(reader.get_signal_t_start(0, sweep, 0)) for sweep in sweeps),
        started=reader.raw_annotations["blocks"][0]["rec_datetime"],
        units=tuple(str(channel["units"]) for channel in channels),
        scales=tuple((float(channel["gain"]), float(channel["offset"])) for channel in channels),
        read=read_samples,
        mistakes=_find_mistakes(reader._axon_info),
    )


def _find_mistakes(header: Mapping[str, Any]) -> dict[str, str]:
    """What neo is known to read wrong in files with such a header, with the fields that decide."""
    mistakes = {}
    is_abf1 = header["fFileVersionNumber"] < 2
    settings = header if is_abf1 else header["protocol"]
    channels = header["nADCNumChannels"] if is_abf1 else header["sections"]["ADCSection"]["llNumEntries"]
    table = header["lSynchArraySize"] if is_abf1 else header["sections"]["SynchArraySection"]["llNumEntries"]
    date = int(header["lFileStartDate"] if is_abf1 else header["uFileStartDate"])
    episodes = int(header["lActualEpisodes"])
    if not table and episodes > 1 and settings["nOperationMode"] == EPISODIC:
        why = f"neo makes one run of {episodes} sweeps where there is no table of sweeps (lActualEpisodes {episodes}, "
        why += "lSynchArraySize 0)"
        mistakes["shape"] = mistakes["start"] = why
    elif settings["fSynchTimeUnit"] == 0 and channels > 1:
        # The table then counts samples of all channels together; neo divides them by the rate of one.
        mistakes["start"] = f"neo takes starts {channels} times too late (fSynchTimeUnit 0, {channels} channels)"
    if date < FIRST_FULL_DATE:
        mistakes["date"] = f"neo takes a date of two-digit years as one (lFileStartDate {date})"
    return mistakes
