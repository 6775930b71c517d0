"""``output/records.jsonl``: which results are current, and every row that none of them carries.

Results carry the rows they were made from. All other rows (models, analyses, mice without a
session, rows with errors, rows without a key) stand here, so that nothing typed is lost and
`export-tables` can rebuild the tables from the output alone. The first line tells the profile
and the current results by the digest of their rows; each further line is a row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .config import Config
from .model.finding import problem
from .model.plan import SourceRow, canonical
from .model.serial import from_json, to_json
from .planning.targets import Wanted, rows_digest, source_rows
from .state import write_atomic
from .tables import RawTable, read_tables

NAME = "records.jsonl"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Records:
    """What ``records.jsonl`` holds.

    Attributes
    ----------
    profile, version
        Of the tables, by name; the order of columns follows from it.
    results
        Path below ``output/`` -> digest of its rows (`Receipt.rows`) of every current result.
    rows
        The rows that no current result carries, private columns blank.
    """

    profile: str
    version: str
    results: Mapping[str, str]
    rows: tuple[SourceRow, ...]

    def text(self) -> str:
        """As JSON Lines, canonical."""
        about = {"format": FORMAT, "profile": self.profile, "version": self.version, "results": dict(self.results)}
        return "".join(canonical(line) + "\n" for line in ({"about": about}, *to_json(self.rows)))


def parse_records(text: str, place: str) -> Records:
    """The reverse of `Records.text`.

    Raises
    ------
    Problem
        ``records.unreadable``.
    """
    try:
        first, *lines = (json.loads(line) for line in text.splitlines())
        about = first["about"]
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']}; this version reads {FORMAT}")
        rows = tuple(from_json(SourceRow, line) for line in lines)
        return Records(about["profile"], about["version"], about["results"], rows)
    except (ValueError, KeyError, TypeError) as error:
        raise problem("records.unreadable", f"{place} cannot be read: {error}", file=place) from error


def write_records(config: Config, current: Iterable[Wanted]) -> bool:
    """Bring ``output/records.jsonl`` up to date; False when it is so already.

    Parameters
    ----------
    current
        The targets whose results are what the tables and raw files say now.
    """
    results: dict[str, str] = {}
    carried: set[tuple[str, str, str]] = set()
    for wanted in current:
        rows = source_rows(wanted, config.profile)
        results[wanted.target.path] = rows_digest(rows, config.profile)
        carried |= {_identity(row) for row in rows}
    left = [row for row in table_rows(config) if _identity(row) not in carried]
    left.sort(key=lambda row: (row.table, row.key, canonical(to_json(row.cells))))
    text = Records(config.profile.name, config.profile.version, results, tuple(left)).text()
    path = config.output / NAME
    if path.is_file() and path.read_text("utf-8") == text:
        return False
    write_atomic(path, text)
    return True


def table_rows(config: Config) -> Iterator[SourceRow]:
    """Every row of the tables as it stands, understood or not, private columns blank."""
    for table in read_tables(config.tables, config.profile).values():
        yield from raw_rows(table)


def raw_rows(table: RawTable) -> Iterator[SourceRow]:
    """Rows of one raw table. A row that is longer than its header keeps the rest under ``""``."""
    spec = table.spec
    for row in table.rows:
        cells = dict(zip(table.columns, row.cells, strict=False))
        if len(row.cells) > len(table.columns):
            cells[""] = canonical(row.cells[len(table.columns) :])
        cells |= {column: "" for column in spec.private if column in cells}
        yield SourceRow(spec.name, cells.get(spec.key, ""), cells)


def _identity(row: SourceRow) -> tuple[str, str, str]:
    return row.table, row.key, canonical(dict(row.cells))
