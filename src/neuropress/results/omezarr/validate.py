"""OME-Zarr images: the models of NGFF 0.5 and 0.4, and what they leave open."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any, Literal

import zarr as zarr_python
from ome_zarr_models import open_ome_zarr, v04, v05

from ...model.budget import ZARR_NODES, OverBudget
from ...model.finding import Finding, Location, Severity, finding, problem
from ...storage.remote import ResultPath
from .guard import UNREACHABLE, check_store, is_old
from .remote import get_failure, make_store
from .stored import UNREADABLE

_UNITS = {
    "space": {"angstrom", "nanometer", "micrometer", "millimeter", "centimeter", "meter"},
    "time": {"nanosecond", "microsecond", "millisecond", "second", "minute", "hour"},
}
_TOLERANCE = 1e-6


def validate_zarr(path: ResultPath) -> list[Finding]:
    """All findings on an OME-Zarr image and its labels.

    Raises
    ------
    Problem
        ``result.unreadable``: there is no Zarr group; ``result.unsafe``: it leads outside of itself.
    """
    check_store(path)
    store = make_store(path)
    try:
        # Consolidated metadata would be read in place of what each array says itself.
        zarr_format: Literal[2, 3] = 2 if is_old(path) else 3
        root = zarr_python.open_group(store, mode="r", zarr_format=zarr_format, use_consolidated=False)
        findings = list(_check_image(root, "", _list_unknown(root)))
        labels = root.get("labels")
        if isinstance(labels, zarr_python.Group):
            for name, label in sorted(labels.groups()):
                findings += _check_image(label, f"labels/{name}/", _list_unknown(root))
            findings += _check_label_list(root, labels)
    except UNREADABLE as error:
        if isinstance(error, UNREACHABLE):
            raise
        raise problem("result.unreadable", f"{path.name}: {str(error)[:500]}", file=str(path)) from error
    if failure := get_failure(store):  # the models take it for metadata that are not there
        raise failure
    return [one.at(file=str(path)) for one in findings]


def _get_ome(group: zarr_python.Group) -> dict[str, Any]:
    attributes = group.attrs.asdict()
    ome = attributes if group.metadata.zarr_format == 2 else attributes.get("ome")
    return ome if isinstance(ome, dict) else {}


def _check_level_count(group: zarr_python.Group, prefix: str) -> None:
    """Refuse more levels than a result may have: the validator's time grows with their square. Raises `OverBudget`."""
    images = _get_ome(group).get("multiscales")
    for image in images if isinstance(images, list) else ():
        levels = image.get("datasets") if isinstance(image, dict) else None
        if isinstance(levels, list) and len(levels) > ZARR_NODES:
            raise OverBudget(f"{prefix or '/'} lists {len(levels)} levels, more than {ZARR_NODES}")


def _list_unknown(root: zarr_python.Group) -> Sequence[str]:
    """Axes of which the root says that nobody knows their spacing."""
    ours = root.attrs.asdict().get("neuropress", {})
    unknown = ours.get("unknown", ()) if isinstance(ours, dict) else ()
    return unknown if isinstance(unknown, list) else ()


def _check_label_list(root: zarr_python.Group, labels: zarr_python.Group) -> Iterator[Finding]:
    """Models of the group of labels; NGFF demands as many levels of them as the image has."""
    try:
        (v04 if labels.metadata.zarr_format == 2 else v05).Labels.from_zarr(labels)
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        origin = f"ome-zarr-models {version('ome-zarr-models')}"
        message = " ".join(str(error).split())[:500]
        yield Finding("ome-zarr-models:invalid", origin, Severity.ERROR, message, location=Location(array="labels/"))
        return
    count = len(_get_ome(root)["multiscales"][0]["datasets"])
    for name, label in sorted(labels.groups()):
        own = len(_get_ome(label)["multiscales"][0]["datasets"])
        if own != count:
            message = f"labels/{name} has {own} levels, its image {count}"
            yield finding("ngff.levels", message, array=f"labels/{name}/", value=str(own), expected=str(count))


