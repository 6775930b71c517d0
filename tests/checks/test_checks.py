"""Single defects: each gives its one finding, and nothing else."""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest
from clean_tables import PROFILE, clean_rows, write_clean, write_tables
from hypothesis import given, settings
from hypothesis import strategies as st

from neuropress.checks import check_tables, run_checks
from neuropress.checks.registry import ROW_CHECKS, TABLE_CHECKS
from neuropress.model.finding import Finding, Severity, catalogue
from neuropress.tables import load_tables

CTD = "lichtman/20250701/micro_ct_dataset"
SECOND_IMAGE = {"image[1].image_id": "RY_IMG_0002", "image[1].session_id": "RY_S_0001",
                "image[1].image_type": "structural", "image[1].x": "10", "image[1].y": "10",
                "image[1].z": "5", "image[1].file_path_raw": "yuste/20250620/image/raw/stack.tif"}  # fmt: skip
SECOND_SESSION = {"session[2].session_id": "RY_S_0002", "session[2].mouse_id": "RY_M_0001",
                  "session[2].experimenter": "Alan Turing", "session[2].session_date": "20250620",
                  "session[2].start_time": "12:00", "session[2].end_time": "13:00",
                  "ephys[1].ephys_id": "RY_E_0002", "ephys[1].session_id": "RY_S_0002",
                  "ephys[1].recording_type": "sharp", "ephys[1].sampling_rate": "1000",
                  "ephys[1].file_path_raw": "yuste/20250620/ephys/raw/cell2.abf"}  # fmt: skip
SECOND_MOUSE = {"mouse[2].mouse_id": "RY_M_0002", "mouse[2].strain": "Ai162"}
SECOND_ANALYSIS = {"analysis[1].analysis_id": "RY_A_0002", "analysis[1].source_type": "analysis",
                   "analysis[1].source_id": "RY_A_0001", "analysis[1].description": "Summary",
                   "analysis[1].file_path": "yuste/20250620/analysis/processed/summary.pdf"}  # fmt: skip
SECOND_PLASMID = {"plasmid[1].plasmid_id": "ML_P_0002", "plasmid[1].plasmid_name": "pAAV-Cre",
                  "plasmid[1].gene": "Cre", "plasmid[1].indicator": "recombinase"}  # fmt: skip

