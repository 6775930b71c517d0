"""How the pixels of a Leica image lie in its block of bytes: by its own XML, in any order of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ...model import budget
from ...model.finding import Problem, problem
from ..images.calibration import divide, get_seconds_per_unit, get_um_per_unit, parse_decimal

X, Y, Z, T = 1, 2, 3, 4
WAVELENGTHS = {5: "nm", 9: "nm excitation"}
"""Emission and excitation: each wavelength of a scan becomes a channel, as no axis of images is one of wavelengths."""
NAMES = {6: "a", 7: "n", 8: "u", 10: "m", 11: "l"}
"""Rotations, stage positions, mosaic tiles, loops: each index becomes an image of its own."""
_DESCRIPTION = "Data/Image/ImageDescription"


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension: how many elements, how many bytes apart, and what lies between the first and the last."""

    number: int
    count: int
    step: int
    origin: Decimal | None
    length: Decimal | None
    unit: str

    @property
    def spacing(self) -> Decimal | None:
        """From one element to the next, in `unit`."""
        if self.count < 2 or not self.length:
            return None
        return divide(abs(self.length), self.count - 1)

    def value(self, index: int) -> Decimal | None:
        """The coordinate of an element, in `unit`."""
        if self.origin is None:
            return None
        return self.origin + index * divide(self.length or 0, max(self.count - 1, 1))


