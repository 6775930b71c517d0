"""Raw objects that an interface of neuroconv reads: it exports them as NWB, in an environment of its own."""

from __future__ import annotations

from ..format import CLOCK_OFFSET, Claim, Format, Option


def probe(head: bytes, name: str) -> Claim | None:
    """None: only who names this reader gets it."""
    return None


FORMAT = Format(
    name="neuroconv",
    title="whatever an interface of neuroconv reads, where the settings name reader and interface",
    module="neuropress.readers.neuroconv.read",
    probe=probe,
    options=(
        Option("interface", 'The interface: "DeepLabCutInterface"; neuropress tools interfaces lists them.'),
        Option(
            "arguments",
            "What the interface and its conversion take beside the file: { sampling_frequency = 30 }.",
            "table",
        ),
        Option("metadata", "What is laid over the metadata that the interface finds, as neuroconv has them.", "table"),
        Option(
            "trust", "true: the interface may unpickle or execute what lies in the file; the result says so.", "yes/no"
        ),
        Option(
            "external_folder", "How the file's folder is reached from the result, for names of external files in it."
        ),
        CLOCK_OFFSET,
    ),
    findings=(
        "neuroconv.argument",
        "neuroconv.failed",
        "neuroconv.interface",
        "neuroconv.untrusted",
        "tool.failed",
    ),
)