def _check_image(group: zarr_python.Group, prefix: str, unknown: Sequence[str]) -> Iterator[Finding]:
    _check_level_count(group, prefix)
    try:
        open_ome_zarr(group, version="0.4" if group.metadata.zarr_format == 2 else "0.5")
    except (RuntimeError, ValueError, TypeError) as error:
        where = Location(array=prefix or "/")
        origin = f"ome-zarr-models {version('ome-zarr-models')}"
        yield Finding("ome-zarr-models:invalid", origin, Severity.ERROR, _find_first_reason(error), location=where)
        return
    for image in _get_ome(group).get("multiscales", ()):
        yield from _check_axes(image, unknown, prefix)
        levels = [group.get(dataset["path"]) for dataset in image["datasets"]]
        if all(isinstance(level, zarr_python.Array) for level in levels):
            yield from _check_levels(image, levels, prefix)  # type: ignore[arg-type]


def _find_first_reason(error: Exception) -> str:
    """The complaint of the image model: it is tried among others, whose complaints say nothing."""
    reason = re.search(r"\.Image\n(.*?)(?:\n\n|\Z)", str(error), re.DOTALL)
    return " ".join((reason[1] if reason else str(error)).split())


def _check_axes(image: dict[str, Any], unknown: Sequence[str], prefix: str) -> Iterator[Finding]:
    for axis in image["axes"]:
        known = _UNITS.get(axis.get("type", ""))
        unit = axis.get("unit")
        if known is None or unit in known:
            continue
        place: dict[str, Any] = {"array": f"{prefix}multiscales/axes/{axis['name']}", "value": str(unit)}
        if unit is None and axis["name"] in unknown:
            message = f"the spacing along {axis['name']} is not known; its scale is 1 without a unit"
            yield finding("ngff.unknown_spacing", message, **place)
        else:
            message = f"axis {axis['name']} has the unit {unit!r}; viewers understand {', '.join(sorted(known))}"
            yield finding("ngff.unit", message, **place)


def _get_transform(dataset: dict[str, Any], kind: str, default: float, axes: int) -> list[float]:
    stated = [t[kind] for t in dataset["coordinateTransformations"] if t["type"] == kind]
    return [float(v) for v in stated[0]] if stated else [default] * axes


def _check_levels(image: dict[str, Any], levels: Sequence[zarr_python.Array[Any]], prefix: str) -> Iterator[Finding]:
    """Types, sizes and positions of all levels against the first."""
    names = tuple(axis["name"] for axis in image["axes"])
    first_scale = _get_transform(image["datasets"][0], "scale", 1.0, len(names))
    first_shift = _get_transform(image["datasets"][0], "translation", 0.0, len(names))
    for dataset, level in zip(image["datasets"], levels, strict=True):
        place = f"{prefix}{dataset['path']}"
        if level.dtype != levels[0].dtype:
            yield finding("ngff.levels", f"{place}: {level.dtype}, level 0 is {levels[0].dtype}", array=place)
        scale = _get_transform(dataset, "scale", 1.0, len(names))
        shift = _get_transform(dataset, "translation", 0.0, len(names))
        for axis, name in enumerate(names):
            factor = scale[axis] / first_scale[axis]
            expected = levels[0].shape[axis] / factor
            if abs(level.shape[axis] - expected) >= 1 + _TOLERANCE:
                message = f"{place}: {level.shape[axis]} along {name}, where its scale makes it {expected:g}"
                yield finding("ngff.levels", message, array=place, value=str(level.shape[axis]))
            centred = first_shift[axis] + (scale[axis] - first_scale[axis]) / 2
            if abs(shift[axis] - centred) > _TOLERANCE * max(1e-300, scale[axis]):
                message = f"{place}: starts at {shift[axis]:g} along {name}; the mean over voxels lies at {centred:g}"
                yield finding("ngff.translation", message, array=place, value=f"{shift[axis]:g}")
