"""``run``: check, convert, verify and validate, in this order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..model.progress import Progress, no_progress
from ..model.report import Report
from ..workspace import EVERYTHING, Selection, Workspace
from .check import check_dataset
from .convert import Options, convert_dataset
from .validate import validate_dataset
from .verify import verify_dataset


def run_dataset(
    workspace: Workspace,
    select: Selection = EVERYTHING,
    options: Options | None = None,
    progress: Progress = no_progress,
    step_done: Callable[[Report], object] = lambda report: None,
) -> Report:
    """Bring a dataset up to date and prove it. Bad rows do not stop the others: every step goes on with what it can.

    Parameters
    ----------
    step_done
        Called with the report of each step as it ends.
    """
    steps = []
    for report in _run_steps(workspace, select, options or Options(), progress):
        workspace.log(report)
        step_done(report)
        steps.append(report)
    return Report.of_steps("run", steps)


def _run_steps(workspace: Workspace, select: Selection, options: Options, progress: Progress) -> Iterator[Report]:
    """The tables are read once, for all of it."""
    yield check_dataset(workspace, select, progress=progress)
    yield convert_dataset(workspace, select, options, progress)
    yield verify_dataset(workspace, (), select, progress)
    yield validate_dataset(workspace, (), select, progress)
