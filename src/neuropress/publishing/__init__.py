"""From a dataset to a release: what is published, what must be true of it, what changes and what would be lost.

===============  =====================================================================
module           what it holds
===============  =====================================================================
:mod:`.scope`    `Scope`: which part of the dataset is published anew
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

from ..model.finding import Finding, Problem, Severity, finding, has_errors, machine_finding, problem
from ..model.plan import digest
from ..model.report import Outcome, Report
from ..planning.targets import Wanted
from ..proof import Proof
from ..release import PublishResult, check_destination, draft_release, open_destination, publish_draft
from ..storage.aws import find_endpoint
from ..storage.folder import get_local_folder, normalise_bucket_url
from ..storage.state import StateFile
from ..workspace import Progress, Workspace
from .changes import Change, What, change_outcomes, loss_findings
from .gate import Passed, check_results, public_finding
from .parts import lab_of
from .scope import Scope
from .selection import Ready, is_inherited, list_changes, part_assets, select

__all__ = ["RELEASED", "Order", "Scope", "content_digest", "publish_dataset"]

RELEASED = "released.json"


@dataclass(frozen=True, slots=True)
class Order:
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
        Publish in spite of errors in tables and of validators; the release tells them.
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


def publish_dataset(workspace: Workspace, order: Order, progress: Progress) -> Report:
    """Check that what is selected is current, proven, valid and whole, then publish it with its raw files."""
    try:
        check_destination(order.to, order.release, order.endpoint)
        check_apart(workspace, order)
        try:
            return _publish(workspace, order, progress)
        finally:
            workspace.digests.save()
    except Problem as bad:
        return Report.of("publish", [], [bad.finding])
    except OSError as error:  # the store (StoreUnavailable), or a local file that cannot be read
        return Report.of("publish", [], [machine_finding(error, str(error))])


def _publish(workspace: Workspace, order: Order, progress: Progress) -> Report:
    profile = workspace.profile
    targets = [wanted for wanted in workspace.targets() if order.scope.takes_target(wanted, profile)]
    results = [w for w in targets if order.scope.takes_kind(w.target.kind)]
    passed = check_results(workspace, results, progress)
    findings = passed.findings + _blocking(workspace, order, targets, passed)
    if has_errors(findings) and not order.dry_run:
        return Report.of("publish", passed.outcomes, findings)
    place = open_destination(order.to, order.release, endpoint=order.endpoint, dry_run=order.dry_run)
    selected = select(Ready(workspace, targets, passed.proofs), order.scope, place)
    draft = draft_release(
        place,
        [*selected.assets, *part_assets(selected.parts)],
        inherit=lambda name, entry: is_inherited(name, entry, order.scope, selected),
        digests=lambda path: workspace.digests.get_file_digest(path).sha256,
        dataset=workspace.config.root,
    )
    changes = list_changes(draft, selected)
    if place.parent:
        findings += loss_findings(changes, order.accepted, place.parent.number)
    outcomes = list(passed.outcomes)
    if order.dry_run or has_errors(findings):
        outcomes += change_outcomes(changes)
    if has_errors(findings):
        return Report.of("publish", outcomes, findings)
    done = publish_draft(
        draft,
        title=profile.title,
        license=profile.license,
        notes=_notes(workspace, order, passed, changes),
        progress=progress,
        dry_run=order.dry_run,
    )
    if not order.dry_run:
        _remember(workspace, order.release, passed)
    return Report.of("publish", [*outcomes, _done(order, done)], findings)


def check_apart(workspace: Workspace, order: Order) -> None:
    """Refuse a target in a bucket that holds raw files, or lies among them: raw files are never written over.

    Raises
    ------
    Problem
        ``release.target``.
    """
    config = workspace.config
    if get_local_folder(order.to) is not None or find_endpoint(order.endpoint) != find_endpoint(config.endpoint):
        return
    target = f"{normalise_bucket_url(order.to)}/"
    for root in config.roots:
        if isinstance(root, str) and (target.startswith(f"{root}/") or f"{root}/".startswith(target)):
            message = f"the target {order.to} and the raw files at {root} lie inside one another"
            raise problem("release.target", message, value=order.to)


def _blocking(workspace: Workspace, order: Order, targets: Sequence[Wanted], passed: Passed) -> list[Finding]:
    """Errors of the tables and of validators that keep what is selected from being published."""
    rows = {(r.table, r.key) for w in targets for r in w.records()} | {row for w in targets for row in w.blocked}

    def concerns(found: Finding) -> bool:
        where = found.location
        if not order.scope.labs and not order.scope.sessions:
            return True
        if (where.table or "", where.key or "") in rows or not where.key:
            return True
        return not order.scope.sessions and order.scope.takes_lab(lab_of(where.key, workspace.profile))

    passed.errors += [f for f in order.findings if f.severity is Severity.ERROR and concerns(f)]
    if not passed.errors or order.allow_errors:
        return []
    labs = sorted({lab_of(f.location.key, workspace.profile) for f in passed.errors if f.location.key})
    hint = f"Mend them, or publish the other labs with --lab (errors here: {', '.join(labs)})." if labs else ""
    message = f"{workspace.config.root.name} has errors, so {order.release} is not published"
    return [*passed.errors, finding("publish.errors", message, hint=hint)]


def _notes(workspace: Workspace, order: Order, passed: Passed, changes: Sequence[Change]) -> dict[str, Any]:
    """What a reader of the release must know: errors passed over, waivers, accepted losses, what was selected."""
    lost = [change.name for change in changes if change.what is What.LOST]
    used = [w for w in workspace.waivers if any(str(w) in f.message for f in (*order.findings, *passed.findings))]
    notes = {
        "errors": [public_finding(f, workspace).to_json() for f in passed.errors],
        "waivers": [
            {"finding": w.finding, "row": w.row, "reason": w.reason, "person": w.person, "expiry": w.expiry}
            for w in used
        ],
        "accepted_losses": lost,
        "selected": order.scope.to_json(),
    }
    return {name: value for name, value in notes.items() if value}


def _done(order: Order, done: PublishResult) -> Outcome:
    sent = "would send" if order.dry_run else "sent"
    why = f"{done.assets} assets, {done.unchanged} unchanged; {sent} {done.objects} objects, {done.bytes} bytes"
    facts = {
        "objects": done.objects,
        "bytes": done.bytes,
        "assets": done.assets,
        "unchanged": done.unchanged,
        "parent": done.parent,
    }
    return Outcome(f"{order.to} {order.release}", "would publish" if order.dry_run else "published", why, (), facts)


def _remember(workspace: Workspace, release: str, passed: Passed) -> None:
    """Note what was released, by the digests of its files: `status` tells it while they are the same."""
    memory = StateFile(workspace.config.state / RELEASED)
    for name, proof in passed.proofs.items():
        memory.data[name] = {"release": release, "files": content_digest(proof)}
    memory.save()


def content_digest(proof: Proof) -> str:
    """One digest for all files of a result."""
    return digest(sorted(proof.digests.items()))
