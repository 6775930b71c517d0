"""``convert --part K/N``: one of several runs, on as many machines, that together do what a single one would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .. import __version__
from ..model.plan import digest
from ..model.progress import Progress, begin_step, no_progress
from ..model.report import Report
from ..model.run_part import RunPart
from ..planning.estimate import compare_estimates
from ..planning.receipts import ReceiptCache
from ..planning.records import write_records
from ..planning.targets import Wanted, digest_rows, source_rows
from ..storage.files import digest_file
from ..storage.shared_lock import lock_part, note_begin, note_end, try_step_lock
from ..storage.state import DigestCache
from ..workspace import EVERYTHING, Selection, Workspace
from .convert import Options, bring_up_to_date, is_shared_by_parts


def convert_part(
    workspace: Workspace,
    part: RunPart,
    select: Selection = EVERYTHING,
    options: Options | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Convert a part's share: whole results, and units of the volumes. Whoever ends last finishes what is shared.

    Raises
    ------
    Problem
        ``dataset.locked``: another verb, parts of another plan, or this part itself is at work.
    """
    begin_step(progress, "convert")
    options, config = replace(options or Options(), part=part), workspace.config
    targets = workspace.targets(select)
    findings = workspace.table_findings(select, targets)
    whole = [wanted for wanted in targets if not is_shared_by_parts(config, wanted)]
    others = {wanted.target.path for ordinal, wanted in enumerate(whole) if not part.owns(ordinal)}
    own = [wanted for wanted in targets if wanted.target.path not in others]
    with lock_part(config.state, part, _digest_run(workspace, targets, options)):
        workspace.digests = DigestCache(config.state, f"part-{part.number}")
        workspace.receipts = ReceiptCache(config.state, f"part-{part.number}")
        note_begin(config.state, part)
        outcomes = bring_up_to_date(workspace, own, options, progress)
        if note_end(config.state, part):
            workspace.digests.reload()
            with try_step_lock(config.state, "records") as is_held:
                if is_held:  # otherwise another part writes the same
                    findings += write_records(config, workspace.current())
    outcomes += workspace.rows_without_target(select, "blocked")
    note = f"part {part}: {len(others)} results are left to other parts whole\n" if others else ""
    report = Report.of("convert", outcomes, [*findings, *workspace.results_without_row(select)])
    return replace(report, note=(note + compare_estimates(outcomes)).strip())


def _digest_run(workspace: Workspace, targets: Sequence[Wanted], options: Options) -> str:
    """Of all that parts must agree on, so that each knows what the others do."""
    assert options.part is not None
    config = workspace.config
    rows = [
        [wanted.target.path, digest_rows(source_rows(wanted, config.profile), config.profile)] for wanted in targets
    ]
    settings = digest_file(config.root / "neuropress.toml")
    return digest([__version__, options.part.count, options.keep_going, options.outdated, settings, rows])
