"""Interfaces of neuroconv as sources: run in an environment of their own, taken over, proven, refused."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from neuroconv_stub import install_stub, make_exports

from neuropress.cli.main import main
from neuropress.model.content import Fragment
from neuropress.model.finding import Problem
from neuropress.model.source import Source, SourceRoots
from neuropress.readers.neuroconv.read import read
from neuropress.storage.roots import Folder
from neuropress.tools import neuroconv
from neuropress.tools import neuroconv_driver as driver


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEUROPRESS_TOOLS", str(tmp_path / "tools"))
    return install_stub(tmp_path / "tools")


class _Calls:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("true",)


CASES = {
    "unknown": ({"interface": "StubIntrface"}, "neuroconv.interface", "'StubIntrface' (is it StubInterface"),
    "none": ({}, "neuroconv.interface", "interface = "),
    "argument": ({"arguments": {"rate": 1}}, "neuroconv.argument", "it has file_path, sampling_frequency"),
    "typing": (
        {"arguments": {"sampling_frequncy": 1}},
        "neuroconv.argument",
        "r1.stub: StubInterface: it has no argument 'sampling_frequncy' (did you mean sampling_frequency?)",
    ),
    "type": (
        {"interface": "TypesInterface"},
        "neuroconv.argument",
        "TypesInterface: sampling_frequency: Input should be a number ('30')",
    ),
    "missing argument": ({"arguments": {}}, "neuroconv.argument", "wants sampling_frequency"),
    "path outside": ({"arguments": {"config_file_path": "../../../../etc/passwd"}}, "path.unsafe", "'..'"),
    "path missing": ({"arguments": {"config_file_path": "c.yaml"}}, "file.missing", "c.yaml"),
    "untrusted by name": (
        {"interface": "Suite2pSegmentationInterface"},
        "neuroconv.untrusted",
        "unpickles or executes",
    ),
    "untrusted by deed": ({"interface": "PickleInterface"}, "neuroconv.untrusted", "unpickles posix.system"),
    "trust of a result": ({"interface": "PickleInterface", "trust": True}, "neuroconv.untrusted", "no settings here"),
    "fails": ({"interface": "FailInterface"}, "neuroconv.failed", "no frames in r1.stub, token=***"),
    "network": ({"interface": "NetworkInterface"}, "neuroconv.failed", "asks for the network"),
    "writes": ({"interface": "WriteInterface"}, "neuroconv.failed", "r1.stub, which is a raw file"),
    "dies": ({"interface": "DeathInterface"}, "tool.failed", "Killed"),
    "hangs": ({"interface": "HangInterface"}, "tool.failed", "more than 1 s"),
}


@pytest.mark.parametrize("case", CASES)
def test_refusals_are_one_finding(case: str, stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stated, id, words = CASES[case]
    raw = tmp_path / "raw/r1.stub"
    raw.parent.mkdir()
    raw.write_bytes(pickle.dumps(_Calls()))
    before = raw.read_bytes()
    options = {"interface": "StubInterface", "arguments": {"sampling_frequency": 30}} if case != "none" else {}
    if case == "hangs":
        monkeypatch.setattr(neuroconv, "START_SECONDS", 1.0)
    with pytest.raises(Problem) as caught:
        read(Source("r1.stub", Folder(raw.parent), scratch=tmp_path / "state/fragments"), options | stated)
    assert caught.value.finding.id == id
    assert words in caught.value.finding.message
    assert str(tmp_path) not in caught.value.finding.message
    assert raw.read_bytes() == before


def test_trust_is_said_and_pickles_are_handed_over(stub: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "r1.stub").write_bytes(pickle.dumps(_Calls()))
    (raw / "r1_meta.pickle").write_bytes(b"x")
    options = {"interface": "PickleInterface", "arguments": {"sampling_frequency": 30}, "trust": True}
    source = SourceRoots((Folder(raw),), tmp_path / "state/fragments", ("*.stub",)).locate("r1.stub")
    (content,) = read(source, options)
    assert isinstance(content, Fragment)
    assert content.header["unpickled"] == ["posix.system"]
    assert [one.key for one in source.inputs] == ["r1.stub", "r1_meta.pickle"]
    content.close()


def test_sides_of_a_movie_are_in_the_order_of_its_frames(stub: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "r1.stub").write_bytes(make_exports()["some"])
    source = Source("r1.stub", Folder(raw), scratch=tmp_path / "state/fragments")
    (content,) = read(source, {"interface": "MovieInterface", "arguments": {"sampling_frequency": 30}})
    content.close()
    assert content.header["corrected"] == ["/acquisition/movie/dimension"]
    (kept,) = (tmp_path / "state/fragments").glob("*.nwb")
    with h5py.File(kept) as file:
        assert file["acquisition/movie/dimension"][()].tolist() == [6, 4]
        assert file["acquisition/right/dimension"][()].tolist() == [4, 6]


def test_folders_and_starts(stub: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw/run"
    raw.mkdir(parents=True)
    (raw / "a.stub").write_bytes(make_exports()["some"])
    source = Source("run/", Folder(raw.parent), scratch=tmp_path / "state/fragments")
    (content,) = read(source, {"interface": "FolderInterface"})
    assert isinstance(content, Fragment)
    assert content.started is None
    assert "/processing/behavior/LabPose" in content.objects
    assert "/processing/behavior" in content.objects
    content.close()
    (kept,) = read(source, {"interface": "FolderInterface"})  # the second reading is of what was kept
    kept.close()
    assert len(list((tmp_path / "state/fragments").glob("*.nwb"))) == 1


def test_another_driver_or_a_spoilt_note_makes_the_fragment_anew(
    stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, kept, seen = tmp_path / "raw", tmp_path / "state/fragments", stub / "site/seen.json"
    raw.mkdir()
    (raw / "r1.stub").write_bytes(make_exports()["some"])
    source = Source("r1.stub", Folder(raw), scratch=kept)

    def was_run() -> bool:
        seen.unlink(missing_ok=True)
        (content,) = read(source, {"interface": "StubInterface", "arguments": {"sampling_frequency": 30}})
        content.close()
        return seen.exists()

    assert was_run()
    assert not was_run()
    (before,) = kept.glob("*.nwb")
    driver = Path(neuroconv.__file__).with_name("neuroconv_driver.py")
    (tmp_path / driver.name).write_bytes(driver.read_bytes() + b"# of the next version\n")
    monkeypatch.setattr(neuroconv, "files", lambda package: tmp_path)
    assert was_run()
    assert not was_run()
    (after,) = kept.glob("*.nwb")
    assert after != before
    note = json.loads(after.with_suffix(".json").read_text())
    for spoilt in ({**note, "answer": {}}, {**note, "answer": None}, [], {"file": note["file"]}):
        after.with_suffix(".json").write_text(json.dumps(spoilt))
        assert was_run()


def test_times_of_all_sorts_are_shifted(tmp_path: Path) -> None:
    path = tmp_path / "made.nwb"
    with h5py.File(path, "w") as file:
        for place, kind, names in (
            ("acquisition/series", "TimeSeries", ["timestamps"]),
            ("intervals/own", "LabTrials", ["start_time", "stop_time", "reward"]),
            ("units", "LabUnits", ["spike_times", "spike_times_index", "obs_intervals"]),
            ("processing/found", "EventDetection", ["times"]),
            ("processing/other", "LabThing", ["times", "start_time"]),
        ):
            group = file.create_group(place)
            group.attrs["neurodata_type"] = kind
            if kind in ("LabTrials", "LabUnits"):
                group.attrs["colnames"] = names
            for name in names:
                group[name] = np.array([[1.0, 2.0]] * 3) if name == "obs_intervals" else np.array([1.0, 2.0, 3.0])
        file["acquisition/same"] = file["acquisition/series"]
    driver.shift_times(str(path), 0.5)
    with h5py.File(path) as file:
        moved = []
        file.visititems(
            lambda name, item: moved.append(name) if isinstance(item, h5py.Dataset) and item[0].max() % 1 else None
        )
        assert file["acquisition/series/timestamps"][:].tolist() == [1.5, 2.5, 3.5]
    own = ["intervals/own/start_time", "intervals/own/stop_time"]
    assert sorted(moved) == [
        "acquisition/same/timestamps",
        *own,
        "processing/found/times",
        "units/obs_intervals",
        "units/spike_times",
    ]
    with h5py.File(path, "r+") as file:
        file["acquisition/whole/timestamps"] = np.arange(3)
    with pytest.raises(driver.Refused, match="/acquisition/whole/timestamps has times of type int64"):
        driver.shift_times(str(path), 0.5)


def test_the_scratch_folder_is_named_nowhere(tmp_path: Path) -> None:
    path, stage = tmp_path / "made.nwb", "/scratch/é"
    with h5py.File(path, "w") as file:
        file.attrs["note"] = f"of {stage}/a.avi"
        file.attrs["notes"] = np.array([f"{stage}/a.avi", "b"], h5py.string_dtype())
        file["one"] = f"{stage}/a.avi"
        file["grid"] = np.array([["x", f"{stage}/a.avi"]], h5py.string_dtype())
        file["many"] = np.array(["x"] * 5 + [f"{stage}/a.avi"], h5py.string_dtype())
        file["fixed"] = np.array([f"{stage}/a.avi".encode()])
        file["numbered"] = np.array([b"1", b"2"])
        file["numbers"] = np.arange(3)
    request = {"folder": stage, "external_folder": "../raw", "fragment": str(path)}
    driver.hide_stage(request)
    assert b"scratch" not in b"".join(read_texts(path))
    assert b"".join(read_texts(path)).count(b"../raw/a.avi") == 6
    stated = driver.describe_session({"NWBFile": {"notes": f"of {stage}/a.avi", "keywords": []}}, request)
    assert stated == {"NWBFile": {"notes": "of a.avi"}, "Subject": {}}


def read_texts(path: Path) -> list[bytes]:
    with h5py.File(path) as file:
        held = [*file.attrs.values(), *(item[()] for item in file.values())]
    return [
        text.encode() if isinstance(text, str) else text
        for one in held
        for text in np.ravel(one).tolist()
        if isinstance(text, (str, bytes))
    ]


def test_interfaces_are_listed(stub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tools", "interfaces", "stubi"]) == 0
    shown = capsys.readouterr().out
    assert "StubInterface" in shown
    assert "sampling_frequency" in shown
    assert "float, needed" in shown
    assert main(["tools", "interfaces", ".stub", "--json"]) == 0
    listed = {one["name"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    assert [name for name, one in listed.items() if one["unpickles"]] == ["Suite2pSegmentationInterface"]


def test_every_interface_of_electrophysiology_has_its_environment() -> None:
    assert neuroconv.choose_tool("SpikeGLXRecordingInterface").name == "neuroconv-ecephys"
    assert neuroconv.choose_tool("DeepLabCutInterface").name == "neuroconv"
