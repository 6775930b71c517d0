"""HDF5 files as named arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...model.content import Content
from ...model.source import Source
from ..arrays.build import build_contents
from ..arrays.hdf5 import OpenArrays, describe_dataset, describe_other, walk_datasets
from ..arrays.tree import ArrayTree, Variable
from . import FORMAT
from .exchange import DATA, describe_projections
from .wavesurfer import find_sweeps, read_recording


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """Contents as declared.

    Raises
    ------
    Problem
        ``arrays.damaged``, ``arrays.unsafe``; and as `build_contents` does.
    """
    opened = OpenArrays(source)
    try:
        with opened.translate_errors():
            sweeps = find_sweeps(opened.file)
        if sweeps and set(options) <= {"clamp"}:
            return (read_recording(opened, sweeps, options),)
        tree = _read_tree(opened)
        if str(options.get("pixels", DATA)).lstrip("/") == DATA:
            with opened.translate_errors():
                tree = describe_projections(opened.file, tree)
        return build_contents(tree, options)
    except BaseException:
        opened.close()
        raise


def _read_tree(opened: OpenArrays) -> ArrayTree:
    variables: dict[str, Variable] = {}
    others: dict[str, str] = {}
    with opened.translate_errors():
        for path, dataset in walk_datasets(opened.file):
            other = describe_other(dataset)
            if other:
                others[path] = other
            else:
                variables[path] = opened.make_variable(path, dataset, **describe_dataset(dataset))
    return ArrayTree(opened.key, FORMAT.name, variables, others, close=opened.close)
