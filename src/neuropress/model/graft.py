"""Objects of a fragment, an NWB file that another program exported, that a result takes over as they are."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from .serial import SPARSE


@dataclass(frozen=True, slots=True)
class Reference:
    """What objects of a fragment lead to outside of themselves: its type, and of a table the digest of its row ids."""

    type: str
    ids: str = field(default="", metadata=SPARSE)


@dataclass(frozen=True, slots=True)
class Graft:
    """Objects that another program has exported as NWB, taken over as they are.

    Attributes
    ----------
    source
        Key of the fragment, the file that the program wrote.
    path
        Place of the object in the fragment; all below it comes with it.
    base
        The type of NWB itself that the object is of, or is derived from (``NWBDataInterface``).
    references
        Places in the fragment, not below `path`, that something below it refers or links to. They are objects of
        the same fragment that are taken over, too, or nodes of the plan at the very same place.
    schemas
        Name of each extension of NWB that the objects need -> version and digest of its specification, which the
        fragment holds.
    """

    source: str
    path: str
    base: str
    references: Mapping[str, Reference] = field(default_factory=dict, metadata=SPARSE)
    schemas: Mapping[str, str] = field(default_factory=dict, metadata=SPARSE)


class GraftIndex:
    """Where objects of fragments lie in a result."""

    def __init__(self, grafts: Mapping[str, Graft]) -> None:
        self._places: dict[str, dict[str, str]] = {}
        for place, graft in grafts.items():
            self._places.setdefault(graft.source, {})[graft.path] = place

    def find_place(self, source: str, path: str) -> str | None:
        """The place in the result of an object of a fragment; None if it is not taken over."""
        places = self._places.get(source, {})
        root = find_above(path, places)
        return None if root is None else places[root] + path.removeprefix(root)


def find_above(path: str, places: Container[str]) -> str | None:
    """The place at which, or below which, a path is; None if there is none."""
    while path:
        if path in places:
            return path
        path = path.rpartition("/")[0]
    return None
