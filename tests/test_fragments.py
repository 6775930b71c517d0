"""Objects that another program exported, taken over into a session's file, through every verb."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import h5py
import numpy as np
import pytest
from builder import DATE, Builder
from fragment_plugin import write_export, write_fragment_package

from neuropress import converters, readers, registry
from neuropress.cli.main import main
from neuropress.model.graft import Graft
from neuropress.results.nwb import file as nwb

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
    capsys.readouterr()
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


@pytest.fixture
def converted(lab: Builder, install: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> Path:
    """The result, with all that was exported."""
    install(ALL, VIDEO)
    assert main(["convert", str(lab.root)]) == 0
    capsys.readouterr()
    path = lab.output("JB_S_0001.nwb")
    assert path is not None
    return path


def change_attribute(file: h5py.File) -> str:
    file["processing/video/Poses"].attrs["scorer"] = "another"
    return "/processing/video/Poses@scorer"


def change_type(file: h5py.File) -> str:
    file["processing/video/Poses/nose"].attrs["neurodata_type"] = "SpatialSeries"
    return "/processing/video/Poses/nose@neurodata_type"


def change_scalar(file: h5py.File) -> str:
    file["acquisition/JB_B_0001/starting_time"][()] = 0.25
    return "/acquisition/JB_B_0001/starting_time"


def change_link(file: h5py.File) -> str:
    del file["acquisition/answer0/electrode"]
    file["acquisition/answer0/electrode"] = h5py.SoftLink("/general/devices/probe")
    return "/acquisition/answer0/electrode"


def change_reference(file: h5py.File) -> str:
    region = file["processing/ophys/Fluorescence/raw/rois"]
    region.attrs.modify("table", file["general/extracellular_ephys/electrodes"].ref)
    return "/processing/ophys/Fluorescence/raw/rois@table"


def change_references_in_records(file: h5py.File) -> str:
    column = file["intervals/trials_of_video/timeseries"]
    records = column[()]
    records["timeseries"][1] = file["acquisition/answer0"].ref
    column[...] = records
    return "/intervals/trials_of_video/timeseries"


def change_object_id(file: h5py.File) -> str:
    file["processing/ophys"].attrs["object_id"] = str(uuid5(NAMESPACE_URL, "another"))
    return "/processing/ophys@object_id"


def add_member(file: h5py.File) -> str:
    file["processing/ophys/Fluorescence/raw/more"] = 1.0
    return "/processing/ophys/Fluorescence/raw/more"


def remove_member(file: h5py.File) -> str:
    del file["general/optophysiology/plane/location"]
    return "/general/optophysiology/plane/location"


def change_specification(file: h5py.File) -> str:
    group = file["specifications/ndx-lab/0.3.0"]
    name = next(name for name in group if name != "namespace")
    group[name][()] = group[name].asstr()[()].replace("Who.", "Why.")
    return "/specifications/ndx-lab/0.3.0"


CHANGES = (
    change_attribute, change_type, change_scalar, change_link, change_reference, change_references_in_records,
    change_object_id, add_member, remove_member, change_specification,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_of_the_result_is_found_even_if_its_receipt_is_changed_alike(
    converted: Path, lab: Builder, change: Callable[[h5py.File], str], capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(converted, "r+") as file:
        place = change(file)
    made = nwb.read_provenance(converted)
    made = replace(made, receipt=replace(made.receipt, derived=nwb.digest_derived(converted)))
    with h5py.File(converted, "r+") as file:
        file["general/neuropress/receipt_json"][()] = made.text("receipt")
    status, lines = run(capsys, "verify", str(lab.root))
    assert (status, set(list_ids(lines))) == (1, {"verify.different"}), lines
    assert place in {line["location"]["array"] for line in lines if "severity" in line}


def test_a_changed_sample_is_found(converted: Path, lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(converted, "r+") as file:
        file["processing/video/Poses/nose/data"][3, 1] = -0.0
        file["intervals/trials_of_video/outcome"][2] = "hit 2"
    status, lines = run(capsys, "verify", str(lab.root))
    places = {line["location"]["array"] for line in lines if line.get("id") == "verify.different"}
    assert (status, places) == (1, {"/processing/video/Poses/nose/data", "/intervals/trials_of_video/outcome"})


def test_an_export_that_changed_is_found_and_converted_again(
    converted: Path, lab: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(lab.raw(KEY), "r+") as file:
        file["processing/behavior/LabPose"].attrs["scorer"] = "another"
    status, lines = run(capsys, "verify", str(lab.root))
    assert (status, list_ids(lines)) == (1, ["verify.input_changed"])
    assert main(["convert", str(lab.root)]) == 0
    with h5py.File(converted) as file:
        assert file["processing/video/Poses"].attrs["scorer"] == "another"
    assert main(["verify", str(lab.root)]) == 0


def test_what_was_exported_is_explained(converted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(converted), "Poses/scorer"]) == 0
    out = capsys.readouterr().out
    assert f"{KEY}, which another program exported, /processing/behavior/LabPose/scorer" in out
    status, lines = run(capsys, "explain", str(converted), "JB_B_0001/data")
    assert (status, lines[0]["array"]["spec"]["array"]) == (0, "/acquisition/raw_voltage/data")


def test_plain_pynwb_opens_it(converted: Path) -> None:
    """In a process that has never heard of the extensions, and without neuropress."""
    code = """
