"""Whether a program that exported part of a result exports the same once more.

That is no independent reading: the same code has read the same file twice. It tells that nothing is made at random,
and that what was kept of the first run is what the program makes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ..model.finding import Finding, finding, has_errors
from ..model.progress import Progress
from ..model.source import SourceRoots
from ..readers.raw import find_fragment_maker
from ..results import detect_kind
from ..storage.remote import ResultPath
from ..storage.state import DigestCache
from .verify import verify_result


def reproduce_result(
    path: ResultPath, roots: SourceRoots, cache: DigestCache, progress: Progress
) -> tuple[Finding, ...]:
    """Run the programs anew that exported what the result took over, and compare that with the result.

    Returns
    -------
    tuple
        A finding for each raw object, ``neuroconv.reproduced``, or ``neuroconv.unequal`` with all that differs; none
        where no program exported anything.

    Raises
    ------
    Problem
        ``tool.*``, ``neuroconv.*``: a program cannot be run any more.
    """
    sources = detect_kind(path).load().read_provenance(path).receipt.sources
    keys = [key for key, options in sources.items() if find_fragment_maker(options)]
    if not keys:
        return ()
    with TemporaryDirectory(prefix="neuropress-again-") as scratch:
        again = verify_result(path, replace(roots, scratch=Path(scratch)), cache, progress)
    if has_errors(again.findings):
        message = f"{', '.join(keys)}: run once more, the program makes something else than the result holds"
        return (finding("neuroconv.unequal", message, file=str(path)), *again.findings)
    return tuple(
        finding(
            "neuroconv.reproduced", f"{key}: reproduced: {sources[key].get('interface')} made the same again", file=key
        )
        for key in keys
    )
