"""N5 containers: volumes of BigDataViewer, n5-viewer, CellMap, Paintera: the full resolution of each."""

from __future__ import annotations

from ..format import Format
from ..images import AXES, IMAGE_FACTS

FORMAT = Format(
    name="n5",
    title="N5 (Fiji, BigDataViewer, CellMap, Paintera): its full resolution; each image is one of its own",
    module="neuropress.readers.n5.read",
    is_folder=True,
    members=("attributes.json", "*/attributes.json"),
    is_container=True,
    options=(AXES,),
    facts=tuple(fact for fact in IMAGE_FACTS if fact.name in ("x", "y", "z", "pixel_size")),
    findings=("image.axes", "image.unsupported", "n5.damaged", "n5.unsupported"),
)