# Cells to damage -> (finding, column that it names).
DEFECTS: dict[str, tuple[Mapping[str, str], str, str]] = {
    # cells
    "blank": ({"session.session_date": ""}, "cell.blank", "session_date"),
    "number with unit": ({"ephys.sampling_rate": "20 kHz"}, "cell.type", "sampling_rate"),
    "decimal comma": ({"mouse.weight": "24,5"}, "cell.type", "weight"),
    "thousands separator": ({"ephys.sampling_rate": "20,000"}, "cell.type", "sampling_rate"),
    "not a number": ({"image.pixel_size": "nan"}, "cell.type", "pixel_size"),
    "placeholder number": ({"image.laser_power": "N/A"}, "cell.type", "laser_power"),
    "fraction of a pixel": ({"image.x": "512.5"}, "cell.type", "x"),
    "space around a number": ({"mouse.weight": " 24.5"}, "cell.type", "weight"),
    "full-width digits": ({"image.y": "１２８"}, "cell.type", "y"),
    "bool in words": ({"virus.floxed": "maybe"}, "cell.type", "floxed"),
    "unknown image type": ({"image.image_type": "photo"}, "cell.choice", "image_type"),
    "unknown indicator": ({"plasmid.indicator": "opsin"}, "cell.choice", "indicator"),
    "unknown metric": ({"behavior.metric_type": "mood"}, "cell.choice", "metric_type"),
    "unknown source type": ({"analysis.source_type": "picture"}, "cell.choice", "source_type"),
    "unknown model type": ({"model.model_type": "toy"}, "cell.choice", "model_type"),
    "sex in words": ({"mouse.sex": "Male"}, "cell.choice", "sex"),
    "tuning in words": ({"plasmid.tuning": "inverse"}, "cell.choice", "tuning"),
    "negative rate": ({"ephys.sampling_rate": "-20000"}, "cell.range", "sampling_rate"),
    "impossible aperture": ({"image.numerical_aperture": "1.8"}, "cell.range", "numerical_aperture"),
    "no pixels": ({"image.x": "0"}, "cell.range", "x"),
    "weight of a rat": ({"mouse.weight": "300"}, "cell.range", "weight"),
    "ultraviolet laser": ({"image.laser_line": "100"}, "cell.range", "laser_line"),
    "zero voxel": ({"micro_ct_dataset.voxel_size": "0"}, "cell.range", "voxel_size"),
    "magnification without x": ({"image.objective_magn": "20"}, "cell.format", "objective_magn"),
    "two experimenters": ({"session.experimenter": "Ada Lovelace & Alan Turing"}, "cell.format", "experimenter"),
    "no recording type": ({"ephys.recording_type": "patch"}, "cell.format", "recording_type"),
    "no serotype": ({"virus.serotype": "lentivirus"}, "cell.format", "serotype"),
    "range of titers": ({"virus.titer": "1e12-1e13"}, "cell.format", "titer"),
    "genotype without slash": ({"mouse.genotype": "het;het"}, "cell.format", "genotype"),
    "five lines": ({"mouse.strain": "a;b;c;d;Camk2a-Cre", "mouse.genotype": ""}, "cell.format", "strain"),
    "empty entry": ({"mouse.strain": "Camk2a-Cre;;Ai162", "mouse.genotype": ""}, "cell.format", "strain"),
    "litter prefix": ({"mouse.litter_id": "RY_M_0001"}, "cell.format", "litter_id"),
    "text ends with a line end": ({"session.notes": "fine\n"}, "cell.format", "notes"),
    "control character": ({"session.notes": "bell\x07"}, "cell.format", "notes"),
    "endless text": ({"session.notes": "x" * 20001}, "cell.format", "notes"),
    "25 hours": ({"session.start_time": "25:00"}, "cell.format", "start_time"),
    "date in words": ({"session.session_date": "June 2025"}, "cell.format", "session_date"),
    "30 February": ({"session.session_date": "20250230"}, "cell.date", "session_date"),
    "month 13": ({"mouse.birth_date": "20251301"}, "cell.date", "birth_date"),
    "folder of a person": ({"session.notes": "see /home/jane/analysis"}, "privacy.local_path", "notes"),
    "folder of a person on Windows": ({"mouse.notes": "C:\\Users\\jane\\x"}, "privacy.local_path", "notes"),
    "share": ({"image.processing_methods": "see \\\\server\\share"}, "privacy.local_path", "processing_methods"),
    "address of a file": ({"image.notes": "file:///data/x"}, "privacy.local_path", "notes"),
    "own folder": ({"virus.notes": "in ~/data"}, "privacy.local_path", "notes"),
    "e-mail address": ({"session.notes": "ask jane.doe@lab.edu"}, "privacy.email", "notes"),
    "number of 30,000 digits": ({"mouse.weight": "1" * 30_000}, "cell.type", "weight"),
    "key of 30,000 letters": ({"mouse.virus_id": "A" * 30_000}, "key.format", "virus_id"),
    "path of 300 characters": (
        {"ephys.file_path_raw": f"yuste/20250620/ephys/raw/{'a' * 300}.abf"}, "path.unsafe", "file_path_raw"
    ),
    "placeholder": ({"plasmid.promoter": "XXX"}, "cell.placeholder", "promoter"),
    "none where it says nothing": ({"plasmid.backbone": "none"}, "cell.placeholder", "backbone"),
    "decomposed letters": ({"session.notes": "e\u0301tat"}, "cell.unicode", "notes"),
    # spreadsheets
    "date as decimal": ({"session.session_date": "20250620.0"}, "cell.damaged", "session_date"),
    "date as moment": ({"session.session_date": "2025-06-20 00:00:00"}, "cell.damaged", "session_date"),
    "date with strokes": ({"mouse.birth_date": "1/1/2025"}, "cell.damaged", "birth_date"),
    "date as day number": ({"session.session_date": "45828"}, "cell.damaged", "session_date"),
    "time without zero": ({"session.start_time": "9:30"}, "cell.damaged", "start_time"),
    "time with seconds": ({"session.start_time": "09:30:00"}, "cell.damaged", "start_time"),
    "time as fraction": ({"session.start_time": "0.395833"}, "cell.damaged", "start_time"),
    "time of twelve hours": ({"session.end_time": "1:45 PM"}, "cell.damaged", "end_time"),
    "bool as python": ({"virus.floxed": "True"}, "cell.damaged", "floxed"),
    "bool as number": ({"virus.floxed": "1"}, "cell.damaged", "floxed"),
    "formula error": ({"mouse.genotype": "#NAME?"}, "cell.damaged", "genotype"),
    "gene as date": ({"plasmid.gene": "1-Mar"}, "cell.damaged", "gene"),
    "count as decimal": ({"image.z": "1000.0"}, "cell.damaged", "z"),
    # within a row
    "end without start": ({"session.start_time": ""}, "row.conflict", "start_time"),
    "movie without rate": ({"image.frame_rate": ""}, "row.conflict", "image_type"),
    "source of another type": ({"analysis.source_type": "ephys"}, "row.conflict", "source_id"),
    # keys and links
    "key in lower case": ({"mouse.mouse_id": "ry_m_0001"}, "key.format", "mouse_id"),
    "key with line end": ({"session.mouse_id": "RY_M_0001\n"}, "key.format", "mouse_id"),
    "short number": ({"image.image_id": "RY_IMG_1"}, "key.format", "image_id"),
    "blank key": ({"session.session_id": ""}, "cell.blank", "session_id"),
    "micro-CT prefix for a mouse": ({"mouse.mouse_id": "RY_MD_0001"}, "key.prefix", "mouse_id"),
    "session named as image": ({"image.session_id": "RY_IMG_0001"}, "key.prefix", "session_id"),
    "model prefix for a mouse": ({"session.mouse_id": "RY_MOD_0001"}, "key.prefix", "mouse_id"),
    "lab without behaviour": ({"behavior.behavior_id": "RY_B_0001"}, "key.lab", "behavior_id"),
    "lab without mice": ({"session.mouse_id": "JL_M_0001"}, "key.lab", "mouse_id"),
    "unknown lab": ({"mouse.mouse_id": "XX_M_0001"}, "key.lab", "mouse_id"),
    "two viruses": ({"mouse.virus_id": "RY_V_0001;ML_V_0001"}, "key.several", "virus_id"),
    "key twice": ({"mouse[1].mouse_id": "RY_M_0001"}, "key.duplicate", "mouse_id"),
    "number 0000 with rows that point to it": (
        {"analysis.source_id": "RY_IMG_0000", "image.image_id": "RY_IMG_0000"}, "key.zero", "image_id"),
    "number 0000": ({"model.model_id": "IS_MOD_0000"}, "key.zero", "model_id"),
    "numbers run out": ({"model.model_id": "IS_MOD_9990"}, "key.exhausted", "model_id"),
    "no such mouse": ({"sem_dataset.mouse_id": "RY_M_0009"}, "link.dangling", "mouse_id"),
    "no such virus": ({"mouse.virus_id": "ML_V_0001"}, "link.dangling", "virus_id"),
    "no such session": ({"image.session_id": "RY_S_0009"}, "link.dangling", "session_id"),
    "no such source": ({"analysis.source_id": "RY_IMG_0009"}, "link.dangling", "source_id"),
    "own source": ({"analysis.source_type": "analysis", "analysis.source_id": "RY_A_0001"}, "link.circle", "source_id"),
    "circle": (SECOND_ANALYSIS | {"analysis.source_type": "analysis", "analysis.source_id": "RY_A_0002"},
               "link.circle", "source_id"),
    "another lab's mouse": ({"session[1].mouse_id": "RY_M_0001"}, "link.other_lab", "mouse_id"),
    "another lab's image": ({"analysis.source_type": "behavior", "analysis.source_id": "JB_B_0001"},
                            "analysis.other_lab", "source_id"),
    # paths
    "dot dot": ({"image.file_path_raw": "yuste/20250620/image/raw/../../x.tif"}, "path.unsafe", "file_path_raw"),
    "absolute": ({"ephys.file_path_raw": "/yuste/20250620/ephys/raw/a.abf"}, "path.unsafe", "file_path_raw"),
    "backslash": ({"ephys.file_path_raw": "yuste\\20250620\\ephys\\raw\\a.abf"}, "path.unsafe", "file_path_raw"),
    "drive": ({"ephys.file_path_raw": "C:/yuste/20250620/ephys/raw/a.abf"}, "path.unsafe", "file_path_raw"),
    "line end in a path": ({"ephys.file_path_raw": "yuste/20250620/ephys/raw/a.abf\n"}, "path.unsafe", "file_path_raw"),
    "foreign bucket": ({"ephys.file_path_raw": "s3://mine/yuste/20250620/ephys/raw/a.abf"}, "path.bucket", "file_path_raw"),
    "no levels": ({"ephys.file_path_raw": "cell1.abf"}, "path.layout", "file_path_raw"),
    "no day": ({"ephys.file_path_raw": "yuste/20250631/ephys/raw/a.abf"}, "path.layout", "file_path_raw"),
    "no name": ({"ephys.file_path_raw": "yuste/20250620/ephys/raw/"}, "path.layout", "file_path_raw"),
    "no lab's folder": ({"ephys.file_path_raw": "smith/20250620/ephys/raw/a.abf"}, "path.lab", "file_path_raw"),
    "another lab's folder": ({"image.file_path_raw": "lin/20250620/image/raw/a.tif"}, "path.lab", "file_path_raw"),
    "another lab's folder and date": ({"image.file_path_raw": "lin/20250101/image/raw/a.tif"}, "path.lab", "file_path_raw"),
    "born in the future": ({"mouse[1].birth_date": "20990101"}, "dates.future", "birth_date"),
    "far in the future": ({"session.session_date": "20990620"}, "session.date", "session_date"),
    "strain of another mouse": ({"mouse.strain": "C57BL/6J"}, "mouse.genotype_count", "genotype"),
    "another type": ({"ephys.file_path_raw": "yuste/20250620/image/raw/a.abf"}, "path.type", "file_path_raw"),
    "another version": ({"ephys.file_path_raw": "yuste/20250620/ephys/processed/a.abf"}, "path.version", "file_path_raw"),
    "another date": ({"ephys.file_path_raw": "yuste/20250621/ephys/raw/a.abf"}, "path.date", "file_path_raw"),
    "all paths of one row on another date": (
        {f"image.file_path_{v}": f"yuste/20250621/image/{v}/a.zip" for v in ("raw", "processed", "roi", "script")},
        "path.date", "file_path_raw"),
    "next day": ({"session[1].start_time": "23:00", "session[1].end_time": "01:00",
                  "behavior.file_path_raw": "basu/20250622/behavior/raw/run.csv"}, "path.next_day", "file_path_raw"),
    "outside of acquisition": ({"micro_ct_dataset.file_path": "lichtman/20240701/micro_ct_dataset/raw/a.tif"},
                               "path.acquisition", "file_path"),
    "raw file claimed twice": (SECOND_IMAGE | {"image[1].file_path_raw": "yuste/20250620/image/raw/movie.tif"},
                               "path.twice", "file_path_raw"),
    "claimed under two addresses": (
        SECOND_IMAGE | {"image[1].file_path_raw": "s3://dendritic-consortium/yuste/20250620/image/raw/movie.tif"},
        "path.twice", "file_path_raw"),
    "script of two images": (SECOND_IMAGE | {"image[1].file_path_script": "yuste/20250620/image/script/run.py"},
                             "path.shared", "file_path_script"),
    # sessions
    "date of no path": ({"session.session_date": "20250602"}, "session.date", "session_date"),
    "no length": ({"session.end_time": "09:30"}, "session.no_length", "end_time"),
    "23 hours": ({"session.end_time": "08:30"}, "session.too_long", "end_time"),
    "skipped hour": ({"session[1].session_date": "20250309", "session[1].start_time": "02:30",
                      "session[1].end_time": "04:00",
                      "behavior.file_path_raw": "basu/20250309/behavior/raw/run.csv"},
                     "session.skipped_hour", "start_time"),
    "skipped end": ({"session[1].session_date": "20250308", "session[1].start_time": "22:00",
                     "session[1].end_time": "02:15",
                     "behavior.file_path_raw": "basu/20250308/behavior/raw/run.csv"},
                    "session.skipped_hour", "end_time"),
    "repeated hour": ({"session[1].session_date": "20251102", "session[1].start_time": "01:30",
                       "session[1].end_time": "04:00",
                       "behavior.file_path_raw": "basu/20251102/behavior/raw/run.csv"},
                      "session.repeated_hour", "start_time"),
    "old mouse": ({"mouse.birth_date": "20150101"}, "session.age", "session_date"),
    "two sessions at once": (SECOND_SESSION | {"session[2].start_time": "11:00"}, "session.overlap", "mouse_id"),
    "two places at once": (SECOND_SESSION | SECOND_MOUSE | {
        "session[2].start_time": "11:00", "session[2].mouse_id": "RY_M_0002",
        "session[2].experimenter": "Ada Lovelace"}, "session.overlap", "experimenter"),
    "nobody on the list": ({"session.experimenter": "Juan de la Cruz"}, "people.unlisted", "experimenter"),
    "empty session": ({"session[2].session_id": "RY_S_0003", "session[2].mouse_id": "RY_M_0001",
                       "session[2].experimenter": "Ada Lovelace", "session[2].session_date": "20250701"},
                      "session.empty", "session_id"),
    "in the future": ({"session[1].session_date": "20350621",
                       "behavior.file_path_raw": "basu/20350621/behavior/raw/run.csv"},
                      "session.future", "session_date"),
    "born after all": ({"mouse.birth_date": "20250801"}, "dates.before_birth", "birth_date"),
    "session before birth": ({"mouse[1].birth_date": "20250622"}, "dates.before_birth", "session_date"),
    "end before start": ({"sem_dataset.end_date": "20250630"}, "dates.order", "end_date"),
    # animals and material
    "no emission": ({"plasmid.wavelength": ""}, "plasmid.wavelength", "wavelength"),
    "no polarity": ({"plasmid.tuning": ""}, "plasmid.tuning", "tuning"),
    "titer too low": ({"virus.titer": "1.2e3 GC/mL"}, "virus.titer", "titer"),
    "serotype of the name": ({"virus.serotype": "AAV9"}, "virus.serotype", "serotype"),
    "virus named twice": ({"virus[1].virus_id": "RY_V_0002", "virus[1].virus_name": "AAV1-syn-FLEX-JEDI2P",
                           "virus[1].serotype": "AAV1", "virus[1].floxed": "FALSE"}, "virus.name_twice", "virus_name"),
    "heavy mouse": ({"mouse.weight": "95"}, "mouse.weight", "weight"),
    "one genotype for two lines": ({"mouse.genotype": "+/-"}, "mouse.genotype_count", "genotype"),
    "cre not in strain": ({"mouse.cre_line": "Emx1-Cre"}, "mouse.cre_line", "cre_line"),
    "floxed without cre": ({"mouse.cre_line": ""}, "mouse.floxed", "virus_id"),
    "two plasmids": (SECOND_PLASMID | {"mouse.plasmid_id": "ML_P_0002"}, "mouse.plasmids", "plasmid_id"),
    "litter of another lab": ({"mouse.litter_id": "ML_L_0001"}, "mouse.litter_lab", "litter_id"),
    "litter of two days": (SECOND_MOUSE | {"mouse[2].litter_id": "RY_L_0001", "mouse[2].birth_date": "20250110"},
                           "mouse.litter_births", "birth_date"),
    # recordings
    "exposure over frame": ({"image.exposure_time": "2.5"}, "image.exposure", "exposure_time"),
    "movie over session": ({"image.z": "5000000"}, "image.duration", "z"),
    "calcium from voltage": ({"image.image_type": "calcium"}, "image.indicator", "image_type"),
    "red laser": ({"image.laser_line": "640"}, "image.laser", "laser_line"),
    "roi without tool": ({"image.roi_tool": ""}, "image.roi_tool", "roi_tool"),
    "roi of another program": ({"image.file_path_roi": "yuste/20250620/image/roi/Rois.mat"}, "image.roi_kept", "file_path_roi"),
    "unknown processing": ({"image.processing_methods": ""}, "image.processing", "processing_methods"),
    "injected anaesthetic": ({"behavior.injection": "Ketamine; 100 mg/kg", "session[1].anesthesia": "ketamine"},
                             "behavior.injection", "injection"),
    "injection of no virus": ({"injection.virus_id": "RY_V_0009"}, "link.dangling", "virus_id"),
    "negative volume": ({"injection.volume": "-1"}, "cell.range", "volume"),
    "injected before birth": ({"injection.injection_date": "20241231"}, "dates.before_birth", "injection_date"),
    "species in English": ({"subject.species": "hydra"}, "cell.format", "species"),
    "age in words": ({"subject.age": "a month"}, "cell.format", "age"),
    "unknown kind of file": ({"file_asset.asset_type": "thing"}, "cell.choice", "asset_type"),
    "file of no row": ({"file_asset.source_id": "ML_P_0009"}, "link.dangling", "source_id"),
    "file under another type": ({"file_asset.file_path": "lin/20250501/image/raw/jedi.gbk"}, "path.type", "file_path"),
    "two animals": ({"session.subject_id": "RY_SUB_0001"}, "row.conflict", "mouse_id"),
    "no animal": ({"session.mouse_id": "", "session.subject_id": ""}, "row.conflict", "mouse_id"),
    "resolution in um": ({"sem_dataset.resolution": "0.004"}, "sem_dataset.resolution", "resolution"),
    "model version twice": ({"model[1].model_id": "IS_MOD_0002", "model[1].model_type": "biophysical",
                             "model[1].model_version": "1.0", "model[1].description": "Layer 5 pyramidal cell",
                             "model[1].file_path_model": "segev/20250801/model/model/l5pc-2.zip"},
                            "model.version_twice", "model_version"),
}  # fmt: skip


