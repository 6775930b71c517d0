"""Vaa3D raw as an image: four extents behind a magic word, then all voxels, x fastest."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from ...model.content import Image
from ...model.finding import problem
from ...model.source import Source
from ..arrays.language import parse_positive
from ..images.calibration import ImageMetadata, divide
from ..images.pixels import apply_declared_axes
from ..microscopes.facts import set_sizes
from ..voxels.packed import make_damaged
from ..voxels.stretch import Stretch, build_image, check_sizes, open_voxels
from . import FORMAT, MAGIC

TYPES = {1: "u1", 2: "u2", 4: "f4"}
_ORDERS: Mapping[bytes, Literal["<", ">"]] = {b"L": "<", b"B": ">"}
_LENGTHS = ("4i", "4h")
"""Of the extents; programs of before 2010 wrote two bytes each, and nothing but the file's size tells."""


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One image; its distances are what a person states, since the format has none.

    Raises
    ------
    Problem
        ``voxels.damaged``, ``voxels.truncated``, ``voxels.unsupported``, ``image.axes``.
    """
    stretch = _read_header(source)
    axes = apply_declared_axes(("c", "z", "y", "x"), options, source.key)
    meta = ImageMetadata()
    set_sizes(meta, axes, stretch.shape)
    if "pixel_size" in options:
        size = parse_positive(options["pixel_size"])
        um = divide(size.numerator, size.denominator)
        meta.set_pixel_size(um, um)
    if "z_spacing" in options:
        size = parse_positive(options["z_spacing"])
        meta.spacing["z"] = divide(size.numerator, size.denominator)
    voxels = open_voxels(source, stretch, axes)
    header = {"sizes": list(stretch.sizes), "type": stretch.stored.str, "start": stretch.start}
    return (build_image(FORMAT.name, meta, header, voxels),)


def _read_header(source: Source) -> Stretch:
    """Where the voxels lie. Raises `Problem`."""
    key, size = source.key, source.size()
    head = source.head()
    order = _ORDERS.get(head[len(MAGIC) : len(MAGIC) + 1])
    if not head.startswith(MAGIC) or order is None:
        raise make_damaged(key, "its header does not say the order of bytes, L or B, behind its magic word")
    at = len(MAGIC) + 1
    if len(head) < at + 2 + struct.calcsize("4h"):
        raise make_damaged(key, "it ends within its header")
    (code,) = struct.unpack_from(f"{order}h", head, at)
    if code not in TYPES:
        hint = "Open it in Vaa3D, and save it with voxels of 8 or 16 bits, or as 32-bit floats."
        raise problem("voxels.unsupported", f"{key}: its voxels have {code} bytes", hint=hint, file=key)
    stored = np.dtype(TYPES[code]).newbyteorder(order)
    found: list[Stretch] = []
    for form in _LENGTHS:
        if len(head) < at + 2 + struct.calcsize(form):
            continue
        sizes = struct.unpack_from(f"{order}{form}", head, at + 2)
        stretch = Stretch(key, at + 2 + struct.calcsize(form), sizes, stored)
        if min(sizes) > 0 and stretch.start + math.prod(sizes) * code == size:
            return stretch
        found.append(stretch)
    check_sizes(key, found[0].sizes)
    return found[0]
