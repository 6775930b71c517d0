"""``dandi validate`` over results, by the dandi of an environment of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..model.advice import add_advice
from ..model.budget import LINE_CHARS, SHOWN_CHARS
from ..model.finding import Finding, Location, Problem, Severity, problem
from ..model.parsing import parse_json
from .environment import Environment, find_tool
from .process import Ended, hide_secrets
from .run import run_tool

NAME = "dandi"
TAKES = ".nwb"
"""Results that it validates; of OME-Zarr it knows nothing that our own validators do not say."""

START_SECONDS = 120.0
FILE_SECONDS = 30.0
BYTES_A_SECOND = 2_000_000
"""What it may take: a demonstration's session takes 3 s in all, nearly all of it for the start."""

# dandi asks for a dandiset around every file, and checks nothing without.
_DANDISET = "identifier: '000000'\nname: results of neuropress\n"
_SEVERITIES = {"INFO": Severity.INFO, "HINT": Severity.INFO, "WARNING": Severity.WARNING}
_ID_CHARS = 200
_CHECKS = f"{NAME}:NWBI."
"""How dandi names the checks of its nwbinspector."""


def validate_with_dandi(results: Sequence[Path]) -> tuple[Mapping[Path, list[Finding]], list[Finding]]:
    """What dandi finds in NWB results; others are passed over.

    Returns
    -------
    by_result, others
        Findings of each result, without their file; and those on no result, as ``tool.failed``.

    Raises
    ------
    Problem
        As `neuropress.tools.find_tool`: dandi is not installed, or its environment cannot be used.
    """
    taken = [path for path in results if path.name.endswith(TAKES) and path.is_file()]
    environment = find_tool(NAME)
    found: dict[Path, list[Finding]] = {path: [] for path in taken}
    others: list[Finding] = []
    if not taken:
        return found, others
    with TemporaryDirectory(prefix="neuropress-dandi-") as folder:
        dandiset = Path(folder).resolve()  # dandi names files so
        links = _lay_out_dandiset(dandiset, taken)
        try:
            for path, one in validate_tree(dandiset, links, environment):
                if path is None:
                    others.append(one)
                else:
                    found[path].append(one)
        except Problem as bad:
            return {}, [bad.finding]
    return found, others


def validate_tree(
    folder: Path, links: Mapping[Path, Path], environment: Environment
) -> list[tuple[Path | None, Finding]]:
    """What dandi finds in a whole dandiset that was laid out.

    Parameters
    ----------
    links
        Absolute path in the dandiset -> what it stands for; findings on other files are said to be on none.

    Raises
    ------
    Problem
        ``tool.failed``.
    """
    arguments = ["validate", "--format", "json_lines", str(folder)]
    done = run_tool(NAME, arguments, seconds=_allow_seconds(links), environment=environment)
    return _read_findings(done, links, environment)


def describe_files(paths: Sequence[Path], schema: str, environment: Environment) -> dict[Path, dict[str, Any]]:
    """What dandi reads out of NWB files for an archive: the animal, the session, what was measured and how.

    Parameters
    ----------
    schema
        Version of dandischema.

    Raises
    ------
    Problem
        ``tool.failed``, also where it says nothing of one of the files.
    """
    arguments = ["ls", "--schema", schema, "--format", "json_lines", *map(str, paths)]
    done = run_tool(NAME, arguments, seconds=_allow_seconds(paths), environment=environment)
    found = {}
    for line in done.out.split(b"\n"):
        if line.strip():
            record = _parse_record(line, "ls", ("path", "schemaVersion"))
            path = Path(record["path"])
            found[path] = {name: value for name, value in record.items() if name not in ("path", "size")}
    if done.status or found.keys() != set(paths):
        message = f"dandi ls ended with status {done.status}: {done.describe_errors()}"
        raise problem("tool.failed", message, value=NAME)
    return found


def _allow_seconds(paths: Iterable[Path]) -> float:
    return START_SECONDS + sum(FILE_SECONDS + path.stat().st_size / BYTES_A_SECOND for path in paths)


