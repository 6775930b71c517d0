"""``output/records.jsonl``: which results are current, and every row that none of them carries.

Results carry the rows they were made from. All other rows (models, analyses, mice without a
session, rows with errors, rows without a key) stand here, so that nothing typed is lost and
`export-tables` can rebuild the tables from the output alone. The first line tells the profile
and the current results by the digest of their rows; each further line is a row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..config import Config
from ..model.finding import Finding, finding, problem
from ..model.plan import SourceRow, canonical, digest
from ..model.profile import TableSpec
from ..model.serial import from_json, to_json
from ..model.source import check_key
from ..storage.state import write_atomic
from ..tables import RawTable, is_private_cell, number_names, read_tables
from .targets import Wanted, source_rows

NAME = "records.jsonl"
FORMAT = 1
BEYOND = "beyond the header"
"""Name of the first cell that has no column."""


@dataclass(frozen=True, slots=True)
class Records:
    """What ``records.jsonl`` holds.

    Attributes
    ----------
    profile, version
        Of the tables, by name; the order of columns follows from it.
    results
        Path below ``output/`` of every current result -> digest of the rows that it carries.
    rows
        The rows that no current result carries, private columns blank.
    tables
        Key and columns of the dataset's tables, so that they are rebuilt without the profile. Files
        that were written before there was a second profile lack it.
    """

    profile: str
    version: str
    results: Mapping[str, str]
    rows: tuple[SourceRow, ...]
    tables: Mapping[str, TableSpec] = field(default_factory=dict)

    def text(self) -> str:
        """As JSON Lines, canonical."""
        tables = {
            name: {"key": spec.key, "columns": list(spec.columns), "optional": list(spec.optional)}
            for name, spec in self.tables.items()
        }
        about = {
            "format": FORMAT,
            "profile": self.profile,
            "version": self.version,
            "tables": tables,
            "results": dict(self.results),
        }
        return "".join(canonical(line) + "\n" for line in ({"about": about}, *to_json(self.rows)))


def parse_records(data: bytes, place: str) -> Records:
    """The reverse of `Records.text`, from the file's bytes.

    Raises
    ------
    Problem
        ``records.unreadable``; ``path.unsafe`` for a result that would lie outside ``output/``.
    """
    try:
        first, *lines = (json.loads(line) for line in data.decode("ascii").splitlines())
        about = first["about"]
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']}; this version reads {FORMAT}")
        rows = tuple(from_json(SourceRow, line) for line in lines)
        results = about["results"]
        for path in results.keys():  # noqa: SIM118  (a list here is damage)
            check_key(path)
        tables = {
            name: from_json(TableSpec, {"name": name, "prefix": "", "labs": [], **layout})
            for name, layout in about.get("tables", {}).items()
        }
        return Records(about["profile"], about["version"], results, rows, tables)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise problem("records.unreadable", f"{place} cannot be read: {error}", file=place) from error


def write_records(config: Config, current: Iterable[Wanted]) -> list[Finding]:
    """Bring ``output/records.jsonl`` up to date; left alone when it is so already.

    While a table cannot be read at all, the file stays as it is, so that the rows it keeps are not lost.

    Parameters
    ----------
    current
        The targets whose results are what the tables and raw files say now.

    Returns
    -------
    list of Finding
        ``records.kept``: a table cannot be read; ``records.withheld``: cells that may be private.
    """
    tables = _read_all_tables(config)
    unread = [table.file for table in tables if table.present and not table.columns]
    if unread:
        message = f"{NAME} stays as it is, because {', '.join(unread)} cannot be read"
        return [finding("records.kept", message, file=NAME)]
    text = _format_records(config, current, tables)
    path = config.output / NAME
    for left in config.output.glob(f"{NAME}.*.partial"):  # of a run that was killed; the lock is ours
        left.unlink()
    if not path.is_file() or path.read_bytes() != text.encode("ascii"):
        write_atomic(path, text)
    return [withheld for table in tables for withheld in _find_withheld(table)]


def is_current(config: Config, current: Iterable[Wanted]) -> bool:
    """Whether ``output/records.jsonl`` is what the tables and the current results say now."""
    path = config.output / NAME
    text = _format_records(config, current, _read_all_tables(config))
    return path.is_file() and path.read_bytes() == text.encode("ascii")


def _read_all_tables(config: Config) -> list[RawTable]:
    return [table for parts in read_tables(config.tables, config.profile).values() for table in parts]


def _format_records(config: Config, current: Iterable[Wanted], tables: Sequence[RawTable]) -> str:
    results: dict[str, str] = {}
    carried: set[RowText] = set()
    for wanted in current:
        rows = source_rows(wanted, config.profile)
        results[wanted.target.path] = digest_carried_rows(rows)
        carried |= {row_text(row) for row in rows}
    kept = []
    for row in (row for table in tables for row in raw_rows(table)):
        if row_text(row) in carried:
            carried.remove(row_text(row))  # a second row of the same text is kept
        else:
            kept.append(row)
    kept.sort(key=lambda row: (row.table, row.key, row_text(row)))
    layouts = {table.spec.name: table.spec for table in tables if table.present}
    return Records(config.profile.name, config.profile.version, results, tuple(kept), layouts).text()


type RowText = tuple[str, str]
"""Table and canonical cells: what makes two rows the same row, whatever a fix made of the key."""


def row_text(row: SourceRow) -> RowText:
    """Identity of a row as it was typed."""
    return row.table, canonical(dict(row.cells))


def digest_carried_rows(rows: Sequence[SourceRow]) -> str:
    """Digest of the rows that a result carries."""
    return digest(to_json(list(rows)))


def raw_rows(table: RawTable) -> Iterator[SourceRow]:
    """Rows of one raw table as they stand, private cells blank: one text for each cell, in the order of the row.

    A column that stands twice in the header is numbered (``notes (2)``), and so are cells
    beyond the header. Of a row in which nobody can say for sure which cells are private, nothing
    but a well-formed key is passed on.
    """
    spec = table.spec
    key = re.compile(rf"(?:{'|'.join(spec.labs)})_{spec.prefix}_[0-9]{{4}}")
    sure = not _withheld_reason(table)
    for row in table.rows:
        names = _number_names(table.columns, len(row.cells))
        cells = dict(zip(names, row.originals, strict=False))
        fixes = {names[position]: fix for position, fix in row.fixes.items()}
        if not sure or (spec.private and len(row.cells) != len(table.columns)):
            fixes = {}
            cells = {c: text if c == spec.key and key.fullmatch(text) else "" for c, text in cells.items()}
        else:
            cells = {column: "" if is_private_cell(spec, column, text) else text for column, text in cells.items()}
        yield SourceRow(spec.name, fixes[spec.key].text if spec.key in fixes else cells.get(spec.key, ""), cells, fixes)


def _number_names(columns: Sequence[str], count: int) -> list[str]:
    """A name of its own for each of `count` cells."""
    return number_names((*columns, *[BEYOND] * max(0, count - len(columns))))[:count]


def _withheld_reason(table: RawTable) -> str:
    """Why nobody can say which cells of a table are private; empty where that is clear."""
    missing = [column for column in table.spec.private if table.columns.count(column) != 1]
    return f"its header does not name {missing[0]} once" if missing else ""


def _find_withheld(table: RawTable) -> Iterator[Finding]:
    spec = table.spec
    reason = _withheld_reason(table)
    ragged = [row.line for row in table.rows if len(row.cells) != len(table.columns)] if spec.private else []
    private = ", ".join(spec.private)
    if reason and table.rows:
        message = f"rows of {table.file} are kept without their cells: {reason}, so it cannot be told which are private"
        yield finding("records.withheld", message, file=table.file, **table.place)
    elif ragged:
        message = (
            f"{len(ragged)} rows are kept without their cells: too many or too few, so {private} may be among them"
        )
        yield finding("records.withheld", message, line=ragged[0], file=table.file, **table.place)
