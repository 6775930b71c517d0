"""Whether a file that is named as by ``dandi organize`` is named by what is really in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py

from ...model.dandi_names import find_modalities, find_session_in_name, make_dandi_path
from ...model.finding import Finding, finding


def check_dandi_name(path: Path, file: h5py.File) -> Iterator[Finding]:
    """What a session's rows let expect, and what their files then hold, may differ; the name follows from the rows."""
    if not find_session_in_name(path.name):
        return
    types: set[str] = set()

    def visit(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Group):  # dandi looks at no types of datasets
            types.add(str(item.attrs.get("neurodata_type")))

    file.visititems(visit)
    subject, session = (
        str(file[place].asstr()[()]) if place in file else ""
        for place in ("general/subject/subject_id", "general/session_id")
    )
    wanted = make_dandi_path(subject, session, find_modalities(types))
    name = wanted.rpartition("/")[2] if wanted else path.name
    if name != path.name:
        message = f"{path.name}: by what is in it dandi organize would name it {name}"
        yield finding("nwb.dandi_name", message, value=path.name, expected=name)
