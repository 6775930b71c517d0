"""Writes a plan as HDF5, whose arrays are declared and still empty."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
from hdmf.build.errors import BuildError

from ...model.finding import Problem, problem
from ...model.plan import Plan
from .alike import AlikeBuildManager
from .build import build_nwbfile
from .builders import BuilderWriter, write_specifications
from .extension import find_type_map
from .shapes import Shape, describe_shape, make_stand_in
from .templates import Example, Template, describe_objects, learn_template

_KEPT = 200
"""Shapes that are remembered: a dataset may have as many as it has sessions."""
_SEEN: dict[str, None] = {}
"""Shapes of plans that were written."""
_TEMPLATES: dict[str, Template | None] = {}
"""Shapes of which two were -> how others are built; None where hdmf must build each."""


def declare_file(plan: Plan, version: str, sections: Mapping[str, str], path: Path) -> dict[str, str]:
    """Write all objects into a new file; arrays that come from raw files stay empty.

    Parameters
    ----------
    version, sections
        As `build_nwbfile` takes them.

    Returns
    -------
    dict
        The digests of its objects (`digest_objects`), empty texts for those that have to be read; none where all have.

    Raises
    ------
    Problem
        ``plan.invalid``: the plan asks for what NWB does not have; a value is not of the type that its field has.
    """
    shape = describe_shape(plan, version, sections)
    template = _TEMPLATES.get(shape.key) if shape else None
    root = template.fill(shape) if shape and template else _build_tree(plan, version, sections, path.name)
    # "x" follows no link, should somebody have put one there meanwhile.
    with h5py.File(path, "x") as file:
        _write_objects(root, file, plan)
    if shape and not template:
        _remember_shape(shape, root, plan, version, sections)
    return template.digest_objects(shape) if shape and template else {}


def declare_in_memory(plan: Plan, version: str, sections: Mapping[str, str]) -> None:
    """The same into memory, which is forgotten: some values are refused only as they are written.

    Raises
    ------
    Problem
        ``plan.invalid``, as `declare_file`.
    """
    shape = describe_shape(plan, version, sections)
    if shape and _TEMPLATES.get(shape.key):
        return  # one of this shape was written, and nothing is refused for what differs
    root = _build_tree(plan, version, sections, "plan.nwb")
    with _open_memory() as file:
        _write_objects(root, file, plan)
    if shape:
        _remember_shape(shape, root, plan, version, sections)


def _build_tree(plan: Plan, version: str, sections: Mapping[str, str], source: str) -> Any:
    """The builders of hdmf. Raises `Problem` (``plan.invalid``), also for what pynwb's own methods refuse."""
    try:
        nwbfile = build_nwbfile(plan, version, sections)
        return AlikeBuildManager(find_type_map(plan)).build(nwbfile, source=source, root=True)
    except (BuildError, TypeError, ValueError, LookupError) as error:
        raise problem("plan.invalid", f"The plan cannot be written as NWB: {error}") from error


def _open_memory() -> h5py.File:
    return h5py.File("plan.nwb", "w", driver="core", backing_store=False)


def _write_objects(root: Any, file: h5py.File, plan: Plan) -> None:
    try:
        BuilderWriter(file, plan.arrays()).write(root)
        if place := next((path for path in plan.grafts() if path in file), ""):
            raise ValueError(f"objects of a fragment are to lie at {place}, where there is something already")
    except (TypeError, ValueError) as error:
        raise problem("plan.invalid", f"The plan cannot be written as NWB: {error}") from error
    write_specifications(file, find_type_map(plan))


def _remember_shape(shape: Shape, root: Any, plan: Plan, version: str, sections: Mapping[str, str]) -> None:
    """Make a template of the second plan of a shape that was written."""
    if shape.key in _TEMPLATES:
        return
    if shape.key not in _SEEN:
        _keep_newest(_SEEN)[shape.key] = None
        return
    other, other_sections, other_shape = make_stand_in(plan, sections)
    template = None
    with suppress(Problem):  # something looks at its values
        stand_in = _build_tree(other, version, other_sections, "stand-in.nwb")
        template = learn_template(_make_example(shape, root, plan), _make_example(other_shape, stand_in, other))
    _keep_newest(_TEMPLATES)[shape.key] = template


def _make_example(shape: Shape, root: Any, plan: Plan) -> Example:
    with _open_memory() as file:
        _write_objects(root, file, plan)
        return Example(shape, root, describe_objects(file, plan.arrays()), plan.arrays())


def _keep_newest[T](known: dict[str, T]) -> dict[str, T]:
    if len(known) >= _KEPT:
        known.pop(next(iter(known)), None)
    return known
