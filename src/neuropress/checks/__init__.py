"""Rules between rows and tables. Add a check: one function, one line in the registry, one entry in tables.toml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from ..model.finding import Finding, Severity
from ..model.privacy import hide_for, withhold_text
from ..model.profile import Profile
from ..model.record import Record, RowPlace
from ..model.waiver import Waiver, waive
from ..tables import Tables, TableSource, TableSources, load_tables, pause_garbage_collection
from .registry import ROW_CHECKS, SESSION_DATE, TABLE_CHECKS
from .rule import CheckResult, RowCheck, get_row_id, has_columns, make_cell_finding, resolve_column
from .sessions import make_birth_check, make_future_session_check

__all__ = ["check_tables", "run_checks"]

_RANKS = {severity: rank for rank, severity in enumerate(Severity)}
"""Severities from the gravest on: error 0, warning 1, info 2."""


def check_tables(
    source: TableSources | TableSource | Path,
    profile: Profile,
    today: date | None = None,
    waivers: Sequence[Waiver] = (),
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
    with pause_garbage_collection():
        tables = load_tables(source, profile, waivers)
        results, told = _collect_results(tables, profile, today)
        return tables.with_findings(results, told)


def run_checks(tables: Tables, profile: Profile, today: date | None = None) -> list[Finding]:
    """Findings of all rules between cells, rows and tables, in the order of the registry."""
    return [finding for finding, _ in _collect_results(tables, profile, today)[0]]


def _collect_results(
    tables: Tables, profile: Profile, today: date | None
) -> tuple[list[CheckResult], dict[Finding, Finding]]:
    """What the rules find, and findings of the tables that have to say more."""
    results = [*_run_row_checks(tables, profile), *_run_table_checks(tables, profile, today)]
    return _join_paths(results, _keep_gravest(results, tables.findings), tables.findings)


def _join_paths(
    results: Sequence[CheckResult], kept: Sequence[CheckResult], known: Iterable[Finding]
) -> tuple[list[CheckResult], dict[Finding, Finding]]:
    """Say in the one finding on a path whatever is wrong with its levels: each is corrected by itself."""
    first = {_locate_cell(one): one for one in (*(one for one, _ in kept), *known) if one.id.startswith("path.")}
    longer: dict[Finding, Finding] = {}
    stay = {one for one, _ in kept}
    for one, _ in results:
        own = first.get(_locate_cell(one))
        if one in stay or own is None or own.id == one.id or one.id not in ("path.lab", "path.date", "path.twice"):
            continue
        more = one.message.removeprefix(f"{one.location.column}: ")
        own_now = longer.get(own, own)
        longer[own] = replace(own_now, message=f"{own_now.message}; {more}")
    return [(longer.pop(one, one), rows) for one, rows in kept], longer


def _keep_gravest(results: Sequence[CheckResult], known: Iterable[Finding]) -> list[CheckResult]:
    """One finding a cell, the gravest: a wrong cell breaks several rules at once, and is corrected once.

    Of equally grave findings on a cell the first stays; what is `known` already comes before all of them.
    """
    gravest: dict[tuple[RowPlace, str | None], int] = {}
    for finding in known:
        cell = _locate_cell(finding)
        gravest[cell] = min(_RANKS[finding.severity], gravest.get(cell, len(_RANKS)))
    kept: set[Finding] = set()
    for finding, _ in sorted(results, key=lambda result: _RANKS[result[0].severity]):
        cell = _locate_cell(finding)
        if _RANKS[finding.severity] < gravest.get(cell, len(_RANKS)):
            gravest[cell] = _RANKS[finding.severity]
            kept.add(finding)
    return [result for result in results if result[0] in kept]


def _locate_cell(finding: Finding) -> tuple[RowPlace, str | None]:
    """Row and column: keys do not identify rows where one of them is there twice."""
    return finding.location.row_place, finding.location.column


def _run_row_checks(tables: Tables, profile: Profile) -> Iterator[CheckResult]:
    has_errors = bool(tables.error_columns or tables.keyless_errors)
    for check in ROW_CHECKS:
        if not has_columns(profile, check.table, check.uses):
            continue
        is_private = _uses_private_column(profile, check.table, check.uses)
        for record in tables.iterate_rows(check.table):
            # Following the paths costs more than most checks; where no cell is wrong, there is no need to.
            if has_errors and not tables.has_sound_cells(record, check.uses):
                continue
            finding = _run_row_check(check, record, profile)
            if finding is not None:
                yield _finish_finding(finding, tables, profile, is_private), [get_row_id(record)]


def _run_table_checks(tables: Tables, profile: Profile, today: date | None) -> Iterator[CheckResult]:
    checks = {**TABLE_CHECKS, make_birth_check(today): {"mouse": ("birth_date",), **SESSION_DATE}}
    if today:
        checks[make_future_session_check(today)] = {"session": ("session_date",)}
    for check, uses in checks.items():
        if not all(has_columns(profile, table, columns) for table, columns in uses.items()):
            continue
        is_private = any(_uses_private_column(profile, table, columns) for table, columns in uses.items())
        for finding, rows in check(tables, profile):
            yield _finish_finding(finding, tables, profile, is_private), rows


def _run_row_check(check: RowCheck, record: Record, profile: Profile) -> Finding | None:
    """What a check finds; a number with which it cannot calculate, as a schema of the dataset's own may allow."""
    try:
        return check.run(record, profile)
    except ArithmeticError:
        column = next(path for path in check.uses if "." not in path)
        message = f"with {', '.join(check.uses)} as they are, {check.run.__name__} cannot be calculated"
        return make_cell_finding("cell.range", record, column, message)


def _finish_finding(finding: Finding, tables: Tables, profile: Profile, is_private: bool) -> Finding:
    """The finding without text of private cells, as a warning where a waiver covers it.

    With `is_private`, its check looked at a private cell, whose text may stand in a message on a public one.
    """
    public = withhold_text(finding) if is_private else hide_for(finding, profile)
    return waive(public, tables.waivers)


def _uses_private_column(profile: Profile, table: str, paths: Iterable[str]) -> bool:
    for path in paths:
        spec, column = resolve_column(profile, table, path)
        if spec is not None and column in spec.private:
            return True
    return False
