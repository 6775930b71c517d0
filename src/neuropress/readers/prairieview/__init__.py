"""Bruker PrairieView: a folder of TIFF files and the XML that says what each of them is."""

from __future__ import annotations

from ..format import Format
from ..images import AXES, IMAGE_FINDINGS
from ..microscopes import FACTS

FORMAT = Format(
    name="prairieview",
    title="Bruker PrairieView: a folder of TIFF planes with its XML (TSeries, ZSeries, volumes over time)",
    module="neuropress.readers.prairieview.read",
    is_folder=True,
    members=("*_Cycle[0-9]*_*Ch[0-9]*_[0-9]*.tif",),
    options=(AXES,),
    facts=FACTS,
    findings=(*IMAGE_FINDINGS, "microscope.damaged", "microscope.plane", "microscope.truncated"),
)
