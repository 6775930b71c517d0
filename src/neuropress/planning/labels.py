"""Masks and points that a person names beside a volume: which there are, and their files, open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from neuropress.converters import load_converter

from ..config import FILE, Config
from ..model.content import Content
from ..model.finding import Finding, Problem, finding
from ..model.labels import POINTS, LabelClass, LabelFile, Labels, find_label_files
from ..model.profile import Profile
from ..model.source import Source
from ..readers.classes import read_classes
from ..readers.raw import RawArrays
from ..tables import RowId, normalise_key
from .targets import Wanted

_PURPOSES = {POINTS: ("points",)}
"""What files are opened for, where readers are for that alone."""


@dataclass(frozen=True, slots=True)
class OpenedLabels:
    """Labels or points for the converter, and every file that they are made of with what it holds."""

    labels: Labels
    files: tuple[tuple[Source, tuple[Content, ...]], ...]


def list_label_files(wanted: Wanted, profile: Profile) -> Iterator[tuple[LabelFile, str, str]]:
    """Masks and points of a result with the keys of each and of its classes (empty for none); none of a blank cell."""
    if wanted.part or not any(getattr(load_converter(name), "HAS_LABELS", False) for name, _ in wanted.jobs):
        return  # of several images of a row nobody says which one is meant
    for _, one in sorted(find_label_files(profile.labels, wanted.record.key).items()):
        cell = wanted.record.cells.get(one.column)
        path = one.path or (cell.text if cell else "")
        if path:
            yield one, normalise_key(path, profile), normalise_key(one.classes, profile) if one.classes else ""


def list_label_keys(wanted: Wanted, profile: Profile) -> set[str]:
    """Keys of all files of a result's labels and points."""
    return {key for _, mask, classes in list_label_files(wanted, profile) for key in (mask, classes) if key}


def open_labels(wanted: Wanted, config: Config, files: RawArrays) -> list[OpenedLabels]:
    """Open the masks and points of a result, headers only, and read their classes. Raises `Problem`."""
    opened = []
    for stated, key, classes_key in list_label_files(wanted, config.profile):
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
        opened.append(OpenedLabels(Labels(stated, key, contents, classes, classes_key), tuple(touched)))
    return opened


def find_unused_labels(config: Config, wanted: Iterable[Wanted], blocked: Iterable[RowId]) -> list[Finding]:
    """Labels and points of volumes that no row asks for: they would change nothing. Rows with errors still may."""
    used = {
        (one.record.key, label.section, label.name)
        for one in wanted
        for label, _, _ in list_label_files(one, config.profile)
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
