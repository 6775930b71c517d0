"""Tables in one SQLite file, which may hold views and triggers of anybody's making."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from ..model.budget import CELL_CHARS, SOURCE_SECONDS, TABLE_ROWS, OverBudget
from ..model.finding import problem
from ..model.profile import TableSpec
from .raw import RawTable, build_raw_table, make_unreadable_table

MAGIC = b"SQLite format 3\0"
_STEPS = 100_000
"""Instructions of SQLite's machine between two looks at the clock: a millisecond."""
_MOST_STEPS = 150_000_000
"""Instructions for a whole file; reading 100,000 rows of 20 columns takes 3 million. Unlike time, this is the
same on every machine."""
_HEAP = 256 * 2**20
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_FORBIDDEN = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"}


def read_sqlite(path: Path, specs: Iterable[TableSpec]) -> Mapping[str, RawTable]:
    """One SQLite file, opened immutable: neither it nor a journal beside it is written.

    Rows that only a journal holds would not be seen, so a file that is in use is check_fix_text. Whatever its
    views compute ends after `SOURCE_SECONDS` of computing and `TABLE_ROWS` rows; nothing but reading is allowed.
    """
    for suffix in ("-wal", "-journal"):
        journal = path.with_name(path.name + suffix)
        if journal.is_file() and journal.stat().st_size:
            message = f"{path.name} is in use: {journal.name} holds changes that are not in it yet"
            raise problem(
                "table.source", message, hint="Close the program that writes it, then check again.", file=str(path)
            )
    address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(address, uri=True)
    except sqlite3.Error as error:
        raise problem("table.source", f"{path.name}: {error}", file=str(path)) from error
    try:
        clock = _set_limits(connection)
        return {spec.name: _read_table(connection, path, spec, clock) for spec in specs}
    finally:
        connection.close()


class _ComputingClock:
    """Instructions, and computing time of this process, since the connection was made."""

    def __init__(self) -> None:
        self.end = time.process_time() + SOURCE_SECONDS
        self.steps = 0

    def count_steps(self) -> bool:
        """Count further instructions; SQLite stops when this is true."""
        self.steps += _STEPS
        return self.is_over

    @property
    def is_over(self) -> bool:
        """Whether the time is used up."""
        return self.steps > _MOST_STEPS or time.process_time() > self.end


def _set_limits(connection: sqlite3.Connection) -> _ComputingClock:
    connection.setconfig(sqlite3.SQLITE_DBCONFIG_TRUSTED_SCHEMA, False)
    connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
    connection.execute(f"PRAGMA hard_heap_limit = {_HEAP}").close()
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 8 * CELL_CHARS)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    clock = _ComputingClock()
    connection.set_progress_handler(clock.count_steps, _STEPS)
    connection.set_authorizer(_authorize_action)
    # Decoded here, because the library's own message repeats the text of the cell.
    connection.text_factory = lambda octets: octets.decode("utf-8")
    return clock


def _authorize_action(
    action: int, first: str | None, second: str | None, database: str | None, inner: str | None
) -> int:
    wanted = action in _ALLOWED and not (action == sqlite3.SQLITE_FUNCTION and second in _FORBIDDEN)
    return sqlite3.SQLITE_OK if wanted else sqlite3.SQLITE_DENY


def list_table_names(path: Path) -> list[str]:
    """Names of tables and views, for those that look like a table and are not; none where they cannot be read."""
    address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(address, uri=True)
        try:
            _set_limits(connection)
            query = f"SELECT name FROM sqlite_master WHERE type IN ('table', 'view') LIMIT {TABLE_ROWS}"
            return [name for (name,) in connection.execute(query)]
        finally:
            connection.close()
    except (sqlite3.Error, ValueError):
        return []


def _read_table(connection: sqlite3.Connection, path: Path, spec: TableSpec, clock: _ComputingClock) -> RawTable:
    place = f"{path.name}!{spec.name}"
    try:
        query = "SELECT 1 FROM sqlite_master WHERE type IN ('table', 'view') AND name = ?"
        if connection.execute(query, (spec.name,)).fetchone() is None:
            return RawTable(spec, place, present=False)
        cursor = connection.execute(f'SELECT * FROM "{spec.name}"')  # a profile's table name, not a user's text
        columns = [item[0] for item in cursor.description]
        return build_raw_table(spec, place, columns, cursor, _format_value)
    except (sqlite3.Error, ValueError, OverflowError, MemoryError) as error:
        limits = f"{SOURCE_SECONDS} s or {_MOST_STEPS} steps of computing"
        over = OverBudget(f"its tables and views take more than {limits}")
        return make_unreadable_table(spec, place, over if clock.is_over else error)


def _format_value(value: object) -> str:
    if isinstance(value, bytes):
        raise ValueError("a cell holds bytes, not text")
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)
