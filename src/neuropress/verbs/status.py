"""How every result stands: checked, converted, verified, validated, released, and what stands in the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from ..config import check_license
from ..independent import describe_standing
from ..model.finding import Severity, has_errors
from ..model.report import Outcome, Report
from ..model.waiver import waive_result
from ..planning.stale import State, describe_obstacle
from ..planning.targets import Wanted
from ..proof import Proof
from ..publishing import RELEASED, digest_proven_files
from ..publishing.dandi import find_dandisets, list_dandisets
from ..storage.state import StateFile
from ..workspace import EVERYTHING, Selection, Workspace

UNKNOWN = {
    "checked": False, "converted": False, "verified": False, "independent": "-", "validated": False, "released": None,
    "dandi": None,
}  # fmt: skip
"""Facts of a row that has no target."""


def describe_status(workspace: Workspace, select: Selection = EVERYTHING) -> Report:
    """One outcome a target, with its facts; and rows and results without one."""
    outcomes = list(_describe_targets(workspace, select))
    outcomes += [replace(row, facts=UNKNOWN) for row in workspace.rows_without_target(select, "blocked")]
    findings = workspace.unknown_names(select) + workspace.results_without_row(select)
    return replace(Report.of("status", outcomes, findings), note=_make_note(workspace))


def _make_note(workspace: Workspace) -> str:
    """What else stands in the way, a line each: of the tables, and of a release."""
    missing = (found.message for found in check_license(workspace.profile))
    return "\n".join(filter(None, (_count_table_findings(workspace), *missing)))


def _count_table_findings(workspace: Workspace) -> str:
    """How much `check` has to say of the tables; it is not repeated here."""
    counts = Counter(found.severity for found in workspace.tables.findings)
    parts = []
    for severity in (Severity.ERROR, Severity.WARNING):
        if number := counts[severity]:
            parts.append(f"{number} {severity}{'s' if number != 1 else ''}")
    return f"{' and '.join(parts)} in the tables: neuropress check shows them" if parts else ""


def _describe_targets(workspace: Workspace, select: Selection) -> Iterator[Outcome]:
    proofs = workspace.proofs
    released = StateFile(workspace.config.state / RELEASED).data
    sent = list_dandisets(workspace)
    for wanted in workspace.targets(select):
        name, path = wanted.target.path, workspace.path(wanted)
        usable = wanted.usable(keep_going=False)
        now = workspace.standing(usable) if usable else None
        proof = proofs.load(name, path) if path.exists() else None
        facts = {
            "rows": [record.key for _, record in wanted.jobs],
            "checked": not wanted.blocked,
            "converted": path.exists(),
            "verified": proof is not None and proof.verified and not proof.is_refuted,
            "independent": describe_standing(proof.second) if proof else "-",
            "validated": _is_valid(proof, wanted),
            "released": _release_of(proof, released.get(name)),
            "dandi": find_dandisets(sent, wanted, proof),
        }
        state, why = (str(now.state), now.reason) if now else describe_obstacle(wanted)
        if now and usable and now.state is State.NEW:
            planned = workspace.build(usable)
            if planned.plan is None:
                facts["checked"] = False
                state = "blocked"
                why = next(f.message for f in planned.findings if f.severity is Severity.ERROR)
        yield Outcome(name, state, why, (), facts)
    workspace.save_digests()


def _is_valid(proof: Proof | None, wanted: Wanted) -> bool:
    """Whether the standard's validators found no error in these very files that nobody answers for."""
    if proof is None or not proof.validated:
        return False
    return not has_errors(waive_result(proof.findings, wanted.target.path, wanted.waivers))


def _release_of(proof: Proof | None, known: object) -> str | None:
    """Number of the release that holds these very files."""
    if proof is None or not isinstance(known, dict) or known.get("files") != digest_proven_files(proof):
        return None
    return str(known.get("release"))
