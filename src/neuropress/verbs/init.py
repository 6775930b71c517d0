"""``init``: an empty dataset."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from ..config import FILE, TEMPLATE, add_labs, open_profile
from ..model.finding import problem
from ..model.toml import format_toml_text
from ..storage.state import write_atomic
from ..tables import write_headers
from ..workspace import Workspace

IGNORED = """\
# Written by neuropress init: what is large or can be made again. Tables and settings belong under version control.
/source/
/output/
/.neuropress/
"""
EXAMPLES = {"title": "Dendrites of layer 5", "license": "CC-BY-4.0"}


def make_dataset(
    root: Path,
    profile: str,
    optional: Collection[str] = (),
    labs: Mapping[str, Mapping[str, str]] | None = None,
    about: Mapping[str, str] | None = None,
) -> Workspace:
    """Make an empty dataset; see `neuropress.api.Dataset.init` for parameters and errors."""
    if (root / FILE).exists():
        raise problem("dataset.exists", f"{root / FILE} exists already", file=str(root))
    loaded = add_labs(open_profile(profile, root), labs or {}, root / FILE)
    for table in optional:
        if table not in loaded.tables:
            known = ", ".join(name for name, spec in loaded.tables.items() if spec.optional_table) or "none"
            message = f"profile {profile!r} has no table {table!r}; its optional tables: {known}"
            raise problem("dataset.config", message, value=table)
    for folder in ("tables", "source", "output"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    write_headers(root / "tables", loaded, optional)
    if not (root / ".gitignore").exists():
        write_atomic(root / ".gitignore", IGNORED)
    stated = "".join(_format_lab(initials, entries) for initials, entries in (labs or {}).items())
    dataset = _format_about(about or {})
    write_atomic(root / FILE, TEMPLATE.format(profile=profile, version=loaded.version, dataset=dataset, labs=stated))
    return Workspace.open(root)


def _format_about(about: Mapping[str, str]) -> str:
    """The section of the whole dataset; what is not stated stands there as a commented example."""
    entries = [f"{name} = {format_toml_text(text)}" for name, text in about.items() if text]
    examples = [f'# {name} = "{text}"' for name, text in EXAMPLES.items() if not about.get(name)]
    return "\n".join(["[dataset]" if entries else "# [dataset]", *entries, *examples])


def _format_lab(initials: str, entries: Mapping[str, str]) -> str:
    lines = [f"[labs.{initials}]", *(f"{name} = {format_toml_text(text)}" for name, text in entries.items())]
    return "\n".join((*lines, "", ""))
