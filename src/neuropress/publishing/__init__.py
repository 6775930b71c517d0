"""From a dataset to a release: what is published, what must be true of it, what changes and what would be lost.

===============  =====================================================================
module           what it holds
===============  =====================================================================
:mod:`.scope`    `Scope`: which part of the dataset is published anew
:mod:`.creators`  who recorded it, with ORCIDs
:mod:`.gate`     `check_results`: current, proven and valid, or not published
:mod:`.parts`    `Part`: one lab's tables, fixes, waivers, profile and rules
:mod:`.selection`  what is published anew, and what is inherited
:mod:`.changes`  `Change`: what differs between two releases, and what is lost
:mod:`.restore`  `restore_dataset`: a dataset again from the parts of a release
===============  =====================================================================

A release is its parent plus changes: what is not selected is inherited, what is selected and
absent is a loss, which somebody must name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..config import check_license
from ..model.finding import Finding, Problem, Severity, finding, has_errors, machine_finding, problem
from ..model.plan import digest
from ..model.progress import Progress
from ..model.report import Outcome, Report
from ..planning.targets import Wanted
from ..proof import Proof
from ..release import PublishResult, check_destination, draft_release, open_destination, publish_draft
from ..release.manifest import Release
from ..storage.aws import find_endpoint
from ..storage.folder import get_local_folder, normalise_bucket_url, overlap_prefixes
from ..storage.state import StateFile
from ..workspace import Workspace
from .changes import Change, ChangeKind, make_change_outcomes, make_loss_findings
from .creators import list_creators
from .gate import GateResult, check_results, redact_finding
from .parts import find_lab_initials
from .scope import Scope
from .selection import ProvenDataset, is_inherited, list_changes, make_part_assets, select_content

__all__ = ["RELEASED", "PublishRequest", "Scope", "digest_proven_files", "publish_dataset"]

RELEASED = "released.json"


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """What is to be published where.

    Attributes
    ----------
    to, release
        A folder or ``s3://bucket/prefix``; the release's number.
    scope
        The part of the dataset that is published anew.
    endpoint
        Of an S3 server other than AWS.
    findings
        What `check` found, waivers applied.
    allow_errors
        Publish in spite of errors in tables and of validators; the release lists them.
    accepted
        Losses that somebody named.
    dry_run
        Say what would change, and send nothing.
    """

    to: str
    release: str
    scope: Scope = field(default_factory=Scope)
    endpoint: str | None = None
    findings: tuple[Finding, ...] = ()
    allow_errors: bool = False
    accepted: tuple[str, ...] = ()
    dry_run: bool = False


def publish_dataset(workspace: Workspace, request: PublishRequest, progress: Progress) -> Report:
    """Check that what is selected is current, proven, valid and whole, then publish it with its raw files."""
    try:
        check_destination(request.to, request.release, request.endpoint)
        check_target_apart(workspace, request)
        try:
            return _publish_selected(workspace, request, progress)
        finally:
            workspace.digests.save()
    except Problem as bad:
        return Report.of("publish", [], [bad.finding])
    except OSError as error:  # the store (StoreUnavailable), or a local file that cannot be read
        return Report.of("publish", [], [machine_finding(error, str(error))])


def _publish_selected(workspace: Workspace, request: PublishRequest, progress: Progress) -> Report:
    profile = workspace.profile
    targets = [wanted for wanted in workspace.targets() if request.scope.includes_target(wanted, profile)]
    results = [w for w in targets if request.scope.includes_kind(w.target.kind)]
    passed = check_results(workspace, results, progress)
    findings = check_license(profile) + passed.findings
    findings += _collect_blocking_findings(workspace, request, targets, passed)
    if has_errors(findings) and not request.dry_run:
        return Report.of("publish", passed.outcomes, findings)
    destination = open_destination(request.to, request.release, endpoint=request.endpoint, dry_run=request.dry_run)
    selected = select_content(ProvenDataset(workspace, targets, passed.proofs), request.scope, destination)
    draft = draft_release(
        destination,
        [*selected.assets, *make_part_assets(selected.parts)],
        inherit=lambda name, entry: is_inherited(name, entry, request.scope, selected),
        digests=lambda path: workspace.digests.get_file_digest(path).sha256,
        dataset=workspace.config.root,
    )
    changes = list_changes(draft, selected)
    if destination.parent:
        findings += make_loss_findings(changes, request.accepted, destination.parent.number)
    outcomes = list(passed.outcomes)
    if request.dry_run or has_errors(findings):
        outcomes += make_change_outcomes(changes)
    if has_errors(findings):
        return Report.of("publish", outcomes, findings)
    result = publish_draft(
        draft,
        title=profile.title,
        license=profile.license,
        notes=_make_notes(workspace, request, passed, changes, destination.parent),
        progress=progress,
        dry_run=request.dry_run,
    )
    if not request.dry_run:
        _record_release(workspace, request.release, passed)
    return Report.of("publish", [*outcomes, _make_outcome(request, result)], findings)


def check_target_apart(workspace: Workspace, request: PublishRequest) -> None:
    """Refuse a target in a bucket that holds raw files or results, or lies among them: they are never written over.

    Raises
    ------
    Problem
        ``release.target``.
    """
    config = workspace.config
    if get_local_folder(request.to) is not None:
        return
    target, endpoint = normalise_bucket_url(request.to), find_endpoint(request.endpoint)
    places = [("raw files", root, config.endpoint) for root in config.roots if isinstance(root, str)]
    places += [("results", url, config.output_endpoint) for url in config.buckets.values()]
    for what, url, at in places:
        if find_endpoint(at) == endpoint and overlap_prefixes(target, url):
            message = f"the target {request.to} and the {what} at {url} lie inside one another"
            raise problem("release.target", message, value=request.to)


def _collect_blocking_findings(
    workspace: Workspace, request: PublishRequest, targets: Sequence[Wanted], passed: GateResult
) -> list[Finding]:
    """Errors of the tables and of validators that keep what is selected from being published.

    Those of the tables are added to `passed.errors`, which the release lists when they are passed over.
    """
    scope = request.scope
    rows: set[tuple[str, str]] = set()
    for wanted in targets:
        rows.update((record.table, record.key) for record in wanted.records())
        rows.update(wanted.blocked)

    def concerns_selected(one: Finding) -> bool:
        table, key = one.location.table or "", one.location.key or ""
        if not scope.labs and not scope.sessions:
            return True
        if (table, key) in rows or not key:
            return True
        return not scope.sessions and scope.includes_lab(find_lab_initials(key, workspace.profile))

    passed.errors += [f for f in request.findings if f.severity is Severity.ERROR and concerns_selected(f)]
    if not passed.errors or request.allow_errors:
        return []
    labs = sorted({find_lab_initials(f.location.key, workspace.profile) for f in passed.errors if f.location.key})
    hint = f"Mend them, or publish the other labs with --lab (errors here: {', '.join(labs)})." if labs else ""
    message = f"{workspace.config.root.name} has errors, so {request.release} is not published"
    return [*passed.errors, finding("publish.errors", message, hint=hint)]


def _make_notes(
    workspace: Workspace,
    request: PublishRequest,
    passed: GateResult,
    changes: Sequence[Change],
    parent: Release | None,
) -> dict[str, Any]:
    """What a reader of the release must know: creators, errors passed over, waivers, losses, what was selected."""
    lost = [change.name for change in changes if change.what is ChangeKind.LOST]
    # A finding that was waived names its waiver.
    messages = [one.message for one in (*request.findings, *passed.findings)]
    used = [waiver for waiver in workspace.waivers if any(str(waiver) in message for message in messages)]
    columns = ("finding", "row", "reason", "person", "expiry")
    sessions = workspace.tables.get_rows("session").values()
    chosen = [row for row in sessions if not request.scope.sessions or row.key in request.scope.sessions]
    included = [row for row in chosen if request.scope.includes_lab(row.lab)]
    before = parent.notes.get("creators", []) if parent else []
    notes = {
        "creators": list_creators(included, workspace.profile, before),
        "errors": [redact_finding(error, workspace).to_json() for error in passed.errors],
        "waivers": [{column: getattr(waiver, column) for column in columns} for waiver in used],
        "accepted_losses": lost,
        "selected": request.scope.to_json(),
    }
    return {name: value for name, value in notes.items() if value}


def _make_outcome(request: PublishRequest, result: PublishResult) -> Outcome:
    sent = "would send" if request.dry_run else "sent"
    why = f"{result.assets} assets, {result.unchanged} unchanged; {sent} {result.objects} objects, {result.bytes} bytes"
    facts = {
        "objects": result.objects,
        "bytes": result.bytes,
        "assets": result.assets,
        "unchanged": result.unchanged,
        "parent": result.parent,
    }
    done = "would publish" if request.dry_run else "published"
    return Outcome(f"{request.to} {request.release}", done, why, (), facts)


def _record_release(workspace: Workspace, release: str, passed: GateResult) -> None:
    """Note what was released, by the digests of its files: `status` reports it while they are the same."""
    released = StateFile(workspace.config.state / RELEASED)
    for name, proof in passed.proofs.items():
        released.data[name] = {"release": release, "files": digest_proven_files(proof)}
    released.save()


def digest_proven_files(proof: Proof) -> str:
    """One digest for all files of a result."""
    return digest(sorted(proof.digests.items()))
