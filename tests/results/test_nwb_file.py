"""The NWB writer: values, bytes, provenance, take-over, and what happens when something fails."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import nwb_example as ex
import pytest

from neuropress.model.finding import Problem, problem
from neuropress.model.plan import ArraySpec, IndexMap, Node, Plan
from neuropress.model.receipt import InputDigest, block_digest, blocks, root_digest
from neuropress.results import Request, Seal
from neuropress.results.nwb import file as nwb
from neuropress.results.nwb import storage


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ex.write_example(tmp_path_factory.mktemp("nwb") / "RY_S_0001.nwb")


READ = """
import sys
sys.modules["neuropress"] = None  # as if it were not installed
import json, pynwb, warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", "The inplace keyword")  # hdmf calling pandas
with pynwb.NWBHDF5IO(sys.argv[1], "r") as io:
    f = io.read()
    movie, cell = f.acquisition["RY_IMG_0001"], f.acquisition["RY_E_0001_sweep001_ch0"]
    stimulus = f.stimulus["RY_E_0001_sweep000_ch0_stimulus"]
    recordings, tags = f.intracellular_recordings, f.events["RY_E_0001_tags"]
    conditions = f.icephys_experimental_conditions
    print(json.dumps({
        "start": f.session_start_time.isoformat(), "created": [d.isoformat() for d in f.file_create_date],
        "notes": f.notes, "keywords": list(f.keywords[:]), "experimenter": list(f.experimenter),
        "generated": [list(row) for row in f.was_generated_by[:]],
        "born": f.subject.date_of_birth.isoformat(), "weight": f.subject.weight, "sex": f.subject.sex,
        "movie": [list(movie.data.shape), str(movie.data.dtype), int(movie.data[7, 3, 11]), movie.rate],
        "plane": [movie.imaging_plane.name, movie.imaging_plane.optical_channel[0].emission_lambda],
        "spacing": [list(movie.imaging_plane.grid_spacing[:]), movie.imaging_plane.excitation_lambda],
        "device": movie.imaging_plane.device.name,
        "cell": [cell.data[:5].tolist(), cell.conversion, cell.unit, int(cell.sweep_number), cell.electrode.cell_id],
        "stimulus": [stimulus.data[1000:1002].tolist(), stimulus.unit],
        "response": [recordings["responses"]["response"][i].timeseries.name for i in range(len(recordings))],
        "stimuli": [r.count and [int(r.idx_start), int(r.count)] for r in recordings["stimuli"]["stimulus"][:]],
        "row notes": list(recordings["notes"][:]),
        "simultaneous": [len(f.icephys_simultaneous_recordings["recordings"][i]) for i in range(4)],
        "sequential": list(f.icephys_sequential_recordings["stimulus_type"][:]),
        "conditions": list(conditions["condition"][:]),
        "series": [sorted(f.acquisition), len(f.stimulus)],
        "tags": [list(tags["timestamp"][:]), list(tags["annotation"][:]), list(tags["kind"][:])],
        "sections": sorted(f.lab_meta_data["neuropress"].fields),
        "about": json.loads(f.lab_meta_data["neuropress"].about_json)["notes"],
        "type": f.lab_meta_data["neuropress"].namespace,
    }))
