"""Six labs, twelve tables, every column filled: each cell is looked for where coverage says it went, by other libraries.

Nothing of neuropress reads the results here: NWB by pynwb and h5py, OME-Zarr by zarr, records as JSON.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from builder import DATE, Builder, abf, movie, slices
from hdmf.common import VectorData
from pynwb import NWBHDF5IO

import neuropress
from neuropress.cli.main import main
from neuropress.verbs.coverage import Place, list_places, read_results

SETTINGS = """
[labs.RY]
region = "VISp5"
modality_voltage = "one-photon"

[labs.JB]
modality_calcium = "two-photon"
"""
SWC = "# a neuron\n1 1 0 0 0 1 -1\n2 3 0 5 0 0.5 1\n3 3 0 9 0 0.5 2\n"


def word(table: str, column: str) -> str:
    return f"{table} {column} zq"


def fill(build: Builder, table: str, **cells: str) -> None:
    """A row whose other text columns hold a word of their own."""
    spec = build.dataset.config.profile.tables[table]
    free = {
        "plasmid": ("plasmid_name", "backbone", "promoter", "notes"), "virus": ("virus_name", "notes"), "mouse": ("notes",),
        "session": ("anesthesia", "notes"), "image": ("processing_methods", "roi_tool", "notes"),
        "ephys": ("notes",), "behavior": ("task", "injection", "notes"),
        "sem_dataset": ("section", "notes", "file_path_local"), "micro_ct_dataset": ("contrast_agent", "notes", "file_path_local"),
        "cell_detection_dataset": ("tool", "notes", "file_path_local"), "model": ("model_version", "description", "notes"),
        "analysis": ("description", "notes"),
    }[table]  # fmt: skip
    whole = {column: word(table, column) for column in free} | cells
    assert set(whole) == set(spec.columns), (table, set(spec.columns) ^ set(whole))
    build.row(table, **whole)


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    folder = tmp_path_factory.mktemp("labs")
    build = Builder(folder / "ds")
    for table in list(build.rows):
        build.rows[table] = []
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as file:
        file.write(SETTINGS)
    fill_reagents(build)
    fill_sessions(build, folder)
    fill_anatomy(build, folder)
    build.dataset = neuropress.open(build.root)
    assert main(["convert", str(build.root)]) == 0
    return build


def fill_reagents(build: Builder) -> None:
    for lab, gene, kind, wave in (
        ("ML", "JEDI-2P", "voltage indicator", "509"),
        ("EN", "GCaMP6f", "calcium indicator", "512"),
    ):
        fill(
            build, "plasmid", plasmid_id=f"{lab}_P_0001", gene=gene, indicator=kind, wavelength=wave, tuning="negative"
        )
    for lab, plasmid in (("RY", "ML_P_0001"), ("ML", "EN_P_0001")):
        fill(
            build,
            "virus",
            virus_id=f"{lab}_V_0001",
            virus_name=f"AAV1-{lab}",
            plasmid_id=plasmid,
            serotype="AAV1",
            floxed="FALSE",
            titer="1.2e13",
        )
    for lab, plasmid, virus in (
        ("RY", "ML_P_0001", "RY_V_0001"),
        ("JB", "EN_P_0001", "ML_V_0001"),
        ("ML", "ML_P_0001", "RY_V_0001"),
        ("EN", "EN_P_0001", "ML_V_0001"),
    ):
        fill(
            build, "mouse", litter_id=f"{lab}_L_0001", mouse_id=f"{lab}_M_0001", strain="Camk2a-Cre;Ai162", genotype="+/-;+/-",
            cre_line="Camk2a-Cre", sex="F", birth_date="20250301", weight="24.50", plasmid_id=plasmid, virus_id=virus,
        )  # fmt: skip


FOLDERS = {"RY": "yuste", "JB": "basu", "ML": "lin", "EN": "nedivi"}


def put_more(build: Builder, lab: str, table: str, *versions: str) -> dict[str, str]:
    """Files of the other versions, which are only there."""
    made = {}
    for version in versions:
        made[f"file_path_{version}"] = f"{FOLDERS[lab]}/{DATE}/{table}/{version}/{lab}_{version}.txt"
        build.put(made[f"file_path_{version}"], b"x")
    return made


def fill_sessions(build: Builder, folder: Path) -> None:
    kinds = {"RY": "voltage", "JB": "calcium", "ML": "voltage", "EN": "calcium"}
    for number, (lab, name) in enumerate(FOLDERS.items()):
        fill(
            build, "session", session_id=f"{lab}_S_0001", mouse_id=f"{lab}_M_0001", experimenter=f"Ada de la Cruz {lab}",
            session_date=DATE, start_time=f"{9 + number:02d}:00", end_time=f"{9 + number:02d}:50",
        )  # fmt: skip
        key = f"{name}/{DATE}/image/raw/{lab}.tif"
        build.put(key, movie(folder / f"{lab}.tif", (12 + number, 20, 16)))
        light = {"exposure_time": "2", "laser_line": "920" if lab in ("JB", "EN") else "488"}
        fill(
            build, "image", image_id=f"{lab}_IMG_0001", session_id=f"{lab}_S_0001", image_type=kinds[lab], frame_rate="100",
            x="16", y="20", z=str(12 + number), pixel_size="0.813", numerical_aperture="0.8", objective_magn="40x",
            laser_power="30.5", file_path_raw=key, **light, **put_more(build, lab, "image", "processed", "roi", "script"),
        )  # fmt: skip
    for lab, kind in (("RY", "ex vivo; dendritic patch"), ("JB", "in vivo; somatic patch")):
        key = f"{FOLDERS[lab]}/{DATE}/ephys/raw/{lab}.abf"
        build.put(key, abf(folder / f"{lab}.abf"))
        fill(
            build, "ephys", ephys_id=f"{lab}_E_0001", session_id=f"{lab}_S_0001", recording_type=kind, sampling_rate="20000",
            processing_methods="low-pass filter 4 kHz", file_path_raw=key, **put_more(build, lab, "ephys", "processed", "script"),
        )  # fmt: skip
    key = f"basu/{DATE}/behavior/raw/run.dat"
    build.put(key, b"x")
    more = put_more(build, "JB", "behavior", "processed", "script")
    fill(
        build,
        "behavior",
        behavior_id="JB_B_0001",
        session_id="JB_S_0001",
        metric_type="locomotion",
        file_path_raw=key,
        **more,
    )


def fill_anatomy(build: Builder, folder: Path) -> None:
    stack, ct = f"lichtman/{DATE}/sem_dataset/raw/v/", f"lichtman/{DATE}/micro_ct_dataset/raw/v/"
    build.put(stack, slices(folder / "v"))
    build.put(ct, folder / "v")
    dates = {"start_date": DATE, "end_date": "20250621", "mouse_id": "RY_M_0001"}
    more = {f"file_path_{v}": f"lichtman/{DATE}/sem_dataset/{v}/s" for v in ("processed", "viewer", "script")}
    cells, model = f"lichtman/{DATE}/cell_detection_dataset/raw/c.csv", f"segev/{DATE}/model/model/m.swc"
    figure, script = f"segev/{DATE}/analysis/raw/a.csv", f"segev/{DATE}/model/script/s"
    for key in (*more.values(), cells, figure, script):
        build.put(key, b"x")
    build.put(model, SWC.encode())
    fill(build, "sem_dataset", sem_dataset_id="JL_SD_0001", resolution="4", file_path_raw=stack, **dates, **more)
    fill(build, "micro_ct_dataset", micro_ct_id="JL_MD_0001", voxel_size="0.7", file_path=ct, **dates)
    fill(build, "cell_detection_dataset", cell_dataset_id="JL_CD_0001", file_path=cells, **dates)
    fill(
        build, "model", model_id="IS_MOD_0001", model_type="biophysical", file_path_model=model, file_path_script=script
    )
    fill(build, "analysis", analysis_id="IS_A_0001", source_type="model", source_id="IS_MOD_0001", file_path=figure)


SCALES = {
    "pixel_size": ("0.000001",), "exposure_time": ("0.001",), "resolution": ("1",), "voxel_size": ("1",),
    "laser_power": ("1",), "laser_line": ("1",), "frame_rate": ("1",), "sampling_rate": ("1",), "wavelength": ("1",),
    "x": ("1",), "y": ("1",),
}  # fmt: skip
"""Factors from a column's unit to those of the standards."""


