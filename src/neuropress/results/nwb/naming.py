"""What of a file its name at DANDI is made of; whether one that is named so is named by what is really in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py

from ...model.dandi_names import find_modalities, find_session_in_name, make_dandi_path
from ...model.finding import Finding, finding

_SUBJECT = "general/subject"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Whose and which session's a file is, and what is in it; texts are empty where the file does not say.

    Attributes
    ----------
    born
        Age or birth date.
    path
        As ``dandi organize`` would place it; None where its ids make no name.
    """

    subject: str
    session: str
    species: str
    sex: str
    born: str
    path: str | None


def read_facts(file: h5py.File) -> FileFacts:
    """The facts of an open file that was proven, or looked at by the guard."""
    types: set[str] = set()

    def visit(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Group):  # dandi looks at no types of datasets
            types.add(str(item.attrs.get("neurodata_type")))

    file.visititems(visit)

    def read_text(place: str) -> str:
        return str(file[place].asstr()[()]) if place in file else ""

    subject, session = read_text(f"{_SUBJECT}/subject_id"), read_text("general/session_id")
    species, sex = read_text(f"{_SUBJECT}/species"), read_text(f"{_SUBJECT}/sex")
    born = read_text(f"{_SUBJECT}/age") or read_text(f"{_SUBJECT}/date_of_birth")
    return FileFacts(subject, session, species, sex, born, make_dandi_path(subject, session, find_modalities(types)))


def check_dandi_name(path: Path, file: h5py.File) -> Iterator[Finding]:
    """What a session's rows let expect, and what their files then hold, may differ; the name follows from the rows."""
    if not find_session_in_name(path.name):
        return
    wanted = read_facts(file).path
    name = wanted.rpartition("/")[2] if wanted else path.name
    if name != path.name:
        message = f"{path.name}: by what is in it dandi organize would name it {name}"
        yield finding("nwb.dandi_name", message, value=path.name, expected=name)
