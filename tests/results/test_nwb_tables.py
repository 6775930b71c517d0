"""Places, tables, regions and clocks: plan -> NWB -> pynwb reads it -> verify, explain and validate answer."""

from pathlib import Path

import h5py
import numpy as np
import nwb_example as ex
import nwb_tables as nt
import pynwb
import pytest

from neuropress.model.clock import Clock
from neuropress.model.finding import Problem, Severity
from neuropress.model.plan import Node
from neuropress.proof import verify
from neuropress.readers.hdf5 import guard
from neuropress.results import Request
from neuropress.results.nwb import file as nwb
from neuropress.verbs.explain import explain_result

NODES = {
    "behavior": nt.make_behavior_nodes,
    "tables": nt.make_table_nodes,
    "electrodes": nt.make_electrode_nodes,
    "regions": nt.make_region_nodes,
}


@pytest.fixture(scope="module", params=NODES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    return request.param, *nt.write_plan(tmp_path_factory.mktemp(request.param), NODES[request.param]())


def verify_example(path: Path, roots, cache, raw: type[nt.Raw] = nt.Raw):  # type: ignore[no-untyped-def]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "RawArrays", raw)
        return verify.verify_result(path, roots, cache, lambda n: None)


def test_written_results_are_proven_and_have_nothing_unexplained(made) -> None:  # type: ignore[no-untyped-def]
    name, path, roots, cache = made
    found = verify_example(path, roots, cache)
    assert found.findings == ()
    assert found.arrays == len(ex.make_example_plan(nodes=NODES[name]()).arrays())
    unexplained = [f for f in nwb.validate(path) if f.severity is not Severity.INFO]
    assert unexplained == []


def test_one_changed_value_of_any_array_is_found(made, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _, path, roots, cache = made
    for array in nwb.read_provenance(path).receipt.arrays:
        copy = tmp_path / "copy.nwb"
        copy.write_bytes(path.read_bytes())
        with h5py.File(copy, "r+") as file:
            value = file[array][-1]
            if isinstance(value, bytes):
                file[array][-1] = value[:-1] + b"?"
            elif value.dtype.fields:
                value["weight"] = np.nextafter(value["weight"], np.float32(2))
                file[array][-1] = value
            else:
                flat = np.atleast_1d(value)
                flat.view("u1")[0] ^= 1
                file[array][-1] = flat if np.ndim(value) else flat[0]
        found = [f.id for f in verify_example(copy, roots, cache).findings]
        assert found == ["verify.different", "verify.digest"], array


def test_everything_has_an_explanation(made) -> None:  # type: ignore[no-untyped-def]
    name, path, *_ = made
    known = {e.path for e in explain_result(path)}
    for node in NODES[name]():
        for field in (*node.fields, *node.arrays):
            assert f"{node.path}/{field}" in known


def test_a_clock_is_told(tmp_path: Path) -> None:
    path, *_ = nt.write_plan(tmp_path, nt.make_behavior_nodes())
    (explained,) = explain_result(path, "/processing/behavior/Position/snout/timestamps")
    assert "  by the clock stored*0.001 + 12.5 s" in explained.lines()
    assert explained.to_json()["array"]["spec"]["clock"] == {"scale": "0.001", "offset": "12.5"}


def open_nwb(path: Path) -> pynwb.NWBHDF5IO:
    return pynwb.NWBHDF5IO(str(path), "r")


def test_pynwb_reads_behaviour(tmp_path: Path) -> None:
    path, *_ = nt.write_plan(tmp_path, nt.make_behavior_nodes())
    with open_nwb(path) as io:
        module = io.read().processing["behavior"]
        snout = module["Position"]["snout"]
        np.testing.assert_array_equal(snout.data[:], nt.ARRAYS["xy"])
        assert snout.timestamps[:].tolist() == [(int(t) + 12500) / 1000 for t in nt.ARRAYS["ms"]]
        assert module["BehavioralTimeSeries"]["speed"].data.dtype == np.float32


def test_pynwb_reads_tables(tmp_path: Path) -> None:
    path, *_ = nt.write_plan(tmp_path, nt.make_table_nodes())
    with open_nwb(path) as io:
        file = io.read()
        trials = file.trials
        assert trials.colnames == ("start_time", "stop_time", "block", "correct", "choice")
        assert trials["start_time"][:3].tolist() == [12.5, 13.5, 14.5]
        assert list(trials["choice"][:2]) == ["left", "right"]
        assert trials["block"][:2].tolist() == [1.0, 2.5]
        assert trials["correct"].data.dtype == bool
        assert len(file.intervals["lights_off"].id) == 10
        events = file.events["licks"]
        assert list(events["label"][:4]) == nt.TEXTS[:4].tolist()


def test_pynwb_reads_electrodes_and_units(tmp_path: Path) -> None:
    path, *_ = nt.write_plan(tmp_path, nt.make_electrode_nodes())
    with open_nwb(path) as io:
        file = io.read()
        assert file.electrodes["group"][2].name == "shank0"
        assert file.acquisition["probe"].electrodes.data[:].tolist() == [0, 1, 2, 3]
        expected = [(int(t) + 30000) / 30000 for t in nt.ARRAYS["spikes"][10:25]]
        assert file.units["spike_times"][1].tolist() == expected
        assert file.units["electrodes"][2]["location"].tolist() == ["VISp"]


def test_pynwb_reads_regions(tmp_path: Path) -> None:
    path, *_ = nt.write_plan(tmp_path, nt.make_region_nodes())
    with open_nwb(path) as io:
        file = io.read()
        ophys = file.processing["ophys"]
        rois = ophys["ImageSegmentation"]["PlaneSegmentation"]
        np.testing.assert_array_equal(np.asarray(rois["pixel_mask"][1]), nt.ARRAYS["masks"][10:15])
        assert ophys["Fluorescence"]["traces"].rois.table is rois
        assert file.analysis["summary"]["score"][:].tolist() == [0.5, 1.0, 2.0]
        assert file.scratch["left"]["score"][:].tolist() == [0.5, 1.0]


class Many(nt.Raw):
    data = nt.make_arrays(masked=300_000, events=100_000)


def test_many_events_and_pixels_cost_no_provenance_each(tmp_path: Path) -> None:
    nodes = [*nt.make_table_nodes(Many.data), *nt.make_region_nodes(Many.data)]
    path, roots, cache = nt.write_plan(tmp_path, nodes, Many)
    sizes = {name: len(text) for name, text in nwb.read_provenance(path).texts().items()}
    assert sum(sizes.values()) < 40_000
    assert verify_example(path, roots, cache, Many).findings == ()
    with h5py.File(path) as file:
        assert file[f"{nt.ROIS}/pixel_mask"].compression == "gzip"
        np.testing.assert_array_equal(file[f"{nt.ROIS}/pixel_mask"][:], Many.data["masks"])


def test_unchanged_columns_are_taken_over(tmp_path: Path) -> None:
    nodes = [*nt.make_table_nodes(Many.data), *nt.make_region_nodes(Many.data)]
    path, *_ = nt.write_plan(tmp_path, nodes, Many)
    before = path.read_bytes()
    raw = Many()
    made = nwb.read_provenance(path).receipt
    seal = nwb.Seal("0.1.0", "rows", made.inputs)
    nwb.finish(Request(nt.make_plan(nodes, made.inputs), path, seal, path), None, raw, lambda n: None)
    assert raw.reads == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (Node("/intervals/t", "TimeIntervals", ex.make_fields(description="d", a=[1])), "needs a field a/description"),
        (
            Node("/intervals/t", "TimeIntervals", ex.make_fields(**{"description": "d", "a/description": "x"})),
            "a column that the table does not have",
        ),
        (
            Node("/analysis/t", "DynamicTable", ex.make_fields(**{"description": "d", "a": [1], "a/unit": "V"})),
            "column a (VectorData) has no 'unit'",
        ),
        (Node("/analysis/t", "DynamicTable", ex.make_fields(description="d", a=3)), "needs a list or an array"),
        (Node("/analysis/t", "DynamicTable", ex.make_fields(description="d", a=[1, "x"])), "neither texts alone nor numbers"),
        (Node("/analysis/t", "DynamicTable", ex.make_fields(description="d", a=[1, None])), "neither texts alone nor"),
        (Node("/analysis/t", "DynamicTable", ex.make_fields(description="d", a=[[1], [1, 2]])), "inhomogeneous"),
        (
            Node("/acquisition/p", "ElectricalSeries", ex.make_fields(data=[1.0], rate=1.0, electrodes="0:9"),
                 {"electrodes": "/analysis/one"}),
            "names row 8 of /analysis/one, which has 1 rows",
        ),
        (
            Node("/acquisition/p", "ElectricalSeries", ex.make_fields(data=[1.0], rate=1.0, electrodes="first"),
                 {"electrodes": "/analysis/one"}),
            "no list of row numbers",
        ),
        (Node("/processing/behavior/x", "TimeSeries", ex.make_fields(unit="V", data=[1.0], rate=1.0)), "/processing/behavior is no node"),
        (Node("/analysis/one/x", "TimeSeries", ex.make_fields(unit="V", data=[1], rate=1.0)), "holds no TimeSeries"),
        (Node("/units", "TimeIntervals", ex.make_fields(description="d")), "/units is a Units in every NWB file"),
    ],
)  # fmt: skip
def test_an_impossible_table_is_told(tmp_path: Path, node: Node, message: str) -> None:
    one = Node("/analysis/one", "DynamicTable", ex.make_fields(**{"description": "d", "a": [1], "a/description": "x"}))
    with pytest.raises(Problem) as caught:
        nt.write_plan(tmp_path, [one, node])
    assert caught.value.finding.id == "plan.invalid"
    assert message in caught.value.finding.message


