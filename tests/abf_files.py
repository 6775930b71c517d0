"""ABF 2 files of our own making, small and exact, for what no real file at hand shows."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuropress.model.content import Recording
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers.abf import layout
from neuropress.readers.abf import read as abf
from neuropress.storage.roots import Folder

DEFAULT_PROTOCOL = {
    "nOperationMode": 5, "fADCSequenceInterval": 100.0, "fSynchTimeUnit": 25.0, "fADCRange": 10.0,
    "lADCResolution": 32768, "lEpisodesPerRun": 2, "nDigitizerType": 6,
}  # fmt: skip
DEFAULT_ADC = {
    "fADCProgrammableGain": 1.0, "fInstrumentScaleFactor": 0.01, "fSignalGain": 1.0, "fTelegraphAdditGain": 1.0,
}  # fmt: skip


def make_rows(dtype: np.dtype[Any], entries: list[dict[str, Any]]) -> np.ndarray:
    table = np.zeros(len(entries), dtype)
    for row, entry in zip(table, entries, strict=True):
        for name, value in entry.items():
            row[name] = value
    return table


def make_epoch(number: int, kind: int, level: float, duration: int, **more: Any) -> dict[str, Any]:
    start = {"nEpochNum": number, "nEpochType": kind, "fEpochInitLevel": level, "lEpochInitDuration": duration}
    return start | more


def write_abf2(
    path: Path,
    sweeps: list[np.ndarray],
    *,
    starts: list[int] | None = None,
    channels: list[dict[str, Any]] | None = None,
    units: list[bytes] | None = None,
    dac: list[dict[str, Any]] | None = None,
    commands: list[bytes] | None = None,
    epochs: list[dict[str, Any]] | None = None,
    lists: list[tuple[int, bytes]] | None = None,
    tags: list[tuple[int, bytes, int]] | None = None,
    protocol: dict[str, Any] | None = None,
    header: dict[str, Any] | None = None,
    command_file: bytes = b"",
) -> Path:
    """Write sweeps of shape (samples, channels); every section begins at a block of its own."""
    adc = channels or [{} for _ in range(sweeps[0].shape[1])]
    units, dac, commands = units or [b"pA"] * len(adc), dac or [], commands or []
    pool = [b"Clampex", b"C:\\Protocols\\steps.pro", command_file or b"none"]

    def name(text: bytes) -> int:
        pool.append(text)
        return len(pool)

    adc_rows = [
        {**DEFAULT_ADC, "nADCNum": i, **a, "lADCChannelNameIndex": name(b"IN %d" % i), "lADCUnitsIndex": name(u)}
        for i, (a, u) in enumerate(zip(adc, units, strict=True))
    ]
    dac_rows = [
        {"nDACNum": i, "fDACFileScale": 1.0, "lDACFilePathIndex": 3, **d,
         "lDACChannelNameIndex": name(b"Cmd %d" % i), "lDACChannelUnitsIndex": name(u)}
        for i, (d, u) in enumerate(zip(dac, commands, strict=True))
    ]  # fmt: skip
    list_rows = [{"nULParamToVary": p, "lULParamValueListIndex": name(values)} for p, values in lists or []]
    data = np.concatenate([s.ravel() for s in sweeps])
    lengths = [s.size for s in sweeps]
    starts = starts or [4 * n for n in np.cumsum([0, *lengths[:-1]])]
    raw_pool = b"SSCH" + struct.pack("<II", 1, len(pool)) + bytes(32) + b"\0".join(pool) + b"\0"
    tag_rows = [{"lTagTime": t, "sComment": text, "nTagType": kind} for t, text, kind in tags or []]
    synch = [{"lStart": s, "lLength": n} for s, n in zip(starts, lengths, strict=True)]
    sections = {
        "Protocol": make_rows(layout.PROTOCOL, [{**DEFAULT_PROTOCOL, **(protocol or {})}]),
        "ADC": make_rows(layout.ADC, adc_rows),
        "DAC": make_rows(layout.DAC, dac_rows),
        "Epoch": make_rows(layout.EPOCH, [{"nEpochNum": epoch["nEpochNum"]} for epoch in epochs or []]),
        "EpochPerDAC": make_rows(layout.EPOCH_PER_DAC, epochs or []),
        "UserList": make_rows(layout.USER_LIST, list_rows),
        "Strings": np.frombuffer(raw_pool, f"V{len(raw_pool)}"),
        "Data": data,
        "Tag": make_rows(layout.TAG, tag_rows),
        "SynchArray": make_rows(layout.SYNCH, synch),
    }
    fields = {
        "sFileSignature": b"ABF2", "fFileVersionNumber": [0, 0, 6, 2], "lActualEpisodes": len(sweeps),
        "uFileStartDate": 20250620, "uFileStartTimeMS": 52_200_500, "uCreatorNameIndex": 1, "uProtocolPathIndex": 2,
        "nDataFormat": int(data.dtype.kind == "f"), **(header or {}),
    }  # fmt: skip
    path.write_bytes(_assemble(make_rows(layout.V2, [fields]), sections))
    return path


def _assemble(head: np.ndarray, sections: dict[str, np.ndarray]) -> bytes:
    contents = np.zeros(len(layout.SECTIONS), layout.SECTION)
    body = bytearray(layout.BLOCK)
    for position, section in enumerate(layout.SECTIONS):
        table = sections.get(section)
        if table is not None and len(table):
            count = 1 if section == "Strings" else len(table)
            contents[position] = (len(body) // layout.BLOCK, table.nbytes // count, count)
            body += table.tobytes() + bytes(-table.nbytes % layout.BLOCK)
    body[: head.nbytes] = head.tobytes()
    body[76 : 76 + contents.nbytes] = contents.tobytes()
    return bytes(body)


OPEN: list[Recording] = []


@pytest.fixture(autouse=True)
def close_all() -> Iterator[None]:
    """A recording that is left open is an error here, as everywhere (ResourceWarning)."""
    yield
    while OPEN:
        OPEN.pop().close()


def open_abf(path: Path) -> Recording:
    (recording,) = abf.read(Source(path.name, Folder(path.parent)), {})
    OPEN.append(recording)
    return recording


def read_whole(recording: Recording, name: str) -> np.ndarray:
    array = recording.arrays[name]
    data = array.read((slice(0, array.shape[0]),))
    assert data.shape == array.shape
    assert data.dtype == array.dtype
    return data


def expect_refusal(path: Path) -> Problem:
    with pytest.raises(Problem) as caught:
        open_abf(path)
    assert caught.value.finding.location.file == path.name
    return caught.value


COUNT = 640
QUIET = np.zeros((COUNT, 1), "<i2")


@pytest.fixture(name="steps")
def write_steps_file(tmp_path: Path) -> Path:
    """Two channels, two sweeps 0.2 s apart, an epoch table on DAC 1, tags."""
    sweeps = [np.arange(2 * COUNT, dtype="<i2").reshape(-1, 2) * sign for sign in (1, -1)]
    return write_abf2(
        tmp_path / "steps.abf", sweeps, starts=[0, 8000], units=[b"pA", b"\xb5V"],
        dac=[{}, {"nWaveformEnable": 1, "nWaveformSource": 1, "fDACHoldingLevel": -70.0}], commands=[b"pA", b"mV"],
        epochs=[make_epoch(0, 1, -60.0, 100, nDACNum=1, fEpochLevelInc=10.0), make_epoch(1, 2, 0.0, 200, nDACNum=1)],
        tags=[(40_000, b"drug on", 1)],
    )  # fmt: skip
