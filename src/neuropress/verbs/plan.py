"""``plan``: what `convert` would do, with every field and array of each result."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from ..model.finding import Severity, has_errors
from ..model.report import Outcome, Report
from ..model.serial import to_json
from ..planning.estimate import check_memory, estimate_plan, format_estimate, make_estimate_facts
from ..planning.stale import describe_obstacle
from ..planning.targets import Wanted
from ..results import KINDS
from ..workspace import EVERYTHING, Selection, Workspace


class _PackedFacts(Mapping[str, Any]):
    """Facts with a whole plan, unpacked when asked for: those of many sessions are a hundred times smaller so."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._names = tuple(facts)
        self._packed = zlib.compress(json.dumps(facts).encode(), 1)

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return json.loads(zlib.decompress(self._packed))[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def plan_dataset(
    workspace: Workspace, select: Selection = EVERYTHING, *, outdated: bool = False, memory: int = 0
) -> Report:
    """Plan the selected results; the facts of each outcome hold the whole plan.

    Parameters
    ----------
    outdated
        Plan also what an older mapping or converter revision made.
    memory
        Bytes that a process may need; what needs more is blocked (``plan.memory``). 0: no bound.
    """
    targets = workspace.targets(select)
    outcomes = [_plan_one(workspace, wanted, outdated, memory) for wanted in targets]
    outcomes += workspace.rows_without_target(select, "blocked")
    findings = workspace.table_findings(select, targets) + workspace.results_without_row(select)
    return Report.of("plan", outcomes, findings)


def _plan_one(workspace: Workspace, wanted: Wanted, outdated: bool, memory: int) -> Outcome:
    path = wanted.target.path
    usable = wanted.usable(keep_going=False)
    if usable is None:
        return Outcome(path, *describe_obstacle(wanted))
    now = workspace.standing(usable, outdated=outdated)
    if not now.needs_work:
        return Outcome(path, str(now.state), now.reason)
    planned = workspace.build(usable)
    facts = {"plan": to_json(planned.plan)} if planned.plan else {}
    if planned.plan and (too_large := check_memory(planned, memory)):
        return Outcome(path, "blocked", too_large.message, (*planned.findings, too_large), _PackedFacts(facts))
    if has_errors(planned.findings):
        cause = next(f.message for f in planned.findings if f.severity is Severity.ERROR)
        return Outcome(path, "blocked", cause, tuple(planned.findings), _PackedFacts(facts))
    assert planned.plan is not None, "what has no plan has errors"
    estimate = estimate_plan(planned)
    facts["estimate"] = make_estimate_facts(estimate)
    what = format_estimate(estimate) if KINDS[planned.plan.target.kind].units else ""
    why = "; ".join(filter(None, (now.reason, what)))
    return Outcome(path, str(now.state), why, tuple(planned.findings), _PackedFacts(facts))
