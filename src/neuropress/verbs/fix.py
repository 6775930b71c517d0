"""Proposals for damaged cells, and taking over those that a person signed.

Tables are never written: signed fixes stand in ``applied_fixes.csv`` beside ``neuropress.toml``
and are laid over the tables whenever these are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..config import Config
from ..model.finding import Finding, Severity, problem
from ..model.plan import digest
from ..model.profile import Profile, TableSpec
from ..model.record import RowPlace, Value
from ..model.report import Outcome, Report
from ..storage.state import lock_dataset, write_atomic
from ..tables import RawTable, Tables, load_tables, read_sources
from ..tables.cells import FlaggedCell, build_cell_parser
from ..tables.fixes import FILE, CellLocator, CellPosition, FixLine, check_fix_text, format_fixes, read_fixes
from ..tables.keys import parse_key_prefix
from ..tables.raw import RawRow
from ..workspace import Workspace

MENDED = ("cell.damaged", "cell.format", "cell.type", "cell.choice", "cell.date", "key.format")
"""Findings on one cell for which a line is made."""


def propose_lines(config: Config) -> list[FixLine]:
    """A line for every cell that is damaged or misspelt; `fix` is blank where it is not certain what was meant."""
    plain = replace(config.tables, fixes="")
    tables = load_tables(plain, config.profile)
    rows: dict[RowPlace, tuple[RawTable, RawRow]] = {}
    for parts in read_sources(plain, config.profile).values():
        rows |= {(raw.spec.name, raw.source, row.line): (raw, row) for raw in parts for row in raw.rows}
    made = []
    for found in tables.findings:
        place, column = found.location.row_place, found.location.column or ""
        if found.id not in MENDED or found.severity is not Severity.ERROR or place not in rows:
            continue
        raw, row = rows[place]
        spec, table = raw.spec, raw.spec.name
        if column in spec.private:
            continue
        text, key = (row.cells[raw.columns.index(name)] for name in (column, spec.key))
        fix = _find_certain_text(text, column, spec, tables, config.profile)
        reason = found.message.removeprefix(f"{column}: ").removeprefix(f"{text!r} is ")
        id = _name_cell(table, key, column, text)
        made.append(FixLine(id, table, key, str(row.line), column, text, fix, reason, found.id, person=""))
    return _drop_repeated_keys(made, config.profile)


def _drop_repeated_keys(lines: Sequence[FixLine], profile: Profile) -> list[FixLine]:
    """The lines without the proposals that would give two rows one key."""
    counts = Counter((line.table, line.column, line.fix) for line in lines)
    kept = []
    for line in lines:
        is_own_key = line.column == profile.tables[line.table].key
        is_repeated = is_own_key and counts[line.table, line.column, line.fix] > 1
        kept.append(replace(line, fix="") if is_repeated else line)
    return kept


def _name_cell(*cell: str) -> str:
    """A name of the damaged cell that a spreadsheet leaves alone."""
    return f"fix-{digest(cell)[:12]}"


def _find_certain_text(text: str, column: str, spec: TableSpec, tables: Tables, profile: Profile) -> str:
    """The right spelling of a cell, as its column says; of a key only where the rows bear it out."""
    proposal = _get_proposal(build_cell_parser(column, spec, profile)(text))
    if not proposal:
        return ""
    if column == spec.key:
        return proposal if proposal not in tables.get_rows(spec.name) else ""
    targets = spec.foreign.get(column, ())
    if targets:
        target = next(t for t in targets if profile.tables[t].prefix == parse_key_prefix(proposal))
        return proposal if proposal in tables.get_rows(target) else ""
    return proposal


def _get_proposal(parsed: Value | FlaggedCell) -> str:
    return parsed.proposal if isinstance(parsed, FlaggedCell) else ""


def propose_fixes(workspace: Workspace, path: Path) -> Report:
    """Write what damaged cells say in their right spelling, as CSV that a person edits and signs.

    Raises
    ------
    Problem
        ``fixes.exists``: the file holds what a person wrote.
    """
    config = workspace.config
    applied = {_content_of(line) for line in read_fixes(config.root / FILE)[0]}
    if path.is_file():
        there, unreadable = read_fixes(path)
        if unreadable or any(line.is_signed and _content_of(line) not in applied for line in there):
            raise problem("fixes.exists", f"{path} holds signed lines, or is no file of proposals", file=str(path))
    cells = {line[:4] for line in applied}
    lines = [line for line in propose_lines(config) if _content_of(line)[:4] not in cells]
    write_atomic(path, format_fixes(lines))
    blank = sum(not line.fix for line in lines)
    summary = f"{len(lines)} cells; {len(lines) - blank} with a proposal, {blank} to be filled in by a person"
    return Report.of("check", [Outcome(str(path), "proposed", summary)], [])


def _content_of(line: FixLine) -> tuple[str, ...]:
    """The cell as it stands, what is to be read instead, and who says so."""
    return line.table, line.key, line.column, line.text, line.fix, line.person.strip()


def apply_fixes(workspace: Workspace, path: Path) -> Report:
    """Take the signed lines of a file over into the dataset; the tables, and the other lines, stay as they are.

    Raises
    ------
    Problem
        ``fixes.none``: there is no such file.
    """
    if not path.is_file():
        raise problem("fixes.none", f"there is no file {path}", file=str(path))
    with lock_dataset(workspace.config.state, "check"):
        return Report.of("check", _apply_fixes(workspace.config, path), [])


def _apply_fixes(config: Config, path: Path) -> list[Outcome]:
    lines, unreadable = read_fixes(path)
    if unreadable:
        return [Outcome(str(path), "not applied", unreadable[0].message, tuple(unreadable))]
    proposals = {line.id: line for line in propose_lines(config)}
    record = config.root / FILE
    before, unreadable = read_fixes(record)
    if unreadable:
        return [Outcome(FILE, "not applied", unreadable[0].message, tuple(unreadable))]
    finder = CellLocator(read_sources(config.tables, config.profile), config.profile, path.name)
    held: dict[CellPosition | str, FixLine] = {}
    for line in before:
        spot = finder.locate_cell(line)
        held[f"line {line.at}" if isinstance(spot, Finding) else spot] = line
    outcomes = []
    for line in (line for line in lines if line.is_signed):
        taken = _restore_line(line, proposals, config.profile)
        name = f"{taken.table} {taken.key or 'line ' + taken.line} {taken.column}"
        spot = finder.locate_cell(taken)
        if not isinstance(spot, Finding):
            spot = check_fix_text(taken, config.profile, path.name) or spot
        if isinstance(spot, Finding):
            outcomes.append(Outcome(name, "not applied", spot.message, (spot,)))
            continue
        known = held.get(spot)
        same = known is not None and _content_of(known) == _content_of(taken)
        held[spot] = taken
        done = "applied already" if same else "applied"
        outcomes.append(Outcome(name, done, f"{taken.text!r} is read as {taken.fix!r} ({taken.person})"))
    write_atomic(record, format_fixes(held.values()))
    return [*outcomes, *_count_unsigned(lines, path)]


def _restore_line(line: FixLine, proposals: Mapping[str, FixLine], profile: Profile) -> FixLine:
    """The line as it was meant: a spreadsheet damages proposals just as it damaged the table.

    The cell is the one that the proposal of this id is about. A fix that was damaged in the
    very way that gives back the proposal is the proposal.
    """
    meant = proposals.get(line.id)
    if meant is None:
        return replace(line, person=line.person.strip())
    spec = profile.tables[meant.table]
    guess = _get_proposal(build_cell_parser(meant.column, spec, profile)(line.fix))
    fix = meant.fix if guess and guess == meant.fix else line.fix
    return replace(meant, fix=fix, reason=line.reason, person=line.person.strip(), at=line.at)


def _count_unsigned(lines: Sequence[FixLine], path: Path) -> list[Outcome]:
    count = sum(not line.is_signed for line in lines)
    summary = f"{count} line{'s' if count != 1 else ''} without a person: nothing is changed by them"
    return [Outcome(str(path), "not signed", summary)] if count else []