def take_explanations(found: Sequence[Finding], ours: Sequence[Finding]) -> list[Finding]:
    """What dandi found; what its nwbinspector says and ours says too, and explains, is explained alike.

    Errors as well: one program calls the same finding an error, the other a suggestion, and the reason holds for both.
    dandi does not always name the object: where one of ours with that check and message is not explained, none is.
    """
    hints = {_name_check(one): one.hint for one in ours if one.severity is Severity.INFO}
    for one in ours:
        if one.severity is not Severity.INFO:
            hints.pop(_name_check(one), None)
    explained = []
    for one in found:
        hint = hints.get((one.id, one.message), "")
        if hint:
            one = replace(one, severity=Severity.INFO, hint=hint)
        explained.append(one)
    return explained


def can_be_explained(found: Finding) -> bool:
    """Whether a finding of dandi is its nwbinspector's, of which ours may know the reason."""
    return found.id.startswith(_CHECKS) and found.severity is not Severity.INFO


def _name_check(ours: Finding) -> tuple[str, str]:
    """A finding's check and message, as dandi would name them."""
    return ours.id.replace("nwbinspector:", _CHECKS), ours.message


def _lay_out_dandiset(folder: Path, results: Sequence[Path]) -> dict[Path, Path]:
    """A dandiset of links to the results, named as dandi wants files named: link -> result."""
    (folder / "dandiset.yaml").write_text(_DANDISET, "utf-8")
    links = {}
    for number, result in enumerate(results):
        link = folder / f"sub-{number:05}" / f"sub-{number:05}{TAKES}"
        link.parent.mkdir()
        try:
            os.symlink(result.resolve(), link)
        except OSError:  # Windows lets few people make links
            shutil.copyfile(result, link)
        links[link] = result
    return links


def _read_findings(
    done: Ended, links: Mapping[Path, Path], environment: Environment
) -> list[tuple[Path | None, Finding]]:
    """Results and what was found in them; None where a record is about none. Raises `Problem` (``tool.failed``)."""
    found = []
    for line in done.out.split(b"\n"):
        if line.strip():
            found.append(_read_record(line, links, environment))
    # 1 is how it ends when it found something; without a finding it did not get that far.
    if done.status not in (0, 1) or (done.status and not found):
        message = f"dandi validate ended with status {done.status}: {done.describe_errors()}"
        raise problem("tool.failed", message, value=NAME)
    return found


def _read_record(line: bytes, links: Mapping[Path, Path], environment: Environment) -> tuple[Path | None, Finding]:
    record = _parse_record(line, "validate", ("id", "severity"))
    link = Path(record["path"]) if isinstance(record.get("path"), str) else None
    result = links.get(link) if link else None
    message = _shorten_message(record)
    if link and result:
        message = message.replace(str(link), result.name)
    within = record.get("within_asset_paths")
    place = ", ".join(str(p) for p in within.values()) if isinstance(within, dict) else None
    found = Finding(
        # Some ids are whole sentences: the first word says which check it was, and a waiver can name it.
        id=f"{NAME}:{(record['id'].split() or ['unknown'])[0][:_ID_CHARS]}",
        origin=f"{NAME} {environment.version}",
        severity=_SEVERITIES.get(record["severity"], Severity.ERROR),
        message=message,
        location=Location(array=place[:SHOWN_CHARS] if place else None),
    )
    return result, add_advice(found)


def _parse_record(line: bytes, command: str, wanted: Sequence[str]) -> dict[str, Any]:
    try:
        record = parse_json(line, LINE_CHARS)
        if not isinstance(record, dict) or not all(isinstance(record.get(k), str) for k in wanted):
            raise ValueError(f"it has not {' and '.join(wanted)}")
    except (ValueError, RecursionError) as error:
        shown = hide_secrets(line[:80].decode("utf-8", "replace"))
        message = f"dandi {command} wrote {shown!r}, which cannot be read: {error}"
        raise problem("tool.failed", message[:SHOWN_CHARS], value=NAME) from error
    return record


def _shorten_message(record: Mapping[str, Any]) -> str:
    """What a record says; of a traceback its end, and never more than a finding may show."""
    text = str(record.get("message") or record["id"]).strip()
    if text.startswith("Traceback"):
        text = text.splitlines()[-1]
    return hide_secrets(text)[:SHOWN_CHARS]