@dataclass(frozen=True, slots=True)
class Layout:
    """Dimensions by their number, and the bytes before each channel."""

    dimensions: dict[int, Dimension]
    channels: tuple[int, ...]
    dtype: np.dtype[Any]

    def extent(self, number: int) -> int:
        """Elements of a dimension; 1 of one that the image has not."""
        return self.dimensions[number].count if number in self.dimensions else 1

    def step(self, number: int) -> int:
        """Bytes from one element of a dimension to the next."""
        return self.dimensions[number].step if number in self.dimensions else 0

    @property
    def plane(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Shape and strides of a plane, rows first."""
        x = self.dimensions[X]
        return (self.extent(Y), x.count), (self.step(Y) or x.count * x.step, x.step)

    @property
    def spectra(self) -> list[Dimension]:
        """Dimensions of wavelengths."""
        return [self.dimensions[n] for n in WAVELENGTHS if self.extent(n) > 1]

    @property
    def others(self) -> list[Dimension]:
        """Dimensions of which each index is an image of its own."""
        return [d for n, d in sorted(self.dimensions.items()) if n not in (X, Y, Z, T, *WAVELENGTHS) and d.count > 1]

    def list_channels(self, names: Sequence[str]) -> list[tuple[str, int]]:
        """Name and first byte of each channel, each wavelength of a scan for itself."""
        found = []
        for offset, name in zip(self.channels, names, strict=True):
            for indices in product(*(range(d.count) for d in self.spectra)):
                parts = [name] if len(self.channels) > 1 or not self.spectra else []
                parts += [_describe(d, i) for d, i in zip(self.spectra, indices, strict=True)]
                at = offset + sum(i * d.step for d, i in zip(self.spectra, indices, strict=True))
                found.append((" ".join(part for part in parts if part), at))
        return found

    def list_parts(self) -> list[tuple[str, int]]:
        """End of the name and first byte of each image that the others make of it."""
        parts = []
        for indices in product(*(range(d.count) for d in self.others)):
            pairs = list(zip(self.others, indices, strict=True))
            name = "".join(f"_{NAMES.get(d.number, f'd{d.number}_')}{i + 1}" for d, i in pairs)
            parts.append((name, sum(i * d.step for d, i in pairs)))
        return parts


def read_layout(element: ElementTree.Element, dtype: np.dtype[Any], key: str, name: str) -> Layout:
    """The layout that an image's XML states.

    Raises
    ------
    Problem
        ``microscope.damaged``, ``image.unsupported``.
    """
    dimensions: dict[int, Dimension] = {}
    for one in element.iterfind(f"{_DESCRIPTION}/Dimensions/DimensionDescription"):
        number, count = _parse_number(one, "DimID"), _parse_number(one, "NumberOfElements")
        if number in dimensions or number < 1 or count < 1:
            raise _make_problem("microscope.damaged", key, name, f"a dimension {number} has {count} elements")
        if _parse_number(one, "BitInc"):
            raise _make_problem("image.unsupported", key, name, "pixels are packed as bits")
        origin, length = (parse_decimal(one.get(attribute)) for attribute in ("Origin", "Length"))
        step = _parse_number(one, "BytesInc")
        dimensions[number] = Dimension(number, count, step, origin, length, one.get("Unit", ""))
    channels = tuple(
        _parse_number(one, "BytesInc") for one in element.iterfind(f"{_DESCRIPTION}/Channels/ChannelDescription")
    )
    layout = Layout(dimensions, tuple(sorted(channels)), dtype)
    if X not in dimensions or not channels:
        raise _make_problem("image.unsupported", key, name, "an image has no columns or no channels")
    if dimensions[X].step < dtype.itemsize:
        raise _make_problem("microscope.damaged", key, name, f"pixels are {dimensions[X].step} bytes apart")
    if len(set(channels)) < len(channels):
        raise _make_problem("microscope.damaged", key, name, "several channels lie at the same place")
    return layout


def list_colours(element: ElementTree.Element) -> tuple[str, ...]:
    """Names of the colours of an RGB image in the order of its bytes; the library's can be the other way round."""
    channels = sorted(element.iterfind(f"{_DESCRIPTION}/Channels/ChannelDescription"), key=_find_place)
    colours = {"1": "Red", "2": "Green", "3": "Blue"}
    return tuple(colours.get(one.get("ChannelTag", ""), "") for one in channels)


def _find_place(channel: ElementTree.Element) -> int:
    return _parse_number(channel, "BytesInc")


def list_stamps(element: ElementTree.Element) -> list[int]:
    """Times of frames in units of 100 ns since 1601, as Windows counts: LAS X as text, LAS AF as elements."""
    stamps = element.find("Data/Image/TimeStampList")
    if stamps is None:
        return []
    try:
        pairs = [(one.get("HighInteger", ""), one.get("LowInteger", "")) for one in stamps.iterfind("TimeStamp")]
        if pairs:
            return [int(high) << 32 | int(low) for high, low in pairs]
        return [int(text, 16) for text in (stamps.text or "").split()[: budget.CHUNK_NAMES]]
    except ValueError:
        return []


def measure_um(dimension: Dimension | None) -> Decimal | None:
    """Distance of the elements of a dimension of space, in um."""
    um = get_um_per_unit(dimension.unit) if dimension else None
    spacing = dimension.spacing if dimension else None
    return (spacing * um).normalize() if spacing and um else None


def measure_seconds(dimension: Dimension | None) -> Decimal | None:
    """Distance of the elements of a dimension of time, in seconds."""
    seconds = get_seconds_per_unit(dimension.unit) if dimension else None
    spacing = dimension.spacing if dimension else None
    return spacing * seconds if spacing and seconds else None


def _describe(dimension: Dimension, index: int) -> str:
    """A wavelength in nm."""
    value, um = dimension.value(index), get_um_per_unit(dimension.unit)
    if value is None or um is None:
        return f"wavelength {index + 1}"
    nm = (value * um * 1000).quantize(Decimal("0.1"))
    return f"{nm.normalize():f} {WAVELENGTHS[dimension.number]}"


def _parse_number(element: ElementTree.Element, name: str) -> int:
    """A whole number of an attribute; -1 where it is none."""
    text = element.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else -1


def _make_problem(id: str, key: str, name: str, reason: str) -> Problem:
    return problem(id, f"{key}: {reason} (image {name!r})", file=key)
