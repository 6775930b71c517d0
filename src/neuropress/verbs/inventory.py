"""``status --files``: raw files and path cells, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from ..model.finding import Problem
from ..model.report import Outcome, Report
from ..planning.inspect import list_expected_keys
from ..planning.raw import PathCell, list_named_keys, list_unnamed_files
from ..workspace import Workspace

UNNAMED, MISSING, UNREAD, WITHHELD = "named by no row", "missing", "named, not read", "withheld"
KEPT, READ = "kept as it is", "read"
_FEW = 20
"""Files of one folder that are listed one by one; of more, the folder is."""


def list_files(workspace: Workspace) -> Report:
    """One outcome for each raw file that no row names, each file that is missing, and each that is named.

    A file that is named is read, or kept as it is beside what was made of its row, or withheld with its row, or its
    row has no result.

    Facts of an outcome are the `cells` that name it (table, line, column), or the `files` of a folder.
    """
    named = list_named_keys(workspace.config)
    read, kept = _list_used_keys(workspace)
    unnamed = list_unnamed_files(workspace.config, [*named, *read, *kept], remote=True)
    outcomes = [*_group_unnamed(sorted(unnamed)), *_describe_named(workspace, named, read, kept)]
    order = [UNNAMED, MISSING, WITHHELD, UNREAD, KEPT, READ]
    outcomes.sort(key=lambda outcome: (order.index(outcome.done), outcome.target))
    return Report.of("files", outcomes, [])


def _list_used_keys(workspace: Workspace) -> tuple[set[str], set[str]]:
    """Keys of all files that plans read, and of the folders and sets that they belong to; and of those they keep."""
    read: set[str] = set()
    kept: set[str] = set()
    for wanted in workspace.targets():
        usable = wanted.usable(keep_going=True)
        planned = workspace.build(usable) if usable else None
        if planned and planned.plan:
            plan = planned.plan
            kept |= set(plan.kept_keys)
            of_kept = {touched.key for touched in plan.inputs if any(one.holds(touched.key) for one in plan.kept)}
            kept |= of_kept - set(plan.sources)
            read |= {touched.key for touched in plan.inputs} - of_kept | set(plan.sources)
    return read, kept


def _describe_cell(cell: PathCell) -> dict[str, Any]:
    (table, source, line), column = cell
    return {"table": table, **({"source": source} if source else {}), "line": line, "column": column}


def _describe_named(
    workspace: Workspace, named: Mapping[str, Sequence[PathCell]], read: set[str], kept: set[str]
) -> Iterator[Outcome]:
    """Whether the file that cells name is there, and whether a result is made from it or keeps account of it."""
    roots = workspace.config.sources()
    expected = list_expected_keys(workspace.tables, workspace.config)
    for key, cells in named.items():
        (table, source, line), column = cells[0]
        more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
        where = f"{table} line {line}{f' of {source}' if source else ''} {column}{more}"
        facts = {"cells": [_describe_cell(cell) for cell in cells]}
        try:
            roots.locate(key)
        except Problem as bad:
            why = "" if bad.finding.id == "file.missing" else f": {bad.finding.message}"
            yield Outcome(key, MISSING, f"{where}{why}", (), facts)
            continue
        if key in read:
            done = READ
        elif key in kept:
            done = KEPT
        else:
            done = WITHHELD if key in expected else UNREAD
        yield Outcome(key, done, where, (), facts)


def _group_unnamed(keys: Sequence[str]) -> Iterator[Outcome]:
    folders: dict[str, list[str]] = {}
    for key in keys:
        folders.setdefault(str(PurePosixPath(key).parent), []).append(key)
    for folder, files in folders.items():
        if len(files) > _FEW:
            yield Outcome(f"{folder}/", UNNAMED, f"{len(files)} files", (), {"files": files})
        else:
            yield from (Outcome(key, UNNAMED, "", (), {"files": [key]}) for key in files)
