"""Where every cell went: no cell is dropped, and the counts prove it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from neuropress.converters import load_converter

from ..config import Config
from ..model.finding import Finding, finding, problem
from ..model.plan import Field, SourceRow
from ..model.profile import Profile
from ..model.provenance import Provenance
from ..model.record import CellRef
from ..model.report import Report
from ..planning.mappings import collect_rule_sources, find_frame
from ..planning.records import NAME, RowText, is_current, raw_rows, row_text
from ..planning.targets import Wanted, list_rivals
from ..results import KINDS, load_kind
from ..results.fields import find_unmatched_fields
from ..tables import read_tables
from ..workspace import Workspace

type CellId = tuple[str, str, str]
"""Table, key and column."""

FREE_TEXT = "free text"
CLASSES = (*(kind.label for kind in KINDS.values()), FREE_TEXT, "record", "catalogue only", "private", "empty")
"""Fates of a cell, of which each has exactly one, the first that holds.

The label of a kind: it is the value of a field, or one of its values. ``free text``: it stands in a field's text
among other words. ``record``: it travels verbatim in a result; ``catalogue only``: no result holds its row,
so it stands in records.jsonl.
"""


SENTENCES = frozenset({"template", "key_values", "if_named", "lines", "join", "row_and_channel"})
"""Transforms whose value is a text in which cells stand among other words."""


@dataclass(frozen=True, slots=True)
class Place:
    """One place that a cell reached: result file, field (or ``record``), rule and transform."""

    file: str
    field: str
    rule: str = ""
    via: str = ""


@dataclass(frozen=True, slots=True)
class Results:
    """Which cells the current results hold.

    Attributes
    ----------
    takers
        Result, table and key of a row that asks for a converter -> those that may have taken it.
    frames
        Result -> the converter that it begins with, whatever its rows are.
    replaced
        Cells in place of which a result has the header's value; they stand in its record.
    """

    fields: Mapping[CellId, tuple[Place, ...]]
    carried: Mapping[RowText, tuple[str, ...]]
    kinds: Mapping[str, str]
    takers: Mapping[tuple[str, str, str], frozenset[str]]
    frames: Mapping[str, Set[str]]
    replaced: frozenset[CellId] = frozenset()


def read_results(config: Config, current: Iterable[Wanted]) -> Results:
    """Read the provenance of every current result, and see which of its fields the result bears out."""
    fields: dict[CellId, list[Place]] = {}
    carried: dict[RowText, list[str]] = {}
    kinds, frames = {}, {}
    takers: dict[tuple[str, str, str], frozenset[str]] = {}
    replaced: set[CellId] = set()
    for wanted in current:
        path = wanted.target.path
        kinds[path] = wanted.target.kind
        frames[path] = find_frame(wanted)
        # What is promised of an animal or a session binds results that begin with theirs.
        is_without = bool(KINDS[wanted.target.kind].frame) and not frames[path]
        unbound = wanted.records() if is_without else (*wanted.others, *wanted.named)
        takers |= {(path, other.table, other.key): frozenset() for other in unbound}
        for name, job in wanted.jobs:
            row_id = (path, job.table, job.key)
            takers[row_id] = takers.get(row_id, frozenset()) | {*list_rivals(name, job)}
        module = load_kind(wanted.target.kind)
        place = config.locate_result(wanted.target.kind, path)
        made = module.read_provenance(place)
        unmatched = find_unmatched_fields(module, place, made.fields)
        for row in made.records:
            carried.setdefault(row_text(row), []).append(path)
        for cell, reached in _list_reached_cells(made, path):
            if reached.field not in unmatched:
                fields.setdefault(cell, []).append(reached)
        refs = (ref for field in made.fields.values() for ref in field.sources)
        replaced |= {(ref.table, ref.key, ref.column) for ref in refs if ref.origin == "replaced"}
    return Results(
        {cell: tuple(places) for cell, places in fields.items()},
        {row: tuple(paths) for row, paths in carried.items()},
        kinds,
        takers,
        frames,
        frozenset(replaced),
    )


def _list_reached_cells(made: Provenance, path: str) -> Iterator[tuple[CellId, Place]]:
    for name, value in made.fields.items():
        for ref in value.sources:
            if ref.origin in ("cell", "fix"):
                yield (ref.table, ref.key, ref.column), Place(path, name, value.rule, _get_transform(value, ref))


def _get_transform(value: Field, ref: CellRef) -> str:
    """The transform of a field; of words of a list, whether the cell is some of them or stands among other words."""
    if value.via == "split" and isinstance(value.value, list):
        whole = all(part.strip() in value.value for part in ref.text.split(";"))
        return value.via if whole else "template"
    return value.via


@dataclass(frozen=True, slots=True)
class Coverage:
    """The matrix: `counts` maps ``table.column`` to the number of cells in each class."""

    counts: Mapping[str, Mapping[str, int]]
    cells: int
    findings: tuple[Finding, ...]

    def totals(self) -> dict[str, int]:
        """Cells in each class over all columns."""
        return {name: sum(row.get(name, 0) for row in self.counts.values()) for name in CLASSES}

    def best_classes(self) -> dict[str, int]:
        """Columns by the best class that a cell of theirs reached; those without rows are left out."""
        best = [next(name for name in CLASSES if row.get(name)) for row in self.counts.values() if any(row.values())]
        return {name: best.count(name) for name in CLASSES}


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class CoverageReport(Report):
    """A report with the matrix of all columns against where their cells went."""

    coverage: Coverage

    def summary(self) -> str:
        """As of any report; that nothing is wrong means something here."""
        if self.findings:
            return Report.summary(self)
        return f"{self.verb}: every cell is accounted for"


def cover_dataset(workspace: Workspace) -> CoverageReport:
    """The matrix of all columns against where their cells went, and what was lost."""
    current = workspace.current()
    covered = classify_cells(workspace.config, read_results(workspace.config, current))
    there = {wanted.target.path for wanted in current}
    findings = list(covered.findings)
    for wanted in workspace.targets():
        path = wanted.target.path
        if (wanted.jobs or wanted.is_bare) and path not in there:
            findings.append(finding("coverage.stale", f"{path} is missing or not current", file=path))
    if not is_current(workspace.config, current):
        findings.append(finding("coverage.stale", f"{NAME} is missing or not current", file=NAME))
    return CoverageReport("coverage", (), tuple(dict.fromkeys(findings)), coverage=covered)


def find_cell(workspace: Workspace, cell: str) -> list[Place]:
    """Every place that a cell (``mouse.RY_M_0001.weight``) reached. Raises `Problem` where there is no such cell."""
    return list_places(workspace.config, read_results(workspace.config, workspace.current()), cell)


def classify_cells(config: Config, results: Results) -> Coverage:
    """Classify every cell of every table.

    Findings: ``coverage.rule`` for a mapping rule that the profile's `coverage` promises and
    that is gone, ``coverage.lost`` for a cell that must reach a core field of its result and
    does not, ``coverage.sum`` when the counts do not add up.
    """
    counts: dict[str, Counter[str]] = {}
    found: list[Finding] = list(find_lost_rules(config.profile))
    cells = 0
    tables = read_tables(config.tables, config.profile)
    for name, spec in config.profile.tables.items():
        parts = tables[name]
        for column in spec.columns if parts[0].present or not spec.optional_table else ():
            counts[f"{name}.{column}"] = Counter()
        cells += sum(len(row.cells) for table in parts for row in table.rows)
        for row, raw in ((row, raw) for table in parts for row, raw in zip(raw_rows(table), table.rows, strict=True)):
            paths = results.carried.get(row_text(row), ())
            for column, text in zip(row.cells, raw.cells, strict=True):
                held = text and not row.cells[column]  # blanked, because it is or may be private
                fate = "private" if held else _classify_cell(row, column, paths, results)
                counts.setdefault(f"{name}.{column}", Counter())[fate] += 1
                found += _find_lost_cells(row, column, paths, results, config)
    if sum(sum(row.values()) for row in counts.values()) != cells:
        found.append(finding("coverage.sum", f"{cells} cells were read, the matrix counts others"))
    return Coverage(counts, cells, tuple(found))


def find_lost_rules(profile: Profile) -> Iterator[Finding]:
    """Promised rules that no mapping has, or that do not take the promised column any more."""
    there = collect_rule_sources(profile)
    for promised in profile.coverage.values():
        for column, rules in promised.items():
            for rule in rules:
                if (rule, column) not in there:
                    mapping, _, field = rule.partition("/")
                    message = f"mappings/{mapping}.toml does not take {column} to {field} any more"
                    table, _, name = column.partition(".")
                    yield finding("coverage.rule", message, table=table, column=name, expected=rule)


def _classify_cell(row: SourceRow, column: str, paths: Sequence[str], results: Results) -> str:
    if not row.cells[column]:
        return "empty"
    if not paths:
        return "catalogue only"
    places = results.fields.get((row.table, row.key, column), ())
    reached = {results.kinds[place.file] for place in places if place.via not in SENTENCES}
    return next((kind.label for kind in KINDS.values() if kind.name in reached), FREE_TEXT if places else "record")


def _find_lost_cells(
    row: SourceRow, column: str, paths: Sequence[str], results: Results, config: Config
) -> Iterator[Finding]:
    """Cells of carried rows that their profile promises to a core field, and that are in none.

    What a converter's rules promise binds only the rows that it took: of converters among which the file
    itself chose, the one whose rules are found; a row that none took has its record alone.
    """
    if not row.cells[column] or (row.table, row.key, column) in results.replaced:
        return
    places = results.fields.get((row.table, row.key, column), ())
    for path in paths:
        kind = results.kinds[path]
        promised = config.profile.coverage.get(kind, {}).get(f"{row.table}.{column}", ())
        names = results.takers.get((path, row.table, row.key))
        if names is None and not KINDS[kind].frame:  # a row behind it has a result of its own, for which it is promised
            promised = tuple(rule for rule in promised if row.table not in load_converter(_get_mapping(rule)).TABLES)
        if names is not None and len(names) > 1:
            cells = (results.fields.get((row.table, row.key, name), ()) for name in row.cells)
            names = frozenset(place.rule.partition("/")[0] for places_of in cells for place in places_of)
        if names is not None:
            names |= results.frames[path]
            promised = tuple(rule for rule in promised if rule.partition("/")[0] in names)
        if promised and not any(place.file == path for place in places):
            cell = f"{row.table}.{row.key}.{column}"
            message = f"{cell} is in no {KINDS[kind].label} field of {path}; promised are {', '.join(promised)}"
            yield finding(
                "coverage.lost",
                message,
                table=row.table,
                key=row.key,
                column=column,
                value=row.cells[column],
                expected=", ".join(promised),
                file=path,
            )


def _get_mapping(rule: str) -> str:
    return rule.partition("/")[0]


def list_places(config: Config, results: Results, cell: str) -> list[Place]:
    """Every place that one cell (``mouse.RY_M_0001.weight``) reached, records included.

    Raises
    ------
    Problem
        ``coverage.no_cell``: the tables have no such cell.
    """
    table, _, rest = cell.partition(".")
    key, _, column = rest.rpartition(".")
    tables = read_tables(config.tables, config.profile)
    named = config.profile.tables[table].key if table in tables else ""
    everything = (row for part in tables.get(table, ()) for row in raw_rows(part))
    rows = [row for row in everything if key in (row.key, row.cells.get(named))]
    if not any(column in row.cells for row in rows):
        raise problem("coverage.no_cell", f"the tables have no cell {cell}; it is written table.key.column", value=cell)
    spec = config.profile.tables[table]
    is_known = column in (*spec.columns, *spec.optional)
    if column in spec.private or not (is_known or any(row.cells.get(column) for row in rows)):
        return []
    paths = dict.fromkeys(path for row in rows for path in results.carried.get(row_text(row), (NAME,)))
    reached = (place for row in rows for place in results.fields.get((table, row.key, column), ()))
    places = [place for place in dict.fromkeys(reached) if place.file in paths]
    return places + [Place(path, "record, verbatim") for path in paths]
