"""Results opened by the programs that people use next, in a Python that need not have neuropress.

``python opening.py RESULT...`` writes one JSON object a line for each program and result. Every value is read, and
compared with what h5py or zarr read.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zarr

NWB, OME_ZARR = ".nwb", ".ome.zarr"
IN_UNITS, STORED = "in the unit of the file", "as stored"
SERIES_PLACES = ("acquisition", "stimulus/presentation")

type Facts = dict[str, Any]


class NothingToRead(Exception):
    """The result holds nothing that is this program's business."""


@dataclass(frozen=True)
class Signal:
    """A series by h5py alone: its stored samples, and what makes its unit of them."""

    stored: np.ndarray
    unit: str
    conversion: float
    offset: float

    @property
    def is_scaled(self) -> bool:
        return not np.array_equal(self.stored, self.values)

    @property
    def values(self) -> np.ndarray:
        return self.stored * self.conversion + self.offset


def read_signals(path: Path) -> dict[str, Signal]:
    signals = {}
    with h5py.File(path) as file:
        for place in SERIES_PLACES:
            for name, group in file[place].items() if place in file else ():
                data = group["data"]
                about = {"conversion": 1, "offset": 0, **data.attrs}
                signals[name] = Signal(data[()], about["unit"], float(about["conversion"]), float(about["offset"]))
    return signals


def compare_signal(values: np.ndarray, signal: Signal) -> str:
    """How a program gives samples. Raises AssertionError where they are others."""
    if np.allclose(values, signal.values.reshape(values.shape), rtol=1e-5, atol=0):
        return IN_UNITS
    np.testing.assert_array_equal(values, signal.stored.reshape(values.shape))
    return STORED


def open_h5py(path: Path) -> Facts:
    count = 0

    def read(_: str, item: h5py.Group | h5py.Dataset) -> None:
        nonlocal count
        if isinstance(item, h5py.Dataset):
            item[()]
            count += 1

    with h5py.File(path) as file:
        file.visititems(read)
    return {"datasets": count}


def open_pynwb(path: Path) -> Facts:
    import pynwb

    signals = read_signals(path)
    with pynwb.NWBHDF5IO(path, mode="r") as io:
        file = io.read()
        series = {name: one for name, one in {**file.acquisition, **file.stimulus}.items() if name in signals}
        assert set(series) == set(signals)
        for name, one in series.items():
            np.testing.assert_array_equal(one.data[:], signals[name].stored)
            assert (one.conversion, one.offset) == (signals[name].conversion, signals[name].offset)
            assert len(one.get_timestamps()) == len(one.data)
        tables = [one for one in file.objects.values() if hasattr(one, "to_dataframe")]
        rows = sum(len(one.to_dataframe()) for one in tables)
        return {"series": len(series), "objects": len(file.objects), "rows": rows}


def inspect_with(config: str | None) -> Callable[[Path], Facts]:
    def inspect(path: Path) -> Facts:
        from nwbinspector import inspect_nwbfile, load_config

        messages = list(inspect_nwbfile(nwbfile_path=path, config=load_config(config) if config else None))
        invalid = [one.message for one in messages if one.importance.name in ("ERROR", "PYNWB_VALIDATION")]
        assert not invalid, invalid
        return {"critical": sorted({one.check_function_name for one in messages if one.importance.name == "CRITICAL"})}

    return inspect


def open_neo(path: Path) -> Facts:
    from neo.io import NWBIO

    signals = read_signals(path)
    if not signals:
        raise NothingToRead
    io = NWBIO(str(path), "r")
    try:
        blocks = io.read_all_blocks()
        read = [one for block in blocks for segment in block.segments for one in segment.analogsignals]
        read += [one for block in blocks for segment in block.segments for one in segment.irregularlysampledsignals]
        assert {one.name for one in read} == set(signals)
        for one in read:
            given = one.rescale(signals[one.name].unit) if one.dimensionality else one
            assert compare_signal(given.magnitude, signals[one.name]) == IN_UNITS
    finally:
        io.close()
    return {"signals": len(read), "values": IN_UNITS}


def open_pynapple(path: Path) -> Facts:
    import pynapple

    signals = read_signals(path)
    loaded = pynapple.load_file(str(path))
    keys = list(loaded.keys())
    given = set()
    for key in keys:
        if isinstance(loaded[key], pynapple.TsGroup):  # units, each with its spikes
            assert len(loaded[key])
            continue
        values = loaded[key].values
        assert len(values)
        if key in signals:
            how = compare_signal(np.asarray(values), signals[key])
            given |= {how} if signals[key].is_scaled else set()
    return {"objects": len(keys), "values": " and ".join(sorted(given)) or "nothing to scale"}


