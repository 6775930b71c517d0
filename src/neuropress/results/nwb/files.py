"""Hands a built `NWBFile` to hdmf's HDF5 backend, with object ids that two runs share."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import h5py
from hdmf.build import BuildManager, GroupBuilder
from hdmf.build.errors import BuildError
from pynwb import NWBHDF5IO, NWBFile

from ...model.finding import Problem, problem
from .extension import type_map


class _ReproducibleIO(NWBHDF5IO):  # type: ignore[misc]
    """hdmf gives every object a random id and has no setter: they are replaced in the builders."""

    def write_builder(self, builder: GroupBuilder, **kwargs: Any) -> None:
        identifier = builder["identifier"].data
        _name_objects(builder, f"neuropress:{identifier}:", "")
        super().write_builder(builder, **kwargs)


def _name_objects(builder: Any, prefix: str, path: str) -> None:
    if "object_id" in builder.attributes:
        builder.set_attribute("object_id", str(uuid5(NAMESPACE_URL, f"{prefix}{path or '/'}")))
    if isinstance(builder, GroupBuilder):
        for name, child in (*builder.groups.items(), *builder.datasets.items()):
            _name_objects(child, prefix, f"{path}/{name}")


def declare(nwbfile: NWBFile, path: Path) -> None:
    """Write all objects into a new file; arrays that come from raw files stay empty.

    Raises
    ------
    Problem
        ``plan.invalid``: a value is not of the type that its field has in NWB.
    """
    # An open file, not its path: pynwb warns of names that do not end in .nwb, and this one is temporary.
    # "x" follows no link, should somebody have put one there meanwhile.
    file = h5py.File(path, "x")
    with _ReproducibleIO(file=file, mode="w", manager=BuildManager(type_map())) as io:
        try:
            io.write(nwbfile, expandable=())
        except (BuildError, TypeError, ValueError) as error:
            raise _invalid(error) from error


def check_builders(nwbfile: NWBFile) -> None:
    """See whether all objects become what is written, without a file.

    Raises
    ------
    Problem
        ``plan.invalid``: as `declare`.
    """
    try:
        BuildManager(type_map()).build(nwbfile, source="plan", root=True)
    except (BuildError, TypeError, ValueError) as error:
        raise _invalid(error) from error


def _invalid(error: Exception) -> Problem:
    return problem("plan.invalid", f"The plan cannot be written as NWB: {error}")
