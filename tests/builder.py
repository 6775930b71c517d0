"""Datasets for tests: rows typed into tables, raw files put in their place."""

from __future__ import annotations

import csv
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import tifffile
from pyabf.abfWriter import writeABF1

from neuropress.api import Dataset

DATE = "20250620"
PARENTS = {
    "plasmid": {
        "plasmid_id": "ML_P_0001",
        "plasmid_name": "pAAV-hSyn-JEDI-2P",
        "gene": "JEDI-2P",
        "indicator": "voltage indicator",
        "wavelength": "509",
        "tuning": "negative",
    },
    "virus": {
        "virus_id": "RY_V_0001",
        "virus_name": "AAV1-hSyn-JEDI-2P",
        "plasmid_id": "ML_P_0001",
        "serotype": "AAV1",
        "floxed": "FALSE",
        "titer": "1.2e13 GC/mL",
    },
    "mouse": {
        "mouse_id": "RY_M_0001",
        "strain": "C57BL/6J",
        "genotype": "+/+",
        "sex": "F",
        "birth_date": "20250301",
        "weight": "24.50",
        "virus_id": "RY_V_0001",
    },
}


class Builder:
    """A dataset folder that a test fills row by row."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dataset = Dataset.init(root, "dendritic-consortium")
        self.rows: dict[str, list[dict[str, str]]] = {}
        for table, cells in PARENTS.items():
            self.row(table, **cells)

    def row(self, table: str, **cells: str) -> None:
        """Type a row; columns that are not named stay blank."""
        self.rows.setdefault(table, []).append(cells)
        self.write(table)

    def change(self, table: str, position: int = 0, **cells: str) -> None:
        """Retype cells of a row."""
        self.rows[table][position] |= cells
        self.write(table)

    def write(self, table: str) -> None:
        columns = self.dataset.config.profile.tables[table].columns
        with (self.root / f"tables/{table}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows[table])

    def session(self, number: int = 1, **cells: str) -> str:
        key = f"RY_S_{number:04d}"
        known = {
            "session_id": key,
            "mouse_id": "RY_M_0001",
            "experimenter": "Ada Example",
            "session_date": DATE,
            "start_time": f"{8 + number:02d}:00",
            "end_time": f"{8 + number:02d}:50",
        }
        self.row("session", **known | cells)
        return key

    def ephys(self, raw: Path | bytes, rate: str, number: int = 1, session: int = 1, **cells: str) -> str:
        """A recording of session `session`; `raw` is copied into the source tree."""
        key = f"yuste/{DATE}/ephys/raw/e{number}.abf"
        self.put(key, raw)
        known = {
            "ephys_id": f"RY_E_{number:04d}",
            "session_id": f"RY_S_{session:04d}",
            "recording_type": "somatic patch; ex vivo",
            "sampling_rate": rate,
            "file_path_raw": key,
        }
        self.row("ephys", **known | cells)
        return key

    def movie(
        self, raw: Path | bytes, shape: tuple[int, int, int], number: int = 1, session: int = 1, **cells: str
    ) -> str:
        """A movie (frames, height, width) of session `session`."""
        key = f"yuste/{DATE}/image/raw/m{number}.tif"
        self.put(key, raw)
        known = {
            "image_id": f"RY_IMG_{number:04d}",
            "session_id": f"RY_S_{session:04d}",
            "image_type": "voltage",
            "frame_rate": "100",
            "x": str(shape[2]),
            "y": str(shape[1]),
            "z": str(shape[0]),
            "file_path_raw": key,
        }
        self.row("image", **known | cells)
        return key

    def sem(self, raw: Path, number: int = 1, **cells: str) -> str:
        """An EM volume from a folder of slices or one file."""
        key = f"lichtman/{DATE}/sem_dataset/raw/v{number}" + ("/" if raw.is_dir() else raw.suffix)
        self.put(key, raw)
        known = {
            "sem_dataset_id": f"JL_SD_{number:04d}",
            "mouse_id": "RY_M_0001",
            "resolution": "4",
            "start_date": DATE,
            "file_path_raw": key,
        }
        self.row("sem_dataset", **known | cells)
        return key

    def put(self, key: str, raw: Path | bytes) -> Path:
        path = self.root / "source" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(raw, bytes):
            path.write_bytes(raw)
        elif raw.is_dir():
            shutil.copytree(raw, path)
        else:
            shutil.copyfile(raw, path)
        return path

    def raw(self, key: str) -> Path:
        return self.root / "source" / key

    def output(self, name: str) -> Path | None:
        """The result of that file name, if it is there under its final name."""
        return next((p for p in (self.root / "output").rglob(name)), None)


def abf(path: Path, sweeps: int = 3, points: int = 2000, rate: int = 20000, units: str = "pA") -> Path:
    """An ABF1 of our own: pyabf's writer, and the command unit that it leaves blank."""
    data = np.random.default_rng(sweeps).normal(0, 20, (sweeps, points))
    writeABF1(data, str(path), rate, units=units)
    header = bytearray(path.read_bytes())
    for dac in range(4):
        struct.pack_into("8s", header, 1346 + 8 * dac, b"mV      " if units == "pA" else b"pA      ")
    path.write_bytes(header)
    return path


def movie(path: Path, shape: tuple[int, int, int] = (12, 20, 16), **options: object) -> Path:
    """A TIFF movie of our own; plain unless options say otherwise."""
    pixels = np.random.default_rng(shape[0]).integers(0, 4000, shape).astype(np.uint16)
    tifffile.imwrite(path, pixels, **({"photometric": "minisblack", "metadata": None} | options))
    return path


def slices(folder: Path, shape: tuple[int, int, int] = (9, 33, 40)) -> Path:
    """A folder of TIFF slices of our own."""
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(shape[0]).integers(0, 255, shape).astype(np.uint8)
    for z, page in enumerate(pixels):
        tifffile.imwrite(folder / f"s_{z}.tif", page, metadata=None)
    return folder


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder."""
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder), *arguments]
    subprocess.run(command, check=True, capture_output=True)
