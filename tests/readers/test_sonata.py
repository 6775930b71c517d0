"""SONATA spikes and reports: every spike of every dialect against h5py, numpy and libsonata; damage; settings."""

import json
import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import sonata_files as sf
from campaigns import campaign
from hypothesis import given, settings
from hypothesis import strategies as st

from neuropress.model.content import Content, DataTable, Series
from neuropress.model.finding import Finding, Problem
from neuropress.model.source import Source
from neuropress.readers.raw import choose_format
from neuropress.readers.sonata import conditions, reports, spikes
from neuropress.readers.sonata.read import read
from neuropress.storage.roots import Folder

CORPUS = "sonata"
REFUSED = {"compartment_named.h5": "sonata.unit"}


OPENED: list[Content] = []


@pytest.fixture(autouse=True)
def _close_all() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def open_file(path: Path, root: Path | None = None, **options: Any) -> tuple[Content, ...]:
    root = root or path.parent
    contents = read(Source(path.relative_to(root).as_posix(), Folder(root)), options)
    OPENED.extend(contents)
    json.dumps([content.header for content in contents])
    return contents


def find_problem(path: Path, **options: Any) -> Finding:
    with pytest.raises(Problem) as bad:
        open_file(path, **options)
    return bad.value.finding


def read_column(content: Content, name: str) -> np.ndarray:
    array = content.arrays[name]
    column = array.read(tuple(slice(0, length) for length in array.shape))
    assert (column.shape, column.dtype) == (array.shape, array.dtype)
    return column


def list_units(table: Content) -> dict[str, list[tuple[int, float]]]:
    """Every (node, time) of each population, as the table has them."""
    names = read_column(table, "population").tolist() if "population" in table.arrays else None
    times, ends = read_column(table, "spike_times"), read_column(table, "ends").tolist()
    found: dict[str, list[tuple[int, float]]] = {}
    for row, (node, start, end) in enumerate(
        zip(read_column(table, "node_id").tolist(), [0, *ends], ends, strict=False)
    ):
        assert start < end, "a unit without a spike"
        own = times[start:end].tolist()
        assert own == sorted(own)
        found.setdefault(names[row] if names else "", []).extend((node, time) for time in own)
    assert ends[-1] == len(times)
    return found


def read_all(contents: Sequence[Content]) -> None:
    for content in contents:
        for name in content.arrays:
            read_column(content, name)


# Spikes


@pytest.mark.parametrize("sorting", ["none", "by_time", 0, 2])
def test_spikes_in_any_order_are_grouped_by_node(tmp_path: Path, sorting: Any) -> None:
    path = sf.write_spikes(tmp_path / "s.h5", {"b": ([5, 2, 5, 2, 9], [1, 2, 3, 0.5, 7]), "a": ([1], [4])}, sorting)
    (table,) = open_file(path)
    assert isinstance(table, DataTable)
    assert list_units(table) == sf.list_pairs(path)
    assert read_column(table, "spike_times").tolist() == [4, 0.5, 2, 1, 3, 7]
    assert table.facts == {"spikes": "6", "spiking_nodes": "4"}
    a, b = table.header["populations"]
    named = {0: "none", 2: "by_time"}.get(sorting, sorting)
    assert a == {"name": "a", "spikes": 1, "spiking_nodes": 1, "sorting": named, "order": "as stored"}
    assert b["order"] == "by node, then by time"
    assert table.warnings == ()
    assert choose_format(Source("s.h5", Folder(tmp_path))).format == "sonata"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=30), st.integers(1, 9))
def test_every_spike_is_there_and_no_other(tmp_path_factory: pytest.TempPathFactory, pairs: Any, scanned: int) -> None:
    path = tmp_path_factory.getbasetemp() / "property.h5"
    sf.write_spikes(path, {"p": ([n for n, _ in pairs], [t for _, t in pairs])})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spikes, "SCANNED", scanned)
        (table,) = open_file(path)
    assert list_units(table) == {"p": sorted((n, float(t)) for n, t in pairs)}
    is_sorted = pairs == sorted(pairs)
    assert (table.header["populations"][0]["order"] == "as stored") == is_sorted
    table.close()


