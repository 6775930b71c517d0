"""What is sent: results of the working copy that passed the gate, or those of a committed release."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ...model.finding import Finding, Severity, problem
from ...model.progress import Progress
from ...model.receipt import InputDigest
from ...model.record import Record
from ...model.report import Outcome
from ...model.source import Source
from ...release import Asset, FileDigest, OpenRelease, download_assets
from ...release.manifest import AssetEntry
from ...storage.roots import Bucket
from ...tables import normalise_key
from ...workspace import Workspace
from ..gate import check_results
from ..scope import Scope, get_session_key
from ..selection import make_result_asset
from .tree import KINDS_SENT, NWB, RAW, Place
from .videos import FindRaw

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
    find_raw
        Finds the videos that they name.
    """

    find_raw: FindRaw
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
    material = Material(
        partial(_find_raw_file, workspace, _list_private_keys(workspace)), outcomes=list(passed.outcomes)
    )
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
    material = Material(partial(_find_released_file, opened), sessions=_list_sessions(workspace, scope))
    chosen = dict(_choose_entries(opened, scope))
    places = _find_places(workspace, opened, chosen, progress)
    for name, entry in chosen.items():
        content = places.get(name) or _open_entry(opened, entry)
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


def _find_raw_file(workspace: Workspace, private: Collection[str], key: str, digest: InputDigest) -> Asset:
    """A raw file of the working copy. Raises `Problem` (``dandi.video``, or as `SourceRoots.locate`)."""
    if key in private:
        message = f"{key} is named in a private column, and a session that is selected needs it"
        raise problem("dandi.video", message, file=key)
    source = workspace.config.sources().locate(key)
    content = source.root.path(key) or source
    return Asset(key, RAW, content, {}, (FileDigest("", digest.size, digest.sha256),))


def _list_private_keys(workspace: Workspace) -> set[str]:
    """Keys of raw files in columns that are not published."""
    profile, keys = workspace.profile, set()
    for table, spec in profile.tables.items():
        private = [column for column in spec.paths if column in spec.private]
        for record in workspace.tables.records.get(table, {}).values():
            keys |= {normalise_key(record.cells[column].text, profile).rstrip("/") for column in private}
    return keys


def _find_released_file(opened: OpenRelease, key: str, digest: InputDigest) -> Asset:
    """A raw file of a release. Raises `Problem` (``dandi.video``, ``release.differs``)."""
    entry = opened.release.assets.get(key)
    if entry is None:
        raise problem("dandi.video", f"release {opened.release.number} does not hold the video {key}", file=key)
    if entry.sha256 != digest.sha256:
        message = f"{key} is not the video that its session was made with"
        raise problem("release.differs", message, file=key, value=entry.sha256, expected=digest.sha256)
    folder = opened.store.folder
    return Asset(key, RAW, folder / entry.key if folder else _open_entry(opened, entry), {}, opened.list_files(key))


def _open_entry(opened: OpenRelease, entry: AssetEntry) -> Source:
    return Source(entry.key, Bucket(opened.store.url, opened.store.access.endpoint if opened.store.access else None))


def _get_folder(workspace: Workspace) -> Path:
    return workspace.config.state / FETCHED


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
