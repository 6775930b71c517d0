"""suite2p's regions and traces, a table and its series for each plane.

``stat.npy`` and ``ops.npy`` are pickles. They are parsed by an allow-list (`..numpy_files.objects`): whatever else they
name is refused, never imported and never called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ...model.budget import PICKLE_BYTES
from ...model.content import Column, Content, DataTable, Series
from ...model.finding import Problem, problem
from ...model.source import Source
from ..numpy_files.errors import DamagedFile, RefusedPickle
from ..numpy_files.header import NpyHeader, make_npy_array, parse_npy_header, read_npy_header
from ..numpy_files.objects import list_elements, parse_objects
from ..regions import RegionColumn, describe_trace, join_masks, make_array, make_columns, measure_bounds
from . import FORMAT
from .stat import TooManyPixels, list_columns, list_masks

TRACES = {
    "F.npy": ("fluorescence", "Fluorescence of each region, its pixels weighted by the mask (suite2p's F)"),
    "Fneu.npy": ("neuropil", "Fluorescence of the neuropil around each region (suite2p's Fneu)"),
    "spks.npy": ("deconvolved", "Deconvolved activity of each region (suite2p's spks)"),
    "F_chan2.npy": ("fluorescence_chan2", "Fluorescence of each region in the second channel (suite2p's F_chan2)"),
    "Fneu_chan2.npy": ("neuropil_chan2", "Fluorescence of the neuropil in the second channel (suite2p's Fneu_chan2)"),
}
FLAGS = {
    "iscell.npy": ("iscell", "Whether the region is a cell, by suite2p's classifier or by hand"),
    "redcell.npy": ("redcell", "Whether the region is a cell in the second channel, by suite2p or by hand"),
}
_PLANE = re.compile(r"(?:suite2p/)?(plane[0-9]{1,4})/stat\.npy")
_SETTINGS = ("Ly", "Lx", "fs", "nplanes", "nchannels", "functional_chan", "nframes", "tau", "sparse_mode",
             "anatomical_only", "neucoeff", "nonrigid", "do_registration")  # fmt: skip
"""Of ops.npy, what the header keeps: numbers. Its texts are folders of the machine that it was made on."""


@dataclass(frozen=True, slots=True)
class _Plane:
    """The folder of one plane, and its name; empty where it is the only one."""

    folder: str
    name: str


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """For each plane a table of its regions and a series for each file of traces.

    Raises
    ------
    Problem
        ``pickle.refused``: a pickle names what is not on the allow-list; ``regions.damaged``, ``regions.empty``,
        ``regions.limit``; ``regions.mismatch``: files are of different numbers of regions or frames.
    """
    if source.is_folder:
        for key in source.list_keys():  # all that the folder holds belongs to the raw object, and is digested with it
            source.stamp(key)
    contents: list[Content] = []
    for plane in _list_planes(source):
        contents += _PlaneReader(source, plane).read()
    return tuple(contents)


def _list_planes(source: Source) -> list[_Plane]:
    """The planes of a folder; ``combined``, which has all of them once more, is none."""
    folder = source.key.rstrip("/")
    if not source.is_folder:
        return [_Plane(str(PurePosixPath(folder).parent), "")]
    if source.root.holds(f"{folder}/stat.npy"):
        return [_Plane(folder, "")]
    found = [(match[1], match[0]) for path in source.files() if (match := _PLANE.fullmatch(path))]
    if not found:
        raise problem("regions.empty", f"{source.key} has no stat.npy in a folder plane0, plane1, ...", file=source.key)
    found.sort(key=lambda one: int(one[0].removeprefix("plane")))
    return [_Plane(f"{folder}/{path.removesuffix('/stat.npy')}", name) for name, path in found]


@contextmanager
def _translate_errors(key: str) -> Iterator[None]:
    """What is wrong with a NumPy file as a finding."""
    try:
        yield
    except RefusedPickle as error:
        raise problem("pickle.refused", f"{key}: {error}", file=key) from error
    except DamagedFile as error:
        raise problem("regions.damaged", f"{key}: {error}", file=key) from error
    except TooManyPixels as error:
        raise problem("regions.limit", f"{key}: {error}", file=key) from error


class _PlaneReader:
    """The files of one plane."""

    def __init__(self, source: Source, plane: _Plane) -> None:
        self.source, self.plane = source, plane
        self.regions = 0

    def read(self) -> list[Content]:
        regions = self._read_regions()
        with _translate_errors(self._find_key("stat.npy")):
            pixels, ends = join_masks(list_masks(regions))
            columns = list(list_columns(regions))
        traces = [series for name in TRACES if (series := self._read_traces(name))]
        frames = {series.arrays[series.array].shape[1] for series in traces}
        if len(frames) > 1:
            listed = ", ".join(f"{one.array} {one.arrays[one.array].shape[1]}" for one in traces)
            raise self._make_mismatch(f"its files have different numbers of frames ({listed})")
        facts = {"rois": str(self.regions), **({"frames": str(*frames)} if frames else {})}
        return [self._make_table(pixels, ends, columns, facts), *traces]

    def _read_regions(self) -> tuple[dict[str, Any], ...]:
        """The entries of stat.npy, one a region."""
        key = self._find_key("stat.npy")
        with _translate_errors(key):
            elements = self._read_objects(key)
            if any(type(one) is not dict for one in elements):
                raise DamagedFile("its regions are no dicts, as suite2p has them")
        if not elements:
            raise problem("regions.empty", f"{key} holds no region", file=key)
        self.regions = len(elements)
        return tuple(elements)

    def _read_objects(self, key: str) -> list[Any]:
        """Elements of a pickled array."""
        size = self.source.size(key)
        if size > PICKLE_BYTES:
            raise RefusedPickle(f"it has {size} bytes; more than {PICKLE_BYTES} of a pickle are not read")
        data = self.source.read(key)
        header = parse_npy_header(data, len(data))
        if not header.is_pickled:
            raise DamagedFile(f"its elements are {header.descr}, not the objects that suite2p writes")
        made = parse_objects(data, header.start)
        elements = list_elements(made)
        if made.shape != header.shape:
            raise DamagedFile(f"its pickle has the shape {made.shape}, its header {header.shape}")
        return elements

    def _make_table(
        self, pixels: np.ndarray, ends: np.ndarray, columns: list[RegionColumn], facts: Mapping[str, str]
    ) -> DataTable:
        if not len(pixels):
            key = self._find_key("stat.npy")
            raise problem("regions.empty", f"{key}: its {self.regions} regions have no pixel", file=key)
        for name in FLAGS:
            columns += self._read_flags(name)
        arrays, declared = make_columns(columns)
        arrays |= {"pixels": make_array("pixels", pixels, "pixel"), "ends": make_array("ends", ends)}
        settings = self._read_settings()
        header: dict[str, Any] = {"regions": self.regions, "bounds": measure_bounds(pixels), "ops": settings}
        if {"Lx", "Ly"} <= settings.keys():
            header["image_size"] = [settings["Lx"], settings["Ly"]]
        named = (Column("pixel_mask", "pixels", ends="ends"), *declared)
        return DataTable(self.plane.name, FORMAT.name, facts, header, arrays, columns=named)

    def _read_settings(self) -> dict[str, Any]:
        """Numbers of ops.npy, where it lies there."""
        key = f"{self.plane.folder}/ops.npy"
        if not self.source.root.holds(key):
            return {}
        with _translate_errors(key):
            elements = self._read_objects(key)
            if len(elements) != 1 or type(elements[0]) is not dict:
                raise DamagedFile("it holds no dict of settings, as suite2p has them")
            return {name: value for name in _SETTINGS if (value := _read_number(elements[0].get(name))) is not None}

    def _read_flags(self, name: str) -> list[RegionColumn]:
        """Columns of a file of (region, 2): a flag, and the classifier's probability."""
        key, header = self._find_array(name)
        if header is None:
            return []
        with _translate_errors(key):
            if header.shape != (self.regions, 2):
                raise self._make_mismatch(f"{name} is of {header.shape}, stat.npy of {self.regions} regions")
            lazy = make_npy_array(self.source, key, header, name, ("roi", "axis"))
            data = lazy.read((slice(0, self.regions), slice(0, 2)))
            if not np.isin(data[:, 0], (0, 1)).all():
                raise DamagedFile("its first column holds other numbers than 0 and 1")
        column, meaning = FLAGS[name]
        return [
            RegionColumn(column, data[:, 0] == 1, meaning),
            RegionColumn(f"{column}_probability", data[:, 1].astype("<f8"), f"{meaning}: the classifier's probability"),
        ]

    def _read_traces(self, name: str) -> Series | None:
        key, header = self._find_array(name)
        if header is None:
            return None
        if len(header.shape) != 2 or header.shape[0] != self.regions:
            raise self._make_mismatch(f"{name} is of {header.shape}, stat.npy of {self.regions} regions")
        array = name.removesuffix(".npy")
        kind, meaning = TRACES[name]
        content = f"{self.plane.name}/{array}" if self.plane.name else array
        lazy = make_npy_array(self.source, key, header, array, ("roi", "time"))
        about = describe_trace(kind, self.plane.name, meaning)
        return Series(content, FORMAT.name, {}, about, {array: lazy}, array=array)

    def _find_array(self, name: str) -> tuple[str, NpyHeader | None]:
        """Key and header of a file of numbers; no header where there is none."""
        key = f"{self.plane.folder}/{name}"
        if not self.source.root.holds(key):
            return key, None
        with _translate_errors(key):
            header = read_npy_header(self.source, key)
            if header.is_pickled:
                raise DamagedFile("it holds objects, not the numbers that suite2p writes")
        return key, header

    def _find_key(self, name: str) -> str:
        return f"{self.plane.folder}/{name}"

    def _make_mismatch(self, message: str) -> Problem:
        folder = self.plane.folder
        return problem("regions.mismatch", f"{folder}: {message}", file=folder)


def _read_number(value: Any) -> int | float | None:
    """A number or a truth as JSON has it; None for anything else."""
    plain = value.item() if isinstance(value, np.generic) else value
    return plain if isinstance(plain, (bool, int, float)) and np.isfinite(plain) else None
