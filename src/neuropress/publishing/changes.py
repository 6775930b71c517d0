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


class ChangeKind(StrEnum):
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
    what: ChangeKind
    name: str
    before: str = ""
    after: str = ""

    def describe(self) -> str:
        """What was and what is, in words."""
        return " -> ".join(self._describe_value(text) for text in (self.before, self.after) if text)

    def _describe_value(self, text: str) -> str:
        if self.level == "asset":
            return f"{text} bytes"
        return text if self.level == "table" else repr(text)

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {name: str(getattr(self, name)) for name in ("level", "what", "name", "before", "after")}


@dataclass(frozen=True, slots=True)
class CellText:
    """What is read in a cell, signed fixes laid over it, and what was typed."""

    text: str = ""
    typed: str = ""

    def __str__(self) -> str:
        return self.text if self.text == self.typed else f"{self.typed} read as {self.text}"


type Rows = Mapping[str, Mapping[str, CellText]]
"""Key of a row -> column -> cell."""


@dataclass(frozen=True, slots=True)
class ReleaseContent:
    """What a release holds: its assets, and the rows of its tables."""

    assets: Mapping[str, AssetEntry] = field(default_factory=dict)
    tables: Mapping[str, Rows] = field(default_factory=dict)


def collect_rows(parts: Iterable[Part]) -> dict[str, dict[str, Mapping[str, CellText]]]:
    """The rows of several labs' parts, by table and key; a second row of one key is numbered."""
    tables: dict[str, dict[str, Mapping[str, CellText]]] = {}
    for part in parts:
        for name, table in part.tables.items():
            rows = tables.setdefault(name, {})
            for row in table.rows:
                cells = {column: CellText(text, text) for column, text in row.cells.items()}
                cells |= {column: CellText(fix.text, fix.original) for column, fix in row.fixes.items()}
                key, number = row.key, 1
                while key in rows:
                    number += 1
                    key = f"{row.key} ({number})"
                rows[key] = cells
    return tables


def compare_contents(before: ReleaseContent, after: ReleaseContent) -> list[Change]:
    """All differences, assets first; the parts that hold the tables are compared row by row."""
    return [*_compare_assets(before.assets, after.assets), *_compare_tables(before.tables, after.tables)]


def _compare_assets(before: Mapping[str, AssetEntry], after: Mapping[str, AssetEntry]) -> Iterator[Change]:
    for name in sorted({**before, **after}):
        old, new = before.get(name), after.get(name)
        if KIND in (old and old.kind, new and new.kind):
            continue
        sizes = str(old.size) if old else "", str(new.size) if new else ""
        if old is None:
            yield Change("asset", ChangeKind.ADDED, name, *sizes)
        elif new is None:
            yield Change("asset", ChangeKind.LOST, name, *sizes)
        elif (old.sha256, old.manifest is None) != (new.sha256, new.manifest is None):
            yield Change("asset", ChangeKind.CHANGED, name, *sizes)


def _compare_tables(before: Mapping[str, Rows], after: Mapping[str, Rows]) -> Iterator[Change]:
    for table in sorted({**before, **after}):
        old, new = before.get(table, {}), after.get(table, {})
        if table not in before:
            yield Change("table", ChangeKind.ADDED, table, "", f"{len(new)} rows")
        elif table not in after:
            yield Change("table", ChangeKind.LOST, table, f"{len(old)} rows")
        for key in sorted({**old, **new}):
            name = f"{table}.{key}"
            if key not in old:
                yield Change("row", ChangeKind.ADDED, name)
            elif key not in new:
                yield Change("row", ChangeKind.LOST, name)
            else:
                yield from _compare_cells(name, old[key], new[key])


def _compare_cells(row: str, before: Mapping[str, CellText], after: Mapping[str, CellText]) -> Iterator[Change]:
    for column in sorted({**before, **after}):
        old, new = before.get(column, CellText()), after.get(column, CellText())
        name = f"{row}.{column}"
        if old.text != new.text:
            if not new.text:
                what = ChangeKind.LOST
            elif old.text:
                what = ChangeKind.CHANGED
            else:
                what = ChangeKind.ADDED
            yield Change("cell", what, name, old.text, new.text)
        elif old != new:  # somebody answers for it now, or did
            yield Change("cell", ChangeKind.CHANGED, name, str(old), str(new))


def is_accepted(change: Change, accepted: Iterable[str]) -> bool:
    """Whether somebody named a loss: itself, what holds it, or a column as ``mouse.*.weight``."""
    return any(
        change.name == name
        or change.name.startswith((f"{name}.", f"{name.rstrip('/')}/"))
        or ("*" in name and not name.startswith("*") and fnmatchcase(change.name, name))
        for name in accepted
    )


def make_loss_findings(changes: Sequence[Change], accepted: Sequence[str], parent: str) -> list[Finding]:
    """Findings on what the parent release has and this one would not, unless it was accepted.

    Rows are listed by table, cells by column, assets by kind of loss: the hint says what to name.
    """
    lost = [change for change in changes if change.what is ChangeKind.LOST]
    groups: dict[str, list[Change]] = {}
    for change in lost:
        if not is_accepted(change, accepted):
            groups.setdefault(_get_loss_group(change), []).append(change)
    findings = [_make_loss_finding(name, group, parent) for name, group in groups.items()]
    for name in accepted:
        if not any(is_accepted(change, [name]) for change in lost):
            message = f"--accept-loss {name}: nothing of this name is lost"
            findings.append(finding("publish.no_such_loss", message, value=name))
    return findings


def _get_loss_group(change: Change) -> str:
    """The name under which losses are listed, which may be given to ``--accept-loss`` unless it is ``assets``."""
    if change.level == "asset":
        return "assets"
    table, _, rest = change.name.partition(".")
    if change.level != "cell":
        return table
    column = rest.rpartition(".")[2]  # the row's key, before it, may hold points
    return f"{table}.*.{column}"


def _make_loss_finding(group: str, changes: Sequence[Change], parent: str) -> Finding:
    names = [change.name for change in changes]
    table = "" if group == "assets" else group.split(".")[0]
    if any(change.level == "table" for change in changes):
        things = "table and its row"
    elif group == "assets":
        things = "asset"
    else:
        things = "row" if group == table else "cell"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    plural = "s" if len(names) > 1 else ""
    message = f"{things}{plural} of release {parent} would be lost: {', '.join(names[:SHOWN])}{more}"
    name = names[0] if len(names) == 1 or group == "assets" else group
    hint = f"Bring them back, or name them: --accept-loss '{name}'" + (" and so on." if group == "assets" else ".")
    return finding("publish.loss", message, hint=hint, table=table or None, value=names[0])


def make_change_outcomes(changes: Sequence[Change]) -> list[Outcome]:
    """Changes as outcomes of a report."""
    return [Outcome(one.name, f"{one.level} {one.what}", one.describe(), (), one.to_json()) for one in changes]
