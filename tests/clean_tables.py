"""A dataset of 12 tables without any finding, to be damaged cell by cell."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from neuropress.model.people import Person
from neuropress.model.profile import Profile, load_profile

PEOPLE = tuple(
    Person(f"{family}, {given}", (f"{given} {family}",))
    for given, family in (("Ada", "Lovelace"), ("Grace", "Hopper"), ("Alan", "Turing"))
)
PROFILE: Profile = replace(load_profile("dendritic-consortium"), people=PEOPLE)

type Rows = dict[str, list[dict[str, str]]]

_SEM, _CT, _CELLS = (
    f"lichtman/20250701/{kind}" for kind in ("sem_dataset", "micro_ct_dataset", "cell_detection_dataset")
)
_CLEAN: Mapping[str, Sequence[Mapping[str, str]]] = {
    "plasmid": [
        {"plasmid_id": "ML_P_0001", "plasmid_name": "pAAV-syn-FLEX-JEDI-2P", "gene": "JEDI-2P",
         "indicator": "voltage indicator", "wavelength": "509", "backbone": "pAAV", "promoter": "syn",
         "tuning": "negative"},
    ],
    "virus": [
        {"virus_id": "RY_V_0001", "virus_name": "AAV1-syn-FLEX-JEDI-2P", "plasmid_id": "ML_P_0001",
         "serotype": "AAV1", "floxed": "TRUE", "titer": "1.2e13"},
    ],
    "mouse": [
        {"litter_id": "RY_L_0001", "mouse_id": "RY_M_0001", "strain": "Camk2a-Cre;Ai162", "genotype": "+/-;+/-",
         "cre_line": "Camk2a-Cre", "sex": "F", "birth_date": "20250101", "weight": "24.50",
         "virus_id": "RY_V_0001"},
        {"mouse_id": "JB_M_0001", "strain": "C57BL/6J", "sex": "M", "birth_date": "20250201"},
    ],
    "session": [
        {"session_id": "RY_S_0001", "mouse_id": "RY_M_0001", "experimenter": "Ada Lovelace",
         "session_date": "20250620", "start_time": "09:30", "end_time": "11:45", "anesthesia": "isoflurane",
         "notes": "first day,\nquiet \"room\""},
        {"session_id": "JB_S_0001", "mouse_id": "JB_M_0001", "experimenter": "Grace Hopper",
         "session_date": "20250621", "start_time": "13:00", "end_time": "14:00", "anesthesia": "awake"},
    ],
    "image": [
        {"image_id": "RY_IMG_0001", "session_id": "RY_S_0001", "image_type": "voltage", "frame_rate": "500",
         "x": "512", "y": "128", "z": "1000", "pixel_size": "0.5", "numerical_aperture": "1.0",
         "objective_magn": "20x", "exposure_time": "1.9", "laser_power": "30", "laser_line": "920",
         "processing_methods": "motion correction", "roi_tool": "suite2p 0.14",
         "file_path_raw": "yuste/20250620/image/raw/movie.tif",
         "file_path_processed": "yuste/20250620/image/processed/movie.tif",
         "file_path_roi": "yuste/20250620/image/roi/RoiSet.zip",
         "file_path_script": "yuste/20250620/image/script/run.py"},
    ],
    "ephys": [
        {"ephys_id": "RY_E_0001", "session_id": "RY_S_0001", "recording_type": "ex vivo; dendritic patch",
         "sampling_rate": "20000", "file_path_raw": "s3://dendriticconsortium/yuste/20250620/ephys/raw/cell1.abf"},
    ],
    "behavior": [
        {"behavior_id": "JB_B_0001", "session_id": "JB_S_0001", "metric_type": "locomotion", "injection": "saline",
         "file_path_raw": "basu/20250621/behavior/raw/run.dat"},
    ],
    "sem_dataset": [
        {"sem_dataset_id": "JL_SD_0001", "mouse_id": "RY_M_0001", "section": "VISp", "resolution": "4",
         "start_date": "20250701", "end_date": "20250703", "file_path_local": "/data/em/1",
         "file_path_raw": f"{_SEM}/raw/stack/"},
    ],
    "micro_ct_dataset": [
        {"micro_ct_id": "JL_MD_0001", "mouse_id": "RY_M_0001", "voxel_size": "0.7", "contrast_agent": "osmium",
         "start_date": "20250701", "file_path": f"{_CT}/raw/brain.tif"},
    ],
    "cell_detection_dataset": [
        {"cell_dataset_id": "JL_CD_0001", "mouse_id": "RY_M_0001", "tool": "cellpose 3.0", "start_date": "20250701",
         "file_path": f"{_CELLS}/processed/cells.csv"},
    ],
    "model": [
        {"model_id": "IS_MOD_0001", "model_type": "biophysical", "model_version": "1.0",
         "file_path_model": "segev/20250801/model/model/l5pc.zip", "description": "Layer 5 pyramidal cell"},
    ],
    "analysis": [
        {"analysis_id": "RY_A_0001", "source_type": "image", "source_id": "RY_IMG_0001",
         "description": "Spike rates", "file_path": "yuste/20250620/analysis/processed/rates.pdf"},
    ],
    "injection": [
        {"injection_id": "RY_INJ_0001", "mouse_id": "RY_M_0001", "virus_id": "RY_V_0001", "region": "VISp",
         "coordinates": "AP -3.5; ML 2.5; DV 0.3 mm from bregma", "volume": "300", "injection_date": "20250601"},
    ],
    "subject": [
        {"subject_id": "RY_SUB_0001", "species": "Hydra vulgaris", "strain": "AEP", "age": "P30D", "weight": "0.004"},
    ],
    "file_asset": [
        {"file_asset_id": "ML_FA_0001", "asset_type": "plasmid map", "source_id": "ML_P_0001",
         "description": "Annotated sequence", "file_path": "lin/20250501/file_asset/raw/jedi.gbk"},
    ],
}  # fmt: skip


def clean_rows() -> Rows:
    """Fresh rows of the clean dataset: table -> rows -> column -> text; blank cells left out."""
    return {table: [dict(row) for row in rows] for table, rows in _CLEAN.items()}


def write_tables(folder: Path, rows: Rows, profile: Profile = PROFILE) -> Path:
    """Write rows as ``<folder>/<table>.csv``; columns beyond the published ones follow them."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, spec in profile.tables.items():
        extra = [c for row in rows.get(table, []) for c in row if c not in spec.columns]
        columns = [*spec.columns, *dict.fromkeys(extra)]
        with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
            out = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            out.writeheader()
            out.writerows(rows.get(table, []))
    return folder


def write_clean(folder: Path, cells: Mapping[str, str] | None = None) -> Path:
    """Write the clean dataset with some cells replaced.

    `cells` maps ``table.column`` (of the first row) or ``table[1].column`` to a text.
    """
    rows = clean_rows()
    for place, text in (cells or {}).items():
        table, _, column = place.partition(".")
        name, _, position = table.rstrip("]").partition("[")
        rows[name][int(position or 0)][column] = text
    return write_tables(folder, rows)
