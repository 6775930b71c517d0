"""Second readers of traces, regions and tracked points: they agree with the right readers and find wrong ones."""

from __future__ import annotations

import importlib
import json
import pickle
from collections.abc import Callable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import suite2p_files as s2p
import tracking_files as track
from builder import DATE, Builder, movie
from caiman_files import COLUMNS, FRAMES, ROWS, write_results
from campaigns import campaign
from suite2p_files import Calls
from test_second_tables import change

import neuropress
from neuropress.independent import SecondReader, list_second_readers, run, worker
from neuropress.model.content import Content
from neuropress.model.report import Report

SHAPE = (FRAMES, ROWS, COLUMNS)
HAS_TABLES = any(
    found.metadata["Name"] == "tables" for found in distributions()
)  # tests/tables would be found as a module
BEHAVIOR = f"basu/{DATE}/behavior/raw"
POINTS = np.random.default_rng(2).normal(200, 60, (9, 2, 2, 2))
"""(frame, node, xy, track)."""


def build_dataset(folder: Path) -> Builder:
    """Movies with suite2p's and CaImAn's results, traces as text and as an array, and points of two programs."""
    build = Builder(folder / "ds")
    build.session()
    build.session(2, session_id="JB_S_0001")
    raw, place = movie(folder / "m.tif", SHAPE), f"yuste/{DATE}/image"
    planes = {f"plane{n}": s2p.make_plane(ops={"Ly": ROWS, "Lx": COLUMNS}) for n in range(2)}
    for name, files in planes.items():
        s2p.write_files(build.raw(f"{place}/roi/suite2p") / name, files)
    values = np.random.default_rng(1).normal(size=(FRAMES, 2))
    labels = np.zeros((ROWS, COLUMNS), "u2")
    labels[2:4, 5:9], labels[10, 3] = 40, 7
    text = "7,40\n" + "".join(f"{a!r},{b!r}\n" for a, b in values.tolist()).replace("0.", ".", 1)
    files = {
        "roi/labels.npy": s2p.make_npy(labels),
        "processed/F.csv": text.encode(),
        "processed/F.npy": s2p.make_npy(values.T.astype(">f4")),
        "processed/r.hdf5": write_results(folder / "r.hdf5").read_bytes(),
    }
    for name, data in files.items():
        build.put(f"{place}/{name}", data)
    pairs = (("suite2p/", "r.hdf5"), ("labels.npy", "F.csv"), ("labels.npy", "F.npy"))
    for number, (roi, processed) in enumerate(pairs, 1):
        paths = {"file_path_roi": f"{place}/roi/{roi}", "file_path_processed": f"{place}/processed/{processed}"}
        build.movie(raw, SHAPE, number, roi_tool="suite2p 0.14", processing_methods="NoRMCorre", **paths)
    nodes, animals = ["nose", "tail/base"], ["a", "b"]
    track.write_sleap(folder / "s.analysis.h5", POINTS, nodes, animals, scores=POINTS[:, :, 0, :])
    flat = POINTS.transpose(0, 3, 1, 2).reshape(9, 8)
    labels_of = track.make_labels(nodes, animals, ("x", "y"))
    track.write_table(folder / "d.h5", flat, labels_of, index=np.arange(9) * 2)
    track.write_fixed(folder / "e.h5", flat[:, :6], track.make_labels(nodes))
    for number, name in enumerate(("s.analysis", "d", "e"), 1):
        key = f"{BEHAVIOR}/{name}.h5"
        build.put(key, folder / f"{name}.h5")
        build.row("behavior", behavior_id=f"JB_B_{number:04d}", session_id="JB_S_0001", metric_type="position",
                  file_path_raw=key)  # fmt: skip
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write(f'\n[options."{BEHAVIOR}/*.h5"]\nframe_rate = "30000/1001"\nclock_offset = "1.25"\n')
    return build


def verify(build: Builder) -> tuple[Report, dict[str, dict[str, Any]]]:
    """The report, and what was said of each raw object but the movies."""
    dataset = neuropress.open(build.root)
    converted = dataset.convert()
    assert converted.ok, [f for f in converted.findings if f.severity == "error"]
    report = dataset.verify(independent=True)
    readings = [reading for outcome in report.outcomes for reading in outcome.facts["independent"]]
    return report, {Path(r["source"]).name: r for r in readings if not r["source"].endswith(".tif")}


def list_expected() -> set[str]:
    return {
        "suite2p",
        "r.hdf5",
        "labels.npy",
        "F.csv",
        "F.npy",
        "s.analysis.h5",
        *({"d.h5", "e.h5"} if HAS_TABLES else ()),
    }


def test_the_right_readers_are_agreed_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_run_child", worker.read_objects)
    report, readings = verify(build_dataset(tmp_path))
    assert report.ok, [f for f in report.findings if f.severity == "error"]
    assert {name: r["verdict"] for name, r in readings.items()} == dict.fromkeys(list_expected(), "agrees"), readings
    assert readings["s.analysis.h5"]["agreed"] == ["samples", "shape", "times"]
    assert [name for name, r in readings.items() if r["reasons"]] == ["suite2p"]
    assert "stat.npy is a pickle" in readings["suite2p"]["reasons"][0]
    missing = [f.location.file for f in report.findings if f.id == "independent.none"]
    assert len(missing) == (0 if HAS_TABLES else 2), missing


type Wrong = Callable[[Content], Content]