def check_damaged_tables(folder: Path, cells: Mapping[str, str]) -> tuple[Finding, ...]:
    rows = clean_rows()
    for place in cells:
        name, _, position = place.split(".", 1)[0].rstrip("]").partition("[")
        while len(rows[name]) <= int(position or 0):
            rows[name].append({})
    for place, text in cells.items():
        table, column = place.split(".", 1)
        name, _, position = table.rstrip("]").partition("[")
        rows[name][int(position or 0)][column] = text
    return check_tables(write_tables(folder, rows), PROFILE, date(2026, 1, 1)).findings


def test_clean_tables_have_no_finding(tmp_path: Path) -> None:
    tables = check_tables(write_clean(tmp_path), PROFILE, date(2026, 1, 1))
    assert tables.findings == ()
    assert tables.blocked == {}
    assert {name: len(rows) for name, rows in tables.records.items()} == {
        name: len(rows) for name, rows in clean_rows().items()
    }


@pytest.mark.parametrize("case", DEFECTS)
def test_one_defect_gives_its_one_finding(tmp_path: Path, case: str) -> None:
    cells, identifier, column = DEFECTS[case]
    findings = check_damaged_tables(tmp_path, cells)
    assert [(f.id, f.location.column) for f in findings] == [(identifier, column)], [f.message for f in findings]
    only = findings[0]
    assert only.location.table
    assert only.location.line
    assert only.message.startswith(f"{column}: ") or only.id == "row.conflict"
    assert only.hint
    if only.id != "session.overlap":
        assert only.severity == catalogue()[identifier]["severity"]


