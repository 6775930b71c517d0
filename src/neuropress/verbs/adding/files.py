"""Copies of raw files in their place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ...config import Config
from ...model.finding import problem
from ...storage.files import digest_file

PARTIAL = ".partial"


def get_first_folder(config: Config) -> Path:
    """The source root that new files are put into: raw files in a bucket are only read."""
    folder = next((root for root in config.roots if isinstance(root, Path)), None)
    if folder is None:
        message = "all source roots are buckets, which are never written"
        raise problem("add.occasion", message, hint="Name a folder under [source] roots in neuropress.toml.")
    return folder


def holds_same_files(path: Path, target: Path) -> bool:
    """Whether every file of a file or folder lies at its place already, with the same bytes, and no other file."""
    if _find_other_file(path, target):
        return False
    for source, copy in _list_copies(path, target):
        if not copy.is_file() or copy.stat().st_size != source.stat().st_size:
            return False
    return all(digest_file(copy) == digest_file(source) for source, copy in _list_copies(path, target))


def copy_files(path: Path, target: Path, key: str) -> str:
    """Copy under a temporary name, compare digests, rename; returns the digest of a file (of a folder: the last).

    Raises
    ------
    Problem
        ``add.exists``: another file or folder lies there; ``add.copy``: the copy is not equal.
    """
    if other := _find_other_file(path, target):
        message = f"{key} is there already, with a file that {path.name} does not have: {other.relative_to(target)}"
        raise problem("add.exists", message, file=str(other))
    pairs = list(_list_copies(path, target))
    for source, copy in pairs:
        if copy.exists() and digest_file(copy) != digest_file(source):
            raise problem("add.exists", f"{key} is there already, with other bytes", file=str(copy))
    digest = ""
    for source, copy in pairs:
        digest = digest_file(source)
        if copy.exists():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        partial = copy.with_name(f"{copy.name}.{os.getpid()}{PARTIAL}")
        try:
            shutil.copyfile(source, partial)
            if digest_file(partial) != digest:
                raise problem("add.copy", f"the copy of {source} differs from it", file=str(source))
            partial.replace(copy)
        finally:
            partial.unlink(missing_ok=True)
    return digest


def _list_copies(path: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    if path.is_dir():
        for member in sorted(p for p in path.rglob("*") if p.is_file()):
            yield member, target / member.relative_to(path)
    else:
        yield path, target


def _find_other_file(path: Path, target: Path) -> Path | None:
    """A file of the target folder that the folder `path` does not have: two folders of one name are never mixed."""
    if not path.is_dir() or not target.is_dir():
        return None
    found = (copy for copy in sorted(target.rglob("*")) if copy.is_file() and copy.suffix != PARTIAL)
    return next((copy for copy in found if not (path / copy.relative_to(target)).is_file()), None)
