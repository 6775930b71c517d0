"""``profiles``: what a dataset can begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..config import open_profile
from ..model.budget import TOML_BYTES, OverBudget, read_file
from ..model.profile import Profile, list_shipped_profiles


def list_profiles(folder: Path) -> list[dict[str, Any]]:
    """The profiles that are shipped, and the one that a dataset in `folder` brings, as plain objects.

    Raises
    ------
    Problem
        ``dataset.config``: one of them cannot be used.
    """
    own = sorted(path.stem for path in folder.glob("*.toml") if _is_profile(path))
    return [_describe_profile(open_profile(name, folder)) for name in dict.fromkeys((*list_shipped_profiles(), *own))]


def _is_profile(path: Path) -> bool:
    """Whether a file states a name and a version: a folder may hold any other TOML."""
    try:
        lines = read_file(path, TOML_BYTES).decode().splitlines()
    except (OSError, ValueError, OverBudget):
        return False
    return {line.partition("=")[0].strip() for line in lines} >= {"name", "version"} and path.stem != "pyproject"


def _describe_profile(profile: Profile) -> dict[str, Any]:
    required = [name for name, spec in profile.tables.items() if not spec.optional_table]
    return {
        "profile": profile.name,
        "version": profile.version,
        "title": profile.title,
        "labs": {lab.initials: lab.name for lab in profile.labs.values()},
        "tables": required,
        "optional_tables": [name for name in profile.tables if name not in required],
    }


def format_profile(entry: dict[str, Any]) -> Iterator[str]:
    """One profile as lines of text."""
    yield f"{entry['profile']} {entry['version']}: {entry['title']}"
    labs = ", ".join(f"{initials} {name}" for initials, name in entry["labs"].items())
    yield f"  labs: {labs or 'yours, named when a dataset is made'}"
    yield f"  tables: {', '.join(entry['tables'])}"
    yield f"  on demand (init --with TABLE): {', '.join(entry['optional_tables']) or 'none'}"
