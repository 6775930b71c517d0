"""``init``: an empty dataset."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..config import FILE, TEMPLATE, open_profile
from ..model.finding import problem
from ..tables import write_headers
from ..workspace import Workspace


def make_dataset(root: Path, profile: str, optional: Collection[str] = ()) -> Workspace:
    """Make an empty dataset; see `neuropress.api.Dataset.init` for parameters and errors."""
    if (root / FILE).exists():
        raise problem("dataset.exists", f"{root / FILE} exists already", file=str(root))
    loaded = open_profile(profile, root)
    for table in optional:
        if table not in loaded.tables:
            known = ", ".join(name for name, spec in loaded.tables.items() if spec.optional_table) or "none"
            message = f"profile {profile!r} has no table {table!r}; its optional tables: {known}"
            raise problem("dataset.config", message, value=table)
    for folder in ("tables", "source", "output"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    write_headers(root / "tables", loaded, optional)
    text = TEMPLATE.format(profile=profile, version=loaded.version)
    (root / FILE).write_text(text, encoding="utf-8", newline="\n")
    return Workspace.open(root)
