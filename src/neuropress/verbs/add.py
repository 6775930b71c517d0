"""``neuropress add``: a day's files to their place, and a drafted row for each."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from neuropress.converters import list_converter_names, load_converter, load_profile_mapping

from ..config import Config
from ..model.content import Content, Image, Recording
from ..model.finding import Problem, problem
from ..model.profile import Profile, TableSpec
from ..model.report import Outcome, Report
from ..model.source import Source, check_key
from ..readers import raw as raw_objects
from ..storage.files import digest_file
from ..storage.roots import Folder
from ..storage.state import lock_dataset, write_atomic
from ..tables import RawTable, Tables, list_row_problems, read_tables
from ..workspace import Workspace

HIGHEST = 9999


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a person says about the files: lab and session, or for EM and micro-CT mouse and date."""

    lab: str
    session: str | None = None
    table: str | None = None
    mouse: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """One file or folder in its place, with its drafted row.

    Attributes
    ----------
    written
        False where the tables are no CSV folder: the row is to be typed in by a person.
    missing
        What the row still lacks, one sentence a column.
    """

    key: str
    sha256: str
    table: str
    row: Mapping[str, str]
    written: bool
    missing: tuple[str, ...]


def add_file(config: Config, tables: Tables, path: Path, occasion: Occasion) -> Added:
    """Copy one file or folder to its place and draft its row; the original is only read.

    Raises
    ------
    Problem
        ``add.*``, or what the reader says of a bad file. Nothing is left behind then.
    OSError
        The copy failed.
    """
    if occasion.lab not in config.profile.labs:
        known = ", ".join(config.profile.labs)
        raise problem("add.occasion", f"there is no lab {occasion.lab}; known: {known}", value=occasion.lab)
    contents = _read_contents(path)
    spec = config.profile.tables[_choose_table(contents, occasion, config)]
    date = _find_day(tables, spec, occasion, config)
    lab = config.profile.labs[occasion.lab]
    key = f"{lab.folder}/{date}/{spec.name}/raw/{path.name}"
    check_key(key)
    raw = read_tables(config.tables, config.profile)[spec.name]
    row = _draft_row(raw, config.profile, contents, key + ("/" if path.is_dir() else ""), occasion, date)
    sha256 = _copy_files(path, _first_folder(config) / key, key)
    plain = config.tables.encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
    written = plain and _append_row(Path(config.tables.location) / f"{spec.name}.csv", raw, row)
    missing = tuple(list_row_problems(spec, row, config.profile))
    return Added(key, sha256, spec.name, row, written, missing)


def _first_folder(config: Config) -> Path:
    """The source root that new files are put into: raw files in a bucket are only read."""
    folder = next((root for root in config.roots if isinstance(root, Path)), None)
    if folder is None:
        message = "all source roots are buckets, which are never written"
        raise problem("add.occasion", message, hint="Name a folder under [source] roots in neuropress.toml.")
    return folder


def _read_contents(path: Path) -> tuple[Content, ...]:
    if not path.exists():
        raise problem("file.missing", f"{path} does not exist", file=str(path))
    source = Source(path.name + ("/" if path.is_dir() else ""), Folder(path.resolve().parent))
    contents = raw_objects.read(source)
    for content in contents:
        content.close()
    return contents


def _choose_table(contents: tuple[Content, ...], occasion: Occasion, config: Config) -> str:
    """The table that a person named, else the one of the content's kind."""
    kinds = {Recording: "ephys", Image: "image"}
    table = occasion.table or next((kinds[kind] for kind in kinds if isinstance(contents[0], kind)), "")
    if not table:
        known = ", ".join(name for name in config.profile.tables if _list_converters(name))
        message = f"a file of the format {contents[0].format} may belong to several tables"
        raise problem("add.occasion", message, hint=f"Name the table of its row: --table (one of {known}).")
    if table not in config.profile.tables or not _list_converters(table):
        raise problem("add.occasion", f"no file can be added to table {table!r}", value=table)
    spec = config.profile.tables[table]
    if occasion.lab not in spec.labs:
        message = f"lab {occasion.lab} keeps no table {table} (labs that do: {', '.join(spec.labs)})"
        raise problem("add.occasion", message, value=occasion.lab)
    return table


def _list_converters(table: str) -> list[str]:
    return [name for name in list_converter_names() if table in load_converter(name).TABLES]


