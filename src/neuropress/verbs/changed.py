"""Datasets of a repository, and where findings point to in it: what a hook and an annotation need to know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..config import FILE, Config
from ..model.finding import Finding, Location
from ..tables import FIXES
from ..tables.places import TextTable, find_source, find_table_file

BESIDE = {"waivers": "waivers.csv", "fixes": FIXES}
"""Files of a dataset that findings name like tables."""
_TEXTS = (".csv", ".tsv", ".jsonl")


def list_changed_datasets(files: Iterable[Path]) -> list[Path]:
    """The dataset that each file belongs to, once each: the nearest folder above it with a ``neuropress.toml``."""
    found = set()
    for file in files:
        above = (folder for folder in file.absolute().parents if (folder / FILE).is_file())
        if folder := next(above, None):
            found.add(folder)
    return sorted(found)


def find_repository(folder: Path) -> Path:
    """The root of the repository that a folder lies in; the folder itself where it lies in none."""
    folder = folder.resolve()
    # In a worktree or a submodule .git is a file.
    return next((above for above in (folder, *folder.parents) if (above / ".git").exists()), folder)


@dataclass(frozen=True, slots=True)
class RepositoryPlace:
    """A file by its path from the repository's root, and the line and character in it, from 1, where they are known."""

    file: str
    line: int | None = None
    column: int | None = None

    def name_file(self, found: Finding) -> Finding:
        """The finding with this file in place of its bare name; a raw file that it is about stays."""
        where = found.location
        if where.file not in (None, self.file.rpartition("/")[2]):
            return found
        return replace(found, location=replace(where, file=self.file))


class RepositoryPlaces:
    """Where the findings on one dataset point to in its repository."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._repository = find_repository(config.root)
        self._files: dict[tuple[str | None, str | None], tuple[Path, str] | None] = {}
        self._texts: dict[Path, TextTable] = {}

    def find(self, found: Finding) -> RepositoryPlace | None:
        """The place of a finding; None where no file of the repository is at fault."""
        where = found.location
        asked = (where.table, where.source if where.table else where.file)
        if asked not in self._files:  # tens of thousands of findings are about a dozen files
            self._files[asked] = self._find_file(where)
        known = self._files[asked]
        if known is None:
            return None
        path, file = known
        if path.suffix not in _TEXTS:  # a workbook has no lines that could be shown
            return RepositoryPlace(file, where.line if path.name == FILE else None)
        if where.table and where.line and where.column:
            line, column = self._open_text(where, path).find_cell(where.line, where.column) or (where.line, None)
            return RepositoryPlace(file, line, column)
        return RepositoryPlace(file, where.line)

    def _find_file(self, where: Location) -> tuple[Path, str] | None:
        """The file that a finding is about, and its path in the repository."""
        root = self._config.root
        path: Path | None = None
        if where.table in BESIDE:
            path = root / BESIDE[where.table]
        elif where.table:
            path = find_table_file(find_source(self._config.tables, where.source or ""), where.table)
        elif where.file:
            beside = [Path(source.location) / where.file for source in self._config.tables.parts]
            candidates = (root / where.file, Path(where.file).absolute(), *beside)
            path = next((candidate for candidate in candidates if candidate.is_file()), None)
        if path is None or not path.is_relative_to(self._repository):
            return None
        return path, path.relative_to(self._repository).as_posix()

    def _open_text(self, where: Location, path: Path) -> TextTable:
        if path not in self._texts:
            source = find_source(self._config.tables, where.source or "")
            spec = self._config.profile.tables.get(where.table or "")
            stated = (source.encoding, source.delimiter) if spec else ("utf-8", "")
            self._texts[path] = TextTable(path, spec, *stated)
        return self._texts[path]
