"""What other installed packages add to neuropress, found by their entry points.

A broken one is a finding that names its package, and never stops the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from typing import Any

from .model.finding import Finding, describe_findings, finding
from .model.parsing import parse_toml

FINDINGS_FILE = "findings.toml"
"""In the package of a plug-in: what its own finding ids mean, in the form of ``model/findings/*.toml``."""
CORE = "neuropress"
"""Package of what is built in."""


@dataclass(frozen=True, slots=True)
class Plugin[T]:
    """Something that another package declares, and the package's name."""

    name: str
    package: str
    value: T


@dataclass(frozen=True, slots=True)
class Plugins[T]:
    """The plug-ins of one group that can be used, and a finding for each that cannot."""

    usable: tuple[Plugin[T], ...]
    broken: tuple[Finding, ...]


def load_plugins[T](group: str, reserved: Collection[str], check: Callable[[str, str, Any], T]) -> Plugins[T]:
    """Import what other packages declare under an entry point.

    Parameters
    ----------
    group
        ``neuropress.readers`` or ``neuropress.converters``.
    taken
        Names of what is built in.
    check
        Given a name, its package and the object behind the entry point, returns what is registered, or raises with the
        reason why it cannot be used.
    """
    usable: list[Plugin[T]] = []
    broken: list[Finding] = []
    entries = sorted(entry_points(group=group), key=lambda entry: (entry.name, get_package_name(entry)))
    for entry in entries:
        try:
            _check_name(entry, entries, reserved)
            value = check(entry.name, get_package_name(entry), entry.load())
            _register_package_findings(entry)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - anything may happen in code of others
            broken.append(_make_broken_finding(entry, group, error))
        else:
            usable.append(Plugin(entry.name, get_package_name(entry), value))
    return Plugins(tuple(usable), tuple(broken))


def _make_broken_finding(entry: EntryPoint, group: str, error: BaseException) -> Finding:
    reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
    message = f"package {get_package_name(entry)}: its {group.rpartition('.')[2].removesuffix('s')} {entry.name!r}"
    return finding("plugin.broken", f"{message} ({entry.value}) cannot be used: {reason[:500]}", value=entry.name)


class PluginError(ValueError):
    """Why a plug-in cannot be used, in words for its author."""


def get_package_name(entry: EntryPoint) -> str:
    """Name of the package as it is installed."""
    return entry.dist.name if entry.dist else entry.module.partition(".")[0]


def _check_name(entry: EntryPoint, entries: Sequence[EntryPoint], reserved: Collection[str]) -> None:
    """Refuse a name that something else has: which one is meant would be chance."""
    if entry.name in reserved:
        raise PluginError("neuropress has one of this name itself")
    if Counter(other.name for other in entries)[entry.name] > 1:
        others = sorted(
            {get_package_name(other) for other in entries if other.name == entry.name} - {get_package_name(entry)}
        )
        raise PluginError(f"another one has the same name (package {', '.join(others) or get_package_name(entry)})")


@cache
def _register_findings(package: str) -> None:
    """Add the findings that a package describes to the catalogue, once. Raises `PluginError`."""
    file = files(package).joinpath(FINDINGS_FILE)
    if not file.is_file():
        return
    try:
        describe_findings(parse_toml(file.read_text("utf-8")))
    except ValueError as error:
        raise PluginError(f"{FINDINGS_FILE}: {error}") from error


def _register_package_findings(entry: EntryPoint) -> None:
    package = import_module(entry.module).__package__
    if package:  # a module by itself has no place for a file of its own
        _register_findings(package)