def test_likely_originals_are_in_the_hints(tmp_path: Path) -> None:
    expected = {
        "date as decimal": "20250620", "date as moment": "20250620", "date as day number": "20250620",
        "time without zero": "09:30", "time with seconds": "09:30", "time as fraction": "09:30",
        "time of twelve hours": "13:45", "bool as python": "TRUE", "bool as number": "TRUE",
        "count as decimal": "1000",
        "key in lower case": "RY_M_0001", "number with unit": "20000", "decimal comma": "24.5",
    }  # fmt: skip
    for case, original in expected.items():
        (damaged,) = check_damaged_tables(tmp_path, DEFECTS[case][0])
        assert original in damaged.hint, case


def test_independent_defects_are_all_found_at_once(tmp_path: Path) -> None:
    cells = {
        "plasmid.tuning": "", "virus.titer": "1", "mouse.weight": "heavy", "session.end_time": "09:30",
        "image.exposure_time": "2.5", "image.x": "0", "ephys.sampling_rate": "20 kHz",
        "sem_dataset.resolution": "0.004", "analysis.source_id": "RY_IMG_0009",
    }  # fmt: skip
    findings = check_damaged_tables(tmp_path, cells)
    assert sorted(f.id for f in findings) == sorted(
        ["plasmid.tuning", "virus.titer", "cell.type", "session.no_length", "image.exposure", "cell.range",
         "cell.type", "sem_dataset.resolution", "link.dangling"]
    )  # fmt: skip


