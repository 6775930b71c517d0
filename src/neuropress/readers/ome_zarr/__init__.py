"""OME-Zarr of versions 0.1 to 0.5, and arrays in Zarr 2 or 3 without it: level 0, as it is stored."""

from __future__ import annotations

from ..format import Format
from ..images import AXES, IMAGE_FACTS

LABELS_APART = "its labels are not read: they are images of their own, below labels/"
"""Warning of an image that has some."""

FORMAT = Format(
    name="ome_zarr",
    title="OME-Zarr (Zarr 2 and 3) of other programs: its full resolution; each image is one of its own",
    module="neuropress.readers.ome_zarr.read",
    is_folder=True,
    members=("zarr.json", ".zgroup", ".zarray", ".zattrs"),
    is_container=True,
    options=(AXES,),
    facts=tuple(fact for fact in IMAGE_FACTS if fact.name in ("x", "y", "z", "pixel_size", "frame_rate")),
    findings=("image.axes", "image.unsupported", "zarr.damaged", "zarr.unsupported"),
)
