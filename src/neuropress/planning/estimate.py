"""What a plan comes to: units, files, bytes, memory and time, before anything is written."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from ..model.finding import Finding, finding
from ..model.report import Outcome
from ..results import KINDS, Estimate
from ..storage.parallel import count_cores
from .build import Planned

try:
    import resource
except ImportError:  # Windows does not say it in this way
    resource = None  # type: ignore[assignment]

BYTES_A_SECOND = 60_000_000
"""Uncompressed bytes that a core converts in a second: a rough value, of EM-like slices; less of packed ones."""
LARGE = 100_000_000
"""Bytes from which on a result's time says something."""
WHOLE_MEMORY = 400_000_000
"""Memory that a process needs for a result that has no units: libraries, and blocks of 4 MB."""


def estimate_plan(planned: Planned) -> Estimate:
    """What writing a result comes to."""
    plan = planned.plan
    assert plan is not None, "nothing else is written"
    kind = KINDS[plan.target.kind]
    if kind.units:
        return kind.load_units().estimate(plan, planned.access)
    return Estimate(1, 1, plan.nbytes, WHOLE_MEMORY)


def estimate_seconds(estimate: Estimate) -> float:
    """Time on all cores of this machine, if nothing else needs them."""
    return estimate.nbytes / (BYTES_A_SECOND * count_cores())


def make_estimate_facts(estimate: Estimate) -> Mapping[str, Any]:
    """The estimate as an outcome's facts have it."""
    return {
        "units": estimate.units,
        "files": estimate.files,
        "bytes": estimate.nbytes,
        "memory": estimate.memory,
        "seconds": round(estimate_seconds(estimate), 1),
    }


def format_estimate(estimate: Estimate) -> str:
    """The estimate in words."""
    units = f"{estimate.units} unit{'s' if estimate.units > 1 else ''}"
    files = f"{estimate.files} file{'s' if estimate.files > 1 else ''}"
    seconds = f"about {max(1, round(estimate_seconds(estimate)))} s"
    return f"{units}, {files}, {format_size(estimate.nbytes)}, {format_size(estimate.memory)} of memory, {seconds}"


def compare_estimates(outcomes: Sequence[Outcome]) -> str:
    """Beside each other what large results were estimated to take and took, in words; empty where none is large."""
    large = [one.facts for one in outcomes if one.facts.get("bytes", 0) >= LARGE and "estimate" in one.facts]
    if not large:
        return ""
    done = format_size(sum(facts["bytes"] for facts in large))
    took, expected = sum(facts["seconds"] for facts in large), sum(facts["estimate"]["seconds"] for facts in large)
    text = f"{done} in {took:.0f} s, estimated {expected:.0f} s"
    if resource is not None:
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        expected_memory = max(facts["estimate"]["memory"] for facts in large)
        text += f"; this process took {format_size(peak)} of memory, estimated {format_size(expected_memory)}"
    return text


def check_memory(planned: Planned, memory: int) -> Finding | None:
    """Why a plan does not fit into so much memory (``plan.memory``); None: it does, or no limit is set."""
    if not memory or planned.plan is None:
        return None
    need = estimate_plan(planned).memory
    if need <= memory:
        return None
    name = planned.plan.target.path
    why = f"{name} needs {format_size(need)} of memory in each process, and {format_size(memory)} are allowed"
    return finding("plan.memory", why, file=name, value=format_size(need))


def format_size(nbytes: int) -> str:
    """In the largest unit that leaves a digit before the point."""
    exponent = max(0, min(4, (len(str(nbytes)) - 1) // 3))
    return f"{nbytes / 1000**exponent:.3g} {('bytes', 'kB', 'MB', 'GB', 'TB')[exponent]}"