def test_every_check_has_a_failing_example() -> None:
    """Every finding that a check may make is in a case of `DEFECTS`; other modules test the rest."""
    here = {identifier for _, identifier, _ in DEFECTS.values()}
    ours = tomllib.loads(files("neuropress.model").joinpath("findings/tables.toml").read_text("utf-8"))
    assert {name for name in ours if not name.startswith(("table.", "header."))} - here == set()


def test_run_checks_gives_what_check_tables_adds(tmp_path: Path) -> None:
    folder = write_clean(tmp_path, {"image.exposure_time": "2.5", "mouse.weight": "90"})
    tables = load_tables(folder, PROFILE)
    assert tables.findings == ()
    assert [f.id for f in run_checks(tables, PROFILE)] == ["mouse.weight", "image.exposure"]
    assert len({check.run for check in ROW_CHECKS}) + len(set(TABLE_CHECKS)) > 25


def test_an_error_of_a_rule_withholds_what_depends_on_the_row(tmp_path: Path) -> None:
    tables = check_tables(write_clean(tmp_path, {"image.exposure_time": "2.5"}), PROFILE)
    assert set(tables.blocked) == {("image", "RY_IMG_0001"), ("analysis", "RY_A_0001")}
    assert {f.id for f in tables.blocked.values()} == {"image.exposure"}
    assert "RY_IMG_0001" in tables.records["image"]


