"""Rules between rows and tables. Add a check: one function, one line in the registry, one entry in tables.toml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

from ..model.finding import Finding, Severity
from ..model.privacy import hide_for, withhold_text
from ..model.profile import Profile
from ..model.record import Record
from ..model.waiver import Waiver, waive
from ..tables import Tables, TableSource, load_tables, uncollected
from .registry import ROW_CHECKS, TABLE_CHECKS
from .rule import Found, RowCheck, applies, row_id, tell
from .sessions import future

__all__ = ["check_tables", "run_checks"]


def check_tables(
    source: TableSource | Path, profile: Profile, today: date | None = None, waivers: Sequence[Waiver] = ()
) -> Tables:
    """Read all tables and check every rule: `blocked` of the result is final.

    Parameters
    ----------
    today
        Sessions after this day are errors; None leaves that out.
    waivers
        Errors that they cover are warnings that name who answers for them, and withhold no row whose cells are
        all understood. A row that is not understood stays withheld, by a warning.

    Raises
    ------
    Problem
        The source cannot be read at all.
    OSError
        The machine could not read a file that is there.
    """
    with uncollected():
        tables = load_tables(source, profile, waivers)
        return tables.with_findings(_gravest(tables, profile, today))


def run_checks(tables: Tables, profile: Profile, today: date | None = None) -> list[Finding]:
    """Findings of all rules between cells, rows and tables, in the order of the registry."""
    return [told for told, _ in _gravest(tables, profile, today)]


def _gravest(tables: Tables, profile: Profile, today: date | None) -> list[Found]:
    """One finding a cell, the gravest: a wrong cell breaks several rules at once, and is corrected once."""
    rank = list(Severity)

    def cell(told: Finding) -> tuple[str | None, int | None, str | None]:
        return told.location.table, told.location.line, told.location.column

    worst = {cell(t): rank.index(t.severity) for t in sorted(tables.findings, key=lambda t: -rank.index(t.severity))}
    found = list(_found(tables, profile, today))
    kept = set()
    for told, _ in sorted(found, key=lambda one: rank.index(one[0].severity)):
        here = cell(told)
        if rank.index(told.severity) < worst.get(here, len(rank)):
            worst[here] = rank.index(told.severity)
            kept.add(told)
    return [one for one in found if one[0] in kept]


def _found(tables: Tables, profile: Profile, today: date | None) -> Iterator[Found]:
    for check in ROW_CHECKS:
        there = applies(profile, check.table, check.uses)
        for record in tables.table(check.table).values() if there else ():
            if not tables.faulty or tables.sound(record, check.uses):
                told = _run(check, record, profile)
                if told:
                    hidden = _reads_private(profile, check.table, check.uses)
                    yield _told(told, tables, profile, hidden), [row_id(record)]
    across = {**TABLE_CHECKS, **({future(today): {"session": ("session_date",)}} if today else {})}
    for run, uses in across.items():
        if all(applies(profile, table, columns) for table, columns in uses.items()):
            hidden = any(_reads_private(profile, table, columns) for table, columns in uses.items())
            for told, rows in run(tables, profile):
                yield _told(told, tables, profile, hidden), rows


def _run(check: RowCheck, record: Record, profile: Profile) -> Finding | None:
    """What a check finds; a number with which it cannot calculate, as a schema of the dataset's own may allow."""
    try:
        return check.run(record, profile)
    except ArithmeticError:
        column = next(path for path in check.uses if "." not in path)
        message = f"with {', '.join(check.uses)} as they are, {check.run.__name__} cannot be calculated"
        return tell("cell.range", record, column, message)


def _told(told: Finding, tables: Tables, profile: Profile, hidden: bool) -> Finding:
    """The finding without text of private cells, as a warning where a waiver covers it."""
    return waive(withhold_text(told) if hidden else hide_for(told, profile), tables.waivers)


def _reads_private(profile: Profile, table: str, uses: Iterable[str]) -> bool:
    """Whether a check looks at a private cell, whose text it may tell at another one."""
    for path in uses:
        *relations, column = path.split(".")
        current = table
        for relation in relations:
            current = next(iter(profile.tables[current].foreign.get(f"{relation}_id", ())), current)
        if column in profile.tables[current].private:
            return True
    return False
