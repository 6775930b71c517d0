"""Hands a built `NWBFile` to hdmf's HDF5 backend, with object ids that two runs share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
from hdmf.build import BuildManager, GroupBuilder
from hdmf.build.errors import BuildError
from pynwb import NWBHDF5IO, NWBFile

from ...model.finding import problem
from ...model.plan import ArraySpec, Plan
from .extension import find_type_map
from .storage import declare_array, make_object_id


class _ReproducibleIO(NWBHDF5IO):  # type: ignore[misc]
    """hdmf gives every object a random id and has no setter: they are replaced in the builders.

    Arrays of raw files are declared as they will be stored: hdmf knows neither records nor texts without their data.
    """

    def __init__(self, arrays: Mapping[str, ArraySpec], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._arrays = arrays

    def write_dataset(self, parent: h5py.Group, builder: Any, **kwargs: Any) -> None:
        spec = self._arrays.get(f"{parent.name.rstrip('/')}/{builder.name}")
        if spec is None or self.get_written(builder):
            super().write_dataset(parent=parent, builder=builder, **kwargs)
            return
        dataset = declare_array(parent, builder.name, spec)
        self.set_attributes(dataset, builder.attributes)
        self._written_builders.set_written(builder)

    def write_builder(self, builder: GroupBuilder, **kwargs: Any) -> None:
        _name_objects(builder, builder["identifier"].data, "")
        super().write_builder(builder, **kwargs)


def _name_objects(builder: Any, identifier: str, path: str) -> None:
    if "object_id" in builder.attributes:
        builder.set_attribute("object_id", make_object_id(identifier, path or "/"))
    if isinstance(builder, GroupBuilder):
        for name, child in (*builder.groups.items(), *builder.datasets.items()):
            _name_objects(child, identifier, f"{path}/{name}")


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
    with _ReproducibleIO(arrays, file=file, mode="w", manager=BuildManager(types)) as io:
        try:
            io.write(nwbfile, expandable=())
            if place := next((path for path in plan.grafts() if path in file), ""):
                raise ValueError(f"objects of a fragment are to lie at {place}, where there is something already")
        except (BuildError, TypeError, ValueError) as error:
            raise problem("plan.invalid", f"The plan cannot be written as NWB: {error}") from error
