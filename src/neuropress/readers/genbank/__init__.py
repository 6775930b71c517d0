"""GenBank flat files: annotated nucleotide sequences, as plasmid maps are kept."""

from __future__ import annotations

import re

from ..format import Claim, Fact, Format

_BEGIN = re.compile(rb"(?:\xef\xbb\xbf)?\s*LOCUS(?:\s|$)")


def probe(head: bytes, name: str) -> Claim | None:
    """By the first word; some programs write a mark or blank lines before it."""
    return Claim("genbank", "its first word is LOCUS") if _BEGIN.match(head) else None


FORMAT = Format(
    name="genbank",
    title="GenBank flat files: sequences with features, of SnapGene, ApE, Benchling, NCBI and others",
    module="neuropress.readers.genbank.read",
    suffixes=(".gb", ".gbk"),
    probe=probe,
    facts=(
        Fact("locus", "name in the LOCUS line"),
        Fact("length", "length of the sequence, as stated and as counted", "bp"),
        Fact("molecule", "kind of molecule (DNA, ds-DNA, mRNA)"),
        Fact("topology", "circular or linear"),
        Fact("date", "date in the LOCUS line, as YYYY-MM-DD"),
        Fact("features", "entries of the feature table, the source among them"),
        Fact("gc_content", "part of G, C and S among the letters that say it, 6 decimals"),
    ),
    findings=("genbank.damaged",),
)
