"""NumPy's arrays: NPY, and NPZ, which is a zip of them. Nothing is ever unpickled."""

from __future__ import annotations

from ..arrays import FACTS, FINDINGS, OPTIONS
from ..format import Claim, Format

MAGIC = b"\x93NUMPY"
_ZIP = b"PK\x03\x04"


def probe(head: bytes, name: str) -> Claim | None:
    """An NPY by its first bytes, whatever it is called; a zip that is called .npz, or begins with a member .npy."""
    if head.startswith(MAGIC):
        return Claim("npy", "begins with \\x93NUMPY", strength=1)
    if head.startswith(_ZIP) and (name.lower().endswith(".npz") or head[30:90].find(b".npy") > 0):
        return Claim("npy", "is a zip of NumPy arrays")
    return (
        Claim("npy", "its name ends in .npy or .npz", strength=0) if name.lower().endswith((".npy", ".npz")) else None
    )


FORMAT = Format(
    name="npy",
    title="NumPy arrays, NPY and NPZ: recordings, movies or behaviour, as a person declares",
    module="neuropress.readers.npy.read",
    suffixes=(".npy", ".npz"),
    probe=probe,
    options=OPTIONS,
    facts=FACTS,
    findings=(*FINDINGS, "arrays.unsupported"),
)
