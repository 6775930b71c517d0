"""Tables in PostgreSQL, read in one read-only transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ..model.finding import finding, problem
from ..model.profile import TableSpec
from .raw import RawTable, TableSource, broken, from_rows

if TYPE_CHECKING:
    import psycopg

TYPES = {
    "date": "to_char({}, 'YYYYMMDD')",
    "time without time zone": "regexp_replace({}::text, '^([0-9]{{2}}:[0-9]{{2}}):00$', '\\1')",
    "boolean": "upper({}::text)",
}
"""How the database's own types are written in tables; every other type by its own text.

A time with seconds keeps them, which the table's schema then refuses: nothing is cut off."""


def read_postgres(source: TableSource, specs: Iterable[TableSpec]) -> Mapping[str, RawTable]:
    """All tables of a schema of a database; the password comes from the URL, PGPASSWORD or ~/.pgpass.

    Raises
    ------
    Problem
        ``table.source`` when psycopg is not installed.
    OSError
        The database cannot be reached. No message holds the password.
    """
    try:
        import psycopg
    except ImportError:
        message = "PostgreSQL needs psycopg: python -m pip install 'neuropress[postgres]'"
        raise problem("table.source", message, file=source.shown) from None
    try:
        with psycopg.connect(source.location, connect_timeout=10) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            return {spec.name: _table(connection, source, spec) for spec in specs}
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise OSError(f"{source.shown}: {_without_secret(reason, source.location)}") from None


def _without_secret(text: str, url: str) -> str:
    """Without any part of the URL that could be a password, also where the URL is malformed."""
    user, _, _ = url.partition("://")[2].rpartition("@")
    secrets = {user.partition(":")[2], *re.findall(r"password=([^&]*)", url)}
    secrets |= {part for secret in secrets for part in re.split(r"[/@?#:]", secret) if len(part) > 2}
    for secret in sorted(secrets - {""}, key=len, reverse=True):
        text = text.replace(secret, "***").replace(unquote(secret), "***")
    return text


def _table(connection: psycopg.Connection[Any], source: TableSource, spec: TableSpec) -> RawTable:
    from psycopg import sql

    place = f"{source.shown}!{spec.name}"
    found = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        (source.schema, spec.name),
    ).fetchall()
    if not found:
        known = connection.execute(
            "SELECT current_user FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'v', 'm', 'f', 'p')",
            (source.schema, spec.name),
        ).fetchone()
        if known is None:
            return RawTable(spec, place, present=False)
        message = f"{place} is there, but user {known[0]} may not read it"
        hint = f"Let an owner run: GRANT SELECT ON {source.schema}.{spec.name} TO {known[0]};"
        return broken(spec, place, finding("table.unreadable", message, hint=hint, table=spec.name, file=place))
    columns = [name for name, _ in found]
    texts = [sql.SQL(TYPES.get(kind, "{}::text")).format(sql.Identifier(name)) for name, kind in found]
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(texts), sql.Identifier(source.schema, spec.name))
    if spec.key in columns:
        query += sql.SQL(' ORDER BY {}::text COLLATE "C"').format(sql.Identifier(spec.key))
    return from_rows(spec, place, columns, connection.execute(query), lambda value: "" if value is None else value)
