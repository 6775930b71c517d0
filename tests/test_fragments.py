"""Objects that another program exported, taken over into a session's file, through every verb."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import h5py
import numpy as np
import pynwb
import pytest
from builder import DATE, Builder
from fragment_plugin import write_export, write_fragment_package

from neuropress import converters, readers, registry
from neuropress.cli.main import main

KEY = f"basu/{DATE}/behavior/raw/run.exported.nwb"
ALL = (
    ("/acquisition/raw_voltage", "/acquisition/JB_B_0001"),
    ("/acquisition/answer0",),
    ("/acquisition/answer1",),
    ("/stimulus/presentation/command0",),
    ("/stimulus/presentation/command1",),
    ("/general/devices/probe",),
    ("/general/devices/scope",),
    ("/general/devices/amplifier",),
    ("/general/extracellular_ephys/shank0",),
    ("/general/extracellular_ephys/electrodes",),
    ("/general/optophysiology/plane",),
    ("/general/intracellular_ephys/pipette",),
    ("/general/intracellular_ephys/intracellular_recordings",),
    ("/general/intracellular_ephys/simultaneous_recordings",),
    ("/intervals/trials_of_video",),
    ("/processing/behavior/LabPose", "/processing/video/Poses"),
    ("/processing/ophys",),
)
VIDEO = (("/processing/video", "ProcessingModule", {"description": "Of the video."}),)


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(tmp_path_factory.mktemp("export") / "run.exported.nwb")


@pytest.fixture
def lab(tmp_path: Path, export: Path) -> Builder:
    """A session with one behaviour row, whose file is an export."""
    build = Builder(tmp_path / "ds")
    build.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J", sex="F", birth_date="20250301")
    times = {"session_date": DATE, "start_time": "10:00", "end_time": "11:00"}
    build.row("session", session_id="JB_S_0001", mouse_id="JB_M_0001", experimenter="Bo Beispiel", **times)
    build.put(KEY, export.read_bytes())
    cells = {"behavior_id": "JB_B_0001", "session_id": "JB_S_0001", "metric_type": "position", "task": "running"}
    build.row("behavior", **cells, file_path_raw=KEY)
    return build


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Install the package of exports in this process: what it takes over, what it plans beside it."""
    caches = (
        readers._load_readers,
        readers.get_registered_formats,
        converters._load_plugin_converters,
        registry._register_findings,
    )

    def forget() -> None:
        for cache in caches:
            cache.cache_clear()
        for name in [name for name in sys.modules if name.startswith("lab_exports")]:
            del sys.modules[name]

    def make(places: Any, own: Any = ()) -> None:
        monkeypatch.syspath_prepend(str(write_fragment_package(tmp_path / "site", places, own)))

    forget()
    yield make
    forget()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    status = main([*arguments, "--json"])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def list_ids(lines: list[dict[str, Any]]) -> list[str]:
    return [line["id"] for line in lines if "id" in line and "severity" in line]


def find_place(path: str) -> str:
    """Where an object of the export lies in the result."""
    for place in ALL:
        if path == place[0] or path.startswith(place[0] + "/"):
            return place[-1] + path.removeprefix(place[0])
    return path


def compare(theirs: h5py.Group, ours: h5py.Group, identifier: str) -> int:
    """Every attribute, element and link of an object and all below it, read by h5py alone; how many there were."""
    place, count = ours.name, 1
    assert type(theirs) is type(ours)
    assert set(theirs.attrs) == set(ours.attrs), place
    for name in theirs.attrs:
        a, b = theirs.attrs[name], ours.attrs[name]
        if name == "object_id":
            assert b == str(uuid5(NAMESPACE_URL, f"neuropress:{identifier}:{place}"))
            continue
        assert theirs.attrs.get_id(name).dtype == ours.attrs.get_id(name).dtype, (place, name)
        assert plain(a, theirs.file, find_place) == plain(b, ours.file), (place, name)
        count += 1
    if isinstance(theirs, h5py.Dataset):
        assert theirs.shape == ours.shape
        assert plain(theirs[()], theirs.file, find_place) == plain(ours[()], ours.file), place
        return count
    assert set(theirs) == set(ours), place
    for name in theirs:
        link = ours.get(name, getlink=True)
        assert type(link) is type(theirs.get(name, getlink=True)), (place, name)
        if isinstance(link, h5py.SoftLink):
            assert find_place(theirs.file[theirs[name].ref].name) == link.path
            count += 1
        else:
            count += compare(theirs[name], ours[name], identifier)
    return count


def plain(value: Any, file: h5py.File, rename: Callable[[str], str] = str) -> Any:
    if isinstance(value, h5py.Reference):
        return rename(file[value].name) if value else None
    if isinstance(value, np.void):
        return [plain(value[name], file, rename) for name in value.dtype.names]
    if isinstance(value, np.ndarray) and (value.dtype.hasobject or value.dtype.names):
        return [plain(part, file, rename) for part in value]
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.newbyteorder("<").str, value.astype(value.dtype.newbyteorder("<")).tobytes()
    if isinstance(value, h5py.Empty):
        return "empty"
    return value.decode() if isinstance(value, bytes) else value


def test_what_a_program_exported_is_in_the_result_as_it_is(
    lab: Builder, export: Path, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    install(ALL, VIDEO)
    root = str(lab.root)
    status, lines = run(capsys, "check", root)
    assert status == 0, lines
    status, lines = run(capsys, "convert", root)
    assert status == 0, lines
    path = lab.output("JB_S_0001.nwb")
    assert path is not None
    with h5py.File(export) as theirs, h5py.File(path) as ours:
        identifier = ours["identifier"].asstr()[()]
        counts = [compare(theirs[place[0]], ours[place[-1]], identifier) for place in ALL]
        assert sum(counts) > 300
        documents = [{n: d[()] for n, d in f["specifications/ndx-lab/0.3.0"].items()} for f in (theirs, ours)]
        assert documents[0] == documents[1] != {}
    assert main(["verify", root]) == 0
    assert f"{len(ALL)} objects" in (out := capsys.readouterr().out)
    assert "equal to what another program exported" in out
    assert "equal to the raw file" not in out
    status, lines = run(capsys, "validate", root)
    assert status == 0, lines
    assert not [line for line in lines if line.get("severity") == "error"]
    assert main(["convert", root]) == 0
    assert "up to date" in capsys.readouterr().out
    first = path.read_bytes()
    path.unlink()
    assert main(["convert", root]) == 0
    assert path.read_bytes() == first
    assert main(["coverage", root]) == 0