"""


def test_plain_pynwb_reads_everything_without_us(result: Path) -> None:
    run = subprocess.run([sys.executable, "-c", READ, str(result)], capture_output=True, text=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    pixels, sweep = ex.make_samples("pixels"), ex.make_samples("sweep001/adc0")
    assert found["start"] == "2025-06-20T09:30:00-04:00"
    assert found["created"] == ["2025-06-20T09:30:00-04:00"]
    assert found["notes"] == "line one\r\nline two \u00b5 \N{MOUSE}"
    assert found["keywords"] == ["dendrites", "voltage imaging"]
    assert found["experimenter"] == ["Lovelace, Ada"]
    assert found["generated"] == [["neuropress", "0.1.0"]]
    assert (found["born"], found["weight"], found["sex"]) == ("2025-04-01T00:00:00-04:00", "24.5 g", "F")
    assert found["movie"] == [[300, 12, 20], "uint16", int(pixels[7, 11, 3]), 500.0]
    assert found["plane"] == ["plane_RY_IMG_0001", 509.0]
    assert found["spacing"] == [[8e-07, 8e-07], 920.0]
    assert found["device"] == "microscope"
    assert found["cell"] == [sweep[:5].tolist(), 1e-05, "volts", 1, "RY_E_0001"]
    assert found["stimulus"] == [[100.0, 100.0], "amperes"]
    assert found["response"] == [f"RY_E_0001_sweep{i:03}_ch0" for i in range(4)]
    assert found["stimuli"] == [[0, 5000], None, [0, 5000], [0, 5000]]
    assert found["row notes"] == ["as planned", "", "", ""]
    assert found["simultaneous"] == [1, 1, 1, 1]
    assert (found["sequential"], found["conditions"]) == (["steps"], ["whole-cell, isoflurane"])
    assert found["series"] == [
        [*(f"RY_E_0001_sweep{i:03}_ch0" for i in range(4)), "RY_E_0002_monitor", "RY_IMG_0001"],
        4,
    ]
    assert found["tags"] == [[1.5, 3.25], ["drug on", "drug off"], ["comment", "comment"]]
    assert found["sections"] == ["about_json", "fields_json", "headers_json", "receipt_json", "records_json"]
    assert (found["about"], found["type"]) == (["a remark"], "ndx-neuropress")


def test_samples_and_digests(result: Path) -> None:
    receipt = nwb.read_provenance(result).receipt
    assert list(receipt.arrays) == sorted(ex.make_example_plan().arrays())
    with nwb.open_arrays(result) as arrays:
        assert set(arrays) == set(receipt.arrays)
        for path, array in receipt.arrays.items():
            expected = ex.make_samples(array.spec.array).transpose(array.spec.index.order)
            stored = arrays[path]
            assert (stored.shape, stored.dtype) == (expected.shape, expected.dtype)
            parts = [stored[part] for part in blocks(stored.shape, array.block)]
            assert root_digest([block_digest(part, array.hash) for part in parts]) == array.sha256
            np.testing.assert_array_equal(stored[tuple(slice(None) for _ in stored.shape)], expected)


def test_provenance_round_trip(result: Path) -> None:
    plan, found = ex.make_example_plan(), nwb.read_provenance(result)
    assert (found.target, found.records, found.notes) == (plan.target, plan.rows, plan.notes)
    assert found.records[0].cells["notes"] == "tab\tNUL\x00 \N{MOUSE}"
    assert found.fields["/general/subject/weight"] == ex.make_field("24.5 g")
    assert found.fields["/acquisition/RY_IMG_0001/rate"].value == 500.0
    assert np.isnan(found.headers[ex.CELL][""]["gain"])
    assert (found.receipt.version, found.receipt.rows) == ("0.1.0", "rowsdigest")
    assert found.receipt.inputs == ex.INPUTS
    assert found.receipt.revisions == {"mapping:session": 1}
    assert found.receipt.arrays["/acquisition/RY_IMG_0001/data"].spec == plan.arrays()["/acquisition/RY_IMG_0001/data"]
    with h5py.File(result) as file:
        assert file["/general/neuropress/records_json"].asstr()[()].isascii()


def test_storage_of_large_and_small_arrays(result: Path) -> None:
    with h5py.File(result) as file:
        movie, sweep, long = (
            file[f"/acquisition/{name}/data"] for name in ("RY_IMG_0001", "RY_E_0001_sweep000_ch0", "RY_E_0002_monitor")
        )
        assert (movie.chunks, movie.compression, movie.compression_opts, movie.shuffle) == (
            (300, 12, 20),
            "gzip",
            4,
            True,
        )
        assert (sweep.chunks, sweep.compression) == (None, None)
        assert (long.chunks, long.compression) == ((ex.LONG,), "gzip")


@pytest.mark.parametrize(
    ("shape", "dtype", "chunks"),
    [
        ((2000, 512, 512), "<u2", (4, 512, 512)),
        ((10, 2048, 2048), "<u2", (1, 2048, 2048)),
        ((3, 40, 5000, 4000), "<u2", (1, 1, 262, 4000)),
        ((100_000_000,), "<i2", (1_048_576,)),
        ((5, 100), "<f8", None),
        ((0,), "<i2", None),
    ],
)
def test_layout(shape: tuple[int, ...], dtype: str, chunks: tuple[int, ...] | None) -> None:
    spec = ArraySpec("a", "", "x", "memory", shape, dtype, IndexMap.whole(shape))
    found = storage.choose_layout(spec)
    assert found.chunks == chunks
    size = np.prod(found.block) * np.dtype(dtype).itemsize
    assert size <= max(storage.BLOCK, 16 * 1024**2)
    for block, chunk, extent in zip(found.block, chunks or found.block, shape, strict=True):
        assert block % chunk == 0 or block == extent


def test_edge_chunks_are_padded_and_cut(tmp_path: Path) -> None:
    data = np.arange(5 * 1100 * 1000, dtype="<u2").reshape(5, 1100, 1000)
    plan = make_movie_plan(data)
    path = ex.write_example(tmp_path / "edge.nwb", plan, raw=ex.Memory({"big": data}))
    with h5py.File(path) as file:
        stored = file["/acquisition/big/data"]
        assert stored.shape == (5, 1000, 1100)
        assert stored.chunks == (1, 1000, 1100)
        np.testing.assert_array_equal(stored[...], data.transpose(0, 2, 1))
    with nwb.open_arrays(path) as arrays:
        assert arrays["/acquisition/big/data"][slice(4, 5), slice(999, 1000), slice(0, 1)] == data[4, 0, 999]


def make_movie_plan(data: np.ndarray) -> Plan:
    series = Node(
        "/acquisition/big",
        "TwoPhotonSeries",
        ex.make_fields(description="A movie.", rate=10.0, starting_time=0.0, unit="n.a."),
        {"imaging_plane": "/general/optophysiology/plane_RY_IMG_0001"},
        {"data": ex.make_spec(ex.MOVIE, "big", (0, 2, 1), data)},
    )
    return ex.make_example_plan(nodes=[*ex.make_imaging_nodes()[:3], series])


def test_same_plan_same_bytes(result: Path, tmp_path: Path) -> None:
    again = ex.write_example(tmp_path / "other name.nwb")
    assert again.read_bytes() == result.read_bytes()


@pytest.mark.parametrize(("zone", "seed"), [("Asia/Tokyo", "1"), ("America/Los_Angeles", "77")])
def test_same_bytes_in_another_process_and_time_zone(result: Path, tmp_path: Path, zone: str, seed: str) -> None:
    code = "import sys, pathlib, nwb_example; nwb_example.write_example(pathlib.Path(sys.argv[1]))"
    tests = Path(ex.__file__).parent
    path = os.pathsep.join([str(tests.parent / "src"), str(tests)])
    env = {**os.environ, "TZ": zone, "PYTHONHASHSEED": seed, "PYTHONPATH": path}
    other = tmp_path / "other.nwb"
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(other)], env=env, check=True)
    assert other.read_bytes() == result.read_bytes()


def test_derived_is_recomputed_the_same(result: Path) -> None:
    assert nwb.digest_derived(result) == nwb.read_provenance(result).receipt.derived
    assert "/acquisition/RY_IMG_0001/data" in nwb.digest_derived(result)


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("/general/subject/weight", lambda d: d.__setitem__((), "25 g")),
        ("/session_description", lambda d: d.__setitem__((), "another")),
        ("/general/keywords", lambda d: d.__setitem__(0, "axons")),
        ("/events/RY_E_0001_tags/timestamp", lambda d: d.__setitem__(0, 1.25)),
        ("/acquisition/RY_IMG_0001/data", lambda d: d.attrs.__setitem__("conversion", 2.0)),
        ("/acquisition/RY_IMG_0001", lambda g: g.attrs.__setitem__("comments", "none")),
        ("/acquisition/RY_E_0001_sweep000_ch0/starting_time", lambda d: d.__setitem__((), 0.5)),
        ("/general/optophysiology/plane_RY_IMG_0001/grid_spacing", lambda d: d.__setitem__(1, 8.1e-07)),
        ("/general/intracellular_ephys/intracellular_recordings/responses/response", lambda d: d.__setitem__(0, d[1])),
        ("/general/intracellular_ephys/intracellular_recordings/electrodes/id", lambda d: d.__setitem__(0, 9)),
    ],
)
def test_derived_finds_any_change(result: Path, tmp_path: Path, place: str, change) -> None:  # type: ignore[no-untyped-def]
    copy = shutil.copy(result, tmp_path / "copy.nwb")
    before = nwb.digest_derived(copy)
    with h5py.File(copy, "r+") as file:
        change(file[place])
    after = nwb.digest_derived(copy)
    assert [path for path in before if before[path] != after[path]] == [place]


def test_derived_finds_removed_added_and_redirected(result: Path, tmp_path: Path) -> None:
    copy = shutil.copy(result, tmp_path / "copy.nwb")
    before = nwb.digest_derived(copy)
    with h5py.File(copy, "r+") as file:
        del file["/general/notes"]
        file["/scratch"] = 1
        plane = file["/general/optophysiology/plane_RY_IMG_0001"]
        del plane["device"]
        plane["device"] = h5py.SoftLink("/general/devices/amplifier")
    after = nwb.digest_derived(copy)
    assert set(before) - set(after) == {"/general/notes"}
    assert set(after) - set(before) == {"/scratch"}
    assert [path for path in before if path in after and before[path] != after[path]] == [
        "/",
        "/general",
        "/general/optophysiology/plane_RY_IMG_0001",
    ]


def test_changed_samples_are_not_in_derived_but_in_the_array(result: Path, tmp_path: Path) -> None:
    copy = shutil.copy(result, tmp_path / "copy.nwb")
    with h5py.File(copy, "r+") as file:
        file["/acquisition/RY_E_0001_sweep000_ch0/data"][17] += 1
    assert nwb.digest_derived(copy) == nwb.digest_derived(result)
    array = nwb.read_provenance(copy).receipt.arrays["/acquisition/RY_E_0001_sweep000_ch0/data"]
    with nwb.open_arrays(copy) as arrays:
        block = arrays["/acquisition/RY_E_0001_sweep000_ch0/data"][slice(0, ex.SAMPLES),]
    assert root_digest([block_digest(block, array.hash)]) != array.sha256


def make_closed_raw() -> ex.Memory:
    class Closed(ex.Memory):
        def read(self, spec: ArraySpec, selection: tuple[slice, ...]) -> np.ndarray:
            raise AssertionError(f"{spec.source} was read")

    return Closed()


def test_new_metadata_takes_the_samples_over(result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "pack_chunk", None)
    path = shutil.copy(result, tmp_path / "RY_S_0001.nwb")
    plan = ex.make_example_plan(file=ex.make_file_node(notes="corrected"))
    seen: list[int] = []
    seal = Seal("0.2.0", "new rows", ex.INPUTS)
    nwb.finish(Request(plan, path, seal, path), None, make_closed_raw(), seen.append)
    assert sum(seen) == plan.nbytes
    old, new = nwb.read_provenance(result).receipt, nwb.read_provenance(path).receipt
    assert (new.version, new.rows, new.arrays) == ("0.2.0", "new rows", old.arrays)
    assert nwb.digest_derived(path)["/general/notes"] != nwb.digest_derived(result)["/general/notes"]
    with nwb.open_arrays(path) as now, nwb.open_arrays(result) as then:
        for name, array in then.items():
            everything = tuple(slice(None) for _ in array.shape)
            np.testing.assert_array_equal(now[name][everything], array[everything])


def test_a_renamed_series_is_taken_over(result: Path, tmp_path: Path) -> None:
    plan = ex.make_example_plan()
    nodes = [dataclasses.replace(n, path=n.path.replace("RY_IMG_0001", "RY_IMG_0002")) for n in ex.make_imaging_nodes()]
    links = {"imaging_plane": "/general/optophysiology/plane_RY_IMG_0002"}
    nodes[3] = dataclasses.replace(nodes[3], links=links)
    nodes[2] = dataclasses.replace(
        nodes[2], links={**nodes[2].links, "optical_channel": ("/general/optophysiology/plane_RY_IMG_0002/channel",)}
    )
    plan = ex.make_example_plan(nodes=[*nodes, *ex.make_ephys_nodes()])
    path = ex.write_example(tmp_path / "renamed.nwb", plan, raw=make_closed_raw(), previous=result)
    assert "/acquisition/RY_IMG_0002/data" in nwb.read_provenance(path).receipt.arrays


def test_changed_input_or_specification_is_read_again(result: Path, tmp_path: Path) -> None:
    changed = Seal("0.1.0", "rowsdigest", {**ex.INPUTS, ex.MOVIE: InputDigest(2, "cc")})
    raw = ex.Memory()
    ex.write_example(tmp_path / "a.nwb", raw=raw, previous=result, seal=changed)
    assert raw.reads == 1
    beside = Seal("0.1.0", "rowsdigest", {**ex.INPUTS, ex.CELL.replace("cell.abf", "steps.atf"): InputDigest(3, "dd")})
    raw = ex.Memory()
    ex.write_example(tmp_path / "b.nwb", raw=raw, previous=result, seal=beside)
    assert raw.reads == len(ex.make_example_plan().arrays()) - 1


def test_an_unreadable_previous_is_written_anew(tmp_path: Path) -> None:
    previous = tmp_path / "old.nwb"
    previous.write_bytes(b"not HDF5")
    raw = ex.Memory()
    ex.write_example(tmp_path / "new.nwb", raw=raw, previous=previous)
    assert raw.reads == len(ex.make_example_plan().arrays())


class Breaks(ex.Memory):
    """A source that turns out to be bad in the middle."""

    def read(self, spec: ArraySpec, selection: tuple[slice, ...]) -> np.ndarray:
        if spec.array == "sweep002/adc0":
            raise problem("file.changed", "the file was cut", file=spec.source)
        return super().read(spec, selection)


@pytest.mark.parametrize("there", [False, True])
def test_failure_leaves_what_was_there(result: Path, tmp_path: Path, there: bool) -> None:
    path = tmp_path / "RY_S_0001.nwb"
    if there:
        shutil.copy(result, path)
    with pytest.raises(Problem, match="the file was cut"):
        ex.write_example(path, raw=Breaks())
    assert sorted(p.name for p in tmp_path.iterdir()) == (["RY_S_0001.nwb"] if there else [])
    if there:
        assert path.read_bytes() == result.read_bytes()


def test_a_block_of_another_shape_is_refused(tmp_path: Path) -> None:
    class Shorter(ex.Memory):
        def read(self, spec: ArraySpec, selection: tuple[slice, ...]) -> np.ndarray:
            return super().read(spec, selection)[:-1]

    with pytest.raises(Problem, match=r"movie\.tif: a block of pixels has shape \(299, 12, 20\), not the planned"):
        ex.write_example(tmp_path / "x.nwb", raw=Shorter())
    assert list(tmp_path.iterdir()) == []


DEVICE = Node("/general/devices/d", "Device", ex.make_fields(description="A device."))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([Node("/acquisition/x", "TwoPhotonMovie")], "/acquisition/x: NWB has no type TwoPhotonMovie"),
        (
            [Node("/general/devices/d", "Device", ex.make_fields(serial="1"))],
            "Device has no field 'serial'; known: description",
        ),
        ([DEVICE, DEVICE], "two nodes have the same path"),
        (
            [Node("/processing/d", "Device", ex.make_fields(description="x"))],
            "/processing (NWBFile) holds no Device",
        ),
        (
            [Node("/general/devices/d", "Device", {}, {"model": "/general/devices/models/m"})],
            "the plan has no such node",
        ),
        ([Node("/general/devices/d", "Device", {}, {"model": "/general/devices/d"})], "links to itself"),
        ([Node("/acquisition/x", "TimeSeries", ex.make_fields(unit=3, data=[1.0], rate=1.0))], "/acquisition/x: "),
        (
            [Node("/events/e", "EventsTable", ex.make_fields(description="x", text=["a"]))],
            "the column text needs a field text/description",
        ),
        (
            [Node("/e/simultaneous_recordings/0", "SimultaneousRecording", {}, {"recordings": ("/e/1",)})],
            "refers to /e/1",
        ),
        ([Node("/e/intracellular_recordings/0", "IntracellularRecording", {}, {"plot": "/e/1"})], "has no link 'plot'"),
        (
            [Node("/acquisition/x", "TimeSeries", ex.make_fields(unit="V", data=[[1], [2, 3]], rate=1.0))],
            "inhomogeneous",
        ),
        (
            [Node("/acquisition/x", "TimeSeries", ex.make_fields(unit="V", data=[1.0], rate=1.0, control=["b"]))],
            "could not convert",
        ),
        (
            [Node("/general/devices/d", "Device", ex.make_fields(description="a\0b"))],
            "description holds a NUL character",
        ),
    ],
)
def test_an_impossible_plan_is_told(tmp_path: Path, nodes: list[Node], message: str) -> None:
    with pytest.raises(Problem) as caught:
        ex.write_example(tmp_path / "x.nwb", ex.make_example_plan(nodes=nodes))
    assert caught.value.finding.id == "plan.invalid"
    assert message in caught.value.finding.message
    assert list(tmp_path.iterdir()) == []
    assert list(nwb.check_plan(ex.make_example_plan(nodes=nodes))) == [caught.value.finding]


@pytest.mark.parametrize(
    "node",
    [
        Node("/acquisition/x", "Device", ex.make_fields(description="a device in the wrong place")),
        Node("/e/sequential_recordings/0", "SequentialRecording", {}, {"simultaneous_recordings": ()}),
    ],
)
def test_what_pynwb_itself_refuses_is_an_impossible_plan(tmp_path: Path, node: Node) -> None:
    with pytest.raises(Problem) as caught:
        ex.write_example(tmp_path / "x.nwb", ex.make_example_plan(nodes=[node]))
    assert (
        [caught.value.finding.id]
        == [f.id for f in nwb.check_plan(ex.make_example_plan(nodes=[node]))]
        == ["plan.invalid"]
    )


def test_a_possible_plan_has_no_findings() -> None:
    assert list(nwb.check_plan(ex.make_example_plan())) == []


@pytest.mark.parametrize(
    ("start", "message"), [("2025-06-20T09:30:00", "has no offset"), ("noon", "is no ISO 8601"), (12, "is no ISO 8601")]
)
def test_a_start_without_zone_is_refused(tmp_path: Path, start: object, message: str) -> None:
    with pytest.raises(Problem, match=message):
        ex.write_example(tmp_path / "x.nwb", ex.make_example_plan(file=ex.make_file_node(session_start_time=start)))


def test_no_file_node(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no node '/' of type NWBFile"):
        ex.write_example(tmp_path / "x.nwb", dataclasses.replace(ex.make_example_plan(), nodes=(DEVICE,)))


def test_reading_damaged_results(result: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.nwb"
    path.write_bytes(result.read_bytes()[:1000])
    with pytest.raises(Problem) as caught:
        nwb.read_provenance(path)
    assert caught.value.finding.id == "result.unreadable"
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(Problem, match=r"x\.nwb was not written by neuropress"):
        nwb.read_provenance(path)
    with pytest.raises(Problem), nwb.open_arrays(tmp_path / "missing.nwb"):
        pass


def test_a_corrupt_chunk_is_told_with_its_place(result: Path, tmp_path: Path) -> None:
    path = shutil.copy(result, tmp_path / "x.nwb")
    with h5py.File(path) as file:
        chunk = file["/acquisition/RY_IMG_0001/data"].id.get_chunk_info(0)
    with Path(path).open("rb+") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * 64)
    with nwb.open_arrays(path) as arrays, pytest.raises(Problem) as caught:
        arrays["/acquisition/RY_IMG_0001/data"][slice(0, 300), slice(0, 12), slice(0, 20)]
    found = caught.value.finding
    assert (found.id, found.location.array, found.location.index) == (
        "result.unreadable",
        "/acquisition/RY_IMG_0001/data",
        (0, 0, 0),
    )
