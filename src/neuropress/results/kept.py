"""Files that rows name and nothing is made of: a line in the result says which they are, with their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from ..model.plan import KeptFile, Node, Plan
from ..model.receipt import InputDigest, format_manifest


def name_kept_files(plan: Plan, inputs: Mapping[str, InputDigest]) -> Plan:
    """The plan with a line for each kept file in the fields that are to name it.

    Parameters
    ----------
    inputs
        Digests of all raw files; those of kept ones are waited for, no others.
    """
    lines: dict[str, list[str]] = {}
    for one in plan.kept:
        text = describe_kept_file(one, {key: inputs[key] for key in inputs if one.holds(key)})
        for place in one.places:
            lines.setdefault(place, []).append(text)
    return replace(plan, nodes=tuple(_add_lines(node, lines) for node in plan.nodes)) if lines else plan


def describe_kept_file(one: KeptFile, files: Mapping[str, InputDigest]) -> str:
    """Key, size and SHA-256 of a kept file; of a folder the SHA-256 by which a release knows it."""
    own = one.key.rstrip("/")
    size = sum(known.size for known in files.values())
    if own in files:
        return f"{one.what}: {own} (kept as it is; {size} bytes, SHA-256 {files[own].sha256})"
    below = {key.removeprefix(f"{own}/"): known for key, known in files.items()}
    manifest = hashlib.sha256(format_manifest(below)).hexdigest()
    return f"{one.what}: {own}/ (kept as it is; {len(below)} files, {size} bytes, SHA-256 of their manifest {manifest})"


def _add_lines(node: Node, lines: Mapping[str, list[str]]) -> Node:
    fields = dict(node.fields)
    for name, field in node.fields.items():
        added = dict.fromkeys(lines.get(f"{node.path.rstrip('/')}/{name}", ()))
        if added:
            fields[name] = replace(field, value="\n".join(filter(None, [str(field.value), *added])))
    return replace(node, fields=fields)
