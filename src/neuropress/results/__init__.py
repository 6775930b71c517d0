"""What a dataset can result in: one package per kind, which alone knows what is particular to it.

Add a kind: write a package with ``KIND`` (a `Kind`) and a module with what `KindModule` demands, and name it in
`KINDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..model.finding import problem
from . import asset, nwb, omezarr
from .kind import ArrayMeaning, Batch, Estimate, Kind, KindModule, Request, Seal, StoredArray, UnitsModule, Work

if TYPE_CHECKING:
    from ..storage.remote import ResultPath

__all__ = [
    "KINDS",
    "PUBLISHED",
    "TARGETS",
    "ArrayMeaning",
    "Batch",
    "Estimate",
    "Kind",
    "KindModule",
    "Request",
    "Seal",
    "StoredArray",
    "UnitsModule",
    "Work",
    "detect_kind",
    "find_kind_by_suffix",
    "is_staging_folder",
    "load_kind",
]

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (nwb.KIND, omezarr.KIND, asset.KIND)}
"""Every kind by its name."""

PUBLISHED = ("raw", *KINDS)
"""Kinds of data that a release holds, beside the labs' tables."""

TARGETS: Mapping[str, Kind] = {
    target: kind for kind in KINDS.values() for target in (kind.target, kind.row_target) if target
}
"""Every kind by the target of the converters that end in it."""


def load_kind(name: str) -> KindModule:
    """What is done with results of a kind, by its name."""
    return KINDS[name].load()


def find_kind_by_suffix(path: str, *, is_folder: bool | None = None) -> Kind | None:
    """The kind whose results are called like a path; None when none is.

    Parameters
    ----------
    is_folder
        What lies at the path, if that is known.
    """
    for kind in KINDS.values():
        if path.endswith(kind.suffix) and is_folder in (None, kind.is_folder):
            return kind
    return None


def is_staging_folder(name: str) -> bool:
    """Whether a folder is called as those are in which a result is under way."""
    return any(f"{kind.suffix}.partial" in name for kind in KINDS.values() if kind.is_folder)


def detect_kind(path: ResultPath) -> Kind:
    """The kind of a result, by its content.

    Raises
    ------
    Problem
        ``result.none``: it is of no kind, or not there.
    """
    if not path.exists():
        raise problem("result.none", f"{path} does not exist", file=str(path))
    if not path.is_dir() and not path.is_file():  # a pipe would be waited for
        raise problem("result.none", f"{path} is neither a file nor a folder", file=str(path))
    for kind in KINDS.values():
        if kind.is_folder is path.is_dir() and kind.recognises(path):
            return kind
    known = ", ".join(f"{kind.label} ({kind.suffix})" for kind in KINDS.values())
    what = "a folder" if path.is_dir() else "a file"
    raise problem("result.none", f"{path} is {what}, and none of {known}", file=str(path))
