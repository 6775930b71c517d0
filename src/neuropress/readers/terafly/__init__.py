"""TeraFly trees of TIFF tiles, as Vaa3D and TeraConverter write them: the finest resolution."""

from __future__ import annotations

from ..format import Format
from ..images import IMAGE_FACTS

_TILES = "[0-9]*/[0-9]*_[0-9]*/[0-9]*_[0-9]*_[0-9]*.tif"

FORMAT = Format(
    name="terafly",
    title="TeraFly (Vaa3D, TeraConverter): a tree of TIFF tiles, its finest resolution",
    module="neuropress.readers.terafly.read",
    is_folder=True,
    # The tree of all resolutions, or of one.
    members=(f"RES(*x*x*)/{_TILES}", _TILES),
    facts=tuple(fact for fact in IMAGE_FACTS if fact.name in ("x", "y", "z", "pixel_size")),
    findings=("terafly.tile", "terafly.unsupported"),
)
