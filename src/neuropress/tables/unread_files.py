"""Files, sheets and tables that nobody reads: a row in them would be missing without a word."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from difflib import get_close_matches
from pathlib import Path

from ..model.budget import TABLE_BYTES, OverBudget, read_file
from ..model.finding import Finding, finding
from .raw import RawParts, RawTable, TableSource, TableSources, choose_part

SUFFIXES = (".csv", ".tsv", ".jsonl")
"""Of a table's file, in the order in which they are looked for."""

BESIDE = ("neuropress.toml", "facts.jsonl", "waivers.csv", "applied_fixes.csv")
"""What belongs to a dataset and may lie beside its tables, when these lie in the dataset's own folder."""

_MOST_LISTED = 1000
"""Files of one folder that are findings."""
_NEAR_CUTOFF = 0.8
_SUFFIX = re.compile(r"(?i)\.(?:csv|tsv|jsonl|json|txt|xlsx?|xlsm|ods|parquet|feather|gz|zip|bz2|xz)$")
_COPY = re.compile(
    r"(?i)(?:[ _-]*\(?(?:copy|kopie)\)?|[ _]?\([0-9]{1,3}\)|[-_ .](?:old|orig|backup|bak))(?: ?\(?[0-9]{1,3}\)?)?$"
)
_BACKUP_END = re.compile(r"(?i)(?:\.(?:bak|old|orig|backup|save|swp|tmp|partial)|~)$")
_BACKUP_START = re.compile(r"(?i)^(?:copy of |kopie von |~\$|#)")


def check_unread_files(sources: TableSources, tables: Mapping[str, RawParts]) -> Iterator[Finding]:
    """A finding for each file, sheet or table of a source that looks like something and is read by nobody."""
    beside = {Path(sources.fixes).parent / name for name in BESIDE} if sources.fixes else set()
    beside |= {Path(source.location) for source in sources.parts}
    for source in sources.parts:
        own = {name: choose_part(parts, source.label) for name, parts in tables.items()}
        yield from _check_source(source, own, beside)
    if len(sources.parts) > 1 and sources.fixes:
        yield from _check_between_sources(Path(sources.fixes).parent, beside)


def _check_between_sources(root: Path, beside: Set[Path]) -> Iterator[Finding]:
    """Tables that lie in the dataset where sources do, or where a single one would, and are none of them."""
    folders = {root / "tables", *(path.parent for path in beside if root in path.parent.parents)}
    for folder in sorted(folders - beside):
        for path in sorted(_list_folder(folder)):
            if path in beside or path.name.startswith((".", "~$")) or not _holds_rows(path):
                continue
            place = path.relative_to(root).as_posix()
            message = f"{place} holds tables and is none of the [[tables]] of {BESIDE[0]}: its rows are not read"
            hint = f"Name it as a source below [[tables]] in {BESIDE[0]}, or move it out of {folder.name}."
            yield finding("table.unread_file", message, hint=hint, file=place)


def _holds_rows(path: Path) -> bool:
    """Whether it is a workbook, a folder of tables, or a text with more than a header."""
    if path.is_dir():
        children = [child for child in _list_folder(path) if child.suffix.lower() in SUFFIXES and not child.is_dir()]
        return any(map(_holds_rows, children))
    if path.suffix.lower() not in SUFFIXES:
        return path.suffix.lower() == ".xlsx"
    try:
        lines = read_file(path, TABLE_BYTES).splitlines()
    except (OSError, OverBudget):
        return True
    header = 0 if path.suffix.lower() == ".jsonl" else 1
    return sum(1 for line in lines if line.strip()) > header


def _check_source(source: TableSource, tables: Mapping[str, RawTable], beside: Set[Path]) -> Iterator[Finding]:
    """`beside`: files of the dataset and other sources, which may lie among the tables."""
    path = Path(source.location)
    known = {name for name, table in tables.items() if table.present}
    if "://" in source.location:
        from .postgres import list_table_names as names_in_postgres

        yield from _check_near_names(names_in_postgres(source), source.display_name, "table", known, tables)
    elif path.suffix.lower() == ".xlsx":
        yield from _check_sheets(path, known, tables)
    elif path.is_file():
        from .sqlite import list_table_names

        yield from _check_near_names(list_table_names(path), path.name, "table", known, tables)
    elif path.is_dir():
        yield from _check_files_beside(path, beside, known, tables)


