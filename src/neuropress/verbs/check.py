"""``check``: tables, keys, rules between tables, and cells against the headers of raw files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ..checks.waivers import find_unmatched_waivers
from ..config import FILE, check_license
from ..model.finding import Finding, Problem, Severity, finding, has_errors
from ..model.key_patterns import matches_key
from ..model.progress import Progress, begin_step, no_progress, track
from ..model.report import Outcome, Report
from ..model.waiver import waive_all
from ..planning.facts import FILE as FACTS
from ..planning.facts import collect_facts, load_facts
from ..planning.images import find_unused_images
from ..planning.inspect import RowInspector, keep_findings_on_rows, leave_out_failed
from ..planning.labels import find_unused_labels
from ..planning.raw import check_files, check_unnamed_files, list_named_keys
from ..planning.stale import State
from ..planning.targets import Wanted, list_unplaced_rows
from ..storage.state import write_atomic
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
    begin_step(progress, "check")
    if tables_only or since:
        outcomes, findings = _check_tables(workspace, select)
    else:
        outcomes, findings = _check_raw_files(workspace, select, progress)
    found = [*findings, *(f for outcome in outcomes for f in outcome.findings)]
    of_waivers = workspace.waiver_findings
    if not select:
        of_waivers += find_unmatched_waivers(workspace.waivers, found)
        found += _find_unused_options(workspace)
        found += find_unused_labels(workspace.config, workspace.targets(), workspace.tables.blocked)
        found += find_unused_images(workspace.config, workspace.targets(), workspace.tables.blocked)
        # Who has said where to publish wants to know; a lab that never publishes need not be told each time.
        found += check_license(workspace.profile, Severity.WARNING if workspace.config.publish else Severity.INFO)
    findings = list(dict.fromkeys(waive_all([*of_waivers, *found], workspace.waivers)))
    if since:
        findings = demote_known_findings(findings, _findings_at(workspace, since), since)
    return Report.of("check", [replace(outcome, findings=()) for outcome in outcomes], findings)


def _find_unused_options(workspace: Workspace) -> list[Finding]:
    """Options of files that no path cell names, whether its row is understood or not: they would change nothing."""
    config = workspace.config
    if not config.options:
        return []
    keys = list_named_keys(config)
    unused = [name for name in config.options if not any(matches_key(name, key) for key in keys)]
    return [finding("options.unused", f"no row names {name}", value=name, file=FILE) for name in unused]


def _check_tables(workspace: Workspace, select: Selection) -> tuple[list[Outcome], list[Finding]]:
    """Tables alone, and their cells against the headers' facts that were collected before."""
    targets = workspace.targets(select)
    inspector = RowInspector(workspace.tables, workspace.config, load_facts(workspace.config.root))
    outcomes = []
    for wanted in targets:
        compared = inspector.inspect_jobs(wanted.jobs)
        state = WRONG if wanted.blocked or has_errors(compared) else "tables ready"
        outcomes.append(Outcome(wanted.target.path, state, "", tuple(compared)))
    outcomes += workspace.rows_without_target(select, WRONG)
    rest = inspector.inspect_rest(_list_rows(targets) if select else None)
    return outcomes, [*workspace.table_findings(select, targets), *rest]


def _list_rows(targets: Sequence[Wanted]) -> set[tuple[str, str]]:
    """Rows that selected targets depend on or do without."""
    rows = {(row.table, row.key) for wanted in targets for row in wanted.records()}
    return rows.union(*(wanted.blocked for wanted in targets))


def _check_raw_files(
    workspace: Workspace, select: Selection, progress: Progress
) -> tuple[list[Outcome], list[Finding]]:
    """Tables and raw files: every result is planned as `convert` would plan it."""
    targets = workspace.targets(select)
    findings = workspace.table_findings(select, targets)
    inspector = RowInspector(workspace.tables, workspace.config)
    outcomes = []
    for wanted in track(progress, "check", targets, lambda wanted: Path(wanted.target.path).name):
        is_ready, found = _plan_target(workspace, wanted, inspector)
        found += inspector.inspect_jobs(wanted.jobs)
        state = "ready" if is_ready else WRONG
        if wanted.empty:
            state = str(State.EMPTY)
        outcomes.append(Outcome(wanted.target.path, state, "", tuple(found)))
    outcomes += workspace.rows_without_target(select, WRONG)
    findings += inspector.inspect_rest(_list_rows(targets) if select else None)
    findings += check_files(workspace.tables, workspace.config, inspector.seen, targets if select else None)
    if not select:
        findings += check_unnamed_files(workspace.config, inspector.read)
    return outcomes, [*findings, *workspace.results_without_row(select)]


def _plan_target(workspace: Workspace, wanted: Wanted, inspector: RowInspector) -> tuple[bool, list[Finding]]:
    """Whether a result can be made with all its rows, and what was found on the way.

    Where rows fail, the others are planned without them, until none is left that could fail.
    """
    usable = wanted.usable(keep_going=True)
    if usable is None:
        return False, []
    planned = workspace.build(usable)
    # A row that failed is looked at once more, by itself: its file may be wrong in several ways.
    inspector.pass_over(job for job in usable.jobs if (job[1].table, job[1].key) not in planned.failed)
    found = list(planned.findings)
    inspector.read |= {touched.key for touched in planned.plan.inputs} if planned.plan else set()
    is_ready = planned.plan is not None and not wanted.blocked
    while planned.plan is None and (usable := leave_out_failed(usable, dict(planned.failed))):
        planned = workspace.build(usable)
        found += keep_findings_on_rows(planned.findings, usable.jobs)
    return is_ready, found


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
