"""``facts.jsonl``: what raw files' headers say, so that tables can be checked where no raw file lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from neuropress.converters import list_converter_names, load_converter, load_profile_mapping

from ..checks.headers import compare_cells
from ..config import Config
from ..model.budget import LINE_CHARS, LINES_BYTES, SHOWN_CHARS, read_file
from ..model.content import Content
from ..model.finding import Finding, Problem, problem
from ..model.parsing import parse_json
from ..model.plan import canonical
from ..model.profile import Profile
from ..model.record import Record
from .build import open_rows
from .targets import Wanted, raw_key

FILE = "facts.jsonl"

type Facts = Mapping[str, Mapping[str, str]]
"""Key of a raw object -> its header facts."""


def collect_facts(config: Config, targets: Iterable[Wanted]) -> tuple[str, int, list[Finding]]:
    """Facts of every raw object that a row names, as JSON Lines sorted by key.

    Returns
    -------
    text, objects, findings
        The file's text, the number of its lines, and what kept other objects from being read.
    """
    lines: dict[str, str] = {}
    findings: list[Finding] = []
    for wanted in targets:
        for name, record in wanted.jobs:
            key = raw_key(name, record, config.profile)
            try:
                with open_rows(name, record, config) as contents:
                    facts = dict(contents[0].facts) if len(contents) == 1 else {}
                    lines[key] = canonical({"key": key, "format": contents[0].format, "facts": facts})
            except Problem as bad:
                findings.append(bad.finding.at(**record.place()))
    return "".join(lines[key] + "\n" for key in sorted(lines)), len(lines), findings


def read_header_cells(table: str, contents: Sequence[Content], profile: Profile) -> dict[str, str]:
    """Cells of a row that its file's header states in the column's own unit; none where it holds several images."""
    facts = contents[0].facts if len(contents) == 1 else {}
    cells = {}
    for name in list_converter_names():
        if table not in load_converter(name).TABLES:
            continue
        for rule in load_profile_mapping(name, profile).compare:
            if rule.scale == "1" and rule.fact in facts and (not rule.tables or table in rule.tables):
                cells[rule.column] = facts[rule.fact]
    return cells


def load_facts(folder: Path) -> Facts:
    """The facts of a dataset; none without the file. Raises `Problem` (``facts.unreadable``)."""
    try:
        lines = read_file(folder / FILE, LINES_BYTES).decode("utf-8").split("\n")
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise problem("facts.unreadable", f"{FILE} cannot be read: {error}", file=FILE) from error
    found: dict[str, Mapping[str, str]] = {}
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                key, facts = _parse_line(line)
                found[key] = facts
        except ValueError as error:
            message = f"{FILE} line {number} cannot be read: {error}"
            raise problem("facts.unreadable", message, file=FILE, line=number) from error
    return found


def _parse_line(line: str) -> tuple[str, Mapping[str, str]]:
    """Key and facts of one line. Raises `ValueError`."""
    entry = parse_json(line, LINE_CHARS)
    key, facts = (entry.get("key"), entry.get("facts")) if isinstance(entry, dict) else (None, None)
    if not isinstance(key, str) or not isinstance(facts, dict):
        raise ValueError("it is not an object with a key (a text) and facts (an object)")
    for name, fact in facts.items():
        if not isinstance(fact, str) or len(fact) > SHOWN_CHARS:
            raise ValueError(f"the fact {name[:80]!r} is not a text of at most {SHOWN_CHARS} characters")
    return key, facts


def compare_row_with_facts(name: str, record: Record, config: Config, facts: Facts) -> list[Finding]:
    """Cells of a row that a converter takes against the facts, without opening a raw file."""
    key = raw_key(name, record, config.profile)
    rules = [c for c in load_profile_mapping(name, config.profile).compare if not c.tables or record.table in c.tables]
    return compare_cells(record, rules, facts.get(key, {}), key)
