"""``check``: tables, keys, rules between tables, and cells against the headers of raw files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ..checks.waivers import find_unmatched_waivers
from ..config import FILE, matches_key
from ..model.finding import Finding, Problem, Severity, finding, has_errors
from ..model.progress import Progress, no_progress, track
from ..model.report import Outcome, Report
from ..model.waiver import waive_all
from ..planning.facts import FILE as FACTS
from ..planning.facts import collect_facts, compare_with_facts, load_facts
from ..planning.raw import check_files
from ..planning.stale import State
from ..planning.targets import list_unplaced_rows
from ..storage.state import write_atomic
from ..tables import normalise_key, read_tables
from ..workspace import EVERYTHING, Selection, Workspace
from .letter import Letter, compose_letter
from .since import demote_known_findings, extract_revision

WRONG = "has errors"


def check_dataset(
    workspace: Workspace,
    select: Selection = EVERYTHING,
    *,
    tables_only: bool = False,
    since: str | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Check what is selected; see `neuropress.api.Dataset.check` for parameters and errors."""
    if tables_only or since:
        outcomes, findings = _check_tables(workspace, select)
    else:
        outcomes, findings = _check_raw_files(workspace, select, progress)
    found = [*findings, *(f for outcome in outcomes for f in outcome.findings)]
    of_waivers = workspace.waiver_findings
    if not select:
        of_waivers += find_unmatched_waivers(workspace.waivers, found)
        found += _find_unused_options(workspace)
    findings = list(dict.fromkeys(waive_all([*of_waivers, *found], workspace.waivers)))
    if since:
        findings = demote_known_findings(findings, _findings_at(workspace, since), since)
    return Report.of("check", [replace(outcome, findings=()) for outcome in outcomes], findings)


def _find_unused_options(workspace: Workspace) -> list[Finding]:
    """Options of files that no path cell names, whether its row is understood or not: they would change nothing."""
    config = workspace.config
    if not config.options:
        return []
    keys = set()
    for table in read_tables(config.tables, config.profile).values():
        positions = [i for i, column in enumerate(table.columns) if column in table.spec.paths]
        for row in table.rows:
            keys |= {normalise_key(row.cells[i], config.profile) for i in positions if i < len(row.cells)}
    unused = [name for name in config.options if not any(matches_key(name, key) for key in keys)]
    return [finding("options.unused", f"no row names {name}", value=name, file=FILE) for name in unused]


def _check_tables(workspace: Workspace, select: Selection) -> tuple[list[Outcome], list[Finding]]:
    """Tables alone, and their cells against the headers' facts that were collected before."""
    targets = workspace.targets(select)
    facts = load_facts(workspace.config.root)
    outcomes = []
    for wanted in targets:
        compared = compare_with_facts(workspace.config, wanted, facts)
        state = WRONG if wanted.blocked or has_errors(compared) else "tables ready"
        outcomes.append(Outcome(wanted.target.path, state, "", tuple(compared)))
    outcomes += workspace.rows_without_target(select, WRONG)
    return outcomes, workspace.table_findings(select, targets)


def _check_raw_files(
    workspace: Workspace, select: Selection, progress: Progress
) -> tuple[list[Outcome], list[Finding]]:
    """Tables and raw files: every result is planned as `convert` would plan it."""
    targets = workspace.targets(select)
    findings = workspace.table_findings(select, targets)
    findings += check_files(workspace.tables, workspace.config, targets if select else None)
    outcomes = []
    for wanted in track(progress, "check", targets, lambda wanted: Path(wanted.target.path).name):
        usable = wanted.usable(keep_going=True)
        planned = workspace.build(usable) if usable else None
        state = "ready"
        if wanted.empty:
            state = str(State.EMPTY)
        elif wanted.blocked or planned is None or planned.plan is None:
            state = WRONG
        outcomes.append(Outcome(wanted.target.path, state, "", planned.findings if planned else ()))
    outcomes += workspace.rows_without_target(select, WRONG)
    return outcomes, [*findings, *workspace.results_without_row(select)]


def _findings_at(workspace: Workspace, revision: str) -> tuple[Finding, ...]:
    """What a check of the tables finds in an older revision of the dataset."""
    with TemporaryDirectory() as folder:
        extract_revision(workspace.config.root, revision, Path(folder))
        if not (Path(folder) / FILE).is_file():
            return ()
        try:
            return check_dataset(Workspace.open(folder), tables_only=True).findings
        except Problem as bad:  # what kept the old tables from being read is all that was found then
            return (bad.finding,)


def write_facts(workspace: Workspace) -> Report:
    """Write ``facts.jsonl``: what the raw files' headers say, to be committed beside the tables."""
    text, count, findings = collect_facts(workspace.config, workspace.targets())
    write_atomic(workspace.config.root / FACTS, text)
    outcome = Outcome(FACTS, "written", f"{count} raw object{'s' if count != 1 else ''}")
    return Report.of("facts", [outcome], findings)


def write_lab_letter(
    workspace: Workspace, lab: str, select: Selection = EVERYTHING, *, tables_only: bool = False
) -> Letter:
    """What one lab should mend, to be forwarded; `lab` "-" is for what belongs to no lab."""
    report = check_dataset(workspace, select, tables_only=tables_only)
    errors = (f.location for f in report.findings if f.severity is Severity.ERROR)
    faulty = {(where.table or "", where.key or "") for where in errors}
    withholds: dict[tuple[str, str], list[str]] = {}
    for wanted in workspace.targets():
        name = wanted.target.path.rsplit("/", 1)[-1]
        rows = {(row.table, row.key) for row in wanted.records()} | set(wanted.blocked)
        for row in rows & faulty:
            withholds.setdefault(row, []).append(name)
    for table, key, _ in list_unplaced_rows(workspace.tables, workspace.profile):
        withholds.setdefault((table, key), []).append(f"the result of {table} {key}")
    return compose_letter(lab, report.findings, withholds, workspace.profile)
