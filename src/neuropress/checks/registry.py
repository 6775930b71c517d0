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
    RowCheck("plasmid", ("indicator", "wavelength"), biology.check_plasmid_wavelength),
    RowCheck("plasmid", ("indicator", "tuning"), biology.check_indicator_tuning),
    RowCheck("virus", ("titer",), biology.check_titer_range),
    RowCheck("virus", ("virus_name", "serotype"), biology.check_serotype_in_name),
    RowCheck("mouse", ("weight",), biology.check_mouse_weight),
    RowCheck("mouse", ("strain", "genotype"), biology.check_genotype_count),
    RowCheck("mouse", ("strain", "genotype", "cre_line"), biology.check_cre_line_in_strain),
    RowCheck(
        "mouse",
        ("virus_id", "cre_line", "plasmid_id", "virus.floxed", "plasmid.indicator", "virus.plasmid_id"),
        biology.check_cre_for_virus,
    ),
    RowCheck("injection", ("virus_id", "virus.floxed", "mouse.cre_line"), biology.check_cre_for_injection),
    RowCheck("mouse", ("plasmid_id", "virus_id", "virus.plasmid_id"), biology.check_plasmid_of_virus),
    RowCheck("mouse", ("mouse_id", "litter_id"), biology.check_litter_lab),
    RowCheck("session", ("session_date", "start_time", "end_time"), sessions.check_session_times),
    RowCheck("session", ("session_date", "start_time", "end_time"), sessions.check_session_duration),
    RowCheck("session", ("session_date", "mouse.birth_date"), sessions.check_mouse_age),
    RowCheck("image", ("exposure_time", "frame_rate"), recordings.check_exposure_time),
    RowCheck("image", ("z", "frame_rate", *_SESSION_TIMES), recordings.check_movie_duration),
    RowCheck("image", ("image_type", *_PLASMIDS), recordings.check_image_indicator),
    RowCheck("image", ("laser_line", *_PLASMIDS, *_WAVELENGTHS), recordings.check_laser_line),
    RowCheck("image", ("file_path_roi", "roi_tool"), recordings.check_roi_tool),
    RowCheck("image", ("file_path_roi", "frame_rate", "image_type"), recordings.check_roi_file),
    RowCheck("image", ("file_path_processed", "processing_methods"), recordings.check_processing_methods),
    RowCheck("behavior", ("injection", "session.anesthesia"), recordings.check_injected_agent),
    RowCheck("sem_dataset", ("resolution",), recordings.check_sem_resolution),
    *(RowCheck(table, ("start_date", "end_date"), sessions.check_date_order) for table in _VOLUMES),
)

SESSION_DATE = {"session": ("session_date", "start_time", "end_time")}

TABLE_CHECKS: Mapping[TableCheck, Mapping[str, tuple[str, ...]]] = {
    biology.check_litter_birth_dates: {"mouse": ("litter_id", "birth_date")},
    biology.check_virus_names: {"virus": ("virus_name",)},
    sessions.check_empty_sessions: {"session": ("session_id",)},
    sessions.check_listed_people: {"session": ("experimenter",)},
    sessions.check_session_overlaps: {
        "session": ("session_date", "start_time", "end_time", "mouse_id", "experimenter")
    },
    recordings.check_model_versions: {"model": ("description", "model_version")},
    paths.check_path_labs: {},
    paths.check_acquisition_path_dates: dict.fromkeys(_VOLUMES, ("start_date", "end_date")),
    paths.check_session_path_dates: SESSION_DATE,
    paths.check_duplicate_paths: {},
    paths.check_linked_labs: {},
    paths.check_key_numbers: {},
}
"""Checks across rows, and by table the columns without which a check is left out."""
