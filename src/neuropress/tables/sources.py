"""Where tables come from: a folder of CSV, TSV or JSON Lines, a workbook, SQLite, PostgreSQL.

Each source is one function that gives a `RawTable`: columns and the text of cells, nothing
understood yet. The same tables through each give the same cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..model.budget import LINE_CHARS, SHOWN_CHARS, TABLE_BYTES, TABLE_COLUMNS, OverBudget, parse_json, read_file
from ..model.finding import finding, problem
from ..model.profile import Profile, TableSpec
from .delimited import read_csv
from .postgres import read_postgres
from .raw import RawRow, RawTable, Size, TableSource, broken, header_findings, over_budget, public_names
from .sqlite import HEAD, read_sqlite
from .unread import SUFFIXES
from .workbook import read_workbook


def read_source(source: TableSource | Path, profile: Profile) -> Mapping[str, RawTable]:
    """All tables of a profile, as they stand in their source. The source is only ever read.

    Raises
    ------
    Problem
        ``table.source``: it is of no known kind, or a package is missing (the message names it).
    OSError
        The machine or the database could not be read.
    """
    source = TableSource(str(source)) if isinstance(source, Path) else source
    specs = profile.tables.values()
    if source.location.startswith(("postgresql://", "postgres://")):
        return read_postgres(source, specs)
    path = Path(source.location)
    if path.suffix.lower() == ".xlsx":
        return read_workbook(path, specs)
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(len(HEAD))
        if head == HEAD:
            return read_sqlite(path, specs)
        raise problem("table.source", f"{path.name} is neither a folder, a workbook nor an SQLite file", file=str(path))
    if not path.is_dir():
        wrong = "is neither a folder nor a file" if path.exists() else "does not exist"
        raise problem("table.source", f"{path} {wrong}", file=str(path))
    return {spec.name: _from_folder(path, spec, source) for spec in specs}


def _from_folder(folder: Path, spec: TableSpec, source: TableSource) -> RawTable:
    there = [path for suffix in SUFFIXES if lies_there(path := folder / f"{spec.name}{suffix}")]
    if len(there) > 1:
        names = " and ".join(path.name for path in there)
        message = f"table {spec.name} is there twice: {names}"
        return broken(spec, there[0].name, finding("table.twice", message, table=spec.name, file=there[0].name))
    path = there[0] if there else folder / f"{spec.name}.csv"
    if path.suffix == ".jsonl":
        return read_jsonl(path, spec)
    return read_csv(path, spec, source.encoding, source.delimiter or ("\t" if path.suffix == ".tsv" else ""))


def lies_there(path: Path) -> bool:
    """Whether there is anything of this name, a link that leads nowhere included."""
    return path.exists() or path.is_symlink()


def read_jsonl(path: Path, spec: TableSpec) -> RawTable:
    """One JSON object a line; numbers keep their digits, true and false become TRUE and FALSE, null blank."""
    try:
        data = read_file(path, TABLE_BYTES)
        objects = list(_objects(data, path.name, spec))
        names: dict[str, None] = {}
        for line, pairs in objects:
            names.update(dict.fromkeys(pairs))
            if len(names) > TABLE_COLUMNS:
                raise OverBudget(f"up to line {line} it has {len(names)} keys; a table has at most {TABLE_COLUMNS}")
        columns = list(names) or list(spec.columns)
        columns += [c for c in spec.columns if c not in names]  # a key that no line has is blank in all
        size = Size(columns)
        rows = []
        for line, pairs in objects:
            rows.append(RawRow(line, tuple(pairs.get(c, "") for c in columns)))
            size.add(rows[-1].cells, line)
    except OverBudget as error:
        return over_budget(spec, path.name, error)
    except _BadLine as bad:
        message = f"{path.name} line {bad.line}: {bad}"
        return broken(spec, path.name, finding("table.json", message, table=spec.name, line=bad.line, file=path.name))
    known = public_names(columns, spec)
    return RawTable(spec, path.name, known, rows, tuple(header_findings(known, spec, path.name)))


class _BadLine(ValueError):
    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def _objects(data: bytes, file: str, spec: TableSpec) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and cells of every object; which text is wrong is not told where it may be that of a private cell."""
    for line, octets in enumerate(data.split(b"\n"), 1):
        if not octets.strip():
            continue
        try:
            pairs = parse_json(octets, LINE_CHARS, object_pairs_hook=_object, parse_int=str, parse_float=str)
            if not isinstance(pairs, dict):
                raise ValueError("it is no object")
            yield line, {name: _text(value) for name, value in pairs.items()}
        except OverBudget as error:
            raise OverBudget(f"line {line}: {error}") from None
        except _Named as error:
            raise _BadLine(error.kind if spec.private else str(error), line) from None
        except (ValueError, RecursionError) as error:
            raise _BadLine(str(error), line) from error


class _Named(ValueError):
    """What is wrong with a text of the line; `kind` does not repeat the text."""

    def __init__(self, kind: str, text: object) -> None:
        super().__init__(f"{kind}: {str(text)[:SHOWN_CHARS]!r}")
        self.kind = kind


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > TABLE_COLUMNS:
        raise OverBudget(f"it has {len(pairs)} keys; a table has at most {TABLE_COLUMNS}")
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Named("a key stands twice", name)
        found[name] = value
    return found


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        value.encode("utf-8")  # half of a surrogate pair is no text: UnicodeEncodeError is a ValueError
        return value
    raise _Named("a value is no text, number or truth", value)
