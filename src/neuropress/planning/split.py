"""Files of one session that need objects of another of its files: what describes is repeated, data is named.

No link leads out of a file: HDF5's external links break when a file is renamed or downloaded alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..model.plan import Field, Node
from ..model.record import CellRef

DESCRIBING = "/general/"
"""Below it lies what describes data and has none: devices, imaging planes, electrodes."""


def join_part(nodes: Mapping[str, Node], others: Mapping[str, tuple[Node, str]]) -> tuple[Node, ...]:
    """A file's nodes without links to objects that are in other files of its session.

    Parameters
    ----------
    others
        Path -> node of another file, and that file in words.
    """
    made = dict(nodes)
    for node in nodes.values():
        for path in _list_needed(node, made, others):
            made.setdefault(path, others[path][0])
    return tuple(_name_others(node, made, others) for node in made.values())


def _list_needed(node: Node, made: Mapping[str, Node], others: Mapping[str, tuple[Node, str]]) -> Iterator[str]:
    """Paths of describing nodes of other files that a node links to, and those that they link to."""
    for path in _list_targets(node):
        if path not in made and path in others and path.startswith(DESCRIBING):
            yield from _list_needed(others[path][0], made, others)
            yield path


def _list_targets(node: Node) -> Iterator[str]:
    for paths in node.links.values():
        yield from (paths,) if isinstance(paths, str) else paths


def _name_others(node: Node, made: Mapping[str, Node], others: Mapping[str, tuple[Node, str]]) -> Node:
    """The node with a sentence in its description in place of each link to what is in another file."""
    links, notes = {}, []
    for name, paths in node.links.items():
        listed = (paths,) if isinstance(paths, str) else paths
        elsewhere = [path for path in listed if path not in made and path in others]
        if elsewhere:
            notes += [f"{name} (not linked): {path} of {others[path][1]}" for path in elsewhere]
        else:
            links[name] = paths
    if not notes:
        return node
    own = node.fields.get("description")
    text = ". ".join([*([str(own.value)] if own else []), *notes])
    refs = (*(own.sources if own else ()), CellRef("converter", "session", "part", "; ".join(notes), "constant"))
    about = Field(text, own.rule if own else "session:part", "join", refs)
    return replace(node, links=links, fields={**node.fields, "description": about})
