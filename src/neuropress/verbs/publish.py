"""``publish``: a dataset, or the part of it that is selected, becomes a release, or files of a dandiset."""

from __future__ import annotations

from dataclasses import replace

from ..model.finding import problem
from ..model.progress import Progress, no_progress
from ..model.report import Report
from ..publishing import PublishRequest, Scope, publish_dataset
from ..publishing.dandi import DandiRequest, publish_to_dandi
from ..storage.state import lock_dataset
from ..workspace import Selection, Workspace
from .check import check_dataset


def publish_selection(
    workspace: Workspace, select: Selection, order: PublishRequest, progress: Progress = no_progress
) -> Report:
    """Check the whole dataset, then publish what the selection and the order's kinds of data name.

    Raises
    ------
    Problem
        ``dataset.selection``: a release is selected by lab and session, not by single rows.
    """
    if unknown := _check_selection(workspace, select):
        return unknown
    with lock_dataset(workspace.config.state, "publish"):
        scope = Scope(select.labs, select.sessions, order.scope.kinds)
        complete = replace(order, scope=scope, findings=check_dataset(workspace).findings)
        return publish_dataset(workspace, complete, progress)


def publish_selection_to_dandi(
    workspace: Workspace, select: Selection, order: DandiRequest, progress: Progress = no_progress
) -> Report:
    """Check the whole dataset, then bring what the selection names to a dandiset.

    Raises
    ------
    Problem
        ``dataset.selection``, as `publish_selection`.
    """
    if unknown := _check_selection(workspace, select):
        return unknown
    with lock_dataset(workspace.config.state, "publish"):
        scope = Scope(select.labs, select.sessions, order.scope.kinds)
        findings = () if order.release else check_dataset(workspace).findings
        return publish_to_dandi(workspace, replace(order, scope=scope, findings=findings), progress)


def _check_selection(workspace: Workspace, select: Selection) -> Report | None:
    """What is wrong with a selection. Raises `Problem` (``dataset.selection``)."""
    if select.objects:
        raise problem("dataset.selection", "a release is selected by lab and session", value=select.objects[0])
    unknown = workspace.unknown_names(select)
    return Report.of("publish", [], unknown) if unknown else None
