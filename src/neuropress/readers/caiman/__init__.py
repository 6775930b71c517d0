"""CaImAn's results: an HDF5 file with the group ``estimates``."""

from __future__ import annotations

from ..format import Claim, Fact, Format

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def probe(head: bytes, name: str) -> Claim | None:
    """Any HDF5 file, where regions are asked for; what it holds is seen when it is opened."""
    return Claim("caiman", f"begins with {SIGNATURE!r}") if head.startswith(SIGNATURE) else None


FORMAT = Format(
    name="caiman",
    title="CaImAn: regions and traces as its CNMF object saves them (HDF5, group estimates)",
    module="neuropress.readers.caiman.read",
    purpose="regions",
    probe=probe,
    facts=(Fact("rois", "regions of interest"), Fact("frames", "frames that the traces have")),
    findings=("regions.damaged", "regions.empty", "regions.limit", "regions.mismatch", "regions.unsafe"),
)
