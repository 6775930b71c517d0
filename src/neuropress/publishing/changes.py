"""What differs between two releases, by meaning: assets, tables, rows and cells that were added, changed or lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from ..model.finding import Finding, finding
from ..model.report import Outcome
from ..release.manifest import AssetEntry
from .parts import KIND, Part

SHOWN = 5
"""So many names are written out in one finding."""


class What(StrEnum):
    """What happened to a thing."""

    ADDED = "added"
    CHANGED = "changed"
    LOST = "lost"


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One difference.

    Attributes
    ----------
    level
        ``asset``, ``table``, ``row`` or ``cell``.
    what
        Added, changed or lost. A cell that was filled and is blank now is lost.
    name
        Of an asset its logical name; else ``mouse``, ``mouse.RY_M_0001``, ``mouse.RY_M_0001.weight``.
    before, after
        Texts of a cell, sizes in bytes of an asset.
    """

    level: str
    what: What
    name: str
    before: str = ""
    after: str = ""

    def text(self) -> str:
        """What was and what is, in words."""
        unit = " bytes" if self.level == "asset" else ""
        texts = [f"{text}{unit}" if unit or self.level == "table" else repr(text) for text in (self.before, self.after)]
        if self.before and self.after:
            return " -> ".join(texts)
        return texts[0] if self.before else texts[1] if self.after else ""

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {name: str(getattr(self, name)) for name in ("level", "what", "name", "before", "after")}


type Rows = Mapping[str, Mapping[str, str]]
"""Key of a row -> column -> text, signed fixes laid over it."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a release holds: its assets, and the rows of its tables."""

    assets: Mapping[str, AssetEntry] = field(default_factory=dict)
    tables: Mapping[str, Rows] = field(default_factory=dict)


def rows_by_table(parts: Iterable[Part]) -> dict[str, dict[str, Mapping[str, str]]]:
    """The rows of several labs' parts, by table and key; a second row of one key is numbered."""
    found: dict[str, dict[str, Mapping[str, str]]] = {}
    for part in parts:
        for name, table in part.tables.items():
            rows = found.setdefault(name, {})
            for row in table.rows:
                cells = {**row.cells, **{column: fix.text for column, fix in row.fixes.items()}}
                key, number = row.key, 1
                while key in rows:
                    number += 1
                    key = f"{row.key} ({number})"
                rows[key] = cells
    return found


def compare(before: Content, after: Content) -> list[Change]:
    """All differences, assets first; the parts that hold the tables are compared row by row."""
    return [*_assets(before.assets, after.assets), *_tables(before.tables, after.tables)]


def _assets(before: Mapping[str, AssetEntry], after: Mapping[str, AssetEntry]) -> Iterator[Change]:
    for name in sorted({**before, **after}):
        old, new = before.get(name), after.get(name)
        if KIND in (old and old.kind, new and new.kind):
            continue
        sizes = str(old.size) if old else "", str(new.size) if new else ""
        if old is None:
            yield Change("asset", What.ADDED, name, *sizes)
        elif new is None:
            yield Change("asset", What.LOST, name, *sizes)
        elif (old.sha256, old.manifest is None) != (new.sha256, new.manifest is None):
            yield Change("asset", What.CHANGED, name, *sizes)


def _tables(before: Mapping[str, Rows], after: Mapping[str, Rows]) -> Iterator[Change]:
    for table in sorted({**before, **after}):
        old, new = before.get(table, {}), after.get(table, {})
        if table not in before:
            yield Change("table", What.ADDED, table, "", f"{len(new)} rows")
        elif table not in after:
            yield Change("table", What.LOST, table, f"{len(old)} rows")
        for key in sorted({**old, **new}):
            name = f"{table}.{key}"
            if key not in old:
                yield Change("row", What.ADDED, name)
            elif key not in new:
                yield Change("row", What.LOST, name)
            else:
                yield from _cells(name, old[key], new[key])


def _cells(row: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for column in sorted({**before, **after}):
        old, new = before.get(column, ""), after.get(column, "")
        if old != new:
            what = What.LOST if not new else What.CHANGED if old else What.ADDED
            yield Change("cell", what, f"{row}.{column}", old, new)


def is_accepted(change: Change, accepted: Iterable[str]) -> bool:
    """Whether somebody named a loss: itself, what holds it, or a column as ``mouse.*.weight``."""
    return any(
        change.name == name
        or change.name.startswith((f"{name}.", f"{name.rstrip('/')}/"))
        or ("*" in name and not name.startswith("*") and fnmatchcase(change.name, name))
        for name in accepted
    )


def loss_findings(changes: Sequence[Change], accepted: Sequence[str], parent: str) -> list[Finding]:
    """Findings on what the parent release has and this one would not, unless it was accepted.

    Rows are listed by table, cells by column, assets by kind of loss: the hint says what to name.
    """
    lost = [change for change in changes if change.what is What.LOST]
    groups: dict[str, list[Change]] = {}
    for change in lost:
        if not is_accepted(change, accepted):
            groups.setdefault(_group(change), []).append(change)
    losses = [_loss(name, group, parent) for name, group in groups.items()]
    idle = [name for name in accepted if not any(is_accepted(change, [name]) for change in lost)]
    return [
        *losses,
        *(
            finding("publish.no_such_loss", f"--accept-loss {name}: nothing of this name is lost", value=name)
            for name in idle
        ),
    ]


def _group(change: Change) -> str:
    if change.level == "asset":
        return "assets"
    table, _, rest = change.name.partition(".")
    return f"{table}.*.{rest.rpartition('.')[2]}" if change.level == "cell" else table


def _loss(group: str, changes: Sequence[Change], parent: str) -> Finding:
    names = [change.name for change in changes]
    table = "" if group == "assets" else group.split(".")[0]
    things = {"assets": "asset", table: "row"}.get(group, "cell")
    if any(change.level == "table" for change in changes):
        things = "table and its row"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    plural = "s" if len(names) > 1 else ""
    message = f"{things}{plural} of release {parent} would be lost: {', '.join(names[:SHOWN])}{more}"
    name = names[0] if len(names) == 1 or group == "assets" else group
    hint = f"Bring them back, or name them: --accept-loss '{name}'" + (" and so on." if group == "assets" else ".")
    return finding("publish.loss", message, hint=hint, table=table or None, value=names[0])


def change_outcomes(changes: Sequence[Change]) -> list[Outcome]:
    """Changes as outcomes of a report."""
    return [Outcome(one.name, f"{one.level} {one.what}", one.text(), (), one.to_json()) for one in changes]