def _check_sheets(path: Path, known: Collection[str], tables: Mapping[str, RawTable]) -> Iterator[Finding]:
    from .workbook import list_sheet_names

    names = [name for name in list_sheet_names(path) if name not in tables]
    misnamed = list(_check_near_names(names, path.name, "sheet", known, tables))
    yield from misnamed
    reported = {one.location.value for one in misnamed}
    for name in names:
        if name not in reported and not name.casefold().startswith("readme"):
            message = f"the sheet {name!r} of {path.name} bears no table's name and is read by nobody"
            yield finding("table.unread_file", message, value=name, file=path.name)


def _check_near_names(
    names: Iterable[str], place: str, what: str, known: Collection[str], tables: Mapping[str, RawTable]
) -> Iterator[Finding]:
    """Names that are nearly those of tables."""
    for name in sorted(set(names) - set(tables)):
        if meant := _guess_table(name, tables):
            beside = f"beside {meant}" if meant in known else f"and there is no {meant}"
            message = f"the {what} {name!r} of {place} looks like the table {meant}, {beside}: its rows are not read"
            other = "or give it a name that is like no table's"
            hint = f"Rename it to {meant}, if its rows are that table's; {other}."
            if meant in known:  # its name is taken: nothing may be written over the table
                hint = f"Compare its rows with those of {meant}: move those that are missing there, {other}."
            yield finding("table.misnamed", message, hint=hint, value=name, expected=meant, file=place)


def _guess_table(stem: str, tables: Collection[str]) -> str:
    """The table that a name is or nearly is, letters' case and spaces aside; empty where none is."""
    plain = re.sub(r"[\s_-]+", "_", stem[:80].strip().casefold())
    close = get_close_matches(plain, tables, 1, cutoff=_NEAR_CUTOFF)
    return close[0] if close else ""


def _check_files_beside(
    folder: Path, beside: Set[Path], known: Collection[str], tables: Mapping[str, RawTable]
) -> Iterator[Finding]:
    # Where tables lie in the dataset's own folder, its settings and results do, too.
    own = folder / BESIDE[0] in beside
    read = {f"{name}{suffix}" for name in tables for suffix in SUFFIXES}
    count = 0
    for path in sorted(folder.iterdir()):
        if path.name in read or path.name.startswith(".") or path.name.casefold().startswith("readme"):
            continue
        if path in beside or (own and (path.suffix == ".toml" or path.is_dir())):
            continue
        namesakes = [folder / name for name in read if name.casefold() == path.name.casefold()]
        if any(_is_same_file(path, namesake) for namesake in namesakes):
            continue  # the file system does not distinguish the two names
        unread_file = _classify_file(path, known, tables)
        if unread_file is not None:
            count += 1
            if count <= _MOST_LISTED:
                yield unread_file
    if count > _MOST_LISTED:
        message = f"{count - _MOST_LISTED} more files of {folder.name} are read by nobody"
        yield finding("table.unread_file", message, file=folder.name)


def _is_same_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _classify_file(path: Path, known: Collection[str], tables: Mapping[str, RawTable]) -> Finding | None:
    """What a file that nobody reads probably is."""
    name = path.name
    # Taken off one after the other: "Copy of mouse_old.csv.bak" is a copy of mouse, whatever program named it.
    stem = _BACKUP_END.sub("", _BACKUP_START.sub("", name))
    set_aside = stem != name
    while short := _SUFFIX.search(stem):
        stem = stem[: short.start()]
    plain = _COPY.sub("", stem)
    set_aside = set_aside or plain != stem
    looks_like_table = _SUFFIX.search(name) or set_aside or not path.suffix
    meant = _guess_table(plain, tables) if looks_like_table else ""
    if path.is_dir():
        if not any(child.suffix.lower() in SUFFIXES for child in _list_folder(path)):
            return None
        message = f"the folder {name} holds tables, and only those directly in {path.parent.name} are read"
        return finding("table.unread_file", message, file=name)
    if name.startswith("~$"):
        message = f"{name} is the mark of a spreadsheet program that has a file open; what it did not save is not read"
        return finding("table.unread_file", message, file=name)
    if meant and set_aside and meant in known:
        message = f"{name} looks like a copy of the table {meant}, and is read by nobody"
        return finding("table.unread_file", message, file=name)
    if meant:
        beside = f"beside {tables[meant].file}" if meant in known else f"and there is no {meant}.csv"
        message = f"{name} looks like the table {meant}, {beside}: its rows are not read"
        hint = f"Save it as {meant}.csv, if its rows are that table's; or move it out of the tables' folder."
        if meant in known:  # its name is taken: nothing may be written over the table
            hint = f"Compare its rows with those of {tables[meant].file}, and move it out of the tables' folder."
        return finding("table.misnamed", message, hint=hint, value=name, expected=f"{meant}.csv", file=name)
    return finding("table.unread_file", f"{name} bears no table's name and is read by nobody", file=name)


def _list_folder(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
