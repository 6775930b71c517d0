"""NWB files that a lab already has: what they say of themselves; their samples stay where they are."""

from __future__ import annotations

from ..format import Claim, Fact, Format

SUFFIX = ".nwb"
HDF5 = b"\x89HDF\r\n\x1a\n"


def probe(head: bytes, name: str) -> Claim | None:
    """By the name: that an HDF5 file is NWB, its first bytes do not say. Any reader that knows more goes first."""
    lower = name.lower()
    if lower.rstrip("/").endswith((SUFFIX, f"{SUFFIX}.zarr")) and lower.endswith("/"):
        return Claim("nwb", "a folder whose name ends in .nwb")
    return Claim("nwb", "its name ends in .nwb", strength=0) if lower.endswith(SUFFIX) else None


FORMAT = Format(
    name="nwb",
    title="NWB 2 (HDF5) that a lab already has: kept as it is, its facts compared with the row",
    module="neuropress.readers.nwb.read",
    suffixes=(SUFFIX,),
    probe=probe,
    facts=(
        Fact("nwb_version", "version of the NWB schema"),
        Fact("identifier", "the file's own identifier"),
        Fact("session_id", "session_id"),
        Fact("session_start_time", "session_start_time, as ISO 8601"),
        Fact("subject_id", "subject_id of the subject"),
        Fact("species", "species of the subject"),
        Fact("sex", "sex of the subject"),
        Fact("strain", "strain of the subject"),
        Fact("weight", "weight of the subject"),
        Fact("date_of_birth", "date of birth of the subject, as ISO 8601"),
        Fact("sampling_rate", "rate of the intracellular series, where all have one", "Hz"),
        Fact("frame_rate", "rate of the photon series, where all have one", "Hz"),
        Fact("x", "width of the photon series, where all have one", "pixels"),
        Fact("y", "height of the photon series, where all have one", "pixels"),
        Fact("series", "objects with data over time"),
        Fact("samples", "samples of all series along time"),
    ),
    findings=("nwb.unsafe", "nwb.unreadable", "nwb.version", "nwb.zarr"),
)
