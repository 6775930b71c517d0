"""Zeiss CZI: scenes, mosaics, times, depth, channels."""

from __future__ import annotations

from ..format import Format
from ..images import AXES
from ..microscopes import FACTS, FINDINGS

FORMAT = Format(
    name="czi",
    title="Zeiss CZI: images, stacks, movies, mosaics; each scene is an image of its own",
    module="neuropress.readers.czi.read",
    signatures=(b"ZISRAWFILE",),
    suffixes=(".czi",),
    options=(AXES,),
    facts=FACTS,
    findings=(*FINDINGS, "image.axes", "microscope.mosaic"),
)
