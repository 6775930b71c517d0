"""A folder of TIFF, PNG or JPEG slices, one image a file; a single PNG or JPEG."""

from __future__ import annotations

from ..format import Format
from ..images import AXES, IMAGE_FACTS, IMAGE_FINDINGS

FORMAT = Format(
    name="slices",
    title="a folder of TIFF, PNG or JPEG slices, numbered without a gap: a volume, or a movie's frames; a PNG or JPEG",
    module="neuropress.readers.slices.read",
    signatures=(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"),
    suffixes=("/", ".png", ".jpg", ".jpeg"),
    is_folder=True,
    options=(AXES,),
    facts=IMAGE_FACTS,
    findings=(*IMAGE_FINDINGS, "jpeg.damaged", "png.damaged", "slices.empty", "slices.missing", "slices.mixed"),
)
