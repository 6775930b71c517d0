"""What columns of a table of points are: by their usual names, or as a person states it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

AXES = ("z", "y", "x")
PLACES = tuple(f"{axis}{end}" for axis in AXES for end in ("", "_min", "_max", "_size"))
OTHERS = ("class", "score", "object")
ROLES = (*PLACES, *OTHERS)
MAX_FIRST = 10**9
USUAL: Mapping[str, Sequence[str]] = {
    **{axis: (axis, f"marker{axis}") for axis in AXES},
    **{f"{axis}_min": (f"{axis}_min", f"{axis}min", f"min_{axis}") for axis in AXES},
    **{f"{axis}_max": (f"{axis}_max", f"{axis}max", f"max_{axis}") for axis in AXES},
    **{f"{axis}_size": (f"{axis}_size",) for axis in AXES},
    "class": ("class", "type", "label", "cell_type", "category"),
    "score": ("score", "confidence", "probability", "likelihood"),
}
"""Role -> how columns are called that mean it, in lower case."""
NAPARI = ("axis-0", "axis-1", "axis-2")
_FIRST = re.compile(r"[0-9]{1,9}")


class Undeclared(ValueError):
    """What a person must state; `options` are those that are missing, with what they may be."""

    def __init__(self, why: str, options: Mapping[str, str]) -> None:
        super().__init__(why)
        self.options = options


def parse_columns(text: str) -> dict[str, str]:
    """The option ``columns``: column -> role. Raises `ValueError`."""
    stated: dict[str, str] = {}
    for entry in filter(str.strip, text.split(";")):
        name, equals, role = (part.strip() for part in entry.rpartition("="))
        if not equals or not name or name in stated:
            raise ValueError(f"has {entry.strip()[:80]!r}, which is no COLUMN = MEANING of one more column")
        if role not in ROLES:
            raise ValueError(f"says {role[:80]!r} of the column {name[:80]!r}; known: {', '.join(ROLES)}")
        if role in stated.values():
            raise ValueError(f"says {role} of two columns")
        stated[name] = role
    return stated


def check_columns(text: str) -> str:
    """What is wrong with the option ``columns``; "" for nothing."""
    try:
        parse_columns(text)
    except ValueError as error:
        return str(error)
    return ""


def parse_first(text: str) -> dict[str, int]:
    """The option ``first``: axis -> number of its first pixel. Raises `ValueError`."""
    if _FIRST.fullmatch(text.strip()):
        return dict.fromkeys(AXES, int(text))
    parsed: dict[str, int] = {}
    for entry in text.split(","):
        axis, _, number = entry.strip().partition(" ")
        if axis not in AXES or axis in parsed or not _FIRST.fullmatch(number.strip()):
            raise ValueError(f'must be a whole number, or one for each axis (z 1, y 0, x 0), not "{text[:80]}"')
        parsed[axis] = int(number)
    return parsed


def check_first(text: str) -> str:
    """What is wrong with the option ``first``; "" for nothing."""
    try:
        parse_first(text)
    except ValueError as error:
        return str(error)
    return ""


def find_roles(names: Sequence[str], stated: str) -> dict[str, str]:
    """Role -> column, as a person stated it, else by the usual names.

    Raises
    ------
    Undeclared
        The option names a column that is not there, or the places are not told.
    """
    if stated:
        columns = parse_columns(stated)
        if absent := sorted(set(columns) - set(names)):
            raise Undeclared(f"the option columns names {absent[0][:80]!r}, which it does not have", {})
        roles = {role: name for name, role in columns.items()}
    else:
        roles = _guess_roles(names)
    if why := _find_complaint(roles):
        raise Undeclared(why, {} if stated else {"columns": draft_columns(names)})
    return roles


def _guess_roles(names: Sequence[str]) -> dict[str, str]:
    known: dict[str, str] = {}
    for name in names:
        known.setdefault(name.strip().lower(), name)
    if "axis-0" in known:
        axes = [name for name in known if name.startswith("axis-")]
        here = AXES[-len(axes) :] if len(axes) <= len(AXES) else ()
        roles = dict(zip(here, (known[name] for name in axes), strict=False))
        corner = {"object": known["index"]} if {"index", "vertex-index"} <= set(known) else {}
        return roles | corner
    found = ((role, next((known[n] for n in usual if n in known), "")) for role, usual in USUAL.items())
    roles = {role: name for role, name in found if name}
    # The middle of a box beside its edges is one more column.
    return {role: name for role, name in roles.items() if role not in AXES or f"{role}_min" not in roles}


def _find_complaint(roles: Mapping[str, str]) -> str:
    """Why these columns are no places; "" where they are."""
    for axis in AXES:
        kinds = tuple(end for end in ("", "_min", "_max", "_size") if f"{axis}{end}" in roles)
        if kinds not in ((), ("",), ("_min", "_max"), ("_min", "_size")):
            named = " and ".join(f"{axis}{end}" for end in kinds)
            return f"its columns tell {named}; an axis has {axis} alone, {axis}_min and {axis}_max, or _min and _size"
        if axis != "z" and not kinds:
            return f"none of its columns is known to be {axis}"
    return ""


def draft_columns(names: Sequence[str]) -> str:
    """The option to fill in: usual names as they are, others as a question."""
    roles = {name: role for role, name in _guess_roles(names).items()}
    free = iter(axis for axis in ("x", "y", "z") if axis not in roles.values())
    entries = [f"{name} = {roles.get(name) or next(free, '')}" for name in names[:6]]
    return "; ".join(entry for entry in entries if not entry.endswith("= "))
