"""Imaris: stacks of several channels and times, of which level 0 of the pyramid is read."""

from __future__ import annotations

from ..format import Claim, Fact, Format
from ..images import AXES, IMAGE_FACTS

MAGIC = b"\x89HDF\r\n\x1a\n"


def probe(head: bytes, name: str) -> Claim | None:
    """An HDF5 file that is called .ims; the name alone still gets a damaged one its own finding."""
    if not name.lower().endswith(".ims"):
        return None
    if head.startswith(MAGIC):
        return Claim("imaris", "begins as HDF5 and is called .ims")
    return Claim("imaris", "its name ends in .ims", strength=1)


FORMAT = Format(
    name="imaris",
    title="Imaris: stacks of several channels and times",
    module="neuropress.readers.imaris.read",
    suffixes=(".ims",),
    probe=probe,
    options=(AXES,),
    facts=(
        *(fact for fact in IMAGE_FACTS if fact.name in ("x", "y", "z", "pixel_size", "frame_rate")),
        Fact("origin", "where the first voxel's corner lies on the microscope's stage, x y z", "um"),
    ),
    findings=("arrays.damaged", "arrays.unsafe", "image.axes", "imaris.layout"),
)
