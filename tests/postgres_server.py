"""A PostgreSQL server of our own for tests, and roles that may only read."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of our own on a loopback port; NEUROPRESS_TEST_POSTGRES names another."""
    given_url = os.environ.get("NEUROPRESS_TEST_POSTGRES")
    if given_url:
        yield given_url
        return
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not binaries:
        pytest.skip("postgres is not installed")
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        as_user: list[str] = []
        if os.getuid() == 0:
            as_user = ["runuser", "-u", "postgres", "--"]
            shutil.chown(name, "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/"}
        initdb, pg_ctl = binaries[-1], binaries[-1].with_name("pg_ctl")
        subprocess.run([*as_user, str(initdb), "-D", str(data), "-U", "tester", "-A", "trust"], **quiet)  # type: ignore[call-overload]
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        start = [*as_user, str(pg_ctl), "-D", str(data), "-w", "-l", f"{data}.log", "-o", options, "start"]
        subprocess.run(start, **quiet)  # type: ignore[call-overload]
        try:
            yield f"postgresql://tester:planted-secret@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([*as_user, str(pg_ctl), "-D", str(data), "-m", "immediate", "stop"], **quiet)  # type: ignore[call-overload]


def as_reader(url: str, schema: str, role: str = "reader") -> str:
    """The same database for a role that may only read a schema."""
    parts = urlsplit(url)
    with psycopg.connect(url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
            connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{parts.password}'")  # type: ignore[arg-type]
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")  # type: ignore[arg-type]
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}")  # type: ignore[arg-type]
    return parts._replace(netloc=f"{role}:{parts.password}@{parts.hostname}:{parts.port}").geturl()
