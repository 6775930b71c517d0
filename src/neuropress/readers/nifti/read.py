"""NIfTI as an image: the voxels as stored; what they are to be multiplied by is a fact, and not applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from ...model.content import Image
from ...model.finding import problem
from ...model.source import Source
from ..images.calibration import ImageMetadata, divide, format_decimal, get_seconds_per_unit, get_um_per_unit
from ..images.pixels import apply_declared_axes
from ..microscopes.facts import set_sizes
from ..voxels.packed import GZIP, make_damaged
from ..voxels.stretch import Stretch, build_image, check_sizes, open_voxels
from . import FORMAT, GZIP_HEAD, unpack_head
from .header import SAMPLES, TYPES, NiftiHeader, parse_header

_HEAD = 64 * 1024
"""Of a gzip stream; what a program puts before the header's bytes (names, comments) is far shorter."""
_SLACK = Decimal("0.01")


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One image.

    Raises
    ------
    Problem
        ``voxels.damaged``, ``voxels.detached``, ``voxels.hostile``, ``voxels.truncated``, ``voxels.unsupported``,
        ``image.axes``.
    """
    head = source.head(size=_HEAD)
    header = parse_header(unpack_head(head), source.key)
    stretch = _find_stretch(source, header, is_packed=head.startswith(GZIP_HEAD))
    names = _name_axes(header, len(stretch.sizes))
    axes = apply_declared_axes(names[::-1], options, source.key)
    meta = ImageMetadata()
    set_sizes(meta, axes, stretch.shape)
    _apply_spacing(meta, header, options.get("unit", ""))
    _apply_rate(meta, header, axes)
    _apply_scaling(meta, header)
    _apply_forms(meta, header)
    voxels = open_voxels(source, stretch, axes)
    described = header.describe() | ({"data_file": stretch.key} if header.is_detached else {})
    return (build_image(FORMAT.name, meta, described, voxels),)


def _find_stretch(source: Source, header: NiftiHeader, *, is_packed: bool) -> Stretch:
    """Where the voxels lie: behind the header, or in the ``.img`` beside it."""
    key, start = source.key, header.find_offset()
    sizes, code = header.parse_sizes(), int(header.values["datatype"])
    if code not in TYPES and code not in SAMPLES:
        message = f"{key}: its voxels are of the datatype {code}: neither integers, floats nor colours"
        hint = "Save real numbers of at most 8 bytes: magnitude and phase in files of their own."
        raise problem("voxels.unsupported", message, hint=hint, file=key)
    if len(sizes) < 2:
        hint = "A picture needs two axes at least, a volume three."
        raise problem("voxels.unsupported", f"{key}: it has one axis", hint=hint, file=key)
    samples = SAMPLES.get(code, 0)
    stored = np.dtype(TYPES.get(code, "u1")).newbyteorder(header.order)
    bits = stored.itemsize * 8 * max(1, samples)
    if int(header.values["bitpix"]) != bits:
        raise make_damaged(key, f"its bitpix is {int(header.values['bitpix'])}, voxels of its datatype have {bits}")
    sizes = (samples, *sizes) if samples else sizes
    check_sizes(key, sizes)
    if header.is_detached:
        key, is_packed = _find_image(source), False
    if is_packed:
        return Stretch(key, 0, sizes, stored, GZIP, start)
    return Stretch(key, start, sizes, stored)


def _find_image(source: Source) -> str:
    """The key of the ``.img`` beside an ``.hdr``."""
    stem = source.name.removesuffix(".gz").rpartition(".")[0]
    key = source.sibling(f"{stem}.img") if stem else None
    if key is None or key == source.key:
        message = f"{source.key} is a header alone, and {stem}.img with its voxels does not lie beside it"
        raise problem("voxels.detached", message, file=source.key, value=f"{stem}.img")
    return key


def _name_axes(header: NiftiHeader, count: int) -> tuple[str, ...]:
    """A letter for each axis, fastest first; ``q`` where the file does not say.

    The fourth axis is time by definition; programs put maps and directions there as well, and then state no unit of
    time.
    """
    names = ["x", "y", "z", "t" if header.time_unit else "q", "c", "q", "q"]
    if int(header.values["datatype"]) in SAMPLES:
        names.insert(0, "s")
    return tuple(names[:count])


def _apply_spacing(meta: ImageMetadata, header: NiftiHeader, stated: str) -> None:
    um = get_um_per_unit(header.length_unit or stated)
    sizes: dict[str, Decimal] = {}
    for place, name in enumerate("xyz"[: int(header.values["dim"][0])], 1):
        size = header.get_decimal("pixdim", place)
        if size is not None and size > 0:  # 0 and less: the file does not say
            sizes[name] = size
    if um is None and sizes:
        shown = "; ".join(f"{name} {format_decimal(size)}" for name, size in reversed(sizes.items()))
        meta.warnings.append(f'its voxels are apart by {shown} without a known unit: state unit = "mm" or another')
    if um is not None:
        meta.spacing.update({name: size * um for name, size in sizes.items()})
        meta.set_pixel_size(meta.spacing.get("x"), meta.spacing.get("y"))


def _apply_rate(meta: ImageMetadata, header: NiftiHeader, axes: Sequence[str]) -> None:
    step, seconds = header.get_decimal("pixdim", 4), get_seconds_per_unit(header.time_unit)
    if "t" in axes and step is not None and step > 0 and seconds:
        meta.facts["frame_rate"] = format_decimal(divide(1, step * seconds))


def _apply_scaling(meta: ImageMetadata, header: NiftiHeader) -> None:
    """A slope of 0 says that there is none."""
    slope, inter = header.get_decimal("scl_slope"), header.get_decimal("scl_inter")
    if not slope or inter is None or (slope, inter) == (Decimal(1), Decimal(0)):
        return
    meta.facts.update(scl_slope=format_decimal(slope), scl_inter=format_decimal(inter))
    meta.warnings.append(
        f"its voxels are kept as stored: stored * {format_decimal(slope)} + {format_decimal(inter)} is what they mean"
    )


def _apply_forms(meta: ImageMetadata, header: NiftiHeader) -> None:
    """Where the volume lies in space, as the file says it; NGFF 0.5 has no place for it."""
    if int(header.values["sform_code"]) > 0:
        rows = [[header.get_decimal(f"srow_{axis}", place) for place in range(4)] for axis in "xyz"]
        known = [[number for number in row if number is not None] for row in rows]
        if all(len(row) == 4 for row in known):
            meta.facts["sform"] = "; ".join(" ".join(map(format_decimal, row)) for row in known)
            _compare_sform(meta, header, known)
    if int(header.values["qform_code"]) > 0:
        names = (*(f"quatern_{name}" for name in "bcd"), *(f"qoffset_{axis}" for axis in "xyz"))
        numbers = [header.get_decimal(name) for name in names]
        known_numbers = [number for number in numbers if number is not None]
        if len(known_numbers) == len(names):
            meta.facts["qform"] = " ".join(map(format_decimal, known_numbers))


def _compare_sform(meta: ImageMetadata, header: NiftiHeader, rows: Sequence[Sequence[Decimal]]) -> None:
    """Say where pixdim, which the spacing is from, and sform, which many programs go by, differ."""
    for place, name in enumerate("xyz"):
        size = header.get_decimal("pixdim", place + 1)
        step = sum((row[place] * row[place] for row in rows), Decimal(0)).sqrt()
        if size and size > 0 and step and abs(step - size) > _SLACK * size:
            shown = format_decimal(divide(step, 1))
            meta.warnings.append(f"along {name} its pixdim is {format_decimal(size)}, a step of its sform {shown}")
