"""What plans of sessions that are alike have in common, and what differs: names of objects, texts, instants, numbers.

Everything that pynwb or hdmf may look at (types, lists, whole numbers, truths, choices such as ``format``, the sizes of
arrays, whether a number is positive or a text empty) belongs to what is common; nothing does that they only hand on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count, pairwise
from math import isfinite
from typing import Any

from ...model.plan import Field, Node, Plan, digest
from .icephys import ROWS

_FREE = frozenset(
    {
        *("session_id", "session_description", "identifier", "experiment_description", "notes", "slices", "virus"),
        *("pharmacology", "surgery", "protocol", "stimulus_notes", "data_collection", "description", "comments"),
        *("location", "cell_id", "subject_id", "weight", "genotype", "strain", "reference_frame", "indicator"),
    }
)
"""Fields whose text is anybody's: nothing follows from it."""
_INSTANTS = frozenset({"session_start_time", "date_of_birth", "timestamps_reference_time"})
_NAME = re.compile(r"[\w.-]+", re.ASCII)
_BASE = 65536.0
"""Numbers that stand for others begin here, in steps of a half: exact as float32, and in no plan."""
STAND_IN = re.compile(r"(stand-in-\d{6}|stands for text \d{6}|1901-02-03T04:05:06\.\d{6}\+05:00)")
"""The names, texts and instants of a plan that stands in for others."""

type _Put = Callable[[str | float | datetime], Any]


class _Unlike(Exception):
    """Values that the ordinary way has to look at."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is common to plans, as a digest, and what this plan has in place of the others'.

    Attributes
    ----------
    names
        Parts of paths that bear a row's key, in the order in which they occur.
    values
        Texts, instants (as hdmf stores them) and numbers, in the order in which they occur.
    """

    key: str
    names: tuple[str, ...]
    values: tuple[str | float, ...]


def describe_shape(plan: Plan, version: str, sections: Mapping[str, str]) -> Shape | None:
    """The shape of a plan; None where its values need a closer look, or where it has objects of a fragment.

    Parameters
    ----------
    version, sections
        As `build_nwbfile` takes them.
    """
    if plan.grafts():
        return None
    names = _find_names(plan)
    values: list[Any] = []
    marks = {name: f"\0{number}" for number, name in enumerate(names)}

    def put(value: Any) -> Any:
        values.append(value)
        return f"\0{type(value).__name__}"

    try:
        nodes = [(path, kind, fields, links) for path, kind, fields, links in _walk(plan, marks, put)]
        values = [value.isoformat() if isinstance(value, datetime) else value for value in values]
        texts = [text for text in (*sections.values(), *values) if isinstance(text, str)]
        if any("\0" in text for text in texts) or not all(map(_NAME.fullmatch, names)):
            return None
        "".join(texts).encode()
    except (_Unlike, UnicodeEncodeError):
        return None
    arrays = [[(name, spec.shape, spec.dtype) for name, spec in node.arrays.items()] for node in plan.nodes]
    given = [(name, bool(text)) for name, text in sections.items()]
    values += [text for text in sections.values() if text]
    return Shape(digest(repr((version, nodes, arrays, given))), tuple(names), tuple(values))


def make_stand_in(plan: Plan, sections: Mapping[str, str]) -> tuple[Plan, dict[str, str], Shape]:
    """A plan of the same shape in which every name and value is one that occurs nowhere else; its sections.

    Names are in the reverse of their order, so that what is sorted by them shows.
    """
    numbers = count(1)
    values: list[str | float] = []

    def put(value: Any) -> Any:
        number = next(numbers)
        if isinstance(value, float):
            made: Any = _BASE + number / 2
        elif isinstance(value, datetime):
            made = f"1901-02-03T04:05:06.{number:06}+05:00"
        else:
            made = f"stands for text {number:06}"
        values.append(made)
        return made

    names = {name: f"stand-in-{999_999 - number:06}" for number, name in enumerate(_find_names(plan))}
    nodes = []
    for node, (path, kind, fields, links) in zip(plan.nodes, _walk(plan, names, put), strict=True):
        made = {name: Field(value, "") for name, value in fields.items()}
        nodes.append(Node(path, kind, made, links, node.arrays))
    made_sections = {name: put(text) if text else "" for name, text in sections.items()}
    return replace(plan, nodes=tuple(nodes)), made_sections, Shape("", tuple(names.values()), tuple(values))


def _find_names(plan: Plan) -> list[str]:
    """Parts of paths that bear the key of one of the rows, in order."""
    keys = re.compile("|".join(sorted({re.escape(row.key) for row in plan.rows if row.key})) or r"(?!)")
    parts = dict.fromkeys(part for node in plan.nodes if node.type not in ROWS for part in node.path.split("/"))
    return [part for part in parts if keys.search(part)]


def _walk(plan: Plan, names: Mapping[str, str], put: _Put) -> Any:
    """Path, type, fields and links of each node, with other names, and `put` of what may differ in place of it."""

    def rename(path: str) -> str:
        return "/".join(names.get(part, part) for part in path.split("/"))

    for node in plan.nodes:
        fields = {name: _put_value(node, name, field.value, put) for name, field in node.fields.items()}
        links = {
            name: rename(link) if isinstance(link, str) else tuple(map(rename, link))
            for name, link in node.links.items()
        }
        yield rename(node.path), node.type, fields, links


def _put_value(node: Node, name: str, value: Any, put: _Put) -> Any:
    if isinstance(value, str):
        if name in _INSTANTS and node.type in ("NWBFile", "Subject"):
            return put(_parse_instant(value))
        return put(value) if value and (name in _FREE or node.type in ROWS) else value
    if isinstance(value, float):
        return put(value) if _is_positive(value) else value
    if isinstance(value, (list, tuple)) and _ascends(value):
        return [put(one) if _is_positive(one) else one for one in value]
    return value


def _is_positive(value: float) -> bool:
    return isfinite(value) and value > 0


def _ascends(values: Sequence[Any]) -> bool:
    return all(isinstance(one, float) for one in values) and all(a < b for a, b in pairwise(values))


def _parse_instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _Unlike from error
    if moment.tzinfo is None:
        raise _Unlike
    return moment
