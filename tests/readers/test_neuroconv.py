"""Interfaces of neuroconv as sources: run in an environment of their own, taken over, proven, refused."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from neuroconv_stub import install_stub, make_exports

from neuropress.cli.main import main
from neuropress.model.content import Fragment
from neuropress.model.finding import Problem
from neuropress.model.source import Source, SourceRoots
from neuropress.readers.neuroconv.read import read
from neuropress.storage.roots import Folder
from neuropress.tools import neuroconv


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NEUROPRESS_TOOLS", str(tmp_path / "tools"))
    return install_stub(tmp_path / "tools")


class _Calls:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("true",)


CASES = {
    "unknown": ({"interface": "Stubb"}, "neuroconv.interface", "no interface 'Stubb'"),
    "none": ({}, "neuroconv.interface", "interface = "),
    "argument": ({"arguments": {"rate": 1}}, "neuroconv.argument", "it has file_path, sampling_frequency"),
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
