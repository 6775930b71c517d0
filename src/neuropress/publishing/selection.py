"""What a release brings anew: proven results, raw files, and the labs' parts that hold their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from ..independent import list_verdicts
from ..model.finding import Problem
from ..model.record import Record
from ..model.source import Source
from ..planning.targets import Wanted
from ..proof import Proof
from ..release import Asset, Destination, Draft, FileDigest, OpenRelease
from ..release.manifest import AssetEntry
from ..results import detect_kind, load_kind
from ..storage.parallel import run_all
from ..storage.remote import BucketPath
from ..storage.state import DigestCache
from ..tables import normalise_key, read_tables
from ..workspace import Workspace
from .changes import Change, ReleaseContent, collect_rows, compare_contents
from .parts import FOLDER, KIND, Part, find_lab_initials, make_part_name, make_parts, merge_rows
from .scope import Scope, make_provenance

WORKERS = 16


@dataclass(slots=True)
class SelectedContent:
    """What is published anew: assets, and labs' parts; `before` are the parts of the parent release."""

    assets: list[Asset] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)
    before: dict[str, Part] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProvenDataset:
    """A dataset as it stands when it is published.

    `targets` are the selected results, `proofs` (by path below ``output/``) those of them that may be published.
    """

    workspace: Workspace
    targets: Sequence[Wanted]
    proofs: Mapping[str, Proof]


def select_content(dataset: ProvenDataset, scope: Scope, destination: Destination) -> SelectedContent:
    """Collect what is published anew. Raises `Problem` where the parent release is damaged."""
    workspace, profile = dataset.workspace, dataset.workspace.profile
    selected = SelectedContent()
    for wanted in dataset.targets:
        if proof := dataset.proofs.get(wanted.target.path):
            selected.assets.append(make_result_asset(workspace, wanted, proof))
    if scope.includes_kind("raw"):
        selected.assets += _collect_raw_assets(workspace, scope, dataset.targets)
    now = make_parts(workspace.config, read_tables(workspace.config.tables, profile), workspace.waivers)
    if destination.parent and destination.store:
        selected.before = load_parts(OpenRelease(destination.parent, destination.store), now)
    chosen = _select_rows(dataset, scope, selected.before)
    touched = {find_lab_initials(key, profile) for _, key in chosen}
    for lab, part in now.items():
        if not scope.sessions and scope.includes_lab(lab):
            selected.parts[lab] = part
        elif lab in touched:
            selected.parts[lab] = merge_rows(selected.before.get(lab), part, chosen)
    return selected


def _select_rows(dataset: ProvenDataset, scope: Scope, before: Mapping[str, Part]) -> set[tuple[str, str]]:
    """The selected rows with all that they depend on, whichever lab's these are, and what they were in the parent."""
    records = (record for table in dataset.workspace.tables.records.values() for record in table.values())
    starts = [record for record in records if scope.includes_row(record, dataset.workspace.profile)]
    chosen = {(r.table, r.key) for start in starts for r in start.lineage()}
    chosen |= {(r.table, r.key) for wanted in dataset.targets for r in wanted.records()}
    if not scope.sessions:
        return chosen
    # What a selected session had in the parent and has no more must not stay there.
    for part in before.values():
        for name, table in part.tables.items():
            for row in table.rows:
                if row.key in scope.sessions or row.cells.get("session_id") in scope.sessions:
                    chosen.add((name, row.key))
    return chosen


def load_parts(release: OpenRelease, known: Mapping[str, Part] | None = None) -> dict[str, Part]:
    """The labs' parts of a release.

    Parameters
    ----------
    known
        Parts by lab; one that the release holds as it is, is not fetched.

    Raises
    ------
    Problem
        A part is damaged or gone.
    """
    parts = {}
    for name, entry in release.release.assets.items():
        lab = name.removeprefix(f"{FOLDER}/")
        if entry.kind != KIND:
            continue
        if known and lab in known and known[lab].sha256 == entry.sha256:
            parts[lab] = known[lab]
            continue
        paths = [file.path for file in release.list_files(name)]
        data = run_all(lambda path, name=name: release.read(name, path), paths, WORKERS)  # type: ignore[misc]
        parts[lab] = Part.from_files(dict(zip(paths, data, strict=True)), name)
    return parts


