"""Read what an NWB file says of itself: texts and extents; no sample is read, and no extension's code is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import h5py

from ...model import budget
from ...model.content import Content
from ...model.finding import problem
from ...model.source import Source
from ..hdf5.guard import GuardFindings, check_file
from ..hdf5.schemas import NAMESPACES
from ..hdf5.stream import RawStream
from ..hdf5.walk import walk_objects

NWB = GuardFindings("nwb.unsafe", "nwb.unreadable")
LISTED = 1000
"""Series that the header lists one by one."""

_ROOT = ("identifier", "session_description", "session_start_time", "timestamps_reference_time")
_GENERAL = ("session_id", "experimenter", "lab", "institution")
_SUBJECT = ("subject_id", "species", "sex", "strain", "genotype", "weight", "age", "date_of_birth", "description")
_FACTS = (
    "nwb_version", "identifier", "session_id", "session_start_time", "subject_id", "species", "sex", "strain",
    "weight", "date_of_birth",
)  # fmt: skip


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """The content of an NWB file: facts and a header, no arrays.

    Raises
    ------
    Problem
        ``nwb.zarr``, ``nwb.version``, ``nwb.unsafe`` or ``nwb.unreadable``.
    """
    if source.is_folder:
        message = f"{source.key} is a folder: NWB that is kept as Zarr is not read"
        raise problem("nwb.zarr", message, file=source.key)
    with RawStream(source, NWB) as stream, stream.translate_errors(), h5py.File(stream, "r") as file:
        spare = check_file(file, PurePosixPath(source.key), NWB)
        header = _read_header(file, spare, source.key)
        series = _list_series(file, spare)
    warnings = []
    facts = {name: text for name in _FACTS if isinstance(text := header.get(name), str) and text}
    started = _parse_instant(header.get("session_start_time", ""))
    if started is None:
        warnings.append(f"session_start_time is {header.get('session_start_time', 'not there')!r}, which is no instant")
    facts |= _derive_facts(series)
    header["series"] = series[:LISTED]
    return (Content("", "nwb", facts, header, {}, tuple(warnings), started=started),)


def _read_header(file: h5py.File, spare: int, key: str) -> dict[str, Any]:
    version = file.attrs.get("nwb_version")
    if version is None and "nwb_version" in file:
        old = _read_text(file["nwb_version"], spare) or "1"
        message = f"{key} is of version {old[:80]} of NWB, which is not read"
        raise problem("nwb.version", message, file=key)
    if not isinstance(version, (str, bytes)):
        raise ValueError("it has no nwb_version, so it is no NWB file")
    text = version.decode("utf-8", "replace") if isinstance(version, bytes) else version
    if text.removeprefix("NWB-").startswith(("0.", "1.")):
        raise problem("nwb.version", f"{key} is of version {text[:80]} of NWB, which is not read", file=key)
    header: dict[str, Any] = {"nwb_version": text}
    for group, names in (("/", _ROOT), ("/general", _GENERAL), ("/general/subject", _SUBJECT)):
        place = file.get(group)
        for name in names if isinstance(place, h5py.Group) else ():
            stated = _read_text(place[name], spare) if name in place else ""
            if stated:
                header[name] = stated
    return header


def _read_text(item: Any, spare: int) -> str:
    """A text; several are joined by semicolons, and what is no text gives none."""
    if not isinstance(item, h5py.Dataset) or h5py.check_string_dtype(item.dtype) is None or not item.size:
        return ""
    if item.size > LISTED or item.size * min(spare, item.file.id.get_filesize()) > LISTED * budget.TEXT_BYTES:
        raise ValueError(f"the texts of {item.name} may take more than they should")
    texts = item.asstr()[()]
    joined = texts if isinstance(texts, str) else "; ".join(str(text) for text in texts.ravel())
    return joined[: budget.SHOWN_CHARS]


def _list_series(file: h5py.File, spare: int) -> list[dict[str, Any]]:
    """Type, extent and rate of every object with data over time, by its place."""
    found = []
    for path, item in walk_objects(file, "/", (NAMESPACES,)):
        kind = item.attrs.get("neurodata_type", "")
        kind = kind.decode("utf-8", "replace") if isinstance(kind, bytes) else kind
        data = item.get("data") if isinstance(item, h5py.Group) and isinstance(kind, str) else None
        if not isinstance(data, h5py.Dataset) or not kind.endswith("Series"):
            continue
        one: dict[str, Any] = {"path": path, "type": kind, "shape": list(data.shape or ()), "dtype": str(data.dtype)}
        start = item.get("starting_time")
        if isinstance(start, h5py.Dataset) and "rate" in start.attrs:
            one |= {"starting_time": repr(float(start[()])), "rate": _format_number(start.attrs["rate"])}
        found.append(one)
    return found


def _format_number(value: Any) -> str:
    """As people write it: 20000 and not 20000.0."""
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)


def _derive_facts(series: list[dict[str, Any]]) -> dict[str, str]:
    """Facts under the names of table columns, where all series of a kind agree."""
    clamped = [one for one in series if one["type"].endswith("ClampSeries") or one["type"] == "IZeroClampSeries"]
    photons = [one for one in series if one["type"].endswith("PhotonSeries")]
    facts = {
        "sampling_rate": _find_common(clamped, "rate"),
        "frame_rate": _find_common(photons, "rate"),
        "x": _find_common([{"x": str(one["shape"][1])} for one in photons if len(one["shape"]) > 2], "x"),
        "y": _find_common([{"y": str(one["shape"][2])} for one in photons if len(one["shape"]) > 2], "y"),
        "series": str(len(series)),
        "samples": str(sum(one["shape"][0] for one in series if one["shape"])),
    }
    return {name: text for name, text in facts.items() if text}


def _find_common(series: list[dict[str, Any]], name: str) -> str:
    stated = {one.get(name, "") for one in series}
    return str(stated.pop()) if len(stated) == 1 else ""


def _parse_instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
