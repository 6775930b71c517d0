"""The nodes of one plan, which several converters may want alike."""

from __future__ import annotations

from dataclasses import replace

from neuropress.converters import Built

from ..model.finding import Finding, problem
from ..model.plan import Node, canonical


class PlanNodes:
    """The nodes of a plan by path, and which converter made each."""

    def __init__(self) -> None:
        self.made: dict[str, Node] = {}
        self._makers: dict[str, str] = {}

    def add(self, maker: str, built: Built) -> tuple[Finding, ...]:
        """Add nodes; what several want alike (a processing module, a device) is one. Returns the findings.

        Raises
        ------
        Problem
            ``plan.collision``: two different objects at one path.
        """
        for node in built.nodes:
            first = self._makers.setdefault(node.path, maker)
            known = self.made.get(node.path, node)
            if difference := _describe_difference(known, node):
                message = f"{first} and {maker} want different objects at {node.path} of the result: {difference}"
                exporter = first if known.graft else maker
                is_apart = first != maker and (known.graft or node.graft)
                hint = (
                    f'Give it a file of its own: [split] {exporter} = "{{id}}" in neuropress.toml.' if is_apart else ""
                )
                raise problem("plan.collision", message, hint=hint, array=node.path)
            # What only the second states is added: a module may be described by either.
            self.made[node.path] = replace(known, fields={**node.fields, **known.fields}) if known != node else node
        return built.findings


def _describe_difference(first: Node, second: Node) -> str:
    """In what two nodes of one path cannot be one; where each value came from makes no difference."""
    if first.type != second.type:
        return f"a {first.type} and a {second.type}"
    if (first.links, first.arrays) != (second.links, second.arrays):
        return "their links or arrays differ"
    if first.graft != second.graft:
        return _describe_export_difference(first, second)
    for name in first.fields.keys() & second.fields.keys():
        values = first.fields[name].value, second.fields[name].value
        if canonical(values[0]) != canonical(values[1]):
            return f"{name} is {values[0]!r} and {values[1]!r}"
    return ""


def _describe_export_difference(first: Node, second: Node) -> str:
    """In what two nodes differ that are not of the same export; a device that two exports state alike is one."""
    if not (first.graft and second.graft):
        return "one of them was exported by another program, and nothing is added to that"
    if first.graft.references or second.graft.references:
        return f"{first.graft.source} and {second.graft.source} both have it, and it refers to other objects"
    stated = [{name: one.value for name, one in node.fields.items()} for node in (first, second)]
    return "" if canonical(stated[0]) == canonical(stated[1]) else "two exports state it differently"
