"""The example of CONTRIBUTING.md, put where the page says: it goes through the whole line as it is printed."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from builder import DATE, Builder

ROOT = Path(__file__).resolve().parents[1]
MAPPING = 'revision = 1\ntable = ["behavior"]\n[[rule]]\nto = "series.comments"\nfrom = "task"\n'
FINDING = '["tracks.damaged"]\nseverity = "error"\nmeaning = "m"\nexample = "e"\nfix = "f"\n'


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new, 1), "utf-8")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the code with the printed reader and converter in it, and the lines that register them."""
    copy = tmp_path / "tree"
    for folder in ("src", "converters", "mappings", "schemas"):
        shutil.copytree(ROOT / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("A whole example")[2]
    declaration, reader, converter, *_ = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    package = copy / "src/neuropress"
    (package / "readers/tracks").mkdir()
    for place, text in {
        package / "readers/tracks/__init__.py": declaration,
        package / "readers/tracks/read.py": reader,
        copy / "converters/tracking.py": converter,
        copy / "mappings/tracking.toml": MAPPING,
        package / "model/findings/tracks.toml": FINDING,
    }.items():
        place.write_text(text, "utf-8")
    edit(package / "readers/__init__.py", "from . import (\n", "from . import (\n    tracks,\n")
    edit(package / "readers/__init__.py", "BUILT_IN = (", "BUILT_IN = (tracks.FORMAT, ")
    edit(copy / "converters/__init__.py", "CONVERTERS = (", 'CONVERTERS = ("tracking", ')
    promise = '"behavior.task" = ["tracking/series.comments", '
    edit(package / "data/profiles/generic.toml", '"behavior.task" = [', promise)
    return copy


def test_the_printed_modality_goes_through_the_line(tree: Path, tmp_path: Path) -> None:
    build = Builder(tmp_path / "ds")
    build.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J", sex="F", birth_date="20250301", weight="24.50")
    session = {"session_id": "JB_S_0001", "mouse_id": "JB_M_0001", "experimenter": "Ada Example"}
    build.row("session", **session, session_date=DATE, start_time="10:00", end_time="11:00")
    key = f"basu/{DATE}/behavior/raw/t.csv"
    build.put(key, b"# offset 12.5\ntime_ms,x,y\n0,1,2\n10,1.5,2.5\n25,2,3\n")
    build.row(
        "behavior",
        behavior_id="JB_B_0001",
        session_id="JB_S_0001",
        metric_type="position",
        task="open field",
        file_path_raw=key,
    )
    environment = os.environ | {"PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    for verb in ("run", "coverage", "status"):
        command = [sys.executable, "-m", "neuropress", verb, str(build.root)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (build.root / "output").rglob("*.nwb")
    with h5py.File(path) as file:
        series = file["processing/behavior/Position/JB_B_0001"]
        np.testing.assert_array_equal(series["data"], [[1, 2], [1.5, 2.5], [2, 3]])
        np.testing.assert_array_equal(series["timestamps"], [12.5, 12.51, 12.525])
        assert series.attrs["comments"] == "open field"