def test_spikes_by_id_stay_in_the_file_and_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spikes, "SONATA_SORTED", 3)
    nodes = np.repeat(np.arange(5), 4)
    path = sf.write_spikes(
        tmp_path / "s.h5", {"a": (nodes, np.arange(20.0)), "b": (nodes + 100, np.arange(20.0) + 50)}, 1
    )
    (table,) = open_file(path)
    times = table.arrays["spike_times"]
    assert times.read((slice(17, 23),)).tolist() == [17, 18, 19, 50, 51, 52]
    assert list_units(table) == sf.list_pairs(path)
    table.close()
    sf.write_spikes(path, {"a": (nodes[::-1], np.arange(20.0))}, "by_id")
    found = find_problem(path)
    assert found.id == "sonata.limit"
    assert "20 spikes" in found.message


def test_a_false_sorting_is_told(tmp_path: Path) -> None:
    (table,) = open_file(sf.write_spikes(tmp_path / "s.h5", {"a": ([1, 0], [1, 1])}, "by_id"))
    assert list_units(table) == {"a": [(0, 1.0), (1, 1.0)]}
    assert "sorted by_id, and is not" in table.warnings[0]


def test_the_flat_layout_of_old_files(tmp_path: Path) -> None:
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        file["spikes/gids"], file["spikes/timestamps"] = np.array([3, 1, 3], ">i4"), np.array([1, 2, 3], ">f4")
    (table,) = open_file(path)
    assert "population" not in table.arrays
    assert list_units(table) == {"": [(1, 2.0), (3, 1.0), (3, 3.0)]}
    assert table.header["scale"] == "0.001"


def test_silent_populations_and_silent_files(tmp_path: Path) -> None:
    path = sf.write_spikes(tmp_path / "s.h5", {"a": ([], []), "b": ([1], [2.5])})
    (table,) = open_file(path)
    assert list_units(table) == {"b": [(1, 2.5)]}
    assert [one["spikes"] for one in table.header["populations"]] == [0, 1]
    assert find_problem(sf.write_spikes(path, {"a": ([], [])})).id == "sonata.empty"


def test_times_before_zero_are_told_and_kept(tmp_path: Path) -> None:
    (table,) = open_file(sf.write_spikes(tmp_path / "s.h5", {"a": ([1, 1], [-2.5, 3])}))
    assert read_column(table, "spike_times").tolist() == [-2.5, 3]
    assert "1 spikes before time 0" in table.warnings[0]


@pytest.mark.parametrize(
    ("nodes", "times", "why"),
    [
        ([1, 2], [1.0], "1 timestamps and 2 node ids"),
        ([1], [1.0, 2.0], "2 timestamps and 1 node ids"),
        ([1, 1], [1.0, np.nan], "nan"),
        ([1, 1], [np.inf, 1.0], "inf"),
        ([[1]], [1.0], "no list of whole numbers"),
        ([1], [[1.0]], "no list of numbers"),
    ],
)
def test_spikes_that_do_not_fit_together(tmp_path: Path, nodes: Any, times: Any, why: str) -> None:
    found = find_problem(sf.write_spikes(tmp_path / "s.h5", {"a": (nodes, times)}))
    assert (found.id, found.location.file) == ("sonata.damaged", "s.h5")
    assert why in found.message


@pytest.mark.parametrize(
    ("dtype", "id"), [("<i8", "sonata.damaged"), ("S3", "sonata.damaged"), ("<f8", "sonata.damaged")]
)
def test_ids_are_whole_numbers_from_0(tmp_path: Path, dtype: str, id: str) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["spikes/a/node_ids"], file["spikes/a/timestamps"] = np.array([-1, 2]).astype(dtype), np.zeros(2)
    assert find_problem(tmp_path / "s.h5").id == id


