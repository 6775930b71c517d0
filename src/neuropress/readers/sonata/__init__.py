"""Output of simulations in the SONATA format: spikes and reports, as the Allen Institute and Blue Brain write them."""

from __future__ import annotations

from datetime import datetime

from ..format import Claim, Fact, Format, Option

HDF5 = b"\x89HDF\r\n\x1a\n"
_MEMBERS = (
    (b"spikes\0", b"timestamps\0"),
    (b"report\0", b"mapping\0", b"data\0"),
    (b"mapping\0", b"data\0", b"index_pointer"),
    (b"ecp\0", b"channel_id\0"),
    (b"data\0", b"channel_id\0"),
)
"""Names of groups and datasets, each list of which HDF5 writes into the first 4 KiB of one sort of file."""

SECONDS = {"ms": "0.001", "s": "1", "us": "0.000001"}
"""Symbols of units of time, and their seconds."""


def probe(head: bytes, name: str) -> Claim | None:
    """By names of the format's own groups that stand in the first bytes; files have no other signature in common."""
    if not head.startswith(HDF5):
        return None
    for names in _MEMBERS:
        if all(one in head for one in names):
            listed = ", ".join(one.rstrip(b"\0").decode() for one in names)
            return Claim("sonata", f"an HDF5 file that names {listed}")
    return None


def parse_moment(text: str) -> datetime | None:
    """A date and time with its offset from UTC; None for anything else."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _check_moment(text: str) -> str:
    is_moment = parse_moment(text) is not None
    return "" if is_moment else f"must be a date and time with its offset, as 2025-06-20T09:30+02:00, not {text[:40]!r}"


FORMAT = Format(
    name="sonata",
    title="SONATA output of a simulation: spikes, and soma, compartment, synapse and extracellular reports (HDF5)",
    module="neuropress.readers.sonata.read",
    suffixes=(".h5", ".hdf5"),
    probe=probe,
    options=(
        Option(
            "started",
            "When the simulation was run, which no file tells: 2025-06-20T09:30+02:00. An NWB file needs it.",
            check=_check_moment,
        ),
        Option(
            "time_unit",
            "The unit of times, where the file states one that is none; without a unit they are ms, by the format.",
            kind="choice",
            choices=tuple(SECONDS),
        ),
        Option("data_unit", "The unit of a report's values (mV), where the file states none."),
    ),
    facts=(
        Fact("spikes", "spikes of all populations"),
        Fact("spiking_nodes", "nodes of all populations that spiked"),
        Fact("frames", "moments of a report"),
        Fact("elements", "compartments, synapses or channels of a report"),
    ),
    findings=("sonata.damaged", "sonata.empty", "sonata.limit", "sonata.unit", "sonata.unsafe"),
)
