"""SWC: trees of cells, traced from images."""

from __future__ import annotations

from ..format import Fact, Format

_SPANS = tuple(
    Fact(f"{axis}_{end}", f"{'smallest' if end == 'min' else 'largest'} {axis} of all samples", "um")
    for axis in "xyz"
    for end in ("min", "max")
)

FORMAT = Format(
    name="swc",
    title="SWC morphologies: the samples of a cell's tree",
    module="neuropress.readers.swc.read",
    suffixes=(".swc",),
    facts=(
        Fact("points", "samples"),
        Fact("soma_points", "samples of the soma"),
        Fact("roots", "samples without a parent, the soma apart"),
        Fact("sections", "runs between two of root, branch point and end"),
        Fact("total_length", "length of all runs, the soma apart", "um"),
        *_SPANS,
    ),
    findings=("swc.line", "swc.tree"),
)