def test_units_of_time(tmp_path: Path) -> None:
    path = sf.write_spikes(tmp_path / "s.h5", {"a": ([1], [2.0])}, units="s")
    assert open_file(path)[0].header["scale"] == "1"
    sf.write_spikes(path, {"a": ([1], [2.0])}, units="mR")
    found = find_problem(path)
    assert found.id == "sonata.unit"
    assert 'time_unit = "ms"' in found.hint
    assert open_file(path, time_unit="ms")[0].header["scale"] == "0.001"


# Reports


def read_report(path: Path, **options: Any) -> Series:
    (series,) = open_file(path, **options)
    assert isinstance(series, Series)
    return series


def test_a_compartment_report_of_blue_brain(tmp_path: Path) -> None:
    path = sf.write_report(tmp_path / "r.h5")
    series = read_report(path)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(read_column(series, "data"), file["report/cortex/data"][()])
    assert read_column(series, "node_id").tolist() == [10, 10, 11, 11, 12, 12, 12]
    assert read_column(series, "element_id").tolist() == [0, 1, 0, 1, 0, 1, 2]
    assert series.rate == 40000
    assert (series.header["start"], series.header["step"], series.header["scale"]) == ("100", "1/40", "0.001")
    assert series.channels[0].unit == "mV"
    assert series.facts == {"frames": "40", "elements": "7"}
    assert (series.name, series.warnings) == ("report/cortex", ())
    assert choose_format(Source("r.h5", Folder(tmp_path))).format == "sonata"


def test_a_synapse_report_of_the_allen_institute(tmp_path: Path) -> None:
    more = {"src_ids": np.arange(7), "element_pos": np.linspace(0, 1, 7), "note": "text", "id": np.arange(7)}
    pointers = {"index_pointers": None, "index_pointer": np.array([0, 2, 4, 7])}
    series = read_report(sf.write_report(tmp_path / "r.h5", **more, **pointers))
    assert series.header["columns"] == ["node_id", "element_id", "element_pos", "src_ids"]
    assert "id, note" in series.warnings[0]


@pytest.mark.parametrize("place", ["", "ecp/"])
def test_extracellular_potentials(tmp_path: Path, place: str) -> None:
    path = tmp_path / "ecp.h5"
    with h5py.File(path, "w") as file:
        file[f"{place}data"], file[f"{place}channel_id"] = np.arange(12.0).reshape(6, 2), np.array([4, 9])
        file[f"{place}time"] = np.array([0.0, 0.6, 0.1])
        file[f"{place}data"].attrs["units"] = b"mV"
    series = read_report(path)
    assert (series.name, series.header["is_extracellular"]) == ("ecp", True)
    assert read_column(series, "channel_id").tolist() == [4, 9]
    assert choose_format(Source("ecp.h5", Folder(tmp_path))).format == "sonata"


