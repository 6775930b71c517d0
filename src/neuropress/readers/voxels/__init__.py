"""What the readers of volumes share whose voxels lie in one stretch of bytes: packed streams, extents, units.

No format of its own.
"""

from __future__ import annotations

from ..format import Option
from ..images import AXES, IMAGE_FACTS

UNITS = ("nm", "um", "mm", "cm", "m")

UNIT = Option(
    "unit",
    "Unit of the distances in the header, where it states none. It never overrules the file.",
    kind="choice",
    choices=UNITS,
)

OPTIONS = (AXES, UNIT)

FACTS = tuple(fact for fact in IMAGE_FACTS if fact.name in ("x", "y", "z", "pixel_size", "frame_rate"))

FINDINGS = ("image.axes", "voxels.damaged", "voxels.hostile", "voxels.truncated", "voxels.unsupported")