NUL = {**nt.ARRAYS, "event": np.array(["a", "b\0c"] * 50, dtype=np.dtypes.StringDType())}


class Nul(nt.Raw):
    data = NUL


def test_a_text_that_hdf5_cannot_hold_is_told(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="row 1 of event holds a NUL"):
        nt.write_plan(tmp_path, nt.make_table_nodes(Nul.data), Nul)
    assert not (tmp_path / "RY_S_0001.nwb").exists()


class Short(nt.Raw):
    data = {**nt.ARRAYS, "mask_ends": np.array([9, 5, 30], "<u4")}  # noqa: RUF012


def test_rows_that_do_not_end_where_their_column_ends_are_told(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="pixel_mask_index ends at 30 or does not ascend"):
        nt.write_plan(tmp_path, nt.make_region_nodes(Short.data), Short)


def test_texts_beyond_the_budget_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, roots, cache = nt.write_plan(tmp_path, nt.make_table_nodes())
    monkeypatch.setattr(guard.budget, "TEXT_BYTES", 2000)
    found = {f.id for f in verify_example(path, roots, cache).findings}
    assert found == {"result.unreadable"}


def test_a_clock_beside_other_types_than_float64_is_refused(tmp_path: Path) -> None:
    path, roots, cache = nt.write_plan(tmp_path, nt.make_behavior_nodes())
    with h5py.File(path, "r+") as file:
        text = file["/general/neuropress/receipt_json"][()].decode()
        file["/general/neuropress/receipt_json"][()] = text.replace('"scale":"0.001"', '"scale":"1e-3"')
    (found,) = verify_example(path, roots, cache).findings
    assert found.id == "result.unreadable"
    assert Clock("1/30000", "-2").seconds(np.array([60000])).tolist() == [0.0]
