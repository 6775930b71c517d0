"""Tables in PostgreSQL, read in one read-only transaction."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ..model.budget import CELL_CHARS, SOURCE_SECONDS, OverBudget
from ..model.finding import finding, problem
from ..model.profile import TableSpec
from .raw import RawTable, TableSize, TableSource, build_raw_table, make_broken_table, make_unreadable_table

if TYPE_CHECKING:
    import psycopg

TYPE_EXPRESSIONS = {
    "date": "to_char({}, 'YYYYMMDD')",
    "time without time zone": "regexp_replace({}::text, '^([0-9]{{2}}:[0-9]{{2}}):00$', '\\1')",
    "boolean": "upper({}::text)",
}
"""How the database's own types are written in tables; every other type by its own text.

A time with seconds keeps them, which the table's schema then refuses: nothing is cut off."""

_POWERS = ("pg_execute_server_program", "pg_write_server_files", "pg_read_server_files")
_LOCK_SECONDS = 5
_TOTAL_SECONDS = 6 * SOURCE_SECONDS
_ROWS_PER_FETCH = 500


def read_postgres(source: TableSource, specs: Iterable[TableSpec]) -> Mapping[str, RawTable]:
    """All tables of a schema of a database; the password comes from the URL, PGPASSWORD or ~/.pgpass.

    Raises
    ------
    Problem
        ``table.source`` when psycopg is not installed; ``table.role`` for a role that may do more than read.
    OSError
        The database cannot be reached. No message holds the password.
    """
    try:
        import psycopg
    except ImportError:
        message = "PostgreSQL needs psycopg: python -m pip install 'neuropress[postgres]'"
        raise problem("table.source", message, file=source.display_name) from None
    try:
        with psycopg.connect(source.location, connect_timeout=10) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            _check_role(connection, source)
            _set_limits(connection, source)
            end = time.monotonic() + _TOTAL_SECONDS
            return {spec.name: _read_table(connection, source, spec, end) for spec in specs}
    except psycopg.Error as error:
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        raise OSError(f"{source.display_name}: {_redact_secrets(reason, source.location)}") from None


def _check_role(connection: psycopg.Connection[Any], source: TableSource) -> None:
    """Refuse a role whose rights a view or function of somebody else could use for more than reading.

    A transaction that is read-only forbids to change tables, but not to run programs or to read and write
    files on the server, and whatever a view calls runs with the rights of the role that asks.

    Raises
    ------
    Problem
        ``table.role``
    """
    role, powers = connection.execute(
        "SELECT session_user::pg_catalog.text, pg_catalog.array_agg(DISTINCT r.rolname::pg_catalog.text)"
        " FROM pg_catalog.pg_roles r"
        " WHERE (r.rolsuper OR r.rolname OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.name[]))"
        " AND (pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER')"
        " OR pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER'))",
        (list(_POWERS),),
    ).fetchone() or ("", None)
    if not powers:
        return
    is_super = connection.execute(
        "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) session_user"
    ).fetchone()
    rank = "a superuser" if is_super and is_super[0] else f"a member of {', '.join(sorted(powers))}"
    schema = source.schema
    message = f"{source.display_name}: role {role} is {rank}: a view that it reads could run programs on the server"
    hint = (
        "Let an administrator run: CREATE ROLE neuropress_reader LOGIN PASSWORD '...'; "
        f"GRANT USAGE ON SCHEMA {schema} TO neuropress_reader; "
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO neuropress_reader; and connect as neuropress_reader."
    )
    raise problem("table.role", message, hint=hint, file=source.display_name)


def _set_limits(connection: psycopg.Connection[Any], source: TableSource) -> None:
    """Limits of time, and names that nobody can put something else in front of."""
    from psycopg import sql

    connection.execute(f"SET LOCAL statement_timeout = '{SOURCE_SECONDS}s'")
    connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
    path = sql.SQL("SET LOCAL search_path = pg_catalog, {}, pg_temp").format(sql.Identifier(source.schema))
    connection.execute(path)


def _redact_secrets(text: str, url: str) -> str:
    """Without any part of the URL that could be a password, also where the URL is malformed."""
    user, _, _ = url.partition("://")[2].rpartition("@")
    secrets = {user.partition(":")[2], *re.findall(r"password=([^&]*)", url)}
    secrets |= {part for secret in secrets for part in re.split(r"[/@?#:]", secret) if len(part) > 2}
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        text = text.replace(secret, "***").replace(unquote(secret), "***")
    return text


def _read_table(connection: psycopg.Connection[Any], source: TableSource, spec: TableSpec, end: float) -> RawTable:
    import psycopg

    place = f"{source.display_name}!{spec.name}"
    try:
        if time.monotonic() > end:
            raise OverBudget(f"its tables and views take more than {_TOTAL_SECONDS} s")
        with connection.transaction():  # what fails here spoils no other table
            return _read_rows(connection, source, spec, place)
    except psycopg.errors.QueryCanceled:
        return make_unreadable_table(spec, place, OverBudget(f"a query takes more than {SOURCE_SECONDS} s"))
    except (psycopg.Error, ValueError) as error:
        if connection.closed:
            raise
        return make_unreadable_table(spec, place, error)


def _read_rows(connection: psycopg.Connection[Any], source: TableSource, spec: TableSpec, place: str) -> RawTable:
    from psycopg import sql

    columns = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        (source.schema, spec.name),
    ).fetchall()
    if not columns:
        return _explain_missing_columns(connection, source, spec, place)
    names = [name for name, _ in columns]
    TableSize(names)
    cells = []
    for name, type_name in columns:
        text = sql.SQL(TYPE_EXPRESSIONS.get(type_name, "{}::text")).format(sql.Identifier(name))
        # One character beyond the limit is enough to see that a cell is too long, and no more of it comes here.
        cells.append(sql.SQL("pg_catalog.left({}, {})").format(text, sql.Literal(CELL_CHARS + 1)))
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(cells), sql.Identifier(source.schema, spec.name))
    if spec.key in names:
        query += sql.SQL(' ORDER BY {}::text COLLATE "C"').format(sql.Identifier(spec.key))
    with connection.cursor(name="neuropress") as cursor:  # on the server, so that no more than is read comes here
        cursor.itersize = _ROWS_PER_FETCH
        cursor.execute(query)
        return build_raw_table(spec, place, names, cursor, lambda value: "" if value is None else value)


def _explain_missing_columns(
    connection: psycopg.Connection[Any], source: TableSource, spec: TableSpec, place: str
) -> RawTable:
    """A table that is not there, or that may not be read."""
    known = connection.execute(
        "SELECT current_user FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'v', 'm', 'f', 'p')",
        (source.schema, spec.name),
    ).fetchone()
    if known is None:
        return RawTable(spec, place, present=False)
    message = f"{place} is there, but user {known[0]} may not read it"
    hint = f"Let an owner run: GRANT SELECT ON {source.schema}.{spec.name} TO {known[0]};"
    return make_broken_table(spec, place, finding("table.unreadable", message, hint=hint, table=spec.name, file=place))


def list_table_names(source: TableSource) -> list[str]:
    """Names of the schema's tables and views, for those that look like a table and are not."""
    import psycopg

    try:
        with psycopg.connect(source.location, connect_timeout=10) as connection:
            connection.read_only = True
            _set_limits(connection, source)
            query = (
                "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE n.nspname = %s AND c.relkind IN ('r', 'v', 'm', 'f', 'p') LIMIT 10000"
            )
            return [name for (name,) in connection.execute(query, (source.schema,))]
    except psycopg.Error:
        return []
