"""Axes and distances of an N5 array, as the programs that write N5 state them: each has its own words for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ..images.calibration import ImageMetadata, get_um_per_unit, parse_decimal

_LETTERS = "tczyx"
_DEFAULT = {2: ("y", "x"), 3: ("z", "y", "x"), 4: ("q", "z", "y", "x")}
_IMAGEJ_COUNTS = (("numFrames", "t"), ("numSlices", "z"), ("numChannels", "c"))


def name_axes(attributes: Mapping[str, Any], shape: Sequence[int]) -> tuple[str, ...]:
    """One letter an axis, slowest first. Axes without names are x, y and z, as all of N5's viewers take them."""
    rank = len(shape)
    named = list(_list_named(attributes))
    for names in named:
        letters = tuple(str(name).lower() if str(name).lower() in tuple(_LETTERS) else "q" for name in names)
        known = [letter for letter in letters if letter != "q"]
        if len(letters) == rank and len(set(known)) == len(known):
            return letters
    counts = [(letter, parse_decimal(attributes.get(name))) for name, letter in _IMAGEJ_COUNTS]
    lead = tuple(letter for letter, count in counts if count is not None and count > 1)
    if len(lead) == rank - 2 and "numChannels" in attributes:
        return (*lead, "y", "x")
    return _DEFAULT.get(rank, ("q",) * rank)


def _list_named(attributes: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Lists of names, slowest first."""
    transform = attributes.get("transform")
    if isinstance(transform, dict) and isinstance(transform.get("axes"), list):
        yield _order(transform, transform["axes"])
    if isinstance(attributes.get("axes"), list):
        yield [one.get("name") if isinstance(one, dict) else one for one in reversed(attributes["axes"])]


def _order(transform: Mapping[str, Any], values: list[Any]) -> list[Any]:
    """Values of CellMap's transform, slowest axis first, which is its own order unless it says F."""
    return values[::-1] if transform.get("ordering") == "F" else values


def apply_distances(meta: ImageMetadata, nodes: Sequence[Mapping[str, Any]], axes: tuple[str, ...]) -> None:
    """Spacing in um, by the first of the array's and its groups' attributes that state a distance and a unit.

    Raises
    ------
    ValueError, TypeError, AttributeError
        Attributes that no program writes.
    """
    for attributes in nodes:
        for steps, units in _list_steps(attributes, axes):
            sizes: dict[str, Decimal] = {}
            unitless = False
            for axis, step, unit in zip(axes, steps, units, strict=False):
                um, factor = get_um_per_unit(str(unit or "")), parse_decimal(step)
                if axis in "zyx" and factor is not None and factor > 0:
                    unitless |= um is None and factor != 1
                    sizes |= {axis: factor * um} if um else {}
            if unitless:
                shown = ", ".join(f"{axis} {step}" for axis, step in zip(axes, steps, strict=False))
                meta.warnings.append(f"its distances ({shown}) have no unit of length, so they are not taken")
            if sizes:
                meta.set_pixel_size(sizes.get("x"), sizes.get("y"))
                meta.spacing.update({"z": sizes["z"]} if "z" in sizes else {})
                return


def _list_steps(attributes: Mapping[str, Any], axes: tuple[str, ...]) -> Iterator[tuple[Sequence[Any], Sequence[Any]]]:
    """Distance and unit of each axis, slowest first, in each of the ways in which the attributes state them."""
    rank = len(axes)
    transform = attributes.get("transform")
    if isinstance(transform, dict) and len(transform.get("scale") or ()) == rank:
        units = transform.get("units") or [""] * rank
        yield _order(transform, list(transform["scale"])), _order(transform, list(units))
    stated = attributes.get("pixelResolution")
    steps = stated.get("dimensions") if isinstance(stated, dict) else stated
    if isinstance(steps, list):
        unit = stated.get("unit", "") if isinstance(stated, dict) else attributes.get("pixelResolutionUnit", "")
        yield _spread(steps, axes), [unit] * rank
    steps, units = attributes.get("resolution"), attributes.get("units", attributes.get("unit", ""))
    if isinstance(steps, list):
        yield _spread(steps, axes), _spread(units, axes) if isinstance(units, list) else [units] * rank
    if "pixelWidth" in attributes:
        sides = {"x": "pixelWidth", "y": "pixelHeight", "z": "pixelDepth"}
        yield [attributes.get(sides.get(axis, "")) for axis in axes], [attributes.get("pixelUnit", "")] * rank


def _spread(values: list[Any], axes: tuple[str, ...]) -> list[Any]:
    """Values of all axes, x first, or of x, y and z alone, as values with the slowest axis first."""
    if len(values) == len(axes):
        return values[::-1]
    by_axis = dict(zip("xyz", values, strict=False))
    return [by_axis.get(axis) for axis in axes]
