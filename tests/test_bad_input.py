"""Each kind of bad input ends with a finding that says what and where, and withholds its own target only."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from builder import DATE, Builder, abf, movie, slices

from neuropress.cli.main import main


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    """Two sessions, a recording and a movie each, and two volumes; all good."""
    build = Builder(tmp_path / "ds")
    raw = tmp_path / "raw"
    raw.mkdir()
    for number in (1, 2):
        build.session(number)
        build.ephys(abf(raw / f"{number}.abf", sweeps=2 + number), "20000", number, number)
        build.movie(movie(raw / f"{number}.tif", (10 + number, 20, 16)), (10 + number, 20, 16), number, number)
        build.sem(slices(raw / f"v{number}", (8 + number, 33, 40)), number)
    return build


def truncate(path: Path, keep: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])


def promise_pages(path: Path) -> None:
    """An ImageJ header that promises 3500 images over one page."""
    tifffile.imwrite(
        path, np.zeros((20, 16), np.uint16), description="ImageJ=1.53\nimages=3500\nslices=3500\n", metadata=None
    )


def imagej(path: Path, keep: float) -> None:
    pixels = np.zeros((11, 20, 16), np.uint16)
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "TYX"})
    truncate(path, keep)


def table_text(lab: Builder, table: str, old: str, new: str) -> None:
    path = lab.root / f"tables/{table}.csv"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8", newline="\n")


E1, M1, V1 = (
    f"yuste/{DATE}/ephys/raw/e1.abf",
    f"yuste/{DATE}/image/raw/m1.tif",
    f"lichtman/{DATE}/sem_dataset/raw/v1/",
)
S1, S2 = "RY_S_0001.nwb", "RY_S_0002.nwb"
Z1, Z2 = "JL_SD_0001.ome.zarr", "JL_SD_0002.ome.zarr"

# name: (what is spoilt, finding, table, column, targets withheld, targets written)
CASES: dict[str, tuple[Callable[[Builder], object], str, str | None, str | None, list[str], list[str]]] = {
    "truncated ABF": (lambda b: truncate(b.raw(E1), 0.6), "abf.truncated", "ephys", "file_path_raw", [S1], [S2, Z1, Z2]),
    "empty ABF": (lambda b: b.raw(E1).write_bytes(b""), "file.empty", "ephys", "file_path_raw", [S1], [S2, Z1, Z2]),
    "no ABF": (lambda b: b.raw(E1).write_bytes(b"hello" * 999), "format.unknown", "ephys", "file_path_raw", [S1], [S2, Z1]),
    "truncated TIFF": (lambda b: truncate(b.raw(M1), 0.6), "tiff.truncated", "image", "file_path_raw", [S1], [S2, Z1, Z2]),
    "truncated ImageJ": (lambda b: imagej(b.raw(M1), 0.6), "tiff.truncated", "image", "file_path_raw", [S1], [S2, Z1]),
    "pages promised": (lambda b: promise_pages(b.raw(M1)), "tiff.pages", "image", "file_path_raw", [S1], [S2, Z1, Z2]),
    "missing slice": (lambda b: (b.raw(V1) / "s_4.tif").unlink(), "slices.missing", "sem_dataset", "file_path_raw", [Z1], [S1, S2, Z2]),
    "missing raw": (lambda b: b.raw(E1).unlink(), "file.missing", "ephys", "file_path_raw", [S1], [S2, Z1, Z2]),
    "dotdot": (lambda b: b.change("ephys", file_path_raw="../x.abf"), "path.", "ephys", "file_path_raw", [S1], [S2, Z1]),
    "absolute": (lambda b: b.change("ephys", file_path_raw="/etc/passwd"), "path.", "ephys", "file_path_raw", [S1], [S2]),
    "backslash": (lambda b: b.change("ephys", file_path_raw=E1.replace("/", "\\")), "path.", "ephys", "file_path_raw", [S1], [S2]),
    "unknown column": (lambda b: table_text(b, "ephys", "notes", "nots,notes"), "table", "ephys", None, [S1, S2], [Z1, Z2]),
    "missing column": (lambda b: table_text(b, "ephys", "sampling_rate", "rate"), "table", "ephys", None, [S1, S2], [Z1, Z2]),
    "duplicate key": (lambda b: b.change("image", 1, image_id="RY_IMG_0001"), "", "image", "image_id", [S1, S2], [Z1, Z2]),
    "dangling key": (lambda b: b.change("ephys", session_id="RY_S_0009"), "", "ephys", "session_id", [], [S2, Z1, Z2]),
    "wrong prefix": (lambda b: b.change("ephys", ephys_id="RY_IMG_0007"), "", "ephys", "ephys_id", [S1], [S2, Z1, Z2]),
    "no such day": (lambda b: b.change("session", session_date="20250230"), "", "session", "session_date", [S1], [S2, Z1]),
    "20 kHz": (lambda b: b.change("ephys", sampling_rate="20 kHz"), "", "ephys", "sampling_rate", [S1], [S2, Z1, Z2]),
    "rate disagrees": (lambda b: b.change("ephys", sampling_rate="10000"), "header.disagrees", "ephys", "sampling_rate", [S1], [S2]),
    "width disagrees": (lambda b: b.change("image", x="17"), "header.disagrees", "image", "x", [S1], [S2, Z1, Z2]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_bad_input_withholds_its_target_and_no_other(
    lab: Builder, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, identifier, table, column, withheld, written = CASES[case]
    spoil(lab)
    assert main(["convert", str(lab.root), "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    errors = [line for line in lines if line.get("severity") == "error" and line["id"] != "convert.withheld"]
    found = [e for e in errors if e["id"].startswith(identifier) and e["location"].get("table") == table]
    assert found, errors
    assert all(e["hint"] and e["message"] for e in found)
    if column:
        assert any(e["location"].get("column") == column for e in found), found
    for name in withheld:
        assert lab.output(name) is None, name
    for name in written:
        assert lab.output(name) is not None, name
    assert not [p for p in lab.root.rglob("*") if "Traceback" in p.name]
    assert main(["check", str(lab.root)]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_a_session_without_valid_data_yields_no_file(tmp_path: Path) -> None:
    build = Builder(tmp_path / "ds")
    build.session(1)
    assert main(["convert", str(build.root)]) == 0
    assert build.output(S1) is None


def test_keep_going_writes_the_session_without_its_bad_row(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    truncate(lab.raw(E1), 0.6)
    assert main(["convert", str(lab.root), "--keep-going"]) == 0
    assert "left out" in capsys.readouterr().out
    assert lab.output(S1) is not None
    assert main(["verify", str(lab.root)]) == 0


@pytest.mark.parametrize(
    "arguments", [["frobnicate"], ["convert", "--workers", "0"], ["check", "no-such-folder"], ["publish", "."], []]
)
def test_wrong_usage_is_status_2_with_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = int(stop.code or 0)
    assert status == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_static_image_of_an_unknown_session_is_told_not_raised(
    lab: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.change("image", session_id="RY_S_0099", frame_rate="", image_type="structural")
    assert main(["convert", str(lab.root)]) == 1
    said = capsys.readouterr().out
    assert "RY_S_0099" in said
    assert lab.output(S1) is not None
    assert lab.output("RY_IMG_0001.ome.zarr") is None


def test_a_static_image_of_a_session_without_a_real_date(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    lab.change("image", frame_rate="", image_type="structural")
    lab.change("session", session_date="20250230")
    assert main(["convert", str(lab.root)]) == 1
    assert "20250230" in capsys.readouterr().out
    assert lab.output("RY_IMG_0001.ome.zarr") is None
    assert lab.output(S2) is not None
