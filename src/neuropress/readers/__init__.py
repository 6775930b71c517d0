"""Raw formats: one package each, whose ``FORMAT`` says what is known of it before a file is opened.

Add one: write a package with ``FORMAT`` (a `Format`) and a module with ``read``, and name it in `BUILT_IN`; another
installed package names its `Format` under the entry point ``neuropress.readers``. Files are opened by `raw`;
declarations import nothing heavy. A reader knows nothing of tables or targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from types import MappingProxyType
from typing import Any

from ..model.finding import Finding
from ..registry import CORE, Plugin, PluginError, Plugins, load_plugins
from . import (
    abf,
    atf,
    behavior_csv,
    bigdataviewer,
    caiman,
    czi,
    deeplabcut,
    genbank,
    hdf5_arrays,
    ibw,
    imagej_roi,
    imaris,
    lif,
    masks,
    mat,
    micromanager,
    n5,
    nd2,
    neuroconv,
    nifti,
    npy,
    nrrd,
    nwb,
    oif,
    ome_zarr,
    points,
    prairieview,
    precomputed,
    pxp,
    sleap,
    slices,
    sonata,
    suite2p,
    swc,
    terafly,
    tiff,
    trace_text,
    traces,
    vaa3d,
    video,
)
from .format import (
    CLOCK,
    CLOCK_EDGES,
    CLOCK_OFFSET,
    CLOCK_THRESHOLD,
    Claim,
    Fact,
    Format,
    Option,
    check_options,
    suggest_name,
)

__all__ = [
    "BUILT_IN",
    "COMMON",
    "GROUP",
    "Claim",
    "Fact",
    "Format",
    "Option",
    "check_reader_options",
    "get_formats",
    "get_registered_formats",
    "list_broken_readers",
    "parse_reader_options",
]

GROUP = "neuropress.readers"
"""Entry point of other packages' formats."""

BUILT_IN = (
    abf.FORMAT,
    tiff.FORMAT,
    slices.FORMAT,
    swc.FORMAT,
    genbank.FORMAT,
    ibw.FORMAT,
    imagej_roi.FORMAT,
    nwb.FORMAT,
    behavior_csv.FORMAT,
    deeplabcut.FORMAT,
    sleap.FORMAT,
    atf.FORMAT,
    sonata.FORMAT,
    suite2p.FORMAT,
    masks.FORMAT,
    caiman.FORMAT,
    traces.FORMAT,
    czi.FORMAT,
    lif.FORMAT,
    micromanager.FORMAT,
    nd2.FORMAT,
    oif.FORMAT,
    ome_zarr.FORMAT,
    points.FORMAT,
    precomputed.FORMAT,
    n5.FORMAT,
    bigdataviewer.FORMAT,
    terafly.FORMAT,
    prairieview.FORMAT,
    pxp.FORMAT,
    hdf5_arrays.FORMAT,
    imaris.FORMAT,
    mat.FORMAT,
    npy.FORMAT,
    nrrd.FORMAT,
    nifti.FORMAT,
    vaa3d.FORMAT,
    trace_text.FORMAT,
    video.FORMAT,
    neuroconv.FORMAT,
)

COMMON = (
    Option("reader", "The reader's name, where two readers claim the file or none does."),
    Option("image", "Which image of several: its number in the file, from 1, or its name."),
    CLOCK_OFFSET,
    CLOCK,
    CLOCK_THRESHOLD,
    CLOCK_EDGES,
)
"""Options that every reader has."""


@cache
def _load_readers() -> Plugins[Format]:
    return load_plugins(GROUP, {format.name for format in BUILT_IN}, _check_format)


@cache
def get_registered_formats() -> Mapping[str, Plugin[Format]]:
    """Every format by its name, with the package that it is from; those of other packages last."""
    built_in = (Plugin(format.name, CORE, format) for format in BUILT_IN)
    return MappingProxyType({entry.name: entry for entry in (*built_in, *_load_readers().usable)})


def get_formats() -> dict[str, Format]:
    """Every format by its name."""
    return {name: entry.value for name, entry in get_registered_formats().items()}


def list_broken_readers() -> tuple[Finding, ...]:
    """A finding for each reader of another package that cannot be used."""
    return _load_readers().broken


def _check_format(name: str, package: str, value: Any) -> Format:
    """What a plug-in declares, if it is whole. Raises `PluginError`."""
    if not isinstance(value, Format):
        raise PluginError(f"it is {type(value).__name__!r}, not a neuropress.readers.Format")
    if value.name != name:
        raise PluginError(f"it declares the name {value.name!r}")
    if not (value.signatures or value.suffixes or value.is_folder or value.probe):
        raise PluginError("it says neither by content nor by name what it reads")
    common = {option.name for option in COMMON}
    for option in value.options:
        if option.name in common and option not in COMMON:
            raise PluginError(f"its option {option.name!r} is one that every reader has")
        if option.kind == "choice" and not option.choices:
            raise PluginError(f"its option {option.name!r} is a choice of nothing")
    return value


def check_reader_options(options: Mapping[str, Any]) -> str:
    """What is wrong with the options of one file, as far as that can be known without opening it; "" for nothing.

    Where they do not name a reader, they must suit one of those that there are.
    """
    known = get_formats()
    named = options.get("reader")
    if named is not None:
        if complaint := COMMON[0].find_complaint(named):
            return f"reader {complaint}"
        if named not in known:
            listed = ", ".join(known) + suggest_name(named, known)
            return f"reader = {named[:80]!r}: there is no such reader; known: {listed}"
        return check_options(options, known[named], COMMON)
    complaints = [check_options(options, format, COMMON) for format in known.values()]
    if not all(complaints):
        return ""
    return _choose_complaint(options, complaints)


def parse_reader_options(texts: Mapping[str, str]) -> dict[str, Any]:
    """Options typed on a command line, as the values that the readers' options of these names ask for."""
    every = [*COMMON, *(option for format in get_formats().values() for option in format.options)]
    values: dict[str, Any] = {}
    for name, text in texts.items():
        kinds = {option.kind for option in every if option.name == name}
        values[name] = text
        if "yes/no" in kinds and text in ("true", "false"):
            values[name] = text == "true"
        elif kinds & {"number", "whole number"} and not kinds & {"text", "choice"}:
            with suppress(ValueError):  # what is no number is refused with the option's own limits
                values[name] = int(text) if text.lstrip("+-").isdecimal() else float(text)
    return values


def _choose_complaint(options: Mapping[str, Any], complaints: list[str]) -> str:
    """The complaint that helps: on a name that no reader has, else on a value, of a reader that has all the names."""
    every = {option.name: option for option in COMMON}
    for format in get_formats().values():
        every.update({option.name: option for option in format.options})
    for name in options:
        if name not in every:
            return f"{name} is none of {', '.join(sorted(every))}{suggest_name(name, every)}"
    for format, complaint in zip(get_formats().values(), complaints, strict=True):
        names = {option.name for option in (*COMMON, *format.options)}
        if names >= set(options):
            return complaint
    return f"no reader has all of the options {', '.join(sorted(options))}"