def test_the_first_layout_of_the_allen_institute(tmp_path: Path) -> None:
    path = tmp_path / "v.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros((5, 2))
        file["mapping/gids"], file["mapping/index_pointer"] = np.array([7, 3]), np.array([0, 1, 2])
        file["mapping/element_id"], file["mapping/time"] = np.array([0, 0]), np.array([0.0, 0.5, 0.1], "<f4")
    series = read_report(path, data_unit="mV")
    assert read_column(series, "node_id").tolist() == [7, 3]
    assert (series.header["step"], series.channels[0].unit) == ("1/10", "mV")
    assert choose_format(Source("v.h5", Folder(tmp_path))).format == "sonata"
    assert "states no unit" in read_report(path).warnings[0]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"index_pointers": np.array([0, 2, 4, 8])}, "do not ascend from 0"),
        ({"index_pointers": np.array([0, 5, 4, 7])}, "do not ascend from 0"),
        ({"index_pointers": np.array([1, 2, 4, 7])}, "do not ascend from 0"),
        ({"index_pointers": np.array([0, 2, 7])}, "one pointer more"),
        ({"index_pointers": np.array([0, 2, 4, 2**63], "<u8")}, "do not ascend from 0"),
        ({"index_pointers": None}, "index_pointers"),
        ({"node_ids": np.array([-1, 2, 3])}, "node -1"),
        ({"node_ids": None}, "node_ids"),
        ({"element_ids": np.arange(6)}, "6 entries for 7 columns"),
        ({"time": np.array([0.0, 1.0, 0.1])}, "does not make the 40 moments"),
        ({"time": np.array([0.0, 1.0, 0.0])}, "do not fit together"),
        ({"time": np.array([1.0, 0.0, 0.025])}, "do not fit together"),
        ({"time": np.array([0.0, 40 * 5e-324, 5e-324])}, "do not fit together"),
        ({"time": np.array([0.0, 1e308, 1e-308])}, "do not fit together"),
        ({"time": np.array([np.nan, 1.0, 0.025])}, "nan"),
        ({"time": np.arange(40.0)}, "start, stop and step"),
        ({"time": None}, "time"),
    ],
)
def test_reports_whose_parts_do_not_fit_together(tmp_path: Path, members: Any, why: str) -> None:
    found = find_problem(sf.write_report(tmp_path / "r.h5", **members))
    assert found.id == "sonata.damaged"
    assert why in found.message


def test_a_moment_more_or_less_is_told(tmp_path: Path) -> None:
    series = read_report(sf.write_report(tmp_path / "r.h5", time=np.array([0.0, 41 * 0.025, 0.025])))
    assert "41 moments" in series.warnings[0]


def test_limits_are_found_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "SONATA_ELEMENTS", 6)
    assert find_problem(sf.write_report(tmp_path / "r.h5")).id == "sonata.limit"
    monkeypatch.setattr(spikes, "SONATA_NODES", 2)
    assert find_problem(sf.write_spikes(tmp_path / "s.h5", {"a": ([1, 2, 3], [1, 2, 3])})).id == "sonata.limit"


# Settings


def put_settings(folder: Path, data: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / conditions.NAME).write_text(data if isinstance(data, str) else json.dumps(data))


SETTINGS = {
    "manifest": {"$OUT": "/home/someone/out"},
    "run": {"dt": 0.1, "tstop": 4000.0, "seeds": [1, 2], "fast": True, "none": None},
    "target_simulator": "NEURON",
    "conditions": {"celsius": 34.0, "v_init": -80, "hoc": "/home/someone/x.hoc"},
    "inputs": {"clamp": {"amp": 0.15, "file": "$OUT/x.h5"}},
    "reports": {"r": {"variable_name": "v", "sections": "soma", "dt": 0.1}, "other": {"file_name": "x", "sections": 3}},
}


@pytest.mark.parametrize(("place", "is_found"), [("a/b", True), ("a", True), (".", True)])
def test_settings_are_taken_from_the_nearest_folder(tmp_path: Path, place: str, is_found: bool) -> None:
    put_settings(tmp_path / place, SETTINGS)
    (tmp_path / "a/b").mkdir(parents=True, exist_ok=True)
    about = open_file(sf.write_report(tmp_path / "a/b/r.h5"), tmp_path)[0].header["simulation"]
    assert about["conditions"] == {
        "target_simulator": "NEURON",
        "run.dt": "0.1",
        "run.tstop": "4000.0",
        "run.seeds.0": "1",
        "run.seeds.1": "2",
        "run.fast": "true",
        "conditions.celsius": "34.0",
        "conditions.v_init": "-80",
        "inputs.clamp.amp": "0.15",
    }
    assert about["report"] == {"variable_name": "v", "sections": "soma"}
    assert about["config"] == (Path(place) / conditions.NAME).as_posix()


