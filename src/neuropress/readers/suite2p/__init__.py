"""suite2p's results: a folder of NumPy files, or one folder ``plane0``, ``plane1``... for each plane."""

from __future__ import annotations

from ..format import Claim, Fact, Format
from ..numpy_files import MAGIC


def probe(head: bytes, name: str) -> Claim | None:
    """A file ``stat.npy`` stands for the folder that it lies in."""
    if name == "stat.npy" and head.startswith(MAGIC):
        return Claim("suite2p", "an NPY file of that name")
    return None


FORMAT = Format(
    name="suite2p",
    title="suite2p: regions and traces, a folder with stat.npy or folders plane0, plane1, ... that have one",
    module="neuropress.readers.suite2p.read",
    is_folder=True,
    members=("stat.npy", "plane*/stat.npy", "suite2p/plane*/stat.npy"),
    probe=probe,
    facts=(Fact("rois", "regions of interest"), Fact("frames", "frames that the traces have")),
    findings=("pickle.refused", "regions.damaged", "regions.empty", "regions.limit", "regions.mismatch"),
)
