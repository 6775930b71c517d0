"""NWB files: pynwb's validator, nwbinspector in its default and its DANDI configuration, and our own checks."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from nwbinspector import Importance, InspectorMessage, inspect_nwbfile, load_config

from ...model.finding import Finding, Location, Severity
from .explained import explain
from .file import open_checked
from .guard import refusing
from .silent import silent_mistakes

_ERRORS = (Importance.ERROR, Importance.PYNWB_VALIDATION, Importance.CRITICAL)


def validate_nwb(path: Path) -> list[Finding]:
    """All findings on an NWB file, in a fixed order.

    Raises
    ------
    Problem
        ``result.unreadable``: the file is no HDF5 file; ``result.unsafe``: it leads outside of itself.
    """
    with open_checked(path) as (file, _), refusing(path):
        findings = [*silent_mistakes(file), *_foreign(path)]
        told = [explain(found, file) for found in findings]
    return [found.at(file=str(path)) for found in told]


def _foreign(path: Path) -> list[Finding]:
    """Both configurations in one list; of two equal messages the more severe is kept."""
    found: dict[tuple[str, ...], Finding] = {}
    for config in (None, "dandi"):
        for message in _inspect(path, config):
            made = _finding(message)
            key = (made.id, str(made.location.array), made.message)
            if key not in found or made.severity is Severity.ERROR:
                found[key] = made
    return [found[key] for key in sorted(found)]


def _inspect(path: Path, config: str | None) -> Iterable[InspectorMessage]:
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


def _last_line(traceback: str) -> str:
    """What went wrong in a check that failed, without the way there."""
    return traceback.strip().splitlines()[-1]


def _finding(message: InspectorMessage) -> Finding:
    origin = "pynwb" if message.importance is Importance.PYNWB_VALIDATION else "nwbinspector"
    check = (message.check_function_name or "validation").split(" ", 1)[0]
    if message.importance is Importance.ERROR:
        check = "failure"
    place = f"{message.location or ''} ({message.object_type} {message.object_name})".strip()
    return Finding(
        id=f"{origin}:{check}",
        origin=f"{origin} {version(origin)}",
        severity=Severity.ERROR if message.importance in _ERRORS else Severity.WARNING,
        message=_last_line(message.message) if message.importance is Importance.ERROR else message.message,
        location=Location(array=place),
    )
