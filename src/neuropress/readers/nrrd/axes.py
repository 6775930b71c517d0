"""What the axes of an NRRD are, and how far apart its voxels lie."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ..images.calibration import (
    ImageMetadata,
    divide,
    format_decimal,
    get_seconds_per_unit,
    get_um_per_unit,
    parse_decimal,
)
from ..voxels.packed import make_damaged
from .header import NrrdHeader, Vector

_COLOURS = {"rgb-color", "rgba-color", "3-color", "4-color"}
_SPACE = {"domain", "space"}
_UNKNOWN = {"", "???", "none"}


def find_directions(header: NrrdHeader, count: int, warnings: list[str]) -> tuple[Vector | None, ...]:
    """The step along each axis in space; None of an axis that does not lie in it, and of all where none is stated.

    Raises
    ------
    Problem
        ``voxels.damaged``: there are more or fewer than axes.
    """
    vectors = header.parse_vectors("spacedirections")
    if not vectors:
        return (None,) * count
    missing = count - len(vectors)
    if missing > 0 and len(vectors) == header.space_dimension and None not in vectors:
        # pynrrd before 0.3 left "none" out when it wrote; values of a voxel are the fastest axes in such files.
        first = "first axis is" if missing == 1 else f"first {missing} axes are"
        warnings.append(f"it has {len(vectors)} space directions for {count} axes: the {first} taken as not in space")
        return (*(None for _ in range(missing)), *vectors)
    if missing:
        raise make_damaged(header.key, f"it has {len(vectors)} space directions for {count} axes")
    return vectors


def name_axes(header: NrrdHeader, directions: Sequence[Vector | None]) -> tuple[str, ...]:
    """A letter for each axis in the order of the file, fastest first; ``q`` where the header does not say.

    The axes in space are x, y and z in this order. One that has no direction where others have is the values of a
    voxel if it is the fastest.
    """
    count = len(directions)
    kinds = [kind.lower() for kind in header.list_words("kinds", count)] or [""] * count
    has_space = any(directions)
    spatial = iter("xyz" if not header.has_time else "xyzt")
    names: list[str] = []
    for number, (kind, direction) in enumerate(zip(kinds, directions, strict=True)):
        if kind == "time":
            name = "t"
        elif direction is not None or kind in _SPACE:
            name = next(spatial, "q")
        elif kind in _COLOURS:
            name = "s"
        elif kind not in _UNKNOWN:
            name = "c"
        elif has_space:
            name = "c" if number == 0 else "q"
        else:  # nothing is said of any axis: the two fastest are a picture's
            name = next(spatial) if sum(one in "xyz" for one in names) < 2 else "q"
        names.append("q" if name in names else name)
    return tuple(names)


def apply_spacing(
    meta: ImageMetadata, header: NrrdHeader, names: Sequence[str], directions: Sequence[Vector | None], unit: str
) -> None:
    """Distances of voxels in um along the axes in space, and the rate of frames.

    Parameters
    ----------
    names
        Letters of the axes in the order of the file.
    unit
        What a person states of distances without a unit.
    """
    count = len(names)
    space_units, axis_units = header.list_texts("spaceunits"), header.list_texts("units")
    spacings = [parse_decimal(word) for word in header.list_words("spacings", count)] or [None] * count
    unitless: list[str] = []
    for number, (name, direction, spacing) in enumerate(zip(names, directions, spacings, strict=True)):
        written = axis_units[number] if number < len(axis_units) == count else ""
        if name == "t":
            _apply_rate(meta, spacing, written)
        if name not in "xyz" or (direction is None and not spacing):
            continue
        if direction is not None:
            units = space_units if len(space_units) == len(direction) else ("",) * len(direction)
            size = _measure_step(direction, units, unit)
        else:
            um = get_um_per_unit(written) if written else get_um_per_unit(unit)
            size = abs(spacing) * um if spacing and um else None
        if size is None:
            shown = "(" + ",".join(map(str, direction)) + ")" if direction else str(spacing)
            unitless.append(f"{name} {shown}")
        elif size:
            meta.spacing[name] = size
    if unitless:
        steps = "; ".join(reversed(unitless))
        meta.warnings.append(f'its voxels are apart by {steps} without a known unit: state unit = "um" or another')
    meta.set_pixel_size(meta.spacing.get("x"), meta.spacing.get("y"))


def _measure_step(direction: Vector, units: Sequence[str], stated: str) -> Decimal | None:
    """Length of a vector in um, exact where it lies along one axis of the space; None without a unit."""
    parts = []
    for number, written in zip(direction, units, strict=True):
        if not number:
            continue
        um = get_um_per_unit(written) if written else get_um_per_unit(stated)
        if um is None:
            return None
        parts.append(abs(number) * um)
    if len(parts) < 2:
        return parts[0] if parts else Decimal(0)
    return divide(sum((part * part for part in parts), Decimal(0)).sqrt(), 1)


def _apply_rate(meta: ImageMetadata, spacing: Decimal | None, unit: str) -> None:
    seconds = get_seconds_per_unit(unit)
    if spacing and spacing > 0 and seconds:
        meta.facts["frame_rate"] = format_decimal(divide(1, spacing * seconds))


def is_oblique(directions: Sequence[Vector | None]) -> bool:
    """Whether an axis of the volume lies along none of the space's axes."""
    return any(direction is not None and sum(map(bool, direction)) > 1 for direction in directions)
