"""NWB files: pynwb's validator, nwbinspector in its default and its DANDI configuration, and our own checks."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from nwbinspector import Importance, InspectorMessage, inspect_nwbfile, load_config

from ...model.advice import add_advice
from ...model.finding import Finding, Location, Severity
from ...readers.hdf5.guard import translate_errors
from .explained import explain_finding
from .naming import check_dandi_name
from .opening import open_checked
from .silent import find_silent_mistakes

_ERRORS = (Importance.ERROR, Importance.PYNWB_VALIDATION, Importance.CRITICAL)


def validate_nwb(path: Path) -> list[Finding]:
    """All findings on an NWB file, in a fixed order.

    Raises
    ------
    Problem
        ``result.unreadable``: the file is no HDF5 file; ``result.unsafe``: it leads outside of itself.
    """
    with open_checked(path) as (file, _), translate_errors(path):
        findings = [*find_silent_mistakes(file), *check_dandi_name(path, file), *_run_validators(path)]
        explained = [explain_finding(finding, file) for finding in findings]
    return [add_advice(finding).at(file=str(path)) for finding in explained]


def _run_validators(path: Path) -> list[Finding]:
    """Both configurations in one list; of two equal messages the more severe is kept."""
    kept: dict[tuple[str, ...], Finding] = {}
    for config in (None, "dandi"):
        for message in _run_inspector(path, config):
            finding = _make_finding(message)
            key = (finding.id, str(finding.location.array), finding.message)
            if key not in kept or finding.severity is Severity.ERROR:
                kept[key] = finding
    return [kept[key] for key in sorted(kept)]


def _run_inspector(path: Path, config: str | None) -> Iterable[InspectorMessage]:
    with warnings.catch_warnings():
        # The validators' own deprecation warnings (pandas, hdmf) are no findings on the file. Where warnings
        # are errors, nwbinspector would report them as failures of its checks.
        warnings.simplefilter("ignore")
        return list(
            inspect_nwbfile(
                nwbfile_path=path,
                config=load_config(config) if config else None,
                skip_validate=config is not None,  # the schema is the same in both
            )
        )


def _get_last_line(traceback: str) -> str:
    """What went wrong in a check that failed, without the way there."""
    return traceback.strip().splitlines()[-1]


def _describe_place(message: InspectorMessage) -> str:
    """Path and type of an object, and its name where the path does not end in it."""
    path, name = message.location or "", str(message.object_name)
    is_named = path == "/" or path.rpartition("/")[2] == name
    return f"{path} ({message.object_type}{'' if is_named else f' {name}'})".strip()


def _make_finding(message: InspectorMessage) -> Finding:
    origin = "pynwb" if message.importance is Importance.PYNWB_VALIDATION else "nwbinspector"
    check = (message.check_function_name or "validation").split(" ", 1)[0]
    if message.importance is Importance.ERROR:
        check = "failure"
    return Finding(
        id=f"{origin}:{check}",
        origin=f"{origin} {version(origin)}",
        severity=Severity.ERROR if message.importance in _ERRORS else Severity.WARNING,
        message=_get_last_line(message.message) if message.importance is Importance.ERROR else message.message,
        location=Location(array=_describe_place(message)),
    )
