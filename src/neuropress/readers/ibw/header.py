"""The headers of an Igor wave and the texts behind its samples, after WaveMetrics' Technical Note 003."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import numpy as np

from ...model.finding import problem
from ...model.source import RawFile, Source, Stamp
from . import HEADER_BYTES, SUMMED_BYTES, compute_checksum, find_version

SIZES = {1: "2xi2x", 2: "2xii4x2x", 3: "2xiii4x2x", 5: "4x12i12x"}
"""Version -> the file header: the sizes of `PARTS`, without version, checksum and what is reserved."""
PARTS = {
    1: ("wave",),
    2: ("wave", "note"),
    3: ("wave", "note", "formula"),
    5: ("wave", "formula", "note", "data_unit", *(f"unit{i}" for i in range(4)), *(f"labels{i}" for i in range(4))),
}
"""Version -> what stands in the file after the file header, in this order."""
WAVE_HEADER_2 = "h4x20s8x4s4si2x2d4xh2d10xI2xI4x"
WAVE_HEADER_5 = "4xIIih10x32s8x4i4d4d4s16sh2x2d132x"
PADDING = 16
"""Bytes after the samples of versions 2 and 3, counted with them; nothing stands behind those of version 1."""
DTYPES = {2: "f4", 4: "f8", 8: "i1", 16: "i2", 32: "i4", 128: "i8", 72: "u1", 80: "u2", 96: "u4", 192: "u8"}
COMPLEX = 1
MAX_TEXT_BYTES = 2**20
"""Note, formula, units and labels together."""
MAX_SWEEPS = 10_000


@dataclass(frozen=True, slots=True)
class Wave:
    """What one file says of its samples.

    Attributes
    ----------
    dtype
        In the file's byte order.
    steps, starts
        Scaling of each dimension: element e is at ``step * e + start``.
    unit, dim_units
        Of the samples and of each dimension; empty where the file does not say.
    """

    key: str
    stamp: Stamp
    header: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data_start: int
    steps: tuple[Decimal, ...]
    starts: tuple[Decimal, ...]
    unit: str
    dim_units: tuple[str, ...]

    @property
    def columns(self) -> int:
        """Columns of all layers and chunks."""
        return math.prod(self.shape[1:])


@dataclass(frozen=True, slots=True)
class WaveHeader:
    """The two headers of a wave, whose checksum is right, before it is known whether its samples can be read.

    Attributes
    ----------
    stamp
        Of the file, before anything of it was read.
    start, head
        Where the wave begins in its file, and its first bytes.
    fields
        What the wave header says, under the same names in every version.
    """

    stamp: Stamp
    version: int
    order: Literal["<", ">"]
    start: int
    head: bytes
    fields: Mapping[str, Any]


def read_wave(source: Source, key: str) -> Wave:
    """Header, note and units of one file.

    Raises
    ------
    Problem
        ``ibw.truncated``, ``ibw.checksum``, ``ibw.damaged``, ``ibw.empty``, ``ibw.unsupported``.
    """
    with source.open(key) as file:
        header = read_wave_header(file, 0, key)
        wave = build_wave(file, header, header.stamp[0], key)
    if wave.columns > MAX_SWEEPS:
        message = f"{key} has {wave.columns} columns, more than {MAX_SWEEPS} sweeps"
        raise problem("ibw.unsupported", message, file=key)
    return wave


def read_wave_header(file: RawFile, start: int, key: str) -> WaveHeader:
    """The headers of the wave that begins at a byte of a file, a packed experiment's too; `key` is for messages.

    Raises
    ------
    Problem
        ``ibw.truncated``, ``ibw.checksum``, ``ibw.damaged``.
    """
    stamp = file.stamp()
    file.seek(start)
    head = file.read(max(SUMMED_BYTES.values()))
    version, order = find_version(head)
    if not version:
        raise problem("ibw.damaged", f"{key} begins with {head[:2]!r}, no version of an Igor wave", file=key)
    if len(head) < SUMMED_BYTES[version]:
        message = f"{key} has {len(head)} bytes, fewer than the header of version {version}"
        raise problem("ibw.truncated", message, file=key)
    if checksum := compute_checksum(head, version, order):
        message = f"{key}: the 16-bit words of its header add up to {checksum}, not to 0"
        raise problem("ibw.checksum", message, file=key)
    return WaveHeader(stamp, version, order, start, head, _parse_fields(head, version, order))


def build_wave(file: RawFile, known: WaveHeader, end: int, key: str) -> Wave:
    """The wave of these headers, which must lie before byte `end`.

    Raises
    ------
    Problem
        ``ibw.truncated``, ``ibw.damaged``, ``ibw.empty``, ``ibw.unsupported``.
    """
    version, order, fields = known.version, known.order, dict(known.fields)
    if unread := describe_unread_type(fields["type"]):
        raise problem("ibw.unsupported", f"{key} holds {unread}", file=key)
    dtype = np.dtype(DTYPES[fields["type"]])
    shape = _find_shape(fields["dimensions"], fields["points"], key)
    sizes = dict(zip(PARTS[version], struct.unpack_from(order + SIZES[version], known.head), strict=True))
    texts = _read_texts(file, known, sizes, math.prod(shape) * dtype.itemsize, (end, key))
    names = PARTS[5][3:8]  # units of more than 3 characters stand behind the samples
    units = [texts.get(name) or short for name, short in zip(names, fields.pop("units"), strict=True)]
    steps, starts = (tuple(Decimal(repr(value)) for value in fields[name]) for name in ("steps", "starts"))
    full_scale = [repr(value) for value in fields.pop("full_scale")]
    exact = {"steps": [f"{step:f}" for step in steps], "starts": [f"{start:f}" for start in starts]}
    header = {"version": version, "byte_order": "little" if order == "<" else "big", **fields, **exact}
    header |= {"units": units, "full_scale": full_scale, **texts}
    data_start = known.start + HEADER_BYTES[version]
    stored, dim_units = dtype.newbyteorder(order), tuple(units[1:])
    return Wave(key, known.stamp, header, shape, stored, data_start, steps, starts, units[0], dim_units)


def _parse_fields(head: bytes, version: int, order: str) -> dict[str, Any]:
    """What the wave header of any version says, under the same names.

    Clocks stay as stored, seconds since 1904 in a zone that the file does not state; they say when the wave was made
    in Igor, which may be long after the recording.
    """
    dimensions: tuple[int, ...]
    if version == 5:
        values = struct.unpack_from(order + WAVE_HEADER_5, head, 64)
        created, modified, points, kind, name = values[:5]
        dimensions, steps, starts = values[5:9], values[9:13], values[13:17]
        data_unit, dim_units, valid, *full_scale = values[17:]
        units = [data_unit, *(dim_units[i : i + 4] for i in range(0, 16, 4))]
    else:
        values = struct.unpack_from(order + WAVE_HEADER_2, head, HEADER_BYTES[version] - 110)
        kind, name, data_unit, x_unit, points, step, start, valid, *full_scale, created, modified = values
        dimensions, steps, starts = (points, 0, 0, 0), (step, 1.0, 1.0, 1.0), (start, 0.0, 0.0, 0.0)
        units = [data_unit, x_unit, b"", b"", b""]
    return {
        "name": _decode(name.split(b"\0")[0]),
        "type": kind,
        "points": points,
        "dimensions": list(dimensions),
        "steps": steps,
        "starts": starts,
        "units": [_decode(unit.split(b"\0")[0]).strip() for unit in units],
        "full_scale_valid": valid,
        "full_scale": full_scale,
        "creation_date": created,
        "modification_date": modified,
    }


def _decode(text: bytes) -> str:
    """Text of a program that wrote MacRoman, Windows-1252 or UTF-8 without saying which; B5 is micro in two of them."""
    return text.decode("utf-8", "backslashreplace").replace("\\xb5", "\u00b5")


def describe_unread_type(kind: int) -> str:
    """What samples of a type are that is not read; "" of one that is."""
    if kind in DTYPES:
        return ""
    if kind == 0:
        return "texts"
    return "complex numbers" if kind & COMPLEX and kind - COMPLEX in DTYPES else f"samples of type {kind}"


def _find_shape(dimensions: list[int], points: int, key: str) -> tuple[int, ...]:
    """Extents up to the first 0, which must hold as many points as the header says."""
    shape = tuple(dimensions[: dimensions.index(0)] if 0 in dimensions else dimensions)
    if not shape and points == 0:
        raise problem("ibw.empty", f"{key} holds no sample", file=key)
    if min(shape, default=0) < 1 or math.prod(shape) != points:
        raise problem("ibw.damaged", f"{key} states dimensions {dimensions} and {points} points", file=key)
    return shape


def _read_texts(
    file: RawFile, known: WaveHeader, sizes: dict[str, int], nbytes: int, where: tuple[int, str]
) -> dict[str, str]:
    """Note, formula, long units and labels behind `nbytes` of samples; all sizes are compared with its end first."""
    version, (end, key) = known.version, where
    wave_header = 320 if version == 5 else 110
    padding = PADDING if version in (2, 3) else 0
    if sizes["wave"] == wave_header + padding and sizes.get("formula", 0) > 0:
        raise problem("ibw.unsupported", f"{key} holds a formula instead of samples", file=key)
    if min(sizes.values()) < 0 or sizes["wave"] < wave_header + nbytes + padding:
        raise problem("ibw.damaged", f"{key}: {nbytes} bytes of samples do not fit into the sizes {sizes}", file=key)
    position = known.start + HEADER_BYTES[version] - wave_header + sizes.pop("wave")
    size, promised = end - known.start, position + sum(sizes.values()) - known.start
    if promised > size:
        raise problem("ibw.truncated", f"{key} has {size} bytes; its header promises {promised}", file=key)
    if sum(sizes.values()) > MAX_TEXT_BYTES:
        raise problem("ibw.unsupported", f"{key} has more than {MAX_TEXT_BYTES} bytes of note and labels", file=key)
    file.seek(position)
    return {name: _decode(file.read(length).rstrip(b"\0")) for name, length in sizes.items() if length}
