"""NRRD: volumes, annotation volumes, fields of vectors; in one file, or a header beside its voxels."""

from __future__ import annotations

from ..format import Fact, Format
from ..voxels import FACTS, FINDINGS, OPTIONS

FORMAT = Format(
    name="nrrd",
    title="NRRD: volumes, annotation volumes, fields of vectors",
    module="neuropress.readers.nrrd.read",
    signatures=(b"NRRD000",),
    suffixes=(".nrrd", ".nhdr"),
    options=OPTIONS,
    facts=(
        *FACTS,
        Fact("space", "the space that the axes lie in, as the file names it (left-posterior-superior)"),
        Fact("space_directions", "the step along each axis in that space, in the order of the file"),
        Fact("space_origin", "where the first voxel's centre lies in that space"),
    ),
    findings=(*FINDINGS, "voxels.detached"),
)
