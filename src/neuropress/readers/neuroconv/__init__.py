"""Raw objects that an interface of neuroconv reads: it exports them as NWB, in an environment of its own."""

from __future__ import annotations

from ..format import CLOCK_OFFSET, Claim, Format, Option


def probe(head: bytes, name: str) -> Claim | None:
    """None: only who names this reader gets it."""
    return None


def find_metadata_complaint(value: dict[str, object]) -> str:
    """Entries that would be laid over what is not taken over."""
    lost = " and ".join(name for name in ("NWBFile", "Subject") if name in value)
    return f"has {lost}, which the session's rows state: correct these, or clock_offset for a start" if lost else ""


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
        Option(
            "metadata",
            "What is laid over the metadata that the interface finds, as neuroconv has them; no NWBFile, no Subject.",
            "table",
            check=find_metadata_complaint,
        ),
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
