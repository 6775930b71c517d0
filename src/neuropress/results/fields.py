"""Whether a result holds what its provenance says of it: every field is looked up and compared."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..model.budget import SHOWN_CHARS
from ..model.plan import Field
from ..storage.remote import ResultPath
from .kind import KindModule

_RANGE = re.compile(r"([0-9]{1,9}):([0-9]{1,9})")
_COPIED = ("cell", "fix", "default")


def find_unmatched_fields(module: KindModule, path: ResultPath, fields: Mapping[str, Field]) -> dict[str, str]:
    """Fields that the result does not bear out -> why not; empty where every value is in its place.

    Raises
    ------
    Problem
        ``result.unreadable``, ``result.unsafe``.
    """
    return compare_fields(fields, module.read_fields(path, fields))


def compare_fields(fields: Mapping[str, Field], stored: Mapping[str, Any]) -> dict[str, str]:
    """The same for values that were read back: name -> value, without those that are not there."""
    unmatched = {}
    for name, field in fields.items():
        reason = _compare_field(field, stored, name)
        if reason:
            unmatched[name] = reason
    return unmatched


def _compare_field(field: Field, stored: Mapping[str, Any], name: str) -> str:
    shown = repr(field.value)[:SHOWN_CHARS]
    if name not in stored:
        return f"{shown} is stated, and nothing is there"
    if not is_same_value(field.value, stored[name]):
        return f"{shown} is stated, {repr(stored[name])[:SHOWN_CHARS]} is there"
    if field.via == "copy":
        for ref in field.sources:
            if ref.origin in _COPIED and ref.text != str(field.value):
                return f"{shown} is stated as a copy of {ref.table}.{ref.key}.{ref.column}, which is {ref.text!r}"
    return ""


def is_same_value(stated: Any, stored: Any) -> bool:
    """Whether a value that was read back is the one that was planned: numbers by value, instants by text and moment."""
    if isinstance(stated, (list, tuple)):
        if not isinstance(stored, (list, tuple)) or len(stated) != len(stored):
            return False
        return all(is_same_value(one, other) for one, other in zip(stated, stored, strict=True))
    if isinstance(stated, str) and isinstance(stored, str):
        return stated == stored or _is_same_instant(stated, stored)
    if isinstance(stated, str) and isinstance(stored, list):  # rows of a table may be planned as start:stop
        match = _RANGE.fullmatch(stated)
        return match is not None and stored == list(range(int(match[1]), int(match[2])))
    if isinstance(stated, bool) or isinstance(stored, bool):
        return stated is stored
    if isinstance(stated, (int, float)) and isinstance(stored, (int, float)):
        return stated == stored or (math.isnan(stated) and math.isnan(stored))
    return bool(stated == stored)


def _is_same_instant(stated: str, stored: str) -> bool:
    """The same local time and offset in another spelling: with a fraction of 3 digits or of 6."""
    try:
        first, second = datetime.fromisoformat(stated), datetime.fromisoformat(stored)
    except ValueError:
        return False
    return first.replace(tzinfo=None) == second.replace(tzinfo=None) and first.utcoffset() == second.utcoffset()