def is_borne(column: str, row: Mapping[str, str], place: str, value: Any) -> bool:
    """Whether a value that was read back bears a cell: as text, as a number in another unit, as a moment."""
    text, name = row[column], place.rpartition("/")[2]
    if name == "timestamp":
        first, last = (datetime.fromisoformat(f"2000-01-01T{row[clock]}") for clock in ("start_time", "end_time"))
        return list(value) == [0.0, (last - first).total_seconds()]
    if name == "field_of_view":
        return [float(n) for n in value] == [float(Decimal(row[n]) * Decimal(row["pixel_size"]) / 10**6) for n in "xy"]
    if name == "dimension":
        return list(value) == [int(row["x"]), int(row["y"])]
    if isinstance(value, (list, tuple, np.ndarray)):
        whole = "; ".join(str(part.decode() if isinstance(part, bytes) else part) for part in value)
        return is_in_text(text, whole) or any(is_borne(column, row, place, part) for part in value)
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, str):
        return is_in_text(text, value) or is_moment(text, value)
    return any(float(value) == float(Decimal(text) * Decimal(factor)) for factor in SCALES[column])


def is_borne_by_chance(column: str, row: Mapping[str, str], place: str, value: Any) -> bool:
    """Whether the comparison would be content with another cell."""
    try:
        return is_borne(column, {**row, column: f"{row[column]}9"}, place, value)
    except ValueError:
        return False


