"""The option ``columns`` of arrays: the language of behaviour tables, for arrays by their paths."""

from __future__ import annotations

from ..behavior_csv.columns import Described
from ..behavior_csv.columns import parse_columns as parse_described
from .language import Reference, parse_reference

ROLES = ("value", "time", "start", "stop")


def parse_columns(text: str) -> list[tuple[Reference, Described]]:
    """Each array and what it is.

    Raises
    ------
    ValueError
        An entry says nothing of the kind, or something that arrays are not (text, frame).
    """
    columns = []
    for name, described in parse_described(text).items():
        reference = parse_reference(name)
        if described.role not in ROLES:
            raise ValueError(f"says {described.role!r} of {name[:80]!r}; leave out arrays that are not meant")
        if "*" in reference.path or "s" in reference.axes:
            raise ValueError(f"has {name[:80]!r}: each array of behaviour is named by itself")
        columns.append((reference, described))
    if not columns:
        raise ValueError("names no array")
    return columns
