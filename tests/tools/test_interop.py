"""A session as neuroconv's interface: beside a stub of neuroconv here, in its own environment in ``.ci/full``."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import fragment_plugin
import h5py
import numpy as np
import pytest
from builder import Builder, abf, movie

from neuropress.cli.main import main
from neuropress.tools import find_tool

SCRIPT = Path(__file__).parents[1] / "interop_script.py"
STUB = """
class BaseDataInterface:
    def __init__(self, verbose=False, **source_data):
        self.source_data = source_data

    def get_metadata(self):
        return Metadata(NWBFile={"source_script": "ours", "source_script_file_name": "ours.py"})


class Metadata(dict):
    def deep_update(self, other):
        for name, fields in other.items():
            self[name] = {**self.get(name, {}), **fields}
"""
COMMAND = """#!/bin/sh
[ "$1 $3 $5" = "convert --session --json" ] || exit 2
[ "$4" = NOPE ] && { echo '{"id": "dataset.selection", "message": "NOPE is not in the tables", "hint": "See status.", "severity": "error"}'; exit 1; }
echo '{"id": "x.y", "message": "a warning", "severity": "warning"}'
echo '{"done": "up to date", "target": "lab/volume.ome.zarr"}'
echo '{"done": "up to date", "target": "lab/S.nwb"}'
"""
OWN = (
    "@object_id",
    "/file_create_date",
    "/general/subject@object_id",
    "/general/source_script@file_name",
    "/general/source_script",
)
"""What neuroconv and pynwb make anew for each file."""


def find_interop(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["tools", "interop"]) == 0
    return capsys.readouterr().out.strip()


def run(python: str, request: dict[str, Any], folder: Path, **variables: str) -> dict[str, Any]:
    (folder / "request.json").write_text(json.dumps(request), "utf-8")
    command = [python, str(SCRIPT), str(folder / "request.json")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})
    assert ended.returncode == 0, ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return answer


def list_values(path: Path) -> dict[str, Any]:
    """Every attribute, array and link, references as the paths they lead to; arrays with type and shape."""
    found: dict[str, Any] = {}

    def plain(value: Any) -> Any:
        if isinstance(value, h5py.Reference):
            return file[value].name
        if isinstance(value, np.ndarray) and value.dtype.kind in "OV":
            return [plain(one) for one in value.tolist()]
        if isinstance(value, np.ndarray):
            return value.tobytes()
        return [plain(one) for one in value] if isinstance(value, tuple) else value

    def walk(one: h5py.Group | h5py.Dataset, name: str) -> None:
        found.update({f"{name}@{key}": plain(value) for key, value in one.attrs.items()})
        if isinstance(one, h5py.Dataset):
            found[name] = (one.shape, str(one.dtype), plain(one[()]))
            return
        for key in one if name or one.name != "/" else set(one) - {"specifications"}:
            link = one.get(key, getlink=True)
            assert not isinstance(link, h5py.ExternalLink), link.path
            if isinstance(link, h5py.SoftLink):
                found[f"{name}/{key}"] = link.path
            else:
                walk(one[key], f"{name}/{key}")

    with h5py.File(path, "r") as file:
        walk(file, "")
    return found


def list_differences(ours: Path, theirs: Path) -> list[str]:
    old, new = list_values(ours), list_values(theirs)
    return [name for name, value in old.items() if name not in new or str(new[name]) != str(value)]


def test_everything_goes_over_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """References, regions, links, compound columns, an extension that nobody installed; no module of neuropress."""
    stub = tmp_path / "site/neuroconv"
    stub.mkdir(parents=True)
    (stub / "__init__.py").write_text("")
    (stub / "basedatainterface.py").write_text(STUB)
    (tmp_path / "neuropress").write_text(COMMAND)
    (tmp_path / "neuropress").chmod(0o755)
    result = tmp_path / "ds/output/lab/S.nwb"
    result.parent.mkdir(parents=True)
    fragment_plugin.write_export(result)
    before = result.read_bytes()
    given = {"folder_path": str(tmp_path / "ds"), "session": "S", "command": str(tmp_path / "neuropress")}
    request = {**given, "module": find_interop(capsys), "out": str(tmp_path / "out.nwb")}
    answer = run(sys.executable, request, tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert answer["neuropress"] == []
    assert answer["invalid"] == []
    changed = set(list_differences(result, tmp_path / "out.nwb")) - set(OWN)
    assert {name for name in changed if not name.startswith("/processing/ophys@")} == set()
    with h5py.File(tmp_path / "out.nwb") as file:
        assert sorted(file["processing/ophys"]) == ["Fluorescence", "ImageSegmentation", "speed"]
        assert file["processing/ophys"].attrs["description"] == "Of another movie."
    assert result.read_bytes() == before
    assert answer["clashes"].startswith(
        "the file already has devices/probe, processing/ophys/Fluorescence; nothing is replaced"
    )
    assert "2025-06-20T10:00:01-04:00: all times would be wrong by -1.0 s" in answer["start"]
    assert answer["subjects"].startswith("the session's subject is M1, the file's M2, and a file has one.")
    assert answer["filled"] == [
        "Ours.",
        "A",
        "F",
        "Mus musculus",
        "P9D",
        "gestational",
        "the file says otherwise than the session: sex (F, not M)",
    ]
    assert "/nowhere/neuropress cannot be run: No such file or directory. Give command=" in answer["missing"]
    assert "did not convert NOPE:\nNOPE is not in the tables (dataset.selection). See status." in answer["refused"]
    assert "S has no NWB file named b.nwb; those it has: S.nwb." in answer["several"]
    assert not (tmp_path / "out.nwb.not").exists()


def test_the_file_stands_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """What it imports is Python's, or in every environment of neuroconv."""
    tree = ast.parse(Path(find_interop(capsys)).read_text("utf-8"))
    names = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    relative = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    tops = {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert not relative
    assert tops == {"h5py", "hdmf", "numpy", "pynwb", "neuroconv", "pydantic"}


@pytest.mark.skipif("NEUROPRESS_INTERFACES" not in os.environ, reason="neuroconv's environment is asked")
def test_in_a_pipe_of_neuroconv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = Builder(tmp_path / "ds")
    build.session()
    build.ephys(abf(tmp_path / "e.abf"), "20000")
    build.movie(movie(tmp_path / "m.tif", (40, 256, 256)), (40, 256, 256))
    assert main(["convert", str(build.root)]) == 0
    (tmp_path / "trials.csv").write_text("start_time,stop_time,outcome\n0.5,1.5,hit\n2.5,3.5,miss\n", "utf-8")
    command = [sys.executable, "-m", "neuropress"]
    given = {
        "folder_path": str(build.root),
        "session": "RY_S_0001",
        "command": command,
        "trials": str(tmp_path / "trials.csv"),
    }
    request = {**given, "module": find_interop(capsys), "out": str(tmp_path / "out.nwb")}
    answer = run(str(find_tool("neuroconv").python), request, tmp_path)
    assert answer == {"neuropress": [], "invalid": []}
    ours = build.output("RY_S_0001.nwb")
    assert ours
    for name in ("out.nwb", "out.nwb.alone.nwb", "specified.nwb"):
        assert set(list_differences(ours, tmp_path / name)) <= set(OWN)
    assert set(list_differences(ours, tmp_path / "out.nwb.first.nwb")) <= {*OWN, "/identifier"}
    with h5py.File(tmp_path / "out.nwb") as file:
        assert file["intervals/trials/start_time"][:].tolist() == [0.5, 2.5]
