"""Exports that are damaged or mean ill are findings of their row, and nothing is written."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from builder import DATE, Builder
from hostile_exports import HOSTILE
from test_fragments import KEY, VIDEO, export, install, lab, list_ids, run

from neuropress.cli.main import main
from neuropress.model import budget
from neuropress.model.source import Source
from neuropress.readers.hdf5.fragment import read_fragment
from neuropress.storage.roots import Folder

__all__ = ["export", "install", "lab"]

POSES = ("/processing/behavior/LabPose", "/processing/video/Poses")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_export_is_a_finding(
    name: str, lab: Builder, install: Callable[..., None], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(budget, "FRAGMENT_OBJECTS", 300)
    make, id = HOSTILE[name]
    install([POSES], VIDEO)
    make(lab.raw(KEY))
    status, lines = run(capsys, "convert", str(lab.root))
    assert (status, id in list_ids(lines)) == (1, True), lines
    assert not {"internal.error", "plugin.failed"} & set(list_ids(lines)), lines
    assert lab.output("JB_S_0001.nwb") is None


def test_attributes_may_not_take_more_than_the_budget(
    lab: Builder, install: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "FRAGMENT_TEXT", 50)
    install([POSES], VIDEO)
    status, lines = run(capsys, "check", str(lab.root))
    assert (status, "fragment.unreadable" in list_ids(lines)) == (1, True)


class _Failing(io.RawIOBase):
    """A file of which a number of bytes can be read."""

    def __init__(self, path: Path, most: int) -> None:
        self._file, self._left = path.open("rb", buffering=0), most

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: bytearray) -> int:
        self._left -= len(buffer)
        if self._left < 0:
            raise OSError("the network is gone")
        return self._file.readinto(buffer)


class _FailingFolder(Folder):
    most = 0

    def open(self, key: str) -> io.RawIOBase:
        return _Failing(self.path(key), self.most)


def test_a_network_that_fails_is_no_damage(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _FailingFolder(export.parent)
    for most in range(0, 80_000, 8_000):
        monkeypatch.setattr(_FailingFolder, "most", most)
        with pytest.raises(OSError, match="the network is gone"):
            read_fragment(Source(export.name, folder), "x")


def test_what_is_odd_but_harmless_is_taken_over(
    lab: Builder, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two names of one dataset, links by links, relative ones, no elements, truths, choices, numbers of any order."""
    with h5py.File(lab.raw(KEY), "r+") as file:
        poses = file[POSES[0].strip("/")]
        nose = poses["nose"]
        nose["twin"] = nose["data"]
        nose["by_link"] = h5py.SoftLink("by_another")
        nose["by_another"] = h5py.SoftLink("data")
        nose.create_dataset("truths", data=[True, False])
        nose.create_dataset("truth", data=True)
        nose.create_dataset("choice", data=[1, 0], dtype=h5py.enum_dtype({"a": 0, "b": 1}))
        nose.create_dataset("halves", data=np.array([0.5, np.nan], ">f2"))
        nose.create_dataset("fixed", data=np.array([b"ab", b""], "S2"))
        nose.create_dataset("cube", data=np.arange(24, dtype=">u8").reshape(2, 3, 4), maxshape=(None, 3, 4))
        nose.create_dataset("nothing", data=h5py.Empty("f8"))
        nose.create_dataset("nobody", (0,), h5py.ref_dtype)
        nose.create_dataset("null", (2,), h5py.ref_dtype)
        nose.attrs["empty"] = h5py.Empty("S1")
        nose.attrs["several"] = np.array([1, 2, 3], ">i2")
        nose.attrs["itself"] = nose.ref
    install([POSES], VIDEO)
    for verb in ("convert", "verify"):
        status, lines = run(capsys, verb, str(lab.root))
        assert status == 0, lines
    with h5py.File(lab.output("JB_S_0001.nwb")) as file:
        nose = file[POSES[1].strip("/")]["nose"]
        assert nose["by_link"] == nose["data"]
        assert nose["cube"][1, 2, 3] == 23
        assert nose["fixed"].asstr()[()].tolist() == ["ab", ""]
        assert nose["choice"].dtype.metadata == {"enum": {"a": 0, "b": 1}}
        assert file[nose.attrs["itself"]] == nose


@pytest.mark.corpus
def test_a_real_file_is_taken_over(
    corpus: Path, tmp_path: Path, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Units, electrodes and epochs as another lab wrote them, with an older version of NWB."""
    (real,) = corpus.glob("nwb/pynapple-org__pynapple/A8604-211122.nwb")
    with h5py.File(real) as file:
        spikes = file["units/spike_times"][()]
    made = Builder(tmp_path / "ds")
    made.row("mouse", mouse_id="JB_M_0001", strain="C57BL/6J", sex="F", birth_date="20210301")
    cells = {"session_id": "JB_S_0001", "mouse_id": "JB_M_0001", "experimenter": "Bo Beispiel", "session_date": DATE}
    made.row("session", **cells, start_time="10:00", end_time="11:00")
    made.put(KEY, real.read_bytes())
    made.row("behavior", behavior_id="JB_B_0001", session_id="JB_S_0001", metric_type="position", file_path_raw=KEY)
    with h5py.File(made.raw(KEY), "r+") as file:
        for name in ("session_start_time", "timestamps_reference_time"):
            del file[name]
            file[name] = "2025-06-20T10:00:00-04:00"
    install(
        [("/units",), ("/intervals/epochs",), ("/general/extracellular_ephys/group0_psb",), ("/general/devices/-0",)]
    )
    for verb in ("convert", "verify", "validate"):
        status, lines = run(capsys, verb, str(made.root))
        assert (status, {line["severity"] for line in lines if "id" in line} - {"warning", "info"}) == (0, set()), lines
    with h5py.File(made.output("JB_S_0001.nwb")) as file:
        assert np.array_equal(file["units/spike_times"][()], spikes)
    assert main(["convert", str(made.root)]) == 0
    assert "up to date" in capsys.readouterr().out
