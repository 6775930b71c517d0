"""All checks, in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping

from . import biology, paths, recordings, sessions
from .rule import RowCheck, TableCheck

_PLASMIDS = tuple(
    f"session.mouse.{path}"
    for path in ("plasmid_id", "virus_id", "virus.plasmid_id", "plasmid.indicator", "virus.plasmid.indicator")
)
_WAVELENGTHS = ("session.mouse.plasmid.wavelength", "session.mouse.virus.plasmid.wavelength")
_SESSION_TIMES = ("session.session_date", "session.start_time", "session.end_time")
_VOLUMES = ("sem_dataset", "micro_ct_dataset", "cell_detection_dataset")

ROW_CHECKS: tuple[RowCheck, ...] = (
    RowCheck("plasmid", ("indicator", "wavelength"), biology.wavelength),
    RowCheck("plasmid", ("indicator", "tuning"), biology.tuning),
    RowCheck("virus", ("titer",), biology.titer),
    RowCheck("virus", ("virus_name", "serotype"), biology.serotype),
    RowCheck("mouse", ("weight",), biology.weight),
    RowCheck("mouse", ("strain", "genotype"), biology.genotype_count),
    RowCheck("mouse", ("strain", "genotype", "cre_line"), biology.cre_line),
    RowCheck(
        "mouse",
        ("virus_id", "cre_line", "plasmid_id", "virus.floxed", "plasmid.indicator", "virus.plasmid_id"),
        biology.floxed,
    ),
    RowCheck("injection", ("virus_id", "virus.floxed", "mouse.cre_line"), biology.injected),
    RowCheck("mouse", ("plasmid_id", "virus_id", "virus.plasmid_id"), biology.plasmids),
    RowCheck("mouse", ("litter_id",), biology.litter_lab),
    RowCheck("session", ("session_date", "start_time", "end_time"), sessions.clock),
    RowCheck("session", ("session_date", "mouse.birth_date"), sessions.age),
    RowCheck("image", ("exposure_time", "frame_rate"), recordings.exposure),
    RowCheck("image", ("z", "frame_rate", *_SESSION_TIMES), recordings.duration),
    RowCheck("image", ("image_type", *_PLASMIDS), recordings.indicator),
    RowCheck("image", ("laser_line", *_PLASMIDS, *_WAVELENGTHS), recordings.laser),
    RowCheck("image", ("file_path_roi", "roi_tool"), recordings.roi_tool),
    RowCheck("image", ("file_path_processed", "processing_methods"), recordings.processing),
    RowCheck("behavior", ("injection", "session.anesthesia"), recordings.injection),
    RowCheck("sem_dataset", ("resolution",), recordings.resolution),
    *(RowCheck(table, ("start_date", "end_date"), sessions.order_of_dates) for table in _VOLUMES),
    *(RowCheck(table, ("start_date", "end_date"), paths.acquisition_dates) for table in _VOLUMES),
)

_SESSION_DATE = {"session": ("session_date", "start_time", "end_time")}

TABLE_CHECKS: Mapping[TableCheck, Mapping[str, tuple[str, ...]]] = {
    biology.litter_births: {"mouse": ("litter_id", "birth_date")},
    biology.virus_names: {"virus": ("virus_name",)},
    sessions.before_birth: {"mouse": ("birth_date",), **_SESSION_DATE},
    sessions.empty: {"session": ("session_id",)},
    sessions.overlaps: {"session": ("session_date", "start_time", "end_time", "mouse_id", "experimenter")},
    recordings.model_versions: {"model": ("description", "model_version")},
    paths.own_lab: {},
    paths.session_dates: _SESSION_DATE,
    paths.claimed_twice: {},
    paths.other_lab: {},
    paths.numbers_left: {},
}
"""Checks across rows, and by table the columns without which a check is left out."""
