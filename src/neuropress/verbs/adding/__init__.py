"""``add``: a day's files to their place, and a drafted row for each, for its session and for its subject."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...config import Config
from ...model.content import Content
from ...model.finding import Finding, Problem, finding, problem
from ...model.profile import TableSpec
from ...model.report import Outcome, Report
from ...model.source import Source, check_key
from ...readers import raw as raw_objects
from ...storage.roots import Folder
from ...storage.state import lock_dataset
from ...tables import list_row_gaps
from ...workspace import Workspace
from .data_rows import draft_data_row, find_rows_of_file
from .files import copy_files, get_first_folder, holds_same_files
from .occasion import Occasion, choose_table, find_header_day, find_occasion
from .rows import Draft, Drafts, check_options, list_converters, note_options

__all__ = ["Occasion", "add_files"]

ANY_DAY = "00000000"
"""Stands in a key for a day that is not known yet."""


def add_files(workspace: Workspace, paths: Iterable[Path], occasion: Occasion) -> Report:
    """Copy raw files (or folders of slices) to their place and draft a row for each.

    A session and a subject that no row describes yet get a row, too. Nothing is invented: what only a person knows
    stays blank, and a finding (``add.incomplete``) names it. A file that is in its place and has its row is left alone.
    """
    paths = list(paths)
    outcomes: list[Outcome] = []
    touched: dict[tuple[str, str], Draft] = {}
    with lock_dataset(workspace.config.state, "add"):
        occasion = replace(occasion, days=_find_header_days(paths, occasion, workspace.config))
        for path in paths:
            try:
                # Each file adds a row, whose key the next one must not take.
                drafts, outcome = _add_one(workspace.reload(), path, occasion)
            except Problem as bad:
                found = bad.finding.at(file=str(path))
                outcomes.append(Outcome(str(path), "not added", found.message, (found,)))
                continue
            touched |= {(draft.table, draft.key): draft for draft in drafts}
            outcomes.append(outcome)
    gaps = [gap for draft in touched.values() for gap in _list_gaps(workspace, draft)]
    return Report.of("add", outcomes, gaps)


def _find_header_days(paths: Sequence[Path], occasion: Occasion, config: Config) -> dict[str, str]:
    """The days that the files' headers tell, where one file's day may be needed for another; bad files tell none."""
    days: dict[str, str] = {}
    if occasion.date or len(paths) < 2 or occasion.lab not in config.profile.labs:
        return days
    for path in paths:
        try:
            contents = _read_contents(path, _find_options(path, occasion, config))
        except Problem:
            continue  # `_add_one` reports it
        if day := find_header_day(contents, occasion.lab, config):
            days[str(path)] = day
    return days


def _add_one(workspace: Workspace, path: Path, occasion: Occasion) -> tuple[list[Draft], Outcome]:
    """One file or folder; the original is only read.

    Raises
    ------
    Problem
        ``add.*``, or what the reader says of a bad file. Nothing is left behind then.
    OSError
        The copy failed.
    """
    config = workspace.config
    if occasion.lab not in config.profile.labs:
        known = ", ".join(config.profile.labs)
        hint = f"A new lab: state [labs.{occasion.lab}] with name, institution and timezone in neuropress.toml."
        raise problem("add.occasion", f"there is no lab {occasion.lab}; known: {known}", hint=hint, value=occasion.lab)
    contents = _read_contents(path, _find_options(path, occasion, config))
    spec = config.profile.tables[choose_table(contents, occasion, config)]
    drafts = Drafts(config)
    if before := _find_added(workspace, path, spec, drafts, occasion.lab):
        check_options(config, before.path, occasion.options)
        return [before], Outcome(f"{before.table} {before.key}", "added before", before.path)
    meant = find_occasion(contents, spec, occasion, workspace.tables, drafts)
    lab = config.profile.labs[occasion.lab]
    key = f"{lab.folder}/{meant.date}/{spec.name}/raw/{path.name}"
    check_key(key)
    row = draft_data_row(drafts, spec, contents, key + ("/" if path.is_dir() else ""), meant)
    if row.path in config.options:  # those of a pattern give way to a new entry
        check_options(config, row.path, occasion.options)
    sha256 = copy_files(path, get_first_folder(config) / key, key)
    if occasion.options:
        note_options(config, row.path, occasion.options)
    drafts.write()
    done = "added" if row.written else "type these rows"
    more = [f"{draft.table} {draft.key}" for draft in drafts.made if draft is not row]
    why = f"{key}; with {' and '.join(more)}" if more else key
    if meant.date_from:
        why += f"; its day is that of {meant.date_from}"
    rows = [{"table": draft.table, "row": draft.row} for draft in drafts.made]
    facts: dict[str, Any] = {"key": key, "sha256": sha256, "rows": rows}
    if meant.date_from:
        facts["date_from"] = meant.date_from
    return drafts.made, Outcome(f"{row.table} {row.key}", done, why, (), facts)


def _find_options(path: Path, occasion: Occasion, config: Config) -> dict[str, Any]:
    """Stated options, or those of a pattern that the file's key will match, whatever its day."""
    if occasion.options:
        return dict(occasion.options)
    folder = config.profile.labs[occasion.lab].folder
    tables = [occasion.table] if occasion.table else [name for name in config.profile.tables if list_converters(name)]
    name = path.name + ("/" if path.is_dir() else "")
    found = (config.find_options(f"{folder}/{occasion.date or ANY_DAY}/{table}/raw/{name}") for table in tables)
    return next(filter(None, found), {})


def _read_contents(path: Path, options: Mapping[str, Any]) -> tuple[Content, ...]:
    if not path.exists():
        raise problem("file.missing", f"{path} does not exist", file=str(path))
    source = Source(path.name + ("/" if path.is_dir() else ""), Folder(path.resolve().parent))
    contents = raw_objects.read(source, options)
    for content in contents:
        content.close()
    return contents


def _find_added(workspace: Workspace, path: Path, spec: TableSpec, drafts: Drafts, lab: str) -> Draft | None:
    """The row that names a file of this name with the same bytes in its place."""
    folder = get_first_folder(workspace.config)
    for draft in find_rows_of_file(drafts, spec, path.name, lab):
        if holds_same_files(path, folder / draft.path):
            return draft
    return None


def _list_gaps(workspace: Workspace, draft: Draft) -> list[Finding]:
    """What a drafted row still lacks, a finding a column."""
    profile = workspace.config.profile
    gaps = list_row_gaps(profile.tables[draft.table], draft.row, profile)
    return [
        finding("add.incomplete", text, table=draft.table, key=draft.key, column=column)
        for column, text in gaps.items()
    ]
