"""``schema import``: attribute lists become a drafted profile and a list of what a person must decide."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...model.finding import problem
from ...results import KINDS
from ...storage.state import write_atomic
from .decisions import WHEN, Decision, list_decisions
from .draft import Draft, draft_schemas
from .lists import read_attribute_lists

__all__ = ["WHEN", "Decision", "DraftReport", "draft_profile"]


@dataclass(frozen=True, slots=True)
class DraftReport:
    """What was written, and what is open."""

    files: tuple[Path, ...]
    tables: int
    columns: int
    decisions: tuple[Decision, ...]


def draft_profile(lists: Path, to: Path, name: str) -> DraftReport:
    """Write ``<name>.toml``, ``schemas/<table>.schema.json`` and ``decisions.md`` from attribute lists.

    Parameters
    ----------
    lists
        Folder with ``*.json`` and ``*.md``; only read.
    to
        Folder of the drafts, which may become a dataset.

    Raises
    ------
    Problem
        ``schema.input`` for lists that cannot be read, ``schema.exists`` rather than overwrite a file.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise problem("schema.input", f"{name!r} cannot be the name of a profile: letters, digits, - and _", value=name)
    if not lists.is_dir():
        raise problem("schema.input", f"there is no folder {lists}", file=str(lists))
    draft = draft_schemas(read_attribute_lists(lists))
    decisions = list_decisions(draft, name)
    texts = {to / f"{name}.toml": _format_profile(draft, name), to / "decisions.md": _format_decisions(decisions, name)}
    for table, schema in draft.schemas.items():
        texts[to / "schemas" / f"{table}.schema.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    for path in texts:  # all of them before the first is written: nothing is half overwritten
        if path.exists():
            raise problem("schema.exists", f"{path} is there already", file=str(path))
    for path, text in texts.items():
        write_atomic(path, text)
    columns = sum(len(schema["properties"]) for schema in draft.schemas.values())
    return DraftReport(tuple(texts), len(draft.schemas), columns, tuple(decisions))


def _format_profile(draft: Draft, name: str) -> str:
    """The profile; what no list states is left blank and does not load."""
    labs = draft.published.labs
    lines = [
        "# Drafted from attribute lists. What is blank must be filled in: see decisions.md.",
        "",
        f"name = {_format_toml(name)}",
        'version = "1"',
        f"title = {_format_toml(name)}",
        'license = ""',
        "buckets = []",
        "",
        "[defaults]",
        "",
        "[paths]",
        *(f"{kind.target} = {_format_toml(kind.template)}" for kind in KINDS.values()),
    ]
    for lab in labs.values():
        folder = re.sub(r"[^a-z0-9]+", "-", lab.name.split()[-1].casefold())
        lines += [
            "",
            f"[labs.{lab.initials}]",
            f"name = {_format_toml(lab.name)}",
            f"folder = {_format_toml(folder)}  # guessed",
        ]
        lines += ['institution = ""', 'timezone = ""']
    if not labs:
        lines += ["", "[labs]"]
    for table in draft.published.tables:
        lines += _format_table(draft, table)
    return "\n".join(lines) + "\n"


def _format_table(draft: Draft, table: str) -> list[str]:
    """The lines of one table's section."""
    listed = draft.published.tables[table]
    owners = [lab.initials for lab in draft.published.labs.values() if table in lab.tables]
    key = draft.keys.get(table)
    lines = [
        "",
        f"[tables.{table}]",
        f"key = {_format_toml(key.column if key else '')}",
        f"prefix = {_format_toml(listed.prefix)}",
        f"labs = {_format_toml(owners)}",
        f"columns = {_format_toml([a.name for a in listed.attributes])}",
    ]
    for column, targets in draft.foreign[table].items():
        if targets:
            lines.append(f"foreign.{column} = {_format_toml(list(targets))}")
    for column, versions in draft.paths[table].items():
        lines.append(f"paths.{column} = {_format_toml(list(versions) or ['raw', 'processed'])}")
    if draft.private[table]:
        lines.append(f"private = {_format_toml(list(draft.private[table]))}")
    return lines


def _format_toml(value: str | Sequence[str]) -> str:
    """A text or a list of texts; JSON's spelling of both is TOML's."""
    return json.dumps(value, ensure_ascii=False)


def _format_decisions(decisions: Sequence[Decision], name: str) -> str:
    lines = [f"# What a person must decide: {name}", ""]
    for when, title in enumerate(WHEN):
        group = [d for d in decisions if d.when == when]
        if group:
            lines += [f"## {title.capitalize()}: {len(group)}", "", "| place | question | where |", "|---|---|---|"]
            lines += [
                f"| `{d.place}` | {_format_markdown_cell(d.question)} | {_format_markdown_cell(d.where)} |"
                for d in group
            ]
            lines.append("")
    return "\n".join(lines)


def _format_markdown_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
