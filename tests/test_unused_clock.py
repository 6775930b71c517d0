"""A clock that is declared of a file without time is said, and never silently ignored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from builder import DATE, Builder, movie
from sonata_files import write_report
from test_inventory import list_findings

STATED = '[options."*"]\nclock_offset = "12.5"\n'


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    """A volume, a simulation, a movie with regions, and files that are kept."""
    made = Builder(tmp_path / "ds")
    made.session()
    made.session(2, session_id="JL_S_0001")
    tifffile.imwrite(tmp_path / "v.tif", np.ones((3, 20, 24), "u1"), photometric="minisblack", metadata=None)
    made.sem(tmp_path / "v.tif")
    labels = np.zeros((20, 16), "u2")
    labels[2:4, 5:9] = 7
    roi, script = f"yuste/{DATE}/image/roi/l.tif", f"yuste/{DATE}/image/script/s.py"
    made.movie(movie(tmp_path / "m.tif"), (12, 20, 16), file_path_roi=roi, file_path_script=script, roi_tool="hand")
    tifffile.imwrite(made.put(roi, b""), labels, photometric="minisblack", metadata=None)
    made.put(script, b"print()")
    for number, name in enumerate(("report.h5", "notes.bin"), 1):
        key = f"segev/20250501/model/raw/{name}"
        made.put(key, write_report(tmp_path / name) if number == 1 else b"\1\2")
        made.row("model", model_id=f"IS_MOD_{number:04d}", model_version="1.0", file_path_model=key,
                 model_type="network", description="SONATA output", notes="a note")  # fmt: skip
    with (made.root / "neuropress.toml").open("a") as file:
        file.write(f'\n{STATED}[options."segev/*.h5"]\nstarted = "2025-05-01T10:00+03:00"\n')
    return made


def test_each_file_without_time_is_named(build: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    found = [one for one in list_findings(capsys, "check", str(build.root)) if one.get("id") == "clock.unused"]
    reasons = {Path(one["location"]["file"]).name: one["message"].rpartition(": ")[2] for one in found}
    assert len(found) == len(reasons)
    assert reasons == {
        "v1.tif": "a volume belongs to no clock of a session",
        "report.h5": "a simulation counts from its own start",
        "notes.bin": "it is kept as it is",
        "l.tif": "regions and their traces have the times of the row's movie",
        "s.py": "it is kept as it is",
    }
    assert all("clock_offset = '12.5' has no effect" in one["message"] for one in found)
    assert {one["severity"] for one in found} == {"warning"}


def test_edges_of_no_clock(build: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    path = build.root / "neuropress.toml"
    path.write_text(path.read_text().replace(STATED, '[options."yuste/*/raw/m1.tif"]\nclock_threshold = "2.5"\n'))
    (found,) = [one for one in list_findings(capsys, "check", str(build.root)) if one.get("id") == "clock.unused"]
    assert "clock_threshold = '2.5' has no effect: no clock, which alone has edges, is stated" in found["message"]