def test_settings_further_up_or_outside_are_not_looked_for(tmp_path: Path) -> None:
    put_settings(tmp_path, SETTINGS)
    (tmp_path / "a/b/c").mkdir(parents=True)
    path = sf.write_report(tmp_path / "a/b/c/r.h5")
    assert open_file(path, tmp_path)[0].header["simulation"] == {"config": "", "conditions": {}}
    assert open_file(path, tmp_path / "a")[0].header["simulation"]["config"] == ""
    put_settings(tmp_path / "elsewhere", SETTINGS)
    (tmp_path / "a/b/c" / conditions.NAME).symlink_to(tmp_path / "elsewhere" / conditions.NAME)
    assert open_file(path, tmp_path / "a")[0].header["simulation"]["config"] == ""


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"run": {"dt": NaN}}', '{"run": 1, "run": 2}', "[" * 5000, '"' + "x" * 2**20 + '"', "\xff"],
)
def test_settings_that_cannot_be_read_are_told(tmp_path: Path, text: str) -> None:
    put_settings(tmp_path, text)
    (series,) = open_file(sf.write_report(tmp_path / "r.h5"))
    assert series.header["simulation"]["conditions"] == {}
    assert "simulation_config.json cannot be read" in series.warnings[0]


def test_a_flood_of_settings_is_cut(tmp_path: Path) -> None:
    put_settings(
        tmp_path,
        {
            "run": {f"x{i}": i for i in range(5000)},
            "conditions": {"long": "x" * 9000, "e": "a\0b", "half": "\ud800", "\ud800": 1},
        },
    )
    (series,) = open_file(sf.write_report(tmp_path / "r.h5"))
    assert len(series.header["simulation"]["conditions"]) == 400
    assert "5000 settings" in series.warnings[0]


# What is unsafe, or none of it


def test_what_leads_outside_is_refused(tmp_path: Path) -> None:
    sf.write_spikes(tmp_path / "other.h5", {"a": ([1], [2.0])})
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file.create_group("spikes")["a"] = h5py.ExternalLink("other.h5", "/spikes/a")
    assert find_problem(tmp_path / "s.h5").id == "sonata.unsafe"
    with h5py.File(tmp_path / "v.h5", "w") as file:
        layout = h5py.VirtualLayout((1,), "<f8")
        layout[:] = h5py.VirtualSource("other.h5", "spikes/a/timestamps", (1,))
        file.create_virtual_dataset("spikes/a/timestamps", layout)
        file["spikes/a/node_ids"] = [1]
    assert find_problem(tmp_path / "v.h5").id == "sonata.unsafe"


def test_other_hdf5_files_are_not_claimed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "n.h5", "w") as file:
        file["nodes/a/node_type_id"] = [1]
    assert choose_format(Source("n.h5", Folder(tmp_path))).format == "hdf5_arrays"
    assert find_problem(tmp_path / "n.h5").id == "sonata.empty"


def test_names_that_nothing_can_bear(tmp_path: Path) -> None:
    for name in ("a\nb", "x" * 300):
        found = find_problem(sf.write_spikes(tmp_path / "s.h5", {name: ([1], [2.0])}))
        assert found.id == "sonata.damaged"
    with h5py.File(sf.write_report(tmp_path / "r.h5"), "a") as file:
        file["report/cortex/data"].attrs["variable"] = "v\n" * 5
        file["report/cortex/data"].attrs["units"] = np.arange(3)
    series = read_report(tmp_path / "r.h5")
    assert (series.header["variable"], series.header["unit"]) == ("", "")


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    path = sf.write_report(tmp_path / "r.h5")
    series = read_report(path)
    sf.write_report(path, (41, 7))
    with pytest.raises(Problem, match="changed while it was read"):
        read_column(series, "data")