def make_result_asset(workspace: Workspace, wanted: Wanted, proof: Proof) -> Asset:
    """A proven result as an asset: these files with these digests, and no others."""
    path = workspace.path(wanted)
    content = Source(path.key, path.root) if isinstance(path, BucketPath) else path
    files = tuple(FileDigest(file.path, file.size, file.sha256) for file in proof.files)
    about: dict[str, Any] = dict(make_provenance([wanted.record, *(row for _, row in wanted.jobs)], workspace.profile))
    if proof.second:
        about["independent"] = list_verdicts(proof.second)
    return Asset(wanted.target.path, detect_kind(path).name, content, about, files)


def _collect_raw_assets(workspace: Workspace, scope: Scope, targets: Sequence[Wanted]) -> list[Asset]:
    """Every raw object of a selected row that is there, each once: named by a public cell, or read for a result."""
    owners: dict[str, list[Record]] = {}
    profile = workspace.profile
    for table, spec in profile.tables.items():
        public = [column for column in spec.paths if column not in spec.private]
        for record in workspace.tables.records.get(table, {}).values():
            for column in public:
                key = normalise_key(record.cells[column].text, profile).rstrip("/")
                if key:
                    owners.setdefault(key, []).append(record)
    _add_companions(workspace, targets, owners)
    assets = []
    for key, records in owners.items():
        if not any(scope.includes_row(record, profile) for record in records):
            continue
        try:
            source = workspace.config.sources().locate(key)
        except Problem:
            continue  # `check` has a finding on it, which blocks the release where it matters
        assets.append(_make_raw_asset(source, make_provenance(records, profile), workspace.digests))
    return assets


def _add_companions(workspace: Workspace, targets: Sequence[Wanted], owners: dict[str, list[Record]]) -> None:
    """Files that results were made from and no cell names: other files of a set, commands, a simulation's settings.

    Without them nobody could verify the result, or make it again.
    """
    named = frozenset(owners)
    for wanted in targets:
        path = workspace.path(wanted)
        if not path.exists():
            continue
        try:
            inputs = load_kind(wanted.target.kind).read_provenance(path).receipt.inputs
        except Problem:
            continue  # the gate has refused it
        for key in inputs:
            folders = {str(folder) for folder in PurePosixPath(key).parents}
            if named.isdisjoint({key, *folders}):
                owners.setdefault(key, []).extend(row for _, row in wanted.jobs)


def _make_raw_asset(source: Source, owners: Mapping[str, list[str]], cache: DigestCache) -> Asset:
    key, path = source.key, source.root.path(source.key)
    if path is not None and path.is_dir():
        return Asset(key, "raw", path, owners)
    files = []
    for member in source.files():
        digest = cache.get_raw_digest(source.root, f"{key}/{member}" if member else key)
        files.append(FileDigest(member, digest.size, digest.sha256))
    return Asset(key, "raw", source if path is None else path, owners, tuple(files))


def make_part_assets(parts: Mapping[str, Part]) -> list[Asset]:
    """Labs' parts as assets."""
    return [Asset(make_part_name(lab), KIND, part.to_files(), {"labs": [lab]}) for lab, part in parts.items()]


def is_inherited(name: str, entry: AssetEntry, scope: Scope, selected: SelectedContent) -> bool:
    """Whether an asset of the parent is taken over: it was not selected; what was selected and is absent is lost."""
    if entry.kind == KIND:
        return name.removeprefix(f"{FOLDER}/") not in selected.parts and not _is_lost_part(name, entry, scope)
    return not scope.includes_entry(name, entry)


def _is_lost_part(name: str, entry: AssetEntry, scope: Scope) -> bool:
    """Whether a lab that has no row any more is among what was selected."""
    return not scope.sessions and scope.includes_entry(name, entry)


def list_changes(draft: Draft, selected: SelectedContent) -> list[Change]:
    """Differences of the draft from its parent; without a parent everything is new."""
    before = draft.destination.parent.assets if draft.destination.parent else {}
    kept = {lab: part for lab, part in selected.before.items() if make_part_name(lab) in draft.entries}
    parts = {**kept, **selected.parts}
    return compare_contents(
        ReleaseContent(before, collect_rows(selected.before.values())),
        ReleaseContent(draft.entries, collect_rows(parts.values())),
    )
