"""``schema import``: attribute lists become a drafted profile and a list of what a person must decide."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..model.finding import problem
from ..results import KINDS
from ..state import write_atomic
from .decisions import WHEN, Decision, decisions
from .draft import Draft, draft
from .lists import read_lists

__all__ = ["WHEN", "Decision", "Drafted", "draft_profile"]


@dataclass(frozen=True, slots=True)
class Drafted:
    """What was written, and what is open."""

    files: tuple[Path, ...]
    tables: int
    columns: int
    decisions: tuple[Decision, ...]


def draft_profile(lists: Path, to: Path, name: str) -> Drafted:
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
    made = draft(read_lists(lists))
    found = decisions(made, name)
    texts = {to / f"{name}.toml": _profile(made, name), to / "decisions.md": _page(found, name)}
    for table, schema in made.schemas.items():
        texts[to / "schemas" / f"{table}.schema.json"] = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    for path in texts:
        if path.exists():
            raise problem("schema.exists", f"{path} is there already", file=str(path))
    for path, text in texts.items():
        write_atomic(path, text)
    columns = sum(len(schema["properties"]) for schema in made.schemas.values())
    return Drafted(tuple(texts), len(made.schemas), columns, tuple(found))


def _profile(made: Draft, name: str) -> str:
    """The profile; what no list states is left blank and does not load."""
    labs = made.published.labs
    lines = [
        "# Drafted from attribute lists. What is blank must be filled in: see decisions.md.",
        "",
        f"name = {_toml(name)}",
        'version = "1"',
        f"title = {_toml(name)}",
        'license = ""',
        "buckets = []",
        "",
        "[defaults]",
        "",
        "[paths]",
        *(f"{kind.target} = {_toml(kind.template)}" for kind in KINDS.values()),
    ]
    for lab in labs.values():
        folder = re.sub(r"[^a-z0-9]+", "-", lab.name.split()[-1].casefold())
        lines += ["", f"[labs.{lab.initials}]", f"name = {_toml(lab.name)}", f"folder = {_toml(folder)}  # guessed"]
        lines += ['institution = ""', 'timezone = ""']
    if not labs:
        lines += ["", "[labs]"]
    for table, listed in made.published.tables.items():
        owners = [lab.initials for lab in labs.values() if table in lab.tables]
        key = made.keys.get(table)
        foreign = {c: list(targets) for c, targets in made.foreign[table].items() if targets}
        lines += [
            "",
            f"[tables.{table}]",
            f"key = {_toml(key.column if key else '')}",
            f"prefix = {_toml(listed.prefix)}",
        ]
        lines += [f"labs = {_toml(owners)}", f"columns = {_toml([a.name for a in listed.attributes])}"]
        lines += [f"foreign.{column} = {_toml(targets)}" for column, targets in foreign.items()]
        for column, versions in made.paths[table].items():
            lines.append(f"paths.{column} = {_toml(list(versions) or ['raw', 'processed'])}")
        if made.private[table]:
            lines.append(f"private = {_toml(list(made.private[table]))}")
    return "\n".join(lines) + "\n"


def _toml(value: str | Sequence[str]) -> str:
    """A text or a list of texts; JSON's spelling of both is TOML's."""
    return json.dumps(value, ensure_ascii=False)


def _page(found: Sequence[Decision], name: str) -> str:
    lines = [f"# What a person must decide: {name}", ""]
    for when, title in enumerate(WHEN):
        group = [d for d in found if d.when == when]
        if group:
            lines += [f"## {title.capitalize()}: {len(group)}", "", "| place | question | where |", "|---|---|---|"]
            lines += [f"| `{d.place}` | {_cell(d.question)} | {_cell(d.where)} |" for d in group]
            lines.append("")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
