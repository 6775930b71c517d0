"""Mistakes in NWB files that neither pynwb's validator nor nwbinspector reports."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import h5py

from ...model.finding import Finding, finding

_METRES = {"meters": 1.0, "millimeters": 1e-3, "micrometers": 1e-6, "nanometers": 1e-9}
_GRAMS = {"kg": 1000.0, "g": 1.0, "mg": 0.001}
_PIXEL = (1e-9, 1e-4)
"""Plausible side of an optical pixel in metres: above a nanometre, below a tenth of a millimetre."""
_MOUSE_GRAMS = 100.0
_FIRST_YEAR = 1990
"""Year 1, 1806 and 1970 are what programs write where a clock was missing."""
_INSTANTS = ("session_start_time", "timestamps_reference_time", "general/subject/date_of_birth")

type Check = Callable[[h5py.File], Iterator[Finding]]


def find_silent_mistakes(file: h5py.File) -> list[Finding]:
    """Findings of all checks below, in their order."""
    return [mistake for check in CHECKS for mistake in check(file)]


def _find_objects(file: h5py.File, *types: str) -> list[tuple[str, h5py.Group]]:
    """Path and group of all objects of the given NWB types."""
    objects: list[tuple[str, h5py.Group]] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and item.attrs.get("neurodata_type") in types:
            objects.append((f"/{name}", item))

    file.visititems(visit)
    return objects


def _read_text(item: h5py.Group, name: str) -> str:
    value = item[name].asstr()[()] if name in item else ""
    return str(value)


def check_pixel_size(file: h5py.File) -> Iterator[Finding]:
    """A pixel of 0.8 m: micrometres written as metres."""
    for path, plane in _find_objects(file, "ImagingPlane"):
        if "grid_spacing" not in plane:
            continue
        spacing = plane["grid_spacing"]
        unit = str(spacing.attrs.get("unit", "meters"))
        for value in spacing[()]:
            metres = float(value) * _METRES.get(unit, math.nan)
            if not _PIXEL[0] <= metres <= _PIXEL[1]:
                message = f"{path}: a pixel of {value:g} {unit} is not between 1 nm and 0.1 mm"
                yield finding("nwb.pixel_size", message, array=f"{path}/grid_spacing", value=f"{value:g} {unit}")
                break


def check_subject_weight(file: h5py.File) -> Iterator[Finding]:
    """A mouse of 24.5 kg: pynwb reads a bare number as kilograms."""
    text = _read_text(file, "general/subject/weight")
    match = re.fullmatch(r"([0-9.]+(?:[eE][+-]?[0-9]+)?) ([a-z]+)", text)
    if not match or match[2] not in _GRAMS or _read_text(file, "general/subject/species") != "Mus musculus":
        return
    if float(match[1]) * _GRAMS[match[2]] > _MOUSE_GRAMS:
        message = f"a mouse that weighs {text} is above {_MOUSE_GRAMS:g} g"
        yield finding("nwb.subject_weight", message, array="/general/subject/weight", value=text)


def check_instants(file: h5py.File) -> Iterator[Finding]:
    """Times without a zone, or from a clock that was not set."""
    for name in _INSTANTS:
        text = _read_text(file, name)
        if not text:
            continue
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            yield finding("nwb.instant", f"/{name} = {text!r} is no date and time", array=f"/{name}", value=text)
            continue
        if moment.tzinfo is None:
            message = f"/{name} = {text} has no offset from UTC"
            yield finding("nwb.instant", message, array=f"/{name}", value=text)
        elif moment.year < _FIRST_YEAR:
            message = f"/{name} = {text} is before {_FIRST_YEAR}: the clock was not set"
            yield finding("nwb.instant", message, array=f"/{name}", value=text)


def check_axis_order(file: h5py.File) -> Iterator[Finding]:
    """TIFF's (time, height, width) where NWB wants (time, width, height)."""
    for path, series in _find_objects(file, "OnePhotonSeries", "TwoPhotonSeries", "ImageSeries"):
        if "dimension" not in series or "data" not in series or len(series["data"].shape) < 3:
            continue
        if "external_file" in series and not series["data"].size:
            continue  # its frames stay in a video
        sides = [int(n) for n in series["dimension"][()]]
        stored = list(series["data"].shape[1 : 1 + len(sides)])
        if stored != sides:
            message = f"{path}: frames are stored as {stored}, but width and height are {sides}"
            yield finding("nwb.axis_order", message, array=f"{path}/data", value=str(stored), expected=str(sides))


def check_channel_as_depth(file: h5py.File) -> Iterator[Finding]:
    """A fourth axis means depth; where the series does not state a depth it may be channels."""
    for path, series in _find_objects(file, "OnePhotonSeries", "TwoPhotonSeries"):
        if "data" not in series or len(series["data"].shape) != 4:
            continue
        if "dimension" not in series or series["dimension"].shape != (3,):
            message = f"{path}: a fourth axis of length {series['data'].shape[3]}, but dimension states no depth"
            yield finding("nwb.channel_as_depth", message, array=f"{path}/data")


def check_wavelengths(file: h5py.File) -> Iterator[Finding]:
    """NaN passes every validator; it is a finding, so that somebody can fill it in."""
    for path, item in _find_objects(file, "ImagingPlane", "OpticalChannel"):
        for name in ("excitation_lambda", "emission_lambda"):
            if name in item and math.isnan(float(item[name][()])):
                yield finding("nwb.wavelength", f"{path}: {name} is not known", array=f"{path}/{name}", value="NaN")


CHECKS: tuple[Check, ...] = (
    check_pixel_size,
    check_subject_weight,
    check_instants,
    check_axis_order,
    check_channel_as_depth,
    check_wavelengths,
)
