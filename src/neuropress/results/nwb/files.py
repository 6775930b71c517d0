"""Writes a built `NWBFile` as HDF5, whose arrays are declared and still empty."""

from __future__ import annotations

from pathlib import Path

import h5py
from hdmf.build.errors import BuildError
from pynwb import NWBFile

from ...model.finding import problem
from ...model.plan import Plan
from .alike import AlikeBuildManager
from .builders import BuilderWriter, write_specifications
from .extension import find_type_map


def declare_file(nwbfile: NWBFile, path: Path, plan: Plan) -> None:
    """Write all objects into a new file; arrays that come from raw files stay empty.

    Raises
    ------
    Problem
        ``plan.invalid``: a value is not of the type that its field has in NWB.
    """
    # An open file, not its path: pynwb warns of names that do not end in .nwb, and this one is temporary.
    # "x" follows no link, should somebody have put one there meanwhile.
    _write_objects(nwbfile, h5py.File(path, "x"), plan)


def declare_in_memory(nwbfile: NWBFile, plan: Plan) -> None:
    """The same into memory, which is forgotten: some values are refused only as they are written.

    Raises
    ------
    Problem
        ``plan.invalid``, as `declare_file`.
    """
    _write_objects(nwbfile, h5py.File("plan.nwb", "w", driver="core", backing_store=False), plan)


def _write_objects(nwbfile: NWBFile, file: h5py.File, plan: Plan) -> None:
    arrays, types = plan.arrays(), find_type_map(plan)
    with file:
        try:
            root = AlikeBuildManager(types).build(nwbfile, source=file.filename, root=True)
            BuilderWriter(file, arrays).write(root)
            if place := next((path for path in plan.grafts() if path in file), ""):
                raise ValueError(f"objects of a fragment are to lie at {place}, where there is something already")
        except (BuildError, TypeError, ValueError) as error:
            raise problem("plan.invalid", f"The plan cannot be written as NWB: {error}") from error
        write_specifications(file, types)
