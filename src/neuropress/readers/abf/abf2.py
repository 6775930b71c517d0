"""ABF 2: a short header, a table of sections, and one pool of texts."""

from __future__ import annotations

from collections.abc import Mapping
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
    Wave,
    adc_channel,
    amplifiers,
    check_data,
    clock,
    cut_sweeps,
    dac_channel,
    digitizer,
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

CHANNELS = 64
CONTENTS = 76
POOL_HEADER = 44
"""Bytes of the pool's own header (``SSCH``) before its first text."""

_ROWS = {
    "Protocol": layout.PROTOCOL, "ADC": layout.ADC, "DAC": layout.DAC, "Epoch": layout.EPOCH,
    "EpochPerDAC": layout.EPOCH_PER_DAC, "UserList": layout.USER_LIST, "Tag": layout.TAG,
    "SynchArray": layout.SYNCH,
}  # fmt: skip


def parse(source: Bytes) -> Header:
    """Header of an ABF 2 file. Raises `Problem` (see ``findings/abf.toml``)."""
    head = np.frombuffer(source.read(0, layout.V2.itemsize, "the header"), layout.V2)[0]
    contents = np.frombuffer(
        source.read(CONTENTS, len(layout.SECTIONS) * layout.SECTION.itemsize, "the table of sections"), layout.SECTION
    )
    sections = dict(zip(layout.SECTIONS, contents, strict=True))
    tables = {name: _section(source, sections[name], name, row) for name, row in _ROWS.items()}
    if len(tables["Protocol"]) != 1:
        raise source.damaged(f"there are {len(tables['Protocol'])} protocol sections instead of 1")
    protocol, pool = tables["Protocol"][0], _pool(source, sections["Strings"])
    dtype = sample_type(source, int(head["nDataFormat"]))
    start, total = _data(source, sections["Data"], dtype, protocol)
    channels = len(tables["ADC"])
    interval = sample_interval(source, protocol["fADCSequenceInterval"], channels, CHANNELS)
    mode, unit = int(protocol["nOperationMode"]), protocol["fSynchTimeUnit"]
    sweeps = cut_sweeps(
        source, mode, total, channels, int(head["lActualEpisodes"]), tables["SynchArray"], unit, interval
    )
    rows = [_named(r, pool, "lADCChannelNameIndex", "lADCUnitsIndex") for r in tables["ADC"]]
    return Header(
        version=".".join(str(n) for n in head["fFileVersionNumber"][::-1][:2]),
        mode=mode,
        interval=interval,
        data=start,
        dtype=dtype,
        adc=tuple(
            adc_channel(source, i, r, protocol["fADCRange"], int(protocol["lADCResolution"]), dtype)
            for i, r in enumerate(rows)
        ),
        dac=tuple(_dac(r, pool) for r in tables["DAC"]),
        waves=tuple(_wave(source, r, tables, protocol, pool) for r in tables["DAC"] if r["nWaveformEnable"]),
        sweeps=sweeps,
        tags=tags_of(tables["Tag"], tick(unit, interval, channels)),
        protocol=protocol_name(_lookup(pool, head["uProtocolPathIndex"])),
        started=clock(int(head["uFileStartDate"]), int(head["uFileStartTimeMS"]), source.warnings),
        facts=facts(interval, amplifiers(rows), digitizer(int(protocol["nDigitizerType"]))),
        dump={"header": plain(head), "strings": pool} | {name: plain(t) for name, t in tables.items()},
        warnings=tuple(source.warnings),
    )


def _section(source: Bytes, entry: Any, name: str, row: np.dtype[Any]) -> np.ndarray:
    start = int(entry["uBlockIndex"]) * layout.BLOCK
    return source.table(start, int(entry["llNumEntries"]), int(entry["uBytes"]), row, f"the section {name}")


def _pool(source: Bytes, entry: Any) -> list[str]:
    """The texts; sections name them by their position, counted from 1."""
    if not entry["llNumEntries"] or not entry["uBytes"]:
        return []
    raw = source.read(int(entry["uBlockIndex"]) * layout.BLOCK, int(entry["uBytes"]), "the section Strings")
    if raw[:4] != b"SSCH":
        raise source.damaged(f"the pool of texts begins with {raw[:4]!r} instead of SSCH")
    count = int.from_bytes(raw[8:12], "little")
    return [text(part) for part in raw[POOL_HEADER:].split(b"\0")[:count]]


def _lookup(pool: list[str], index: Any) -> str:
    """A text of the pool; empty for index 0, which means none."""
    return pool[int(index) - 1] if 0 < int(index) <= len(pool) else ""


def _named(row: Any, pool: list[str], name: str, unit: str) -> Row:
    fields = {field: row[field] for field in row.dtype.names}
    return fields | {"name": _lookup(pool, row[name]), "unit": _lookup(pool, row[unit])}


def _data(source: Bytes, entry: Any, dtype: np.dtype[Any], protocol: Any) -> tuple[int, int]:
    """First byte and number of samples of the data section."""
    total, start = int(entry["llNumEntries"]), int(entry["uBlockIndex"]) * layout.BLOCK
    if protocol["bEnableFileCompression"]:
        raise problem("abf.unsupported", f"{source.key}: its samples are compressed", file=source.key)
    if int(protocol["nOperationMode"]) not in MODES:
        raise source.damaged(f"nOperationMode is {protocol['nOperationMode']}; known: 1 to 5")
    if total and int(entry["uBytes"]) != dtype.itemsize:
        raise source.damaged(f"a sample has {entry['uBytes']} bytes, its type {dtype} has {dtype.itemsize}")
    if total:
        check_data(source, start, total, dtype)
    return start, total


def _dac(row: Any, pool: list[str]) -> Any:
    named = _named(row, pool, "lDACChannelNameIndex", "lDACChannelUnitsIndex")
    number = int(row["nDACNum"])
    return dac_channel(
        number, number, named["name"], named["unit"], row["fDACHoldingLevel"], bool(row["nWaveformEnable"])
    )


def _wave(source: Bytes, row: Any, tables: Mapping[str, np.ndarray], protocol: Any, pool: list[str]) -> Wave:
    dac = int(row["nDACNum"])
    epochs = tuple(
        Epoch(
            number=int(e["nEpochNum"]),
            type=int(e["nEpochType"]),
            level=float(e["fEpochInitLevel"]),
            level_step=float(e["fEpochLevelInc"]),
            duration=int(e["lEpochInitDuration"]),
            duration_step=int(e["lEpochDurationInc"]),
            period=int(e["lEpochPulsePeriod"]),
            width=int(e["lEpochPulseWidth"]),
        )
        for e in tables["EpochPerDAC"]
        if e["nDACNum"] == dac
    )
    lists = tuple(
        user_list(int(u["nULParamToVary"]), _lookup(pool, u["lULParamValueListIndex"]), u["nULRepeat"], source.warnings)
        for u in tables["UserList"]
        if u["nListNum"] == dac and u["nULParamToVary"] > 0
    )
    unclear = "outputs alternate between sweeps" if protocol["nAlternateDACOutputState"] else ""
    return Wave(
        dac=dac,
        source=int(row["nWaveformSource"]),
        holding=float(row["fDACHoldingLevel"]),
        keep_last=bool(row["nInterEpisodeLevel"]),
        epochs=tuple(sorted(epochs, key=lambda e: e.number)),
        lists=lists,
        path=_lookup(pool, row["lDACFilePathIndex"]),
        scale=float(row["fDACFileScale"]),
        offset=float(row["fDACFileOffset"]),
        episode=int(row["lDACFileEpisodeNum"]),
        unclear=unclear,
    )
