"""The demo's dataset: real files of three kinds, made on the spot, and the tables of three labs."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

DATE = "20250620"
ROWS: dict[str, list[dict[str, str]]] = {
    "plasmid": [
        {
            "plasmid_id": "ML_P_0001",
            "plasmid_name": "pAAV-hSyn-FLEX-JEDI-2P",
            "gene": "JEDI-2P",
            "indicator": "voltage indicator",
            "wavelength": "509",
            "backbone": "pAAV",
            "promoter": "hSyn",
            "tuning": "negative",
        }
    ],
    "virus": [
        {
            "virus_id": "RY_V_0001",
            "virus_name": "AAV1-hSyn-FLEX-JEDI-2P",
            "plasmid_id": "ML_P_0001",
            "serotype": "AAV1",
            "floxed": "TRUE",
            "titer": "1.2e13 GC/mL",
        }
    ],
    "mouse": [
        {
            "litter_id": "RY_L_0001",
            "mouse_id": "RY_M_0001",
            "strain": "Baz1a-Cre",
            "genotype": "+/-",
            "cre_line": "Baz1a-Cre",
            "sex": "F",
            "birth_date": "20250301",
            "weight": "24.5",
            "virus_id": "RY_V_0001",
            "notes": "Made up for the demo.",
        }
    ],
    "session": [
        {
            "session_id": "RY_S_0001",
            "mouse_id": "RY_M_0001",
            "experimenter": "Ada Example",
            "session_date": DATE,
            "start_time": "14:05",
            "end_time": "15:00",
            "anesthesia": "isoflurane",
        }
    ],
    "image": [
        {
            "image_id": "RY_IMG_0001",
            "session_id": "RY_S_0001",
            "image_type": "voltage",
            "frame_rate": "500",
            "x": "128",
            "y": "96",
            "z": "400",
            "pixel_size": "0.8",
            "numerical_aperture": "0.8",
            "objective_magn": "40x",
            "exposure_time": "2",
            "laser_power": "30",
            "laser_line": "488",
            "file_path_raw": f"yuste/{DATE}/image/raw/movie.tif",
        }
    ],
    "ephys": [
        {
            "ephys_id": "RY_E_0001",
            "session_id": "RY_S_0001",
            "recording_type": "dendritic patch; in vivo",
            "sampling_rate": "20000",
            "file_path_raw": f"yuste/{DATE}/ephys/raw/cell1.abf",
        }
    ],
    "sem_dataset": [
        {
            "sem_dataset_id": "JL_SD_0001",
            "mouse_id": "RY_M_0001",
            "section": "V1 layer 5",
            "resolution": "4",
            "start_date": "20250701",
            "end_date": "20250702",
            "file_path_local": "D:/scans/demo",
            "file_path_raw": "lichtman/20250701/sem_dataset/raw/stack/",
        }
    ],
}


def make_files(source: Path) -> list[str]:
    """Write the raw files; returns a sentence about each."""
    movie, cell = source / f"yuste/{DATE}/image/raw/movie.tif", source / f"yuste/{DATE}/ephys/raw/cell1.abf"
    stack = source / "lichtman/20250701/sem_dataset/raw/stack"
    for folder in (movie.parent, cell.parent, stack):
        folder.mkdir(parents=True, exist_ok=True)
    return [make_movie(movie), make_recording(cell), make_stack(stack)]


def make_movie(path: Path) -> str:
    """A voltage movie: 400 frames, three cells that flicker."""
    import tifffile

    random = np.random.default_rng(1)
    y, x = np.mgrid[:96, :128]
    frames = random.poisson(200, (400, 96, 128)).astype(np.uint16)
    for cy, cx in ((30, 40), (60, 90), (70, 30)):
        spot = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 60)
        frames += (spot * random.gamma(2, 150, (400, 1, 1))).astype(np.uint16)
    metadata = {"axes": "TYX", "fps": 500.0, "finterval": 0.002, "unit": "um"}
    tifffile.imwrite(path, frames, imagej=True, resolution=(1 / 0.8, 1 / 0.8), metadata=metadata)
    return "a voltage movie, 400 frames of 128 x 96 (ImageJ TIFF)"


def make_recording(path: Path) -> str:
    """Ten sweeps of a voltage-clamped cell at 20 kHz, one channel of int16, as ABF 1 without a long header."""
    from ..readers.abf.layout import ABF1_SHORT, BLOCK, V1_SHORT

    random = np.random.default_rng(2)
    sweeps = random.normal(-40, 3, (10, 4000))
    sweeps[:, 1000:2000] -= np.linspace(5, 50, 10)[:, None]
    volts_per_pa, volts, resolution = 0.01, 10, 2**15
    header = np.zeros((), V1_SHORT)
    header["fFileVersionNumber"], header["nOperationMode"] = 1.3, 5  # episodic
    header["lActualAcqLength"], header["lActualEpisodes"] = sweeps.size, len(sweeps)
    header["lNumSamplesPerEpisode"] = sweeps.shape[1]
    header["lFileStartDate"], header["lFileStartTime"] = int(DATE), 14 * 3600 + 12 * 60 + 30
    header["lDataSectionPtr"] = ABF1_SHORT // BLOCK
    header["nADCNumChannels"], header["fADCSampleInterval"] = 1, 1e6 / 20000
    header["fADCRange"], header["lADCResolution"] = volts, resolution
    header["sADCUnits"], header["sDACChannelUnits"] = b"pA", b"mV"
    header["fInstrumentScaleFactor"] = volts_per_pa
    header["fSignalGain"] = header["fADCProgrammableGain"] = 1
    counts = np.rint(sweeps * volts_per_pa * resolution / volts).astype("<i2")
    path.write_bytes(b"ABF " + header.tobytes()[4:] + counts.tobytes())
    return "a patch-clamp recording, 10 sweeps at 20 kHz (ABF)"


def make_stack(folder: Path) -> str:
    """Forty EM-like slices of 256 x 256."""
    import tifffile

    random = np.random.default_rng(3)
    noise = random.normal(0, 1, (44, 264, 264))
    smooth = sum(noise[i : i + 40, j : j + 256, k : k + 256] for i in range(5) for j in (0, 4, 8) for k in (0, 4, 8))
    pixels = np.clip(128 + 12 * smooth, 0, 255).astype(np.uint8)
    for z, page in enumerate(pixels):
        tifffile.imwrite(folder / f"slice_{z:04d}.tif", page)
    return "an EM volume, 40 slices of 256 x 256 (TIFF)"


SETTINGS = """
[labs.RY]
modality_voltage = "one-photon"
region = "VISp"

[[people]]
name = "Example, Ada"
typed = ["Ada Example"]
orcid = "0000-0002-1825-0097"
"""


def fill_tables(tables: Path) -> None:
    """Type the rows into the empty tables."""
    for table, rows in ROWS.items():
        path = tables / f"{table}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            columns = next(csv.reader(file))
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writerows(rows)
