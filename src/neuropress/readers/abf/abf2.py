"""ABF 2: a short header, a table of sections, and one pool of texts."""

from __future__ import annotations

from collections.abc import Mapping
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
    get_digitizer_name,
    join_amplifier_names,
    parse_protocol_name,
    parse_sample_type,
    parse_start_time,
    parse_user_list,
)

MAX_CHANNELS = 64
SECTIONS_OFFSET = 76
POOL_HEADER_BYTES = 44
"""Bytes of the pool's own header (``SSCH``) before its first text."""

_ROWS = {
    "Protocol": layout.PROTOCOL, "ADC": layout.ADC, "DAC": layout.DAC, "Epoch": layout.EPOCH,
    "EpochPerDAC": layout.EPOCH_PER_DAC, "UserList": layout.USER_LIST, "Tag": layout.TAG,
    "SynchArray": layout.SYNCH,
}  # fmt: skip


def parse_header(file: BoundedFile) -> Header:
    """Header of an ABF 2 file. Raises `Problem` (see ``findings/abf.toml``)."""
    head = np.frombuffer(file.read(0, layout.V2.itemsize, "the header"), layout.V2)[0]
    contents = np.frombuffer(
        file.read(SECTIONS_OFFSET, len(layout.SECTIONS) * layout.SECTION.itemsize, "the table of sections"),
        layout.SECTION,
    )
    sections = dict(zip(layout.SECTIONS, contents, strict=True))
    tables = {name: _read_section(file, sections[name], name, row) for name, row in _ROWS.items()}
    if len(tables["Protocol"]) != 1:
        raise file.make_damaged_problem(f"there are {len(tables['Protocol'])} protocol sections instead of 1")
    protocol, pool = tables["Protocol"][0], _read_string_pool(file, sections["Strings"])
    dtype = parse_sample_type(file, int(head["nDataFormat"]))
    start, total = _locate_data(file, sections["Data"], dtype, protocol)
    channels = len(tables["ADC"])
    interval = check_sample_interval(file, protocol["fADCSequenceInterval"], channels, MAX_CHANNELS)
    mode, unit = int(protocol["nOperationMode"]), protocol["fSynchTimeUnit"]
    sweeps = cut_sweeps(file, mode, total, channels, int(head["lActualEpisodes"]), tables["SynchArray"], unit, interval)
    rows = [_name_row(r, pool, "lADCChannelNameIndex", "lADCUnitsIndex") for r in tables["ADC"]]
    raw_tables = {name: convert_to_json(table) for name, table in tables.items()}
    return Header(
        version=".".join(str(n) for n in head["fFileVersionNumber"][::-1][:2]),
        mode=mode,
        interval=interval,
        data_start=start,
        dtype=dtype,
        adc=tuple(
            build_adc_channel(file, i, r, protocol["fADCRange"], int(protocol["lADCResolution"]), dtype)
            for i, r in enumerate(rows)
        ),
        dac=tuple(_build_dac(r, pool) for r in tables["DAC"]),
        waveforms=tuple(_read_waveform(file, r, tables, protocol, pool) for r in tables["DAC"] if r["nWaveformEnable"]),
        sweeps=sweeps,
        tags=build_tags(tables["Tag"], compute_tick(unit, interval, channels)),
        protocol=parse_protocol_name(_look_up_string(pool, head["uProtocolPathIndex"])),
        started=parse_start_time(int(head["uFileStartDate"]), int(head["uFileStartTimeMS"]), file.warnings),
        facts=collect_facts(interval, join_amplifier_names(rows), get_digitizer_name(int(protocol["nDigitizerType"]))),
        raw_fields={"header": convert_to_json(head), "strings": pool, **raw_tables},
        warnings=tuple(file.warnings),
    )


def _read_section(file: BoundedFile, entry: Any, name: str, row: np.dtype[Any]) -> np.ndarray:
    start = int(entry["uBlockIndex"]) * layout.BLOCK
    return file.read_table(start, int(entry["llNumEntries"]), int(entry["uBytes"]), row, f"the section {name}")


def _read_string_pool(file: BoundedFile, entry: Any) -> list[str]:
    """The texts; sections name them by their position, counted from 1."""
    if not entry["llNumEntries"] or not entry["uBytes"]:
        return []
    raw = file.read(int(entry["uBlockIndex"]) * layout.BLOCK, int(entry["uBytes"]), "the section Strings")
    if raw[:4] != b"SSCH":
        raise file.make_damaged_problem(f"the pool of texts begins with {raw[:4]!r} instead of SSCH")
    count = int.from_bytes(raw[8:12], "little")
    return [decode_text(part) for part in raw[POOL_HEADER_BYTES:].split(b"\0")[:count]]


def _look_up_string(pool: list[str], index: Any) -> str:
    """A text of the pool; empty for index 0, which means none."""
    return pool[int(index) - 1] if 0 < int(index) <= len(pool) else ""


def _name_row(row: Any, pool: list[str], name: str, unit: str) -> Row:
    fields = {field: row[field] for field in row.dtype.names}
    return fields | {"name": _look_up_string(pool, row[name]), "unit": _look_up_string(pool, row[unit])}


def _locate_data(file: BoundedFile, entry: Any, dtype: np.dtype[Any], protocol: Any) -> tuple[int, int]:
    """First byte and number of samples of the data section."""
    total, start = int(entry["llNumEntries"]), int(entry["uBlockIndex"]) * layout.BLOCK
    if protocol["bEnableFileCompression"]:
        raise problem("abf.unsupported", f"{file.key}: its samples are compressed", file=file.key)
    if int(protocol["nOperationMode"]) not in MODES:
        raise file.make_damaged_problem(f"nOperationMode is {protocol['nOperationMode']}; known: 1 to 5")
    if total and int(entry["uBytes"]) != dtype.itemsize:
        raise file.make_damaged_problem(f"a sample has {entry['uBytes']} bytes, its type {dtype} has {dtype.itemsize}")
    if total:
        check_data_section(file, start, total, dtype)
    return start, total


def _build_dac(row: Any, pool: list[str]) -> Any:
    named = _name_row(row, pool, "lDACChannelNameIndex", "lDACChannelUnitsIndex")
    number = int(row["nDACNum"])
    return build_dac_channel(
        number, number, named["name"], named["unit"], row["fDACHoldingLevel"], bool(row["nWaveformEnable"])
    )


def _read_waveform(
    file: BoundedFile, row: Any, tables: Mapping[str, np.ndarray], protocol: Any, pool: list[str]
) -> Waveform:
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
        parse_user_list(
            int(u["nULParamToVary"]),
            _look_up_string(pool, u["lULParamValueListIndex"]),
            u["nULRepeat"],
            file.warnings,
        )
        for u in tables["UserList"]
        if u["nListNum"] == dac and u["nULParamToVary"] > 0
    )
    undetermined = "outputs alternate between sweeps" if protocol["nAlternateDACOutputState"] else ""
    return Waveform(
        dac=dac,
        source=int(row["nWaveformSource"]),
        holding=float(row["fDACHoldingLevel"]),
        keep_last=bool(row["nInterEpisodeLevel"]),
        epochs=tuple(sorted(epochs, key=lambda e: e.number)),
        lists=lists,
        path=_look_up_string(pool, row["lDACFilePathIndex"]),
        scale=float(row["fDACFileScale"]),
        offset=float(row["fDACFileOffset"]),
        episode=int(row["lDACFileEpisodeNum"]),
        undetermined=undetermined,
    )
