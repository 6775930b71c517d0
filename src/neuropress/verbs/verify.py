"""``verify``: results are proven against their raw files, in a dataset or by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import Named, find_dataset, find_result
from ..independent import SecondReading, check_libraries, list_broken_second_readers, summarize_readings
from ..independent.run import read_independently
from ..model.finding import Finding, Problem, Severity, finding
from ..model.progress import Progress, no_progress, track
from ..model.report import Outcome, Report
from ..model.serial import to_json
from ..model.source import SourceRoots
from ..proof import Proof, keep_verification, prove_result
from ..results import detect_kind
from ..storage.remote import BucketPath, ResultPath
from ..storage.roots import open_root
from ..storage.state import DigestCache
from ..workspace import EVERYTHING, Selection, Workspace

NOT_VERIFIED = "not verified"


def verify_dataset(
    workspace: Workspace,
    paths: Sequence[Named] = (),
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
    places = [find_result(path) for path in paths or workspace.results(select)]
    for path in track(progress, "verify", places, lambda path: path.name):
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
    paths: Sequence[Named],
    sources: Sequence[Path | str] = (),
    progress: Progress = no_progress,
    *,
    independent: bool = False,
) -> Report:
    """Prove single results, wherever they lie; see `verify_dataset`.

    Raw files are looked up in `sources` (folders, or ``s3://bucket/prefix`` as text), else in the roots of the dataset
    that holds the result.
    """
    if independent:
        check_libraries()
    outcomes: list[Outcome] = []
    places = [(named, find_result(named)) for named in paths]
    for named, path in track(progress, "verify", places, lambda pair: pair[1].name):
        try:
            detect_kind(path).load().read_provenance(path)
        except Problem as bad:
            outcomes.append(Outcome(str(path), NOT_VERIFIED, bad.finding.message, (bad.finding,)))
            continue
        folder = None if str(named).startswith("s3://") else find_dataset(Path(str(named)))
        if sources:
            roots = SourceRoots(tuple(open_root(one if isinstance(one, str) else one.resolve()) for one in sources))
            digests = DigestCache(folder or (path.parent if isinstance(path, Path) else Path()))
            outcomes.append(_verify_result(path, str(path), roots, digests, progress, independent)[0])
        elif folder:
            workspace = Workspace.open(folder)
            outcomes += verify_dataset(workspace, [path], progress=progress, independent=independent).outcomes
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


def name_file(findings: Iterable[Finding], path: ResultPath, name: str) -> tuple[Finding, ...]:
    """Findings on a result, which is called as its outcome is and not by its place on this machine."""
    return tuple(
        replace(found, location=replace(found.location, file=name)) if found.location.file == str(path) else found
        for found in findings
    )


def _verify_result(
    path: ResultPath, name: str, roots: SourceRoots, digests: DigestCache, progress: Progress, independent: bool
) -> tuple[Outcome, Proof | None]:
    second: tuple[SecondReading, ...] = ()
    findings: tuple[Finding, ...] = ()
    try:
        proven, proof = prove_result(path, roots, digests, progress)
        if independent and proof:
            second, findings = read_independently(path, roots)
            from ..proof.reproduce import reproduce_result  # its numpy is for this alone

            findings += reproduce_result(path, roots, digests, progress)
            proof = replace(proof, second=second)
    except Problem as bad:
        return Outcome(name, NOT_VERIFIED, bad.finding.message, name_file([bad.finding], path, name)), None
    facts: dict[str, Any] = {"arrays": proven.arrays, "bytes": proven.nbytes}
    if independent:
        facts["independent"] = to_json(second)
    state, why = ("verified", proven.summarize()) if proof and not proof.is_refuted else ("differs", "")
    errors = [one.id for one in proven.findings if one.severity is Severity.ERROR]
    if errors and all(id.startswith("tool.") for id in errors):  # what it should equal could not be made
        state = NOT_VERIFIED
    if again := sum(one.id == "neuroconv.reproduced" for one in findings):
        why = "; ".join(filter(None, (why, f"{again} reproduced by the program that exported it")))
    if second:
        why = "; ".join(filter(None, (why, summarize_readings(second))))
    return Outcome(name, state, why, name_file((*proven.findings, *findings), path, name), facts), proof
