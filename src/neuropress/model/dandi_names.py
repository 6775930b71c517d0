"""How ``dandi organize`` names a session's file: by subject, session, and the modalities of what is in it.

``dandi organize`` leaves out ``ses-`` where all files that it is given are of one session, and adds ``obj-`` where two
would have one name. Then a file's name would depend on the other files, and change when a session is added. So ``ses-``
always stands here, which is what ``dandi organize --required-field session_id`` does, and no ``obj-`` does: two results
of one name are a finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .source import MOST_NAME

TYPES: Mapping[str, tuple[str, ...]] = {
    "behavior": (
        "BehavioralEpochs", "BehavioralEvents", "BehavioralTimeSeries", "CompassDirection", "EyeTracking", "Position",
        "PupilTracking", "SpatialSeries",
    ),
    "core": ("NWBContainer", "NWBDataInterface"),
    "ecephys": (
        "ClusterWaveforms", "Clustering", "ElectricalSeries", "ElectrodeGroup", "EventDetection", "EventWaveform",
        "FeatureExtraction", "FilteredEphys", "LFP", "SpikeEventSeries",
    ),
    "icephys": (
        "CurrentClampSeries", "CurrentClampStimulusSeries", "IZeroClampSeries", "IntracellularElectrode",
        "PatchClampSeries", "VoltageClampSeries", "VoltageClampStimulusSeries",
    ),
    "image": ("ImageMaskSeries", "ImageSeries", "IndexSeries", "OpticalSeries"),
    "ogen": ("OptogeneticSeries", "OptogeneticStimulusSite"),
    "ophys": (
        "CorrectedImageStack", "DfOverF", "Fluorescence", "ImageSegmentation", "ImagingPlane", "MotionCorrection",
        "OnePhotonSeries", "OpticalChannel", "RoiResponseSeries", "TwoPhotonSeries",
    ),
}  # fmt: skip
"""Modality -> neurodata types that stand for it: the modules of pynwb and their classes.

Not among them are tables (``TimeIntervals``, ``EventsTable``), types that are datasets (``GrayscaleImage``), types of
extensions, and what is of any modality (``TimeSeries``, ``Device``): dandi passes over all these.
"""
_MODALITY_OF = {type: modality for modality, types in TYPES.items() for type in types}
_REPLACED = frozenset("_*\\/<>:|\"'?%@;,.")
STAGING_BYTES = 48
"""What the name of an unfinished file has in addition."""
_NAME = re.compile(r"sub-[^_/]+_ses-([^_/]+)(?:_desc-[^_/]+)?(?:_[a-z+]+)?\.nwb")


def find_modalities(types: Iterable[str]) -> tuple[str, ...]:
    """Modalities of neurodata types, as they stand in a name."""
    return tuple(sorted({_MODALITY_OF[type] for type in types if type in _MODALITY_OF}))


def replace_characters(text: str) -> str:
    """An id as it stands in a name: blanks, and what separates parts or cannot stand in paths, become ``-``."""
    return "".join("-" if char in _REPLACED or char.isspace() else char for char in text)


def make_dandi_path(subject: str, session: str, modalities: Iterable[str], description: str = "") -> str | None:
    """``sub-<subject>/sub-<subject>_ses-<session>[_desc-<description>]_<modality>+<modality>.nwb``.

    None where there is no such name: an id is blank, has control characters (dandi leaves these as they are), or is
    too long for the name of a file.
    """
    subject, session = replace_characters(subject), replace_characters(session)
    joined = "+".join(modalities)
    described = f"_desc-{replace_characters(description)}" if description else ""
    name = f"sub-{subject}_ses-{session}{described}{'_' if joined else ''}{joined}.nwb"
    is_short = len(name.encode("utf-8", "replace")) + STAGING_BYTES <= MOST_NAME
    return f"sub-{subject}/{name}" if subject and session and name.isprintable() and is_short else None


def find_session_in_name(path: str) -> str:
    """The session's part of a path that `make_dandi_path` made, characters replaced; empty of any other."""
    match = _NAME.fullmatch(path.rpartition("/")[2])
    return match[1] if match else ""


MICROSCOPY = "microscopy"
"""Folder of a dandiset in which its volumes are a dataset of BIDS, whose labels are letters and digits alone.

Beside NWB files, whose names keep the ``-`` of ids, the folders of subjects would not be those of ``participants.tsv``.
"""
_NO_LABEL = re.compile(r"[^0-9A-Za-z]")


def make_bids_label(text: str) -> str:
    """An id as BIDS allows it in a name: its ASCII letters and digits."""
    return _NO_LABEL.sub("", text)


def make_volume_path(subject: str, sample: str, suffix: str) -> str | None:
    """``microscopy/sub-<subject>/micr/sub-<subject>_sample-<sample>_<suffix>.ome.zarr``.

    None where a label is blank.
    """
    subject, sample = make_bids_label(subject), make_bids_label(sample)
    name = f"sub-{subject}_sample-{sample}_{suffix}.ome.zarr"
    is_short = len(name) + STAGING_BYTES <= MOST_NAME
    return f"{MICROSCOPY}/sub-{subject}/micr/{name}" if subject and sample and is_short else None