import sys, pynwb
with pynwb.NWBHDF5IO(sys.argv[1], "r", load_namespaces=True) as io:
    file = io.read()
    poses = file.processing["video"]["Poses"]
    assert type(poses).__name__ == "LabPose" and poses.scorer == "r\u00e9snet"
    traces = file.processing["ophys"]["Fluorescence"]
    assert traces["raw"].rois.table is file.processing["ophys"]["ImageSegmentation"]["cells"]
    assert traces["corrected"].timestamps is traces["raw"].timestamps
    assert file.acquisition["JB_B_0001"].electrodes[2].label.iloc[0] == "site 3"
    assert file.intervals["trials_of_video"]["timeseries"][1][0].timeseries is file.acquisition["JB_B_0001"]
    assert file.intracellular_recordings["responses"]["response"][1].timeseries is file.acquisition["answer1"]
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(converted)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


ROWS = {"location": ["CA1"] * 4, "group_name": ["shank0"] * 4}
DEVICE = ("/general/devices/scope", "Device", {"description": "Of the tables."})
PLANE = "/general/optophysiology/plane"
REFUSED = {
    "place that NWB has not": ([(PLANE, "/nowhere/plane"), ("/general/devices/scope",)], (), "plan.invalid", "/nowhere"),
    "place of another type": ([("/general/devices/probe", "/acquisition/probe")], (), "plan.invalid", "NWBDataInterface"),
    "place for one object": ([("/general/devices/probe", "/units")], (), "plan.invalid", "Units"),
    "holder of another type": ([("/general/devices/probe", "/processing/video/x")], VIDEO, "plan.invalid", "x is for"),
    "no holder": ([("/processing/behavior/LabPose", "/processing/video/x")], (), "plan.invalid", "/processing/video"),
    "no such object": ([("/acquisition/raw_volt",)], (), "fragment.missing", "/acquisition/raw_voltage"),
    "no path": ([("acquisition/raw_voltage",)], (), "fragment.missing", "acquisition/raw_voltage"),
    "by a link": ([("/acquisition/answer0/electrode",)], (), "fragment.missing", "electrode"),
    "no type": ([("/acquisition",)], (), "fragment.unsupported", "/acquisition"),
    "an array": ([("/intervals/trials_of_video/id",)], (), "fragment.unsupported", "/intervals/trials_of_video/id"),
    "leads out": ([("/acquisition/raw_voltage",)], (), "fragment.reference", "/general/extracellular_ephys/electrodes"),
    "leads to another type": (
        [(PLANE,)], [("/general/devices/scope", "DeviceModel", {"manufacturer": "x"})], "fragment.reference", "DeviceModel",
    ),
    "name of a node": ([("/general/devices/scope",)], [DEVICE], "plan.collision", "/general/devices/scope"),
    "node of the session": ([("/general/devices/scope", "/general/subject")], (), "plan.collision", "/general/subject"),
    "node within": (
        [("/processing/ophys",), (PLANE,), ("/general/devices/scope",)],
        [("/processing/ophys/Position", "Position", {})], "plan.invalid", "/processing/ophys/Position",
    ),
    "export within": (
        [("/processing/ophys",), ("/processing/behavior/LabPose", "/processing/ophys/x")], (), "plan.invalid", "/processing/ophys/x",
    ),
    "twice": ([("/general/devices/scope",), ("/general/devices/scope", "/general/devices/y")], (), "plan.invalid", "devices/y"),
    "other rows": (
        [("/acquisition/raw_voltage",)],
        [("/general/extracellular_ephys/electrodes", "DynamicTable", {"description": "x", "x": [1, 2], "x/description": "x"})],
        "fragment.reference", "row ids",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_place_is_refused_alike_by_check_and_convert(
    name: str, lab: Builder, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    places, own, id, words = REFUSED[name]
    install(places, own)
    for verb in ("check", "convert"):
        status, lines = run(capsys, verb, str(lab.root))
        found = [line for line in lines if line.get("id") == id]
        assert (status, len(found)) == (1, 1), (verb, lines)
        assert words in found[0]["message"], found
    assert lab.output("JB_S_0001.nwb") is None


def test_a_device_of_the_plan_stands_for_the_one_of_the_export(
    lab: Builder, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    install([(PLANE,)], [DEVICE])
    assert main(["run", str(lab.root)]) == 0, capsys.readouterr().out
    with h5py.File(lab.output("JB_S_0001.nwb")) as file:
        assert file[f"{PLANE}/device"].attrs["description"] == "Of the tables."


def test_a_plane_is_of_the_device_of_the_other_export(
    lab: Builder, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    install(
        "[('/general/devices/scope',)] + [('/general/optophysiology/plane',)] * job.source.endswith('2.exported.nwb')"
    )
    other = KEY.replace("run", "run2")
    lab.put(other, lab.raw(KEY).read_bytes() + b" ")
    cells = {"behavior_id": "JB_B_0002", "session_id": "JB_S_0001", "metric_type": "position", "task": "running"}
    lab.row("behavior", **cells, file_path_raw=other)
    assert main(["run", str(lab.root)]) == 0, capsys.readouterr().out
    with h5py.File(lab.output("JB_S_0001.nwb")) as file:
        assert file["general/optophysiology/plane/device"] == file["general/devices/scope"]


def test_two_exports_share_what_both_state_alike(
    lab: Builder, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    install([("/general/devices/scope",)])
    other = KEY.replace("run", "run2")
    lab.put(other, lab.raw(KEY).read_bytes())
    cells = {"behavior_id": "JB_B_0002", "session_id": "JB_S_0001", "metric_type": "position", "task": "running"}
    lab.row("behavior", **cells, file_path_raw=other)
    assert main(["run", str(lab.root)]) == 0, capsys.readouterr().out
    with h5py.File(lab.raw(other), "r+") as file:
        file["general/devices/scope"].attrs["description"] = "Another one."
    status, lines = run(capsys, "convert", str(lab.root))
    assert (status, "plan.collision" in list_ids(lines)) == (1, True), lines


def test_times_of_another_start_are_refused(
    lab: Builder, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    install([("/general/devices/probe",)])
    lab.change("session", start_time="10:01")
    status, lines = run(capsys, "check", str(lab.root))
    assert (status, "fragment.clock" in list_ids(lines)) == (1, True)


def test_workers_take_over_too(lab: Builder, install: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    install(ALL, VIDEO)
    assert main(["run", str(lab.root)]) == 0, capsys.readouterr().out
    path = lab.output("JB_S_0001.nwb")
    first = path.read_bytes()
    path.unlink()
    assert main(["convert", str(lab.root), "--workers", "2"]) == 0, capsys.readouterr().out
    assert path.read_bytes() == first


def test_arrays_of_an_export_are_taken_over_from_the_older_result(
    converted: Path, lab: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.change("mouse", sex="M")
    assert main(["convert", str(lab.root)]) == 0
    assert main(["verify", str(lab.root)]) == 0
    path = lab.output("JB_S_0001.nwb")
    again = path.read_bytes()
    path.unlink()
    assert main(["convert", str(lab.root)]) == 0
    assert path.read_bytes() == again


RECEIPTS: dict[str, tuple[Callable[[Graft], Graft], set[str]]] = {
    "outside": (lambda graft: replace(graft, source="../secret.nwb"), {"path.unsafe"}),
    "no such file": (lambda graft: replace(graft, source="none.nwb"), {"file.missing"}),
    "no such object": (lambda graft: replace(graft, path="/acquisition/x"), {"fragment.missing"}),
    "the whole file": (lambda graft: replace(graft, path="/"), {"verify.different"}),
    "another object": (lambda graft: replace(graft, path="/general/devices/amplifier"), {"verify.different"}),
    "no such extension": (lambda graft: replace(graft, schemas={"ndx-x": "1"}), {"fragment.schema"}),
    "path as extension": (lambda graft: replace(graft, schemas={"../..": "1"}), {"fragment.schema"}),
}


@pytest.mark.parametrize("name", RECEIPTS)
def test_a_receipt_that_lies_about_what_was_exported_is_a_finding(
    name: str, lab: Builder, install: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    install([("/general/devices/probe",)])
    assert main(["convert", str(lab.root)]) == 0
    path = lab.output("JB_S_0001.nwb")
    change, ids = RECEIPTS[name]
    made = nwb.read_provenance(path)
    grafts = {place: change(graft) for place, graft in made.receipt.grafts.items()}
    made = replace(made, receipt=replace(made.receipt, grafts=grafts))
    with h5py.File(path, "r+") as file:
        file["general/neuropress/receipt_json"][()] = made.text("receipt")
    capsys.readouterr()
    status, lines = run(capsys, "verify", str(lab.root))
    assert (status, set(list_ids(lines))) == (1, ids), lines
