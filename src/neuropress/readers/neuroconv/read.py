"""Read what an interface of neuroconv makes of a raw object: a fragment, kept until its inputs or options change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ...model.content import Content, Fragment
from ...model.finding import problem
from ...model.source import Source
from ..hdf5.fragment import read_fragment
from .make import Made, make_fragment, open_made


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """The fragment of a raw object, with what the interface says of itself and of the file as header.

    Raises
    ------
    Problem
        ``neuroconv.*``, ``tool.*``: the interface was refused, or failed; ``fragment.*``.
    """
    made = _find(source, options)
    content = read_fragment(open_made(source, made), "neuroconv")
    header = {
        "interface": options["interface"],
        "arguments": options.get("arguments", {}),
        "metadata": options.get("metadata", {}),
        "versions": made.answer["versions"],
        "states": made.answer["about"],
    }
    if corrected := made.answer["corrected"]:
        header["corrected"] = corrected
    if folder := options.get("external_folder"):
        header["external_folder"] = folder
    if options.get("trust"):
        header |= {"trusted": True, "unpickled": made.answer["unpickled"]}
    warnings = tuple(
        f"{name} was not handed to the interface: it could be unpickled; trust = true hands it over"
        for name in made.withheld
    )
    return (_with_clock(content, made, header, warnings, bool(options.get("clock_offset"))),)


def find_fragment(source: Source, options: Mapping[str, Any]) -> Source:
    """The fragment of a raw object, under the object's key. Raises as `read` does."""
    return open_made(source, _find(source, options))


def _find(source: Source, options: Mapping[str, Any]) -> Made:
    if not options.get("interface"):
        message = f'{source.key}: state which interface reads it, as interface = "DeepLabCutInterface"'
        raise problem("neuroconv.interface", message, file=source.key)
    return make_fragment(source, options)


def _with_clock(
    content: Fragment, made: Made, header: Mapping[str, Any], warnings: tuple[str, ...], is_shifted: bool
) -> Fragment:
    """The fragment with what the interface says of its time 0: in the exported file stands nobody's start."""
    text = made.answer["started"]
    try:
        started = datetime.fromisoformat(text) if text else None
    except ValueError:
        started = None
    return replace(content, header=header, warnings=warnings, started=started, is_shifted=is_shifted)
