"""Masks and points that a person names beside a volume: which there are, and their files, open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from ..config import FILE, Config
from ..model.content import Content
from ..model.finding import Finding, Problem, finding
from ..model.labels import POINTS, LabelClass, LabelFile, Labels, find_label_files
from ..model.profile import Profile
from ..model.record import CellRef, Record
from ..model.source import Source
from ..readers.classes import read_classes
from ..readers.raw import RawArrays
from ..tables import RowId, is_private_cell, normalise_key
from .label_files import list_label_files
from .targets import Wanted

_PURPOSES = {POINTS: ("points",)}
"""What files are opened for, where readers are for that alone."""


@dataclass(frozen=True, slots=True)
class OpenedLabels:
    """Labels or points for the converter, and every file that they are made of with what it holds."""

    labels: Labels
    files: tuple[tuple[Source, tuple[Content, ...]], ...]


def list_label_keys(wanted: Wanted, profile: Profile) -> set[str]:
    """Keys of all files of a result's labels and points."""
    return {key for _, mask, classes in _list_files(wanted, profile) for key in (mask, classes) if key}


def _list_files(wanted: Wanted, profile: Profile) -> Iterator[tuple[LabelFile, str, str]]:
    """Those of a result; none of one of several images of a row, as nobody says which one is meant."""
    return list_label_files(wanted.record, [] if wanted.part else [name for name, _ in wanted.jobs], profile)


def open_labels(wanted: Wanted, config: Config, files: RawArrays) -> list[OpenedLabels]:
    """Open the masks and points of a result, headers only, and read their classes. Raises `Problem`."""
    opened = []
    for stated, key, classes_key in _list_files(wanted, config.profile):
        try:
            source, contents = files.open_source(key, config.find_options(key), _PURPOSES.get(stated.section, ()))
            touched: list[tuple[Source, tuple[Content, ...]]] = [(source, contents)]
            classes: tuple[LabelClass, ...] = ()
            if classes_key:
                table = config.sources().locate(classes_key)
                classes = read_classes(table)
                touched.append((table, ()))
        except Problem as bad:
            message = f"{stated.section} {stated.name} of {wanted.record.key}: {bad.finding.message}"
            place = {"file": bad.finding.location.file, **wanted.record.place()}
            raise Problem(replace(bad.finding, message=message).at(**place)) from bad
        rows = tuple(_list_cells(row, config.profile) for row in wanted.named if _names_file(row, key, config.profile))
        opened.append(OpenedLabels(Labels(stated, key, contents, classes, classes_key, rows), tuple(touched)))
    return opened


def _names_file(row: Record, key: str, profile: Profile) -> bool:
    texts = (row.cells[column].text for column in profile.tables[row.table].paths if column in row.cells)
    return key in {normalise_key(text, profile) for text in texts if text}


def _list_cells(row: Record, profile: Profile) -> tuple[CellRef, ...]:
    """The cells of a row that are not blank, and may leave the house."""
    spec = profile.tables[row.table]
    shown = (name for name, cell in row.cells.items() if cell.text and not is_private_cell(spec, name, cell.text))
    return tuple(row.ref(name) for name in shown)


def find_unused_labels(config: Config, wanted: Iterable[Wanted], blocked: Iterable[RowId]) -> list[Finding]:
    """Labels and points of volumes that no row asks for: they would change nothing. Rows with errors still may."""
    used = {
        (one.record.key, label.section, label.name)
        for one in wanted
        for label, _, _ in _list_files(one, config.profile)
    }
    withheld = [key for _, key in blocked]
    found = []
    for pattern, files in config.profile.labels.items():
        for label in files:
            stated = {pattern: (label,)}
            keys = [*(key for key, *name in used if name == [label.section, label.name]), *withheld]
            if not any(find_label_files(stated, key) for key in keys):
                name = f"{label.section}.{pattern}.{label.name}"
                found.append(finding("labels.unused", f"no volume has what {name} states", value=name, file=FILE))
    return found
