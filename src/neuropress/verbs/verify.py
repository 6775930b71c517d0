"""``verify``: results are proven against their raw files, in a dataset or by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..config import Named, find_dataset, find_result
from ..model.finding import Problem, finding
from ..model.progress import Progress, no_progress
from ..model.report import Outcome, Report
from ..model.source import SourceRoots
from ..proof import Proof, keep_verification, prove_result
from ..results import detect_kind
from ..storage.remote import BucketPath, ResultPath
from ..storage.roots import Folder
from ..storage.state import DigestCache
from ..workspace import EVERYTHING, Selection, Workspace

NOT_VERIFIED = "not verified"


def verify_dataset(
    workspace: Workspace,
    paths: Sequence[Named] = (),
    select: Selection = EVERYTHING,
    progress: Progress = no_progress,
) -> Report:
    """Prove results (the selected, or the given ones), and remember the digests of every file that was proven."""
    outcomes = []
    for path in map(find_result, paths or workspace.results(select)):
        name = name_result(path, workspace)
        outcome, proof = _verify_result(path, name, workspace.config.sources(), workspace.digests, progress)
        keep_verification(workspace.proofs, name, path, proof)
        outcomes.append(outcome)
    workspace.save_digests()
    return Report.of("verify", outcomes, workspace.unknown_names(select))


def verify_files(paths: Sequence[Named], sources: Sequence[Path] = (), progress: Progress = no_progress) -> Report:
    """Prove single results, wherever they lie.

    Raw files are looked up in `sources`, else in the roots of the dataset that holds the result.
    """
    outcomes: list[Outcome] = []
    for named in paths:
        path = find_result(named)
        try:
            detect_kind(path).load().read_provenance(path)
        except Problem as bad:
            outcomes.append(Outcome(str(path), NOT_VERIFIED, bad.finding.message, (bad.finding,)))
            continue
        folder = None if str(named).startswith("s3://") else find_dataset(Path(str(named)))
        if sources:
            roots = SourceRoots(tuple(Folder(source.resolve()) for source in sources))
            cache = DigestCache(folder or (path.parent if isinstance(path, Path) else Path()))
            outcomes.append(_verify_result(path, str(path), roots, cache, progress)[0])
        elif folder:
            outcomes += verify_dataset(Workspace.open(folder), [path], progress=progress).outcomes
        else:
            message = f"{path} lies in no dataset, so its raw files cannot be found"
            missing = finding("verify.no_source", message, file=str(path))
            outcomes.append(Outcome(str(path), NOT_VERIFIED, message, (missing,)))
    return Report.of("verify", outcomes, [])


def name_result(path: ResultPath, workspace: Workspace) -> str:
    """Path below the output where it is below it, with ``/``."""
    if isinstance(path, BucketPath):
        return path.key if path.root.name in workspace.config.buckets.values() else str(path)
    whole, output = path.resolve(), workspace.output
    return whole.relative_to(output).as_posix() if whole.is_relative_to(output) else str(path)


def _verify_result(
    path: ResultPath, name: str, roots: SourceRoots, digests: DigestCache, progress: Progress
) -> tuple[Outcome, Proof | None]:
    try:
        proven, proof = prove_result(path, roots, digests, progress)
    except Problem as bad:
        return Outcome(name, NOT_VERIFIED, bad.finding.message, (bad.finding,)), None
    facts = {"arrays": proven.arrays, "bytes": proven.nbytes}
    state, why = ("verified", proven.summarize()) if proof else ("differs", "")
    return Outcome(name, state, why, proven.findings, facts), proof