def change_first(alter: Callable[[np.ndarray], np.ndarray]) -> Wrong:
    """The array of samples, of regions their weights or labels."""

    def apply(content: Content) -> Content:
        names = ("data", "traces", "iscell", "label", "accepted", *content.arrays)
        return change(content, next(name for name in names if name in content.arrays), alter)

    return apply


def turn_pixels(content: Content) -> Content:
    """Rows for columns, as who counts CaImAn's pixels along the rows would have it."""

    def swap(pixels: np.ndarray) -> np.ndarray:
        swapped = pixels.copy()
        swapped["x"], swapped["y"] = pixels["y"] % COLUMNS, pixels["x"]
        return swapped

    return change(content, "pixels", swap) if "pixels" in content.arrays else content


FORMATS = ("suite2p", "caiman", "traces", "sleap", *(("deeplabcut",) if HAS_TABLES else ()))
ROUNDS: list[Mapping[str, Wrong]] = [
    dict.fromkeys(FORMATS, change_first(lambda data: ~data if data.dtype == bool else data + 1))
    | {"masks": turn_pixels},
    dict.fromkeys(FORMATS, change_first(lambda data: np.roll(data, 1, 0))) | {"caiman": turn_pixels},
]


@pytest.mark.parametrize("chosen", ROUNDS[: campaign(1, 2)], ids=["values", "order"][: campaign(1, 2)])
def test_wrong_readers_are_found(tmp_path: Path, chosen: Mapping[str, Wrong], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them in `convert` and in `verify` alike; the libraries read in this process, which is quicker."""
    monkeypatch.setattr(run, "_run_child", worker.read_objects)
    for format, make_wrong in chosen.items():
        module = importlib.import_module(f"neuropress.readers.{format}.read")

        def read(*given: Any, right: Any = module.read, make_wrong: Wrong = make_wrong) -> tuple[Content, ...]:
            return tuple(make_wrong(content) for content in right(*given))

        monkeypatch.setattr(module, "read", read)
    report, readings = verify(build_dataset(tmp_path))
    of = {
        "r.hdf5": "caiman",
        "labels.npy": "masks",
        "s.analysis.h5": "sleap",
        "d.h5": "deeplabcut",
        "e.h5": "deeplabcut",
    }
    for name, reading in readings.items():
        format = of.get(name, "traces" if name.startswith("F.") else name)
        assert reading["verdict"] == ("differs" if format in chosen else "agrees"), reading
    assert {f.id for f in report.findings if f.severity == "error"} == {"independent.different"}


def test_who_reads_what_goes_by_the_name_where_a_format_has_several_forms() -> None:
    def list_names(format: str, key: str, head: bytes = b"") -> list[str]:
        return [reader.name for reader in list_second_readers() if reader.takes(key, format, lambda key: head)]

    assert list_names("traces", "a/F.CSV") == ["pandas"]
    assert list_names("traces", "a/F.npy") == ["NumPy"]
    assert list_names("masks", "a/L.tif") == ["Pillow"]
    assert list_names("masks", "a/L.npy") == ["NumPy"]
    assert list_names("mat", "a.mat", b"MATLAB 5.0 MAT-file") == list_names("mat", "a.mat", bytes(20)) == ["SciPy"]
    assert (
        list_names("mat", "a.mat", b"MATLAB 7.3 MAT-file") == list_names("mat", "a.mat", b"\x89HDF\r\n") == ["pyfive"]
    )
    assert SecondReader("any", "numpy", ("npy",), "x").takes("k", "npy", lambda key: pytest.fail("it is not asked for"))


@pytest.mark.skipif(not HAS_TABLES, reason="PyTables is not brought by the extra")
def test_attributes_are_not_unpickled(tmp_path: Path) -> None:
    """PyTables alone, and pandas with it, would make the marker when it opens such a file."""
    from neuropress.independent import pytables_deeplabcut as adapter

    path = tmp_path / "d.h5"
    marker = tmp_path / "marker"
    evil = pickle.dumps(Calls(Path.touch, marker), 0)
    track.write_table(path, POINTS[:, 0, :, 0], track.make_labels(["nose"], coords=("x", "y")))
    import h5py

    with h5py.File(path, "r+") as file:
        for item in (file, file["df_with_missing"], file["df_with_missing/table"]):
            for name in ("TITLE", "info", "CLASS_", "FILTERS"):
                item.attrs[name] = np.bytes_(evil)
    second = adapter.read(path, "nose", {"frame_rate": "30"})
    assert np.array_equal(second.arrays["data"], POINTS[:, 0, :, 0])
    track.write_table(path, POINTS[:, 0, :, 0], [], kind=evil)
    with pytest.raises(Exception, match=r".+"):
        adapter.read(path, "nose", {"frame_rate": "30"})
    assert not marker.exists()


def test_a_folder_whose_regions_nobody_else_can_read_says_so(tmp_path: Path) -> None:
    from neuropress.independent import numpy_suite2p
    from neuropress.independent.reading import CannotRead

    s2p.write_files(tmp_path / "plane0", {k: v for k, v in s2p.make_plane().items() if k != "iscell.npy"})
    assert numpy_suite2p.read(tmp_path, "plane0/F", {}).arrays["F"].shape == (FRAMES, 3)
    with pytest.raises(CannotRead, match="is a pickle"):
        numpy_suite2p.read(tmp_path, "plane0", {})
    (tmp_path / "plane0/F.npy").write_bytes(s2p.make_objects([Calls(json.loads, "1")]))
    with pytest.raises(ValueError, match="allow_pickle"):
        numpy_suite2p.read(tmp_path, "plane0/F", {})
