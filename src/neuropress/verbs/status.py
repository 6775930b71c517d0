"""How every result stands: checked, converted, verified, validated, released, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from ..config import Config
from ..model.finding import Severity, has_errors
from ..model.report import Outcome
from ..model.waiver import waive_result
from ..planning.build import build_plan
from ..planning.stale import State, standing
from ..planning.targets import Wanted
from ..proof import Proof, Proofs
from ..publishing import RELEASED, content_digest
from ..state import DigestCache, Memory


def list_standings(config: Config, targets: Iterable[Wanted]) -> Iterator[Outcome]:
    """One outcome a target."""
    cache = DigestCache(config.state)
    proofs = Proofs(config.state)
    released = Memory(config.state / RELEASED).data
    for wanted in targets:
        name, path = wanted.target.path, config.output / wanted.target.path
        usable = wanted.usable(keep_going=False)
        now = standing(usable, config, cache) if usable else None
        proof = proofs.load(name, path) if path.exists() else None
        facts = {
            "rows": [record.key for _, record in wanted.jobs],
            "checked": not wanted.blocked,
            "converted": path.exists(),
            "verified": proof is not None and proof.verified,
            "validated": proof is not None
            and proof.validated
            and not has_errors(waive_result(proof.findings, name, wanted.waivers)),
            "released": _release_of(proof, released.get(name)),
        }
        done, why = (str(now.state), now.reason) if now else describe_obstacle(wanted)
        if now and usable and now.state is State.NEW:
            planned = build_plan(usable, config)
            if planned.plan is None:
                facts["checked"] = False
                done, why = "blocked", next(f.message for f in planned.findings if f.severity is Severity.ERROR)
        yield Outcome(name, done, why, (), facts)
    if config.state.is_dir():
        with suppress(OSError):
            cache.save()


def _release_of(proof: Proof | None, known: object) -> str | None:
    """Number of the release that holds these very files."""
    if proof is None or not isinstance(known, dict) or known.get("files") != content_digest(proof):
        return None
    return str(known.get("release"))


def describe_obstacle(wanted: Wanted) -> tuple[str, str]:
    """State and reason of a target that is not to be written."""
    if wanted.blocked:
        (table, key), cause = wanted.cause
        return "blocked", f"{table} {key}: {cause.message}"
    return str(State.EMPTY), ""
