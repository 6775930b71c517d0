"""HDF5 files whose datasets a person declares, and layouts that say themselves what they are (WaveSurfer, ilastik)."""

from __future__ import annotations

from ..arrays import FACTS, FINDINGS, OPTIONS
from ..format import Claim, Format

MAGIC = b"\x89HDF\r\n\x1a\n"
SUFFIXES = (".h5", ".hdf5", ".hdf")
OTHERS = (".nwb", ".ims", ".h5ad", ".slp", ".mat")
"""Names of formats of their own, which are HDF5 files, too."""


def probe(head: bytes, name: str) -> Claim | None:
    """Any HDF5 file, by less than what a reader of files of one layout says of them."""
    if head.startswith(MAGIC) and not name.lower().endswith(OTHERS):
        return Claim("hdf5_arrays", "begins as HDF5, and its datasets may be anything", strength=0)
    is_named = name.lower().endswith(SUFFIXES) and not head.startswith((b"\x93NUMPY", b"\x1f\x8b", b"MATLAB"))
    return Claim("hdf5_arrays", "its name ends in .h5 or .hdf5", strength=0) if is_named else None


FORMAT = Format(
    name="hdf5_arrays",
    title="HDF5: recordings, movies, volumes, behaviour, as declared; WaveSurfer, ilastik, Data Exchange by themselves",
    module="neuropress.readers.hdf5_arrays.read",
    suffixes=SUFFIXES,
    probe=probe,
    options=OPTIONS,
    facts=FACTS,
    findings=FINDINGS,
)
