"""MicroManager: folders of single planes with metadata.txt, and MMStack sets of OME-TIFF files."""

from __future__ import annotations

from ..format import Format
from ..images import AXES, IMAGE_FINDINGS
from ..microscopes import FACTS

FORMAT = Format(
    name="micromanager",
    title="MicroManager: a folder of TIFF planes with metadata.txt (1.4, 2.0), or of *_MMStack_*.ome.tif files",
    module="neuropress.readers.micromanager.read",
    is_folder=True,
    # metadata.txt alone is a name that other programs use, too.
    members=(
        "img_?????????_*_???.tif",
        "*/img_?????????_*_???.tif",
        "img_channel???_position???_time?????????_z???.tif",
        "*/img_channel???_position???_time?????????_z???.tif",
        "*_MMStack*.ome.tif",
    ),
    options=(AXES,),
    facts=FACTS,
    findings=(*IMAGE_FINDINGS, "microscope.damaged", "microscope.plane", "microscope.truncated", "tiff.member"),
)