def is_in_text(text: str, value: str) -> bool:
    """As it is, escaped as in name=value lines, or part by part (Camk2a-Cre +/-; Ai162 +/-)."""
    escaped = text.replace("%", "%25").replace(";", "%3B").replace("=", "%3D")
    if any(re.search(rf"(?<![0-9A-Za-z]){re.escape(form)}(?![0-9A-Za-z])", value) for form in (text, escaped)):
        return True
    return ";" in text and all(part.strip() in value for part in text.split(";"))


def is_moment(text: str, value: str) -> bool:
    """A date or a time of the lab's own clock."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return False
    return text in (f"{moment:%Y%m%d}", f"{moment:%H:%M}")


class Reader:
    """Values of fields by libraries other than neuropress; each file is opened once."""

    def __init__(self, output: Path, stack: ExitStack) -> None:
        self.output, self.stack = output, stack
        self.files: dict[str, h5py.File] = {}
        self.objects: dict[str, dict[str, Any]] = {}

    def read(self, place: Place) -> dict[str, Any]:
        """Library -> what it finds in the place. Raises `KeyError`, `AttributeError` where it finds nothing."""
        path = self.output / place.file
        if path.suffix == ".json":
            record = json.loads(path.read_bytes())
            for part in place.field.strip("/").split("/"):
                record = record[part]
            return {"json": record}
        if path.suffix == ".zarr":
            found: Any = zarr.open_group(path, mode="r").attrs["ome"]
            for part in place.field.strip("/").split("/"):
                found = found[int(part)] if isinstance(found, list) else found[part]
            return {"zarr": found}
        self.open(place.file)
        return {"h5py": self.read_with_h5py(place), "pynwb": self.read_with_pynwb(place)}

    def open(self, name: str) -> None:
        if name in self.files:
            return
        self.files[name] = self.stack.enter_context(h5py.File(self.output / name))
        io = self.stack.enter_context(NWBHDF5IO(self.output / name, "r"))
        file = io.read()
        known = {io.manager.get_builder(item).path.removeprefix("root"): item for item in file.objects.values()}
        self.objects[name] = known | {"": file}

    def read_with_h5py(self, place: Place) -> Any:
        file, (parent, _, name) = self.files[place.file], place.field.rpartition("/")
        if parent and parent not in file:
            table, _, row = parent.rpartition("/")
            return file[f"{table}/{name}"][int(row)]
        holder = file[parent or "/"]
        if name in holder.attrs:
            return holder.attrs[name]
        if name == "rate":
            return holder["starting_time"].attrs["rate"]
        return (holder[name] if name in holder else holder[f"general/{name}"])[()]

    def read_with_pynwb(self, place: Place) -> Any:
        objects, (parent, _, name) = self.objects[place.file], place.field.rpartition("/")
        if parent in objects:
            item = objects[parent]
            value = item[name] if name in getattr(item, "colnames", ()) else getattr(item, name)
            return value[:] if isinstance(value, (h5py.Dataset, VectorData)) else value
        table, _, row = parent.rpartition("/")
        return objects[table][name][int(row)]


def list_cells(labs: Builder) -> Iterator[tuple[str, Mapping[str, str], str]]:
    for table, rows in labs.rows.items():
        yield from ((table, row, column) for row in rows for column in row)


@pytest.mark.filterwarnings("ignore")
def test_each_cell_is_in_every_place_that_coverage_claims(labs: Builder) -> None:
    config = labs.dataset.config
    results = read_results(config, labs.dataset.workspace.current())
    looked: Counter[str] = Counter()
    lost: list[str] = []
    with ExitStack() as stack:
        reader = Reader(config.output, stack)
        for table, row, column in list_cells(labs):
            key = row[config.profile.tables[table].key]
            places = [p for p in list_places(config, results, f"{table}.{key}.{column}") if p.rule]
            for place, (library, value) in ((p, found) for p in places for found in reader.read(p).items()):
                looked[library] += 1
                if not is_borne(column, row, place.field, value) or is_borne_by_chance(column, row, place.field, value):
                    lost.append(f"{library}: {table}.{key}.{column} {row[column]!r}: {place} {value!r}")
    assert lost == []
    assert looked["h5py"] == looked["pynwb"] > 300
    assert looked["zarr"] > 5
    assert looked["json"] > 4


def test_every_column_is_in_its_best_home(labs: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["coverage", str(labs.root), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    columns = {line["column"] for line in lines if "column" in line}
    assert len(columns) == 115
    assert columns == {f"{table}.{column}" for table, rows in labs.rows.items() for row in rows for column in row}
    assert not any(line["empty"] for line in lines if "column" in line), "every column is filled"
    (best,) = (line["columns"] for line in lines if "columns" in line)
    assert best == {
        "core NWB": 25, "OME-Zarr": 4, "asset record": 13, "free text": 46, "record": 17, "catalogue only": 7,
        "private": 3, "empty": 0,
    }  # fmt: skip


def test_nothing_is_left_to_explain(labs: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(labs.root)]) == 0
    capsys.readouterr()
    assert main(["validate", str(labs.root), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line.get("severity") in ("warning", "error")] == []


def test_within_the_tolerance_the_header_s_value_is_written_and_the_cell_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = Builder(tmp_path / "ds")
    build.session(1)
    frames = movie(tmp_path / "m.tif", imagej=True, metadata={"axes": "TYX", "finterval": 0.01, "unit": "um"})
    build.movie(frames, (12, 20, 16), frame_rate="100.2")
    assert main(["convert", str(build.root)]) == 0
    path = build.output("RY_S_0001.nwb")
    with h5py.File(path) as file:
        assert file["acquisition/RY_IMG_0001/starting_time"].attrs["rate"] == 100.0
        rows = json.loads(file["general/neuropress/records_json"][()])
        assert [row["cells"]["frame_rate"] for row in rows if row["table"] == "image"] == ["100.2"]
    capsys.readouterr()
    assert main(["coverage", str(build.root), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (row,) = (line for line in lines if line.get("column") == "image.frame_rate")
    assert (row["record"], row["core NWB"]) == (1, 0)
    assert main(["explain", str(path), "/acquisition/RY_IMG_0001/rate"]) == 0
    said = capsys.readouterr().out
    assert "header of yuste/" in said
    assert "'100.2' (not written" in said
    assert main(["check", str(build.root), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (told,) = (line["message"] for line in lines if line.get("id") == "header.agrees" and "100.2" in line["message"])
    assert told.endswith(
        "100.2 in the table, 100 in the file, a difference of 0.2 %; "
        "up to 5 % is allowed, one above 0.5 % is a warning; the file's is written"
    )
