"""Images and movies of files of named arrays, as a person declares their axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from ...model.content import Image, LazyArray
from ..images.calibration import ImageMetadata, divide, format_decimal
from .language import parse_positive, parse_reference
from .traces import find_variables
from .tree import ArrayTree, Variable


def list_own_images(tree: ArrayTree) -> list[Variable]:
    """Arrays of which the file itself says that they are images, and what each of their axes is."""
    images = []
    for variable in tree.variables.values():
        axes = _get_own_axes(variable)
        if len(axes) == len(variable.shape) > 1 and {"y", "x"} <= set(axes) and 0 not in variable.shape:
            images.append(variable)
    return images


def build_own_images(tree: ArrayTree, variables: Sequence[Variable]) -> tuple[Image, ...]:
    """The images of `list_own_images`, of several each under its path; the last one that is closed closes the file."""
    opened = {variable.path for variable in variables}

    def close_one(path: str) -> None:
        opened.discard(path)
        if not opened:
            tree.close()

    images = []
    for variable in variables:
        image = build_image(tree, {"pixels": variable.path})
        name = variable.path if len(variables) > 1 else ""
        header = {**image.header, "declared": {}, "pixels": variable.path}
        images.append(replace(image, name=name, header=header, close=partial(close_one, variable.path)))
    return tuple(images)


def build_image(tree: ArrayTree, options: Mapping[str, Any]) -> Image:
    """The image of the array that the option ``pixels`` names.

    Raises
    ------
    Problem
        ``arrays.declaration``: there is no such array, nobody says what its axes are, or what was stated contradicts
        the file.
    """
    reference = parse_reference(options["pixels"])
    reference = replace(reference, path=reference.path.lstrip("/"))  # as HDF5's own tools write it
    variables = find_variables(tree, reference, "pixels")
    variable = variables[0]
    if len(variables) > 1 or variable.dtype.kind not in "biuf" or len(variable.shape) < 2:
        what = f"{len(variables)} arrays" if len(variables) > 1 else variable.describe()
        raise tree.make_problem("arrays.declaration", f"the option pixels names {what}, which is no image")
    if 0 in variable.shape:
        raise tree.make_problem("arrays.declaration", f"the option pixels: {variable.describe()} has no pixels")
    axes = _find_axes(tree, variable, options)
    size = dict(zip(axes, variable.shape, strict=True))
    meta = ImageMetadata()
    _apply_pixel_size(meta, variable, options)
    _apply_z_spacing(meta, axes, variable, options)
    if "frame_rate" in options:
        rate = parse_positive(options["frame_rate"])
        meta.facts["frame_rate"] = format_decimal(divide(rate.numerator, rate.denominator))
    count = math.prod(extent for axis, extent in zip(axes, variable.shape, strict=True) if axis not in "yxcs")
    meta.facts.update(x=str(size["x"]), y=str(size["y"]), z=str(count))
    planes = (1 if axis not in "yxs" else extent for axis, extent in zip(axes, variable.shape, strict=True))
    block = variable.block or tuple(planes)
    pixels = LazyArray("pixels", variable.shape, variable.dtype, axes, variable.read, block, kept=variable.kept)
    return Image(
        name="",
        format=tree.format,
        facts=meta.facts,
        header=tree.describe() | {"declared": {name: str(value) for name, value in sorted(options.items())}},
        arrays={"pixels": pixels},
        warnings=(*tree.warnings, *meta.warnings),
        close=tree.close,
        spacing=meta.spacing,
    )


def _find_axes(tree: ArrayTree, variable: Variable, options: Mapping[str, Any]) -> tuple[str, ...]:
    own = variable.axes or "q" * len(variable.shape)
    axes = tuple(options.get("axes", _get_own_axes(variable) or own))
    if len(axes) != len(own) or any(known not in (letter, "q") for known, letter in zip(own, axes, strict=True)):
        message = f"the option axes = {''.join(axes)!r} does not fit the axes {own!r} of {variable.describe()}"
        raise tree.make_problem("arrays.declaration", f"{message} (q: not in the file)", "".join(axes))
    if axes.count("y") != 1 or axes.count("x") != 1:
        what = f"say in axes what each axis of {variable.describe()} is"
        example = {2: "yx", 3: "zyx", 4: "tzyx", 5: "tczyx"}.get(len(axes), "...yx")
        letters = "slowest first, of t c z y x s, and q for what stays open"
        message = f'{what}: {letters}, as axes = "{example}"; now they are {"".join(axes)!r}'
        raise tree.make_problem("arrays.declaration", message, "".join(axes))
    return axes


def _get_own_axes(variable: Variable) -> str:
    """What the file says of the axes. Three distances between the elements of three axes are those of z, y and x."""
    is_volume = len(variable.shape) == 3 and set(variable.spacing) == {"z", "y", "x"}
    return variable.axes or ("zyx" if is_volume else "")


def _apply_pixel_size(meta: ImageMetadata, variable: Variable, options: Mapping[str, Any]) -> None:
    """Spacing by the file, or else by a person."""
    if variable.spacing:
        meta.spacing.update({axis: Decimal(text) for axis, text in variable.spacing.items()})
        meta.set_pixel_size(meta.spacing.get("x"), meta.spacing.get("y"))
    if "pixel_size" in options:
        size = parse_positive(options["pixel_size"])
        um = divide(size.numerator, size.denominator)
        if variable.spacing and (um, um) != (meta.spacing.get("x"), meta.spacing.get("y")):
            meta.warnings.append(f"its own spacing is kept, the option pixel_size = {options['pixel_size']} is not")
        elif not variable.spacing:
            meta.set_pixel_size(um, um)


def _apply_z_spacing(
    meta: ImageMetadata, axes: tuple[str, ...], variable: Variable, options: Mapping[str, Any]
) -> None:
    """Distance of planes as a person states it, where the file does not."""
    if "z_spacing" not in options:
        return
    text = options["z_spacing"]
    if "z" not in axes:
        meta.warnings.append(f"the option z_spacing = {text} is not taken: none of its axes is z")
    elif "z" in variable.spacing:
        meta.warnings.append(f"its own spacing is kept, the option z_spacing = {text} is not")
    else:
        size = parse_positive(text)
        meta.spacing["z"] = divide(size.numerator, size.denominator)
