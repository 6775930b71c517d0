"""Whether the writer can write a plan, asked before anything is promised, and remembered.

NWB's classes take a second to import and each plan is built whole, so a plan that was found to be writable is not
built again for the next `check`. Deleting ``.neuropress/`` forgets this, which costs that time.
"""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from .. import __version__
from ..model.finding import Finding
from ..model.plan import Plan, digest
from ..model.serial import to_json
from ..results import KINDS
from ..storage.state import write_atomic

FOLDER = "writable"
"""In the state's folder: a file for each target, with the digest of the plan that was found writable last."""


def check_writable(plan: Plan, state: Path) -> list[Finding]:
    """Everything for which the writer would refuse the plan (``plan.invalid``)."""
    kind = KINDS[plan.target.kind]
    libraries = {name: version(name) for name in kind.checked_by}
    asked = digest([__version__, libraries, to_json(plan.target), to_json(plan.nodes)])
    known = state / FOLDER / digest(plan.target.path)
    is_own = not state.is_symlink() and not known.parent.is_symlink()  # a link leads to what is nobody's notes
    with suppress(OSError, ValueError):
        if is_own and known.read_text("ascii") == asked:
            return []
    found = list(kind.load().check_plan(plan))
    if not found and is_own:
        with suppress(OSError):  # a dataset that may only be read can be checked all the same
            known.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(known, asked)
    return found