def test_both_rows_that_claim_a_raw_file_are_withheld(tmp_path: Path) -> None:
    rows = clean_rows()
    rows["image"].append({**rows["image"][0], "image_id": "RY_IMG_0002"})
    tables = check_tables(write_tables(tmp_path, rows), PROFILE)
    assert [f.id for f in tables.findings if f.severity is Severity.ERROR] == ["path.twice"]
    assert {("image", "RY_IMG_0001"), ("image", "RY_IMG_0002")} <= set(tables.blocked)


def test_a_warning_withholds_nothing(tmp_path: Path) -> None:
    tables = check_tables(write_clean(tmp_path, {"mouse.weight": "90"}), PROFILE)
    assert [f.severity for f in tables.findings] == [Severity.WARNING]
    assert tables.blocked == {}


@pytest.fixture
def zone() -> Iterator[None]:
    before = os.environ.get("TZ")
    yield
    if before is None:
        os.environ.pop("TZ", None)
    else:
        os.environ["TZ"] = before
    if hasattr(time, "tzset"):
        time.tzset()


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize("name", ["America/New_York", "Asia/Jerusalem"])
def test_the_machine_s_time_zone_does_not_matter(tmp_path: Path, name: str) -> None:
    cases = [
        "skipped hour",
        "skipped end",
        "repeated hour",
        "23 hours",
        "two sessions at once",
        "next day",
        "date as day number",
    ]
    outcomes = []
    for machine in ("UTC", name):
        os.environ["TZ"] = machine
        if hasattr(time, "tzset"):
            time.tzset()
        outcomes.append([f.to_json() for case in cases for f in check_damaged_tables(tmp_path, DEFECTS[case][0])])
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0]) == len(cases)


CELLS = sorted((table, column) for table, spec in PROFILE.tables.items() for column in spec.columns)
GARBAGE = ["", " ", "NA", "none", "XXX", "0", "1", "-1", "1e99", "20250101", "19000101", "RY_M_0001", "JB_S_0001",
           "RY_S_0001", "ML_P_0009", "09:30", "24:00", "TRUE", "a;b", "lin/20250101/image/raw/x", "#REF!"]  # fmt: skip


@settings(max_examples=150)
@given(
    place=st.sampled_from(CELLS),
    text=st.sampled_from(GARBAGE)
    | st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=8),
)
def test_one_spoilt_cell_gives_at_most_one_error(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[str, str], text: str
) -> None:
    table, column = place
    findings = check_damaged_tables(tmp_path_factory.mktemp("t"), {f"{table}.{column}": text})
    errors = [f for f in findings if f.severity is Severity.ERROR]
    # Of a key that was changed to another good one nobody knows it: each row that still has the old one says so.
    causes = {(f.id, f.location.value) if f.id == "link.dangling" else f for f in errors}
    assert len(causes) <= 1, [(f.id, f.message) for f in errors]
