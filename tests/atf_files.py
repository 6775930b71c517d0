"""Axon text files as tests need them, and how they are opened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuropress.model.content import Recording
from neuropress.model.finding import Finding, Problem
from neuropress.model.source import Source
from neuropress.readers import check_reader_options
from neuropress.readers.atf import read as reader
from neuropress.storage.roots import Folder

TITLES = ("Time (s)", "Trace #1 (pA)", "Trace #1 (mV)", "Trace #2 (pA)", "Trace #2 (mV)")
RECORDS = (
    "AcquisitionMode=Episodic Stimulation",
    "Comment=17:05, cell 3",
    "SweepStartTimesMS=0.000,250.500",
    "SignalsExported=IN 0,IN 1",
)
SIGNALS = ("IN 0", "IN 1", "IN 0", "IN 1")
NOISE = [f"{value:.6g}" for value in np.random.default_rng(2).normal(0, 50, 4000)]


def make_atf(
    columns: Sequence[Sequence[str]],
    *,
    records: Sequence[str] = RECORDS,
    titles: Sequence[str] = TITLES,
    signals: Sequence[str] | None = SIGNALS,
    delimiter: str = "\t",
    end: str = "\r\n",
    quote: str = '"',
) -> bytes:
    lines = [f"{quote}{record}{quote}" for record in records]
    if signals is not None:
        lines.append(delimiter.join(f"{quote}{text}{quote}" for text in ("Signals=", *signals)))
    head = [f"ATF{delimiter}1.0", f"{len(lines)}{delimiter}{len(titles)}     ", *lines]
    head.append(delimiter.join(f"{quote}{title}{quote}" for title in titles))
    head += [delimiter.join(cells) for cells in zip(*columns, strict=True)]
    return "".join(line + end for line in head).encode("cp1252")


def make_times(count: int, step: str = "5e-5", form: str = "{:.10g}") -> list[str]:
    return [form.format(float(number * Decimal(step))) for number in range(count)]


def make_columns(count: int = 20, several: int = 4) -> list[list[str]]:
    return [make_times(count), *(NOISE[number * count : (number + 1) * count] for number in range(several))]


WHOLE = make_atf(make_columns())
ONE = {"titles": TITLES[:2], "signals": SIGNALS[:1], "records": ("AcquisitionMode=Gap Free",)}


def make_one(times: Sequence[str], **others: Any) -> bytes:
    return make_atf([times, NOISE[: len(times)]], **{**ONE, **others})


def open_text(path: Path, raw: bytes | None = None, **options: Any) -> Recording:
    if raw is not None:
        path.write_bytes(raw)
    assert not check_reader_options({"reader": "atf", **options})
    (recording,) = reader.read(Source(path.name, Folder(path.parent)), options)
    json.dumps(recording.header)
    return recording


def read_samples(recording: Recording, name: str) -> np.ndarray:
    array = recording.arrays[name]
    samples = array.read((slice(0, array.shape[0]),))
    assert (samples.dtype, samples.shape) == (np.dtype("f8"), array.shape)
    return samples


def try_text(path: Path, raw: bytes) -> Recording | None:
    """The recording; None where a finding of ours ends it."""
    try:
        return open_text(path, raw)
    except Problem as caught:
        found = caught.finding.id
    assert found.startswith("atf.")
    return None


def expect_finding(path: Path, raw: bytes | None = None, **options: Any) -> Finding:
    with pytest.raises(Problem) as caught:
        open_text(path, raw, **options)
    found = caught.value.finding
    assert path.name in found.message
    assert len(found.message) < 800
    return found
