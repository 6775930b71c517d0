"""NWB files as a lab's own program writes them."""

from __future__ import annotations

import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pynwb
from pynwb.file import Subject
from pynwb.icephys import CurrentClampSeries

STARTED = "2025-06-20T09:00:12-04:00"


def write_nwb(path: Path, started: str = STARTED, rate: float = 20000.0, **subject: Any) -> Path:
    """A sweep of a cell, with a subject."""
    stated = {"subject_id": "RY_M_0001", "species": "Mus musculus", "sex": "F", "age": "P111D"} | subject
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = pynwb.NWBFile("a cell", "lab-17", datetime.fromisoformat(started), session_id="RY_S_0001")
        file.subject = Subject(**stated)
        rig = file.create_device("rig")
        electrode = file.create_icephys_electrode(name="e0", description="a pipette", device=rig, cell_id="c1")
        sweep = CurrentClampSeries(
            name="sweep0", data=np.arange(40, dtype="<i2"), electrode=electrode, gain=1.0, rate=rate, starting_time=0.0
        )
        file.add_acquisition(sweep)
        with pynwb.NWBHDF5IO(str(path), "w") as io:
            io.write(file)
    return path
