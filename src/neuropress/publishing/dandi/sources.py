"""What is sent: results of the working copy that passed the gate, or those of a committed release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...model.finding import Finding, Severity, problem
from ...model.progress import Progress
from ...model.record import Record
from ...model.report import Outcome
from ...model.source import Source
from ...release import Asset, OpenRelease, download_assets
from ...release.manifest import AssetEntry
from ...storage.roots import Bucket
from ...workspace import Workspace
from ..gate import check_results
from ..scope import Scope, get_session_key
from ..selection import make_result_asset
from .tree import KINDS_SENT, NWB, Place

FETCHED = "fetched"


@dataclass(slots=True)
class Material:
    """Results that may be sent, each with the place of its row, and what stands in the way of others.

    Attributes
    ----------
    outcomes
        What was verified or validated on the way.
    sessions
        Rows of the sessions among them: their experimenters are the authors.
    """

    assets: list[tuple[Asset, Place]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    sessions: list[Record] = field(default_factory=list)


def gather_results(workspace: Workspace, scope: Scope, findings: tuple[Finding, ...], progress: Progress) -> Material:
    """Current, proven and valid results of the working copy.

    Parameters
    ----------
    findings
        Of `check`: errors on a row of a selected result keep everything from being sent.
    """
    targets = [w for w in workspace.targets() if scope.includes_target(w, workspace.profile)]
    wanted = [w for w in targets if w.target.kind in KINDS_SENT and scope.includes_kind(w.target.kind) and not w.empty]
    passed = check_results(workspace, wanted, progress)
    material = Material(outcomes=list(passed.outcomes))
    rows = {(record.table, record.key) for one in wanted for record in one.records()}
    rows |= {row for one in wanted for row in one.blocked}
    errors = [f for f in findings if f.severity is Severity.ERROR and _concerns(f, rows)]
    material.findings = [*passed.findings, *passed.errors, *errors]
    for one in wanted:
        if proof := passed.proofs.get(one.target.path):
            material.assets.append((make_result_asset(workspace, one, proof), one.record.place()))
    material.sessions = _list_sessions(workspace, scope)
    return material


def gather_assets(workspace: Workspace, opened: OpenRelease, scope: Scope, progress: Progress) -> Material:
    """Results of a committed release. Files that lie in a bucket are fetched, because dandi reads files alone.

    Raises
    ------
    Problem
        ``release.differs``, ``release.lost``: its bytes are not those that were published.
    """
    material = Material(sessions=_list_sessions(workspace, scope))
    chosen = dict(_choose_entries(opened, scope))
    places = _find_places(workspace, opened, chosen, progress)
    for name, entry in chosen.items():
        content = places.get(name) or Source(entry.key, Bucket(opened.store.url, _find_endpoint(opened)))
        if isinstance(content, Path) and entry.kind == NWB:
            digest = workspace.digests.get_file_digest(content).sha256
            if digest != entry.sha256:
                message = f"{name}: {entry.key} has other bytes than were published"
                raise problem("release.differs", message, file=entry.key, value=digest, expected=entry.sha256)
        material.assets.append((Asset(name, entry.kind, content, {}, opened.list_files(name)), {}))
    return material


def forget_fetched(workspace: Workspace) -> None:
    """Delete what `gather_assets` fetched."""
    from shutil import rmtree

    rmtree(_get_folder(workspace), ignore_errors=True)


def _find_places(
    workspace: Workspace, opened: OpenRelease, chosen: Mapping[str, AssetEntry], progress: Progress
) -> dict[str, Path]:
    """Where assets lie on this machine: all of a release in a folder, else the files that were fetched."""
    if opened.store.folder is not None:
        return {name: opened.store.folder / entry.key for name, entry in chosen.items()}
    folder = _get_folder(workspace) / opened.release.sha256
    places = {name: folder / name for name, entry in chosen.items() if entry.kind == NWB}
    download_assets(opened, places, progress)
    return places


def _get_folder(workspace: Workspace) -> Path:
    return workspace.config.state / FETCHED


def _find_endpoint(opened: OpenRelease) -> str | None:
    return opened.store.access.endpoint if opened.store.access else None


def _choose_entries(opened: OpenRelease, scope: Scope) -> Iterator[tuple[str, AssetEntry]]:
    for name, entry in sorted(opened.release.assets.items()):
        if entry.kind in KINDS_SENT and scope.includes_entry(name, entry):
            yield name, entry


def _list_sessions(workspace: Workspace, scope: Scope) -> list[Record]:
    sessions = workspace.tables.records.get("session", {}).values()
    chosen = (row for row in sessions if not scope.sessions or get_session_key(row) in scope.sessions)
    return [row for row in chosen if scope.includes_lab(row.lab)]


def _concerns(one: Finding, rows: set[tuple[str, str]]) -> bool:
    """Whether a finding is on a row of what is sent, or on no row."""
    return not one.location.key or (one.location.table or "", one.location.key) in rows
