"""What ``simulation_config.json`` says of a simulation: read, and never followed or run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ...model.budget import SONATA_CONDITIONS, SONATA_CONFIG
from ...model.finding import Problem
from ...model.parsing import parse_json
from ...model.source import Source
from .members import LONGEST

NAME = "simulation_config.json"
LEVELS = 3
"""Folders that are looked into: the file's own, and those above it."""
SECTIONS = ("version", "target_simulator", "run", "conditions", "inputs")
_VARIABLES = ("variable_name", "sections", "type", "cells")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is known of the simulation.

    Attributes
    ----------
    file
        Key of the settings; empty where there are none.
    texts
        Settings by their place (``run.dt``), as they are written.
    report
        What they say of the report that the file is, by their names.
    notes
        What could not be read, a sentence each.
    """

    file: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)
    report: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_conditions(source: Source) -> Conditions:
    """Settings of the simulation that a file came from, if they lie beside it or in a folder above."""
    key = _find_settings(source)
    if not key:
        return Conditions()
    try:
        with source.open(key) as file:
            data = file.read(SONATA_CONFIG + 1)
        # Numbers stay as they are written: 34.0 is no 34, and no float is exact.
        settings = parse_json(
            data, SONATA_CONFIG, parse_float=str, parse_int=str, object_pairs_hook=_refuse_equal_names
        )
        if not isinstance(settings, dict):
            raise ValueError("it is no JSON object")
    except (ValueError, RecursionError) as error:
        return Conditions(key, notes=(f"{key} cannot be read ({str(error)[:200]}): nothing of it is taken",))
    found = [pair for name in SECTIONS for pair in _list_texts(name, settings.get(name))]
    notes = []
    if len(found) > SONATA_CONDITIONS:
        notes.append(f"{key} has {len(found)} settings, of which the first {SONATA_CONDITIONS} are repeated")
    report = _find_report(settings.get("reports"), PurePosixPath(source.key).stem)
    return Conditions(key, dict(found[:SONATA_CONDITIONS]), report, tuple(notes))


def _find_settings(source: Source) -> str:
    """Key of the nearest settings; empty where there are none, or where they may not be looked at."""
    folder = PurePosixPath(source.key).parent
    for place in (folder, *folder.parents)[:LEVELS]:
        key = str(place / NAME)
        try:
            if source.root.holds(key) and source.root.stamp(key) is not None:
                return key
        except Problem:  # a link that leads out of the root
            return ""
    return ""


def _refuse_equal_names(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _list_texts(place: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text and number below a place, but for those that are paths of somebody's machine."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _list_texts(f"{place}.{name}", below)
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from _list_texts(f"{place}.{number}", below)
    elif value is not None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if _is_plain(text) and _is_plain(place) and not set("/\\$") & set(text):
            yield place, text


def _find_report(reports: Any, stem: str) -> dict[str, str]:
    """The report whose file has this name; it bears the report's own where none is stated."""
    for name, entry in reports.items() if isinstance(reports, dict) else ():
        if isinstance(entry, dict) and PurePosixPath(str(entry.get("file_name") or name)).stem == stem:
            return {one: entry[one] for one in _VARIABLES if isinstance(entry.get(one), str) and _is_plain(entry[one])}
    return {}


def _is_plain(text: str) -> bool:
    """Short, on one line, and without halves of surrogate pairs, which JSON can hold and no file."""
    return len(text) <= LONGEST and text.isprintable()
