"""Metadata of a result, read without a library for its pixels, whose import takes longer than a small conversion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...model import budget
from ...model.finding import Problem, problem
from ...storage.remote import ResultPath
from . import guard
from .metadata import LABELS


def read_attributes(path: ResultPath, group: str = "") -> Mapping[str, Any]:
    """The attributes of the root, or of a group in it.

    Raises
    ------
    Problem
        ``result.unreadable``.
    """
    name = f"{group}/{guard.NAME}" if group else guard.NAME
    try:
        with guard.translate_errors(path):
            attributes = guard.read_node(path / group if group else path)["attributes"]
            if not isinstance(attributes, dict):
                raise ValueError("its attributes are no object")
    except Problem as bad:
        if bad.finding.id == "result.unsafe":
            raise
        why = bad.finding.message.partition(": ")[2]
        raise problem("result.unreadable", f"{path.name} has no readable {name}: {why}", file=str(path)) from bad
    return attributes


def list_image_groups(path: ResultPath) -> list[str]:
    """The image (``""``) and those of its labels that are listed. Raises `Problem`, as `read_level_names` does."""
    if not any((path / LABELS / name).is_file() for name in (guard.NAME, guard.OLD_GROUP)):
        return [""]
    with guard.translate_errors(path):
        names = read_attributes(path, LABELS)["ome"]["labels"]
        if not isinstance(names, list) or len(names) > budget.ZARR_NODES or len(set(names)) < len(names):
            raise ValueError(f"{LABELS}/{guard.NAME} lists no labels, or too many, or some twice")
        return ["", *(f"{LABELS}/{guard.check_path(LABELS, name)}" for name in names)]


def read_level_names(path: ResultPath) -> list[str]:
    """Paths of the levels of the image, level 0 first, and of its labels.

    Raises
    ------
    Problem
        ``result.unreadable``, ``result.unsafe``.
    """
    found: list[str] = []
    with guard.translate_errors(path):
        for group in list_image_groups(path):
            levels = read_attributes(path, group)["ome"]["multiscales"][0]["datasets"]
            if len(levels) > budget.ZARR_NODES:
                raise ValueError(f"it lists {len(levels)} levels, more than {budget.ZARR_NODES}")
            names = [guard.check_path("multiscales", level["path"]) for level in levels]
            found += [f"{group}/{name}" if group else name for name in names]
        if len(set(found)) < len(found):  # each would be read and compared again
            raise ValueError("it lists a level twice")
        return found
