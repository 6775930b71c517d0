"""``verify``: results are proven against their raw files, in a dataset or by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import find_dataset
from ..independent import SecondReading, check_libraries, list_broken_second_readers, summarize_readings
from ..independent.run import read_independently
from ..model.finding import Finding, Problem, finding
from ..model.progress import Progress, no_progress, track
from ..model.report import Outcome, Report
from ..model.serial import to_json
from ..model.source import SourceRoots
from ..proof import Proof, keep_verification, prove_result
from ..results import detect_kind
from ..storage.roots import Folder
from ..storage.state import DigestCache
from ..workspace import EVERYTHING, Selection, Workspace

NOT_VERIFIED = "not verified"


def verify_dataset(
    workspace: Workspace,
    paths: Sequence[Path] = (),
    select: Selection = EVERYTHING,
    progress: Progress = no_progress,
    *,
    independent: bool = False,
) -> Report:
    """Prove results (the selected, or the given ones), and remember the digests of every file that was proven.

    Parameters
    ----------
    independent
        Have other libraries read the raw files once more, too.

    Raises
    ------
    Problem
        ``independent.missing``
    """
    if independent:
        check_libraries()
    outcomes = []
    for path in track(progress, "verify", paths or workspace.results(select), lambda path: path.name):
        name = name_result(path, workspace)
        outcome, proof = _verify_result(
            path, name, workspace.config.sources(), workspace.digests, progress, independent
        )
        keep_verification(workspace.proofs, name, path, proof)
        outcomes.append(outcome)
    workspace.save_digests()
    broken = list_broken_second_readers() if independent else ()
    return Report.of("verify", outcomes, [*broken, *workspace.unknown_names(select)])


def verify_files(
    paths: Sequence[Path],
    sources: Sequence[Path] = (),
    progress: Progress = no_progress,
    *,
    independent: bool = False,
) -> Report:
    """Prove single results, wherever they lie; see `verify_dataset`.

    Raw files are looked up in `sources`, else in the roots of the dataset that holds the result.
    """
    if independent:
        check_libraries()
    outcomes: list[Outcome] = []
    for path in track(progress, "verify", paths, lambda path: path.name):
        try:
            detect_kind(path).load().read_provenance(path)
        except Problem as bad:
            outcomes.append(Outcome(str(path), NOT_VERIFIED, bad.finding.message, (bad.finding,)))
            continue
        folder = find_dataset(path)
        if sources:
            roots = SourceRoots(tuple(Folder(source.resolve()) for source in sources))
            digests = DigestCache(folder or path.parent)
            outcomes.append(_verify_result(path, str(path), roots, digests, progress, independent)[0])
        elif folder:
            workspace = Workspace.open(folder)
            outcomes += verify_dataset(workspace, [path], progress=progress, independent=independent).outcomes
        else:
            message = f"{path} lies in no dataset, so its raw files cannot be found"
            missing = finding("verify.no_source", message, file=str(path))
            outcomes.append(Outcome(str(path), NOT_VERIFIED, message, (missing,)))
    return Report.of("verify", outcomes, [])


def name_result(path: Path, workspace: Workspace) -> str:
    """Path below ``output/`` where it is below it, with ``/``."""
    whole, output = path.resolve(), workspace.output
    return whole.relative_to(output).as_posix() if whole.is_relative_to(output) else str(path)


def _verify_result(
    path: Path, name: str, roots: SourceRoots, digests: DigestCache, progress: Progress, independent: bool
) -> tuple[Outcome, Proof | None]:
    second: tuple[SecondReading, ...] = ()
    findings: tuple[Finding, ...] = ()
    try:
        proven, proof = prove_result(path, roots, digests, progress)
        if independent and proof:
            second, findings = read_independently(path, roots)
            proof = replace(proof, second=second)
    except Problem as bad:
        return Outcome(name, NOT_VERIFIED, bad.finding.message, (bad.finding,)), None
    facts: dict[str, Any] = {"arrays": proven.arrays, "bytes": proven.nbytes}
    if independent:
        facts["independent"] = to_json(second)
    state, why = ("verified", proven.summarize()) if proof and not proof.is_refuted else ("differs", "")
    if second:
        why = "; ".join(filter(None, (why, summarize_readings(second))))
    return Outcome(name, state, why, (*proven.findings, *findings), facts), proof
