"""What hdmf makes of an NWB file is what we write: objects that are alike, and the file as a whole."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from builder import Builder, abf
from hdmf.build import BuildManager
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.icephys import VoltageClampSeries

from neuropress.readers.hdf5.walk import get_address, walk_objects
from neuropress.results.nwb import alike, files
from neuropress.results.nwb.builders import BuilderWriter, write_specifications
from neuropress.results.nwb.digest import describe_object
from neuropress.results.nwb.extension import get_type_map


def describe_file(path: Path) -> dict[str, Any]:
    """All that is in a file, but for the ids of objects and our own provenance."""
    with h5py.File(path) as file:
        objects = dict(walk_objects(file, "/", ("/general/neuropress",)))
        addresses = {get_address(item): name for name, item in objects.items()}
        found = {name: describe_object(item, False, addresses, 0) for name, item in objects.items()}
    for about in found.values():
        about["attributes"].pop("object_id", None)
    return found


def convert(root: Path, recording: Path) -> Path:
    build = Builder(root)
    build.session(1)
    build.ephys(recording, "20000")
    build.ephys(recording, "20000", number=2, recording_type="dendritic patch; in vivo")
    assert build.dataset.convert().ok
    found = build.output("RY_S_0001.nwb")
    assert found
    return found


def test_objects_made_alike_are_those_of_hdmf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = abf(tmp_path / "r.abf", sweeps=4, points=50)
    made: list[alike.MadeAlike] = []
    make_builder = alike._Pattern.make_builder

    def note(pattern: Any, container: Any, source: str) -> Any:
        made.append(make_builder(pattern, container, source))
        return made[-1]

    monkeypatch.setattr(alike._Pattern, "make_builder", note)
    ours = convert(tmp_path / "ours", recording)
    count = len(made)
    assert sum(builder.name.startswith("RY_E_") for builder in made) >= 7, "eight sweeps, and hdmf built one"
    monkeypatch.setattr(files, "AlikeBuildManager", BuildManager)
    theirs = convert(tmp_path / "theirs", recording)
    assert len(made) == count
    assert ours.read_bytes() == theirs.read_bytes()


def make_session() -> NWBFile:
    """One of each kind of value: texts, numbers, lists, links, references and records with references."""
    file = NWBFile("a session – µ", "id-1", datetime(2025, 6, 20, tzinfo=UTC), experimenter=["A", "Bé"])
    device = file.create_device("rig")
    electrode = file.create_icephys_electrode(name="e1", description="an electrode", device=device)
    for number in range(3):
        series = VoltageClampSeries(
            name=f"sweep{number}", data=np.arange(5, dtype="<i2"), electrode=electrode, rate=10.0,
            starting_time=float(number), gain=np.nan, sweep_number=np.uint32(number),
        )  # fmt: skip
        file.add_acquisition(series)
        row = file.add_intracellular_recording(electrode=electrode, response=series)
        file.add_icephys_simultaneous_recording(recordings=[row])
    file.add_acquisition(TimeSeries(name="µ", data=[1.5, 2.5], unit="m", timestamps=[0.0, 0.5], comments=""))
    file.add_trial_column("kind", "a text")
    file.add_trial(start_time=0.0, stop_time=1.0, kind="längs")
    file.add_trial(start_time=1.0, stop_time=2.0, kind="")
    file.add_unit_column("good", "a truth")
    file.add_unit(spike_times=[0.1, 0.2], good=True)
    return file


def test_what_is_written_is_what_hdmf_writes(tmp_path: Path) -> None:
    with NWBHDF5IO(tmp_path / "theirs.nwb", "w", manager=BuildManager(get_type_map())) as io:
        io.write(make_session(), expandable=())
    alike._PATTERNS.clear()
    with h5py.File(tmp_path / "ours.nwb", "w") as file:
        root = alike.AlikeBuildManager(get_type_map()).build(make_session(), source=file.filename, root=True)
        BuilderWriter(file, {}).write(root)
        write_specifications(file, get_type_map())
    ours, theirs = describe_file(tmp_path / "ours.nwb"), describe_file(tmp_path / "theirs.nwb")
    theirs["/file_create_date"] = ours["/file_create_date"]  # now, in each
    assert ours == theirs
    assert any(name.startswith("/specifications/core") for name in ours)