def read_voltages(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """Rate in Hz and millivolts of each response in current clamp, by pynwb."""
    import pynwb

    with pynwb.NWBHDF5IO(path, mode="r") as io:
        for one in io.read().acquisition.values():
            if isinstance(one, pynwb.icephys.CurrentClampSeries):
                yield one.rate, (one.data[:].astype(float) * one.conversion + one.offset) * 1000


def open_efel(path: Path) -> Facts:
    import efel

    traces = []
    for rate, millivolts in read_voltages(path):
        efel.set_setting("interp_step", 1000 / rate)  # at every sample
        times = np.arange(len(millivolts)) / rate * 1000
        traces.append({"T": times, "V": millivolts, "stim_start": [times[0]], "stim_end": [times[-1]]})
    if not traces:
        raise NothingToRead
    features = efel.get_feature_values(traces, ["Spikecount", "maximum_voltage", "voltage_base"])
    for trace, found in zip(traces, features, strict=True):
        assert abs(found["maximum_voltage"][0] - trace["V"].max()) < 1e-6
    return {"traces": len(traces), "spikes": int(sum(found["Spikecount"][0] for found in features))}


def read_levels(path: Path) -> list[np.ndarray]:
    group = zarr.open_group(path, mode="r")
    return [group[level["path"]][...] for level in group.attrs["ome"]["multiscales"][0]["datasets"]]


def compare_levels(read: list[Any], path: Path) -> Facts:
    """Facts of all levels. Raises AssertionError where one is not what zarr read."""
    for values, expected in zip(read, read_levels(path), strict=True):
        np.testing.assert_array_equal(np.asarray(values), expected)
        assert np.asarray(values).dtype == expected.dtype
    return {"levels": len(read), "shape": list(np.shape(read[0]))}


def open_zarr(path: Path) -> Facts:
    return compare_levels(read_levels(path), path)


def open_tensorstore(path: Path) -> Facts:
    import tensorstore

    def read(level: int) -> np.ndarray:
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{path / str(level)}/"}}
        return tensorstore.open(spec, open=True).result().read().result()

    return compare_levels([read(level) for level in range(len(read_levels(path)))], path)


def open_dask(path: Path) -> Facts:
    import dask.array

    levels = range(len(read_levels(path)))
    return compare_levels([dask.array.from_zarr(str(path), component=str(n)).compute() for n in levels], path)


def open_models(path: Path) -> Facts:
    from ome_zarr_models import open_ome_zarr

    image = open_ome_zarr(zarr.open_group(path, mode="r"), version="0.5")
    return {"model": type(image).__name__}


def open_yaozarrs(path: Path) -> Facts:
    import yaozarrs

    return {"model": type(yaozarrs.validate_zarr_store(str(path)).ome_metadata()).__name__}


def open_ome_zarr(path: Path) -> Facts:
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    (node,) = Reader(parse_url(str(path)))()
    return compare_levels([level.compute() for level in node.data], path)


def open_napari(path: Path) -> Facts:
    """The plug-in's reader, and the model behind napari's window, without the window."""
    from napari.components import ViewerModel
    from napari.layers import Layer
    from napari_ome_zarr._reader import napari_get_reader

    viewer = ViewerModel()
    for layer in napari_get_reader(str(path))(str(path)):
        viewer.add_layer(Layer.create(*layer))
    names = [axis["name"] for axis in zarr.open_group(path, mode="r").attrs["ome"]["multiscales"][0]["axes"]]
    layers = [list(one.data) if one.multiscale else [one.data] for one in viewer.layers]
    read = [np.asarray(level) for level in layers[0]]
    if "c" in names:  # a layer a channel
        read = [np.stack(level, axis=names.index("c")) for level in zip(*layers, strict=True)]
    units = [str(unit) for unit in viewer.layers[0].units]
    return {**compare_levels(read, path), "layers": len(layers), "units": units}


@dataclass(frozen=True)
class Program:
    """A program: its name, its package, the results that it takes, what opens one."""

    name: str
    package: str
    takes: str
    open: Callable[[Path], Facts]


PROGRAMS = (
    Program("h5py", "h5py", NWB, open_h5py),
    Program("pynwb", "pynwb", NWB, open_pynwb),
    Program("nwbinspector", "nwbinspector", NWB, inspect_with(None)),
    Program("nwbinspector, DANDI configuration", "nwbinspector", NWB, inspect_with("dandi")),
    Program("neo `NWBIO`", "neo", NWB, open_neo),
    Program("pynapple", "pynapple", NWB, open_pynapple),
    Program("eFEL, by pynwb", "efel", NWB, open_efel),
    Program("zarr-python", "zarr", OME_ZARR, open_zarr),
    Program("tensorstore", "tensorstore", OME_ZARR, open_tensorstore),
    Program("dask `from_zarr`", "dask", OME_ZARR, open_dask),
    Program("ome-zarr-models", "ome-zarr-models", OME_ZARR, open_models),
    Program("yaozarrs", "yaozarrs", OME_ZARR, open_yaozarrs),
    Program("ome-zarr-py", "ome-zarr", OME_ZARR, open_ome_zarr),
    Program("napari with napari-ome-zarr", "napari-ome-zarr", OME_ZARR, open_napari),
)


def find_version(package: str) -> str:
    """Its version, "" where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def open_result(program: Program, path: Path) -> Mapping[str, Any]:
    """``outcome``: opened (with facts), refused (with its cause), nothing to read, or not installed."""
    about = {"program": program.name, "version": find_version(program.package), "result": path.name}
    if not about["version"]:
        return {**about, "outcome": "not installed"}
    try:
        return {**about, "outcome": "opened", "facts": program.open(path)}
    except NothingToRead:
        return {**about, "outcome": "nothing to read"}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is why this program does not open the result
        where = traceback.extract_tb(error.__traceback__)[-1].name
        return {**about, "outcome": "refused", "cause": f"{type(error).__name__}: {error}"[:500], "where": where}


def main() -> None:
    """Open all results by all programs."""
    os.environ.setdefault("MPLBACKEND", "agg")
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    warnings.simplefilter("ignore")
    logging.disable()
    for path in map(Path, sys.argv[1:]):
        for program in PROGRAMS:
            if path.name.endswith(program.takes):
                print(json.dumps(open_result(program, path)), flush=True)
    assert "neuropress" not in sys.modules


if __name__ == "__main__":
    main()
