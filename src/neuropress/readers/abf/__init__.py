"""Axon Binary Format: recordings of electrophysiology by pCLAMP and AxoScope."""

from __future__ import annotations

from ..format import Fact, Format

FORMAT = Format(
    name="abf",
    title="ABF 1, ABF 2 (pCLAMP, AxoScope): recordings in sweeps, with their commands",
    module="neuropress.readers.abf.read",
    # Not by the suffix: a file that is merely called .abf cannot be read as one.
    signatures=(b"ABF ", b"ABF2"),
    suffixes=(".abf",),
    facts=(
        Fact("sampling_rate", "samples a second of each channel, from the sample interval", "Hz"),
        Fact("amplifier", "what telegraphed to the recording program"),
        Fact("digitizer", "model of the digitiser (ABF 2)"),
    ),
    findings=("abf.damaged", "abf.empty", "abf.not_abf", "abf.truncated", "abf.unsupported"),
)
