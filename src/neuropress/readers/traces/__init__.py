"""Traces of regions that a program wrote by themselves: CSV with a column a region, or an NPY array."""

from __future__ import annotations

from ..format import Claim, Fact, Format
from ..numpy_files import MAGIC

SUFFIXES = (".csv", ".tsv")


def probe(head: bytes, name: str) -> Claim | None:
    """By the name, or NumPy's first bytes, where traces are asked for."""
    if head.startswith(MAGIC) and name != "stat.npy":
        return Claim("traces", "begins like an NPY file")
    by_name = name.lower().endswith(SUFFIXES)
    return Claim("traces", "its name ends in .csv or .tsv", strength=1) if by_name else None


FORMAT = Format(
    name="traces",
    title="traces of regions: CSV or TSV with a column for each, or NPY",
    module="neuropress.readers.traces.read",
    purpose="traces",
    probe=probe,
    facts=(Fact("frames", "rows below the header"),),
    findings=("traces.damaged",),
)
