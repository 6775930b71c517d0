"""Results of a dataset that several machines make, compared and cleared away."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from builder import Builder, abf, slices


def make_lab(folder: Path) -> tuple[Builder, dict[str, str]]:
    """A dataset with a session and a volume of two units, and its results by one run."""
    build = Builder(folder / "ds")
    build.session(1)
    build.ephys(abf(folder / "e.abf"), "20000")
    build.sem(slices(folder / "v", (520, 40, 36)))
    assert build.dataset.convert().ok
    return build, take_digests(build.root)


def take_digests(root: Path) -> dict[str, str]:
    files = (p for p in sorted((root / "output").rglob("*")) if p.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def clear(root: Path) -> None:
    shutil.rmtree(root / "output", ignore_errors=True)
    shutil.rmtree(root / ".neuropress", ignore_errors=True)
    (root / "output").mkdir()
