"""The gate: what is published is current, proven and valid, and its rows have no error that nobody answers for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from ..model.finding import Finding, Problem, Severity, describe, finding
from ..model.progress import Progress, track
from ..model.report import Outcome
from ..model.waiver import waive_result
from ..planning.stale import State
from ..planning.targets import Wanted
from ..proof import Proof, keep_validation, keep_verification, prove_result
from ..proof.foreign import validate_kept_standards
from ..results import load_kind
from ..workspace import Workspace


@dataclass(slots=True)
class GateResult:
    """What came through the gate, and what did not.

    Attributes
    ----------
    proofs
        Path below ``output/`` -> the proof of a result that may be published.
    outcomes
        What was verified or validated on the way.
    findings
        What stands in the way, and warnings.
    errors
        Those of severity error that `--allow-errors` may pass over: they are listed in the release.
    """

    proofs: dict[str, Proof] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    errors: list[Finding] = field(default_factory=list)


def check_results(workspace: Workspace, targets: Sequence[Wanted], progress: Progress) -> GateResult:
    """Look at every result that is to be published; what was not proven or validated yet is so now."""
    passed = GateResult()
    for wanted in track(progress, "prove", targets, lambda wanted: Path(wanted.target.path).name):
        usable = wanted.usable(keep_going=True)
        if usable is None:
            continue
        name = wanted.target.path
        now = workspace.standing(usable)
        if now.state not in (State.CURRENT, State.OUTDATED):
            why = "has not been converted" if now.state is State.NEW else f"is not current: {now.state}"
            message = f"{name} {why}{f' ({now.reason})' if now.reason else ''}"
            passed.findings.append(finding("publish.stale", message, file=name))
            continue
        try:
            _check_result(workspace, wanted, progress, passed)
        except Problem as bad:
            passed.findings.append(bad.finding)
    return passed


def _check_result(workspace: Workspace, wanted: Wanted, progress: Progress, passed: GateResult) -> None:
    name, path = wanted.target.path, workspace.path(wanted)
    proofs = workspace.proofs
    proof = proofs.load(name, path)
    if proof is None or not proof.verified:
        proven, proof = prove_result(path, workspace.config.sources(), workspace.digests, progress)
        keep_verification(proofs, name, path, proof)
        passed.findings += proven.findings
        if proof is None:
            return
        passed.outcomes.append(Outcome(name, "verified", proven.summarize()))
        proof = proofs.load(name, path) or proof
    if not proof.validated:
        validator_findings = load_kind(wanted.target.kind).validate(path)
        validator_findings += validate_kept_standards(path, workspace.config.sources())
        keep_validation(proofs, name, path, proof.files, validator_findings)
        kept = tuple(one for one in validator_findings if one.severity is not Severity.INFO)
        proof = replace(proof, validated=True, findings=kept)
        passed.outcomes.append(Outcome(name, "validated"))
    placed = (replace(f, location=replace(f.location, file=name)) for f in proof.findings)
    judged = waive_result(placed, name, wanted.waivers)
    errors = [f for f in judged if f.severity is Severity.ERROR]
    passed.errors += errors
    for reading in proof.second:
        if reading.verdict == "differs":
            message = (
                f"{name}: {reading.library} reads something else in {reading.source}: {'; '.join(reading.reasons)}"
            )
            passed.errors.append(finding("independent.different", message, file=name))
    passed.findings += [f for f in judged if f.severity is not Severity.ERROR]
    passed.proofs[name] = proof


def redact_finding(original: Finding, workspace: Workspace) -> Finding:
    """A finding as it may leave the house: without folders of this machine, buckets, and the text of private cells."""
    redacted, config = original, workspace.config
    if _is_private(original, workspace):
        location = replace(original.location, value=None, expected=None)
        redacted = replace(original, message=describe(original.id)["meaning"], hint="", location=location)
    # The longest first: of a root inside the dataset's folder nothing but its own name is left.
    for place in sorted(map(str, {config.root, *config.roots, *config.buckets.values()}), key=lambda text: -len(text)):
        name = PurePath(place).name
        message, hint = (text.replace(place, name) for text in (redacted.message, redacted.hint))
        file = (redacted.location.file or "").replace(place, name) or None
        redacted = replace(redacted, message=message, hint=hint, location=replace(redacted.location, file=file))
    return redacted


def _is_private(one: Finding, workspace: Workspace) -> bool:
    """Whether a finding is about a cell of a private column, or of one that the profile does not name."""
    column, spec = one.location.column, workspace.profile.tables.get(one.location.table or "")
    if spec is None or not spec.private:
        return False
    return column in spec.private or column not in (*spec.columns, *spec.optional)