@pytest.mark.parametrize("make", [lambda p: sf.write_spikes(p, {"a": ([2, 1, 2], [1, 2, 3])}), sf.write_report])
def test_cut_and_spoilt_files_are_findings_or_read(tmp_path: Path, make: Any) -> None:
    whole = make(tmp_path / "whole.h5").read_bytes()
    chance = random.Random(11)
    spoilt = [whole[: chance.randrange(len(whole))] for _ in range(campaign(3, 20))]
    for _ in range(campaign(20, 200)):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        spoilt.append(bytes(data))
    for number, data in enumerate(spoilt):
        path = tmp_path / f"{number}.h5"
        path.write_bytes(data)
        id = "sonata."
        try:
            read_all(open_file(path))
        except Problem as bad:
            id = bad.finding.id
        assert id.startswith("sonata."), number


# Real files


def list_corpus(corpus: Path) -> list[Path]:
    paths = sorted((corpus / CORPUS).rglob("*.h5"))
    return [path for path in paths if path.parent.name in ("output", "inputs", "reporting")]


@pytest.mark.corpus
def test_real_spikes_against_h5py_and_libsonata(corpus: Path) -> None:
    libsonata = pytest.importorskip("libsonata")
    paths = [path for path in list_corpus(corpus) if "spike" in path.name]
    assert len(paths) == 5
    agreeing = 0
    for path in paths:
        assert choose_format(Source(path.name, Folder(path.parent))).format == "sonata"
        (table,) = open_file(path, path.parents[1])
        assert list_units(table) == sf.list_pairs(path)
        try:
            reader = libsonata.SpikeReader(str(path))
            seen = {name: sorted(map(tuple, reader[name].get())) for name in reader.get_population_names()}
        except (libsonata.SonataError, RuntimeError):
            assert "AllenInstitute" in str(path)
        else:
            assert list_units(table) == seen
            agreeing += 1
        table.close()
    assert agreeing == 1


@pytest.mark.corpus
def test_real_reports_against_h5py(corpus: Path) -> None:
    paths = [path for path in list_corpus(corpus) if "spike" not in path.name]
    assert len(paths) == 3
    for path in paths:
        if path.name in REFUSED:
            assert find_problem(path).id == REFUSED[path.name]
        contents = open_file(path, path.parents[1], time_unit="ms")
        with h5py.File(path) as file:
            assert [one.name for one in contents] == [f"report/{name}" for name in file["report"]]
            for content, group in zip(contents, file["report"].values(), strict=True):
                np.testing.assert_array_equal(read_column(content, "data"), group["data"][()])
                pointers = next(
                    group["mapping"][n][()] for n in ("index_pointers", "index_pointer") if n in group["mapping"]
                )
                nodes = np.repeat(group["mapping/node_ids"][()], np.diff(pointers).astype("i8"))
                np.testing.assert_array_equal(read_column(content, "node_id"), nodes)
                np.testing.assert_array_equal(read_column(content, "element_id"), group["mapping/element_ids"][()])
                assert Fraction(content.header["step"]) == Fraction(1, 10)
        read_all(contents)


def test_reports_against_libsonata(tmp_path: Path) -> None:
    libsonata = pytest.importorskip("libsonata")
    path = sf.write_report(tmp_path / "r.h5")
    with h5py.File(path, "a") as file:
        file["report/cortex/mapping/node_ids"].attrs["sorted"] = np.uint8(1)
    frame = libsonata.ElementReportReader(str(path))["cortex"].get()
    series = read_report(path)
    np.testing.assert_array_equal(frame.data, read_column(series, "data"))
    ids = np.column_stack([read_column(series, "node_id"), read_column(series, "element_id")])
    np.testing.assert_array_equal(np.asarray(frame.ids), ids)
    times = (Fraction(series.header["start"]) + i * Fraction(series.header["step"]) for i in range(40))
    np.testing.assert_allclose(frame.times, [float(t) for t in times], rtol=1e-12)