def _find_day(tables: Tables, spec: TableSpec, occasion: Occasion, config: Config) -> str:
    """Day of the session, or the stated one."""
    if "session_id" not in spec.columns:
        if not occasion.mouse or not re.fullmatch(r"\d{8}", occasion.date or ""):
            raise problem("add.occasion", f"table {spec.name} has no session: say --mouse ID and --date YYYYMMDD")
        if occasion.mouse not in tables.records.get("mouse", {}):
            raise problem("add.occasion", f"there is no mouse {occasion.mouse}", value=occasion.mouse)
        return str(occasion.date)
    session = tables.records.get("session", {}).get(occasion.session or "")
    if session is None or session.values["session_date"] is None:
        raise problem("add.occasion", f"there is no session {occasion.session}", value=occasion.session)
    if session.lab != occasion.lab:
        message = f"session {session.key} belongs to lab {session.lab}, not to {occasion.lab}"
        raise problem("add.occasion", message, value=occasion.lab)
    return str(session.values["session_date"])


def _draft_row(
    raw: RawTable, profile: Profile, contents: tuple[Content, ...], key: str, occasion: Occasion, date: str
) -> dict[str, str]:
    """A row with what is known: its key, its session, its path, and what the header says."""
    spec = raw.spec
    row = dict.fromkeys(spec.columns, "")
    row[spec.key] = _next_key(raw, spec, occasion.lab)
    names = _list_converters(spec.name)
    row[load_converter(names[0]).COLUMN[spec.name]] = key
    for column, value in (("session_id", occasion.session), ("mouse_id", occasion.mouse), ("start_date", date)):
        if column in row and (column != "mouse_id" or "session_id" not in row):
            row[column] = value or ""
    facts = contents[0].facts if len(contents) == 1 else {}
    for name in names:
        for rule in load_profile_mapping(name, profile).compare:
            if rule.column in row and rule.scale == "1" and rule.fact in facts:
                row[rule.column] = facts[rule.fact]
    return row


def _next_key(raw: RawTable, spec: TableSpec, lab: str) -> str:
    """The number after the highest that any row bears, also a faulty one."""
    pattern = re.compile(rf"{lab}_{spec.prefix}_(\d{{4}})")
    position = raw.columns.index(spec.key) if spec.key in raw.columns else 0
    texts = (row.cells[position] for row in raw.rows if position < len(row.cells))
    highest = max((int(m[1]) for m in map(pattern.fullmatch, texts) if m), default=0)
    if highest >= HIGHEST:
        message = f"{lab}_{spec.prefix}_{HIGHEST} is taken: the format of the ids ends there"
        raise problem("add.full", message, table=spec.name)
    return f"{lab}_{spec.prefix}_{highest + 1:04d}"


def _copy_files(path: Path, target: Path, key: str) -> str:
    """Copy under a temporary name, compare digests, rename; returns the digest of a file (of a folder: the last)."""
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
        partial = copy.with_name(f"{copy.name}.{os.getpid()}.partial")
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


def _append_row(path: Path, raw: RawTable, row: Mapping[str, str]) -> bool:
    """Append the row to a CSV in the file's own delimiter, line end and column order; no other byte changes."""
    if not path.is_file() or raw.findings:
        return False
    data = path.read_bytes()
    text = data.decode("utf-8")
    header = text.removeprefix("\ufeff").splitlines()[0]
    delimiter = max(",;\t|", key=header.count)
    end = "\r\n" if "\r\n" in text else "\n"
    line = io.StringIO(newline="")
    csv.writer(line, delimiter=delimiter, lineterminator=end).writerow([row.get(c, "") for c in raw.columns])
    whole = text if text.endswith(("\n", "\r")) else text + end
    write_atomic(path, whole + line.getvalue())
    return True


def add_files(workspace: Workspace, paths: Iterable[Path], occasion: Occasion) -> Report:
    """Copy raw files (or folders of slices) to their place and draft a row for each.

    Nothing is invented: what only a person knows stays blank, and the outcome names it.
    """
    with lock_dataset(workspace.config.state, "add"):
        # Each file adds a row, whose key the next one must not take.
        outcomes = [_add_one(workspace.reload(), path, occasion) for path in paths]
    return Report.of("add", outcomes, [])


def _add_one(workspace: Workspace, path: Path, occasion: Occasion) -> Outcome:
    config = workspace.config
    try:
        added = add_file(config, workspace.tables, path, occasion)
    except Problem as bad:
        return Outcome(str(path), "not added", bad.finding.message, (bad.finding,))
    key = added.row[config.profile.tables[added.table].key]
    facts = {"key": added.key, "sha256": added.sha256, "row": dict(added.row), "missing": list(added.missing)}
    lacks = "; ".join(added.missing) or "nothing is missing"
    done = "added" if added.written else "type this row"
    return Outcome(f"{added.table} {key}", done, f"{added.key}; {lacks}", (), facts)
