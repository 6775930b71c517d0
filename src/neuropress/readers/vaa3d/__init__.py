"""Vaa3D raw: stacks of several channels, without any distances."""

from __future__ import annotations

from ..arrays import PIXEL_SIZE, Z_SPACING
from ..format import Format
from ..images import AXES
from ..voxels import FACTS, FINDINGS

MAGIC = b"raw_image_stack_by_hpeng"

FORMAT = Format(
    name="vaa3d",
    title="Vaa3D raw: stacks of several channels",
    module="neuropress.readers.vaa3d.read",
    signatures=(MAGIC,),
    suffixes=(".v3draw", ".vaa3draw"),
    options=(AXES, PIXEL_SIZE, Z_SPACING),
    facts=tuple(fact for fact in FACTS if fact.name in ("x", "y", "z", "pixel_size")),
    findings=FINDINGS,
)
