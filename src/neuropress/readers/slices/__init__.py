"""A folder of TIFF or PNG slices, one image a file."""

from __future__ import annotations

from ..format import Format
from ..images import AXES, IMAGE_FACTS, IMAGE_FINDINGS

FORMAT = Format(
    name="slices",
    title="a folder of TIFF or PNG slices, numbered without a gap: a volume, or a movie's frames",
    module="neuropress.readers.slices.read",
    suffixes=("/",),
    is_folder=True,
    options=(AXES,),
    facts=IMAGE_FACTS,
    findings=(*IMAGE_FINDINGS, "png.damaged", "slices.empty", "slices.missing", "slices.mixed"),
)
