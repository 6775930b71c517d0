"""Files that rows name and no converter takes: the row's result keeps account of them, and a release holds them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from neuropress.converters import is_keeping, load_converter

from ..config import Config
from ..model.finding import Finding, Problem, Severity, finding
from ..model.plan import Field, KeptFile, Node
from ..model.privacy import hide_for
from ..model.profile import Profile
from ..model.record import CellRef, Record
from ..model.source import Source, SourceRoots
from ..results import KINDS
from ..tables import normalise_key
from .clocks import check_clock_options
from .labels import list_label_keys
from .targets import SESSION, Wanted, find_kept_title, list_takers

NOTES = "data_collection"
"""Field of a session's file that names files of which the session has no object."""
ROOT = "/"


@dataclass(frozen=True, slots=True)
class KeptCell:
    """A path cell whose file no converter takes."""

    record: Record
    column: str
    key: str

    @property
    def what(self) -> str:
        """What the file is, as its converter or else its column says it."""
        return find_kept_title(self.record) or self.column.removeprefix("file_path_")


def list_kept_cells(wanted: Wanted, profile: Profile) -> list[KeptCell]:
    """Path cells of a result's own rows that none of its converters reads, from the tables alone.

    Of volumes that belong to no session, terabytes of processed slices are left to the release, which digests them.
    """
    kind = KINDS[wanted.target.kind]
    jobs = dict.fromkeys((record.table, record.key) for _, record in wanted.jobs)
    rows = {(row.table, row.key): row for row in (*(row for _, row in wanted.jobs), *wanted.others)}
    cells: list[KeptCell] = []
    labels = list_label_keys(wanted, profile)
    for row_id, row in sorted(rows.items()):
        if kind.units and SESSION not in row.parents:
            continue
        columns: Iterable[str] = profile.tables[row.table].paths
        taken = {load_converter(name).COLUMN[row.table] for name in list_takers(row) if not is_keeping(name)}
        if row_id not in jobs and list_takers(row):
            columns = {load_converter(name).COLUMN[row.table] for name in list_takers(row)}
            taken = set()  # it has a result of its own, which keeps the others
        cells += [cell for column in columns if column not in taken for cell in _list_cell(row, column, profile)]
    return [cell for cell in cells if cell.key not in labels]


def _list_cell(row: Record, column: str, profile: Profile) -> Iterator[KeptCell]:
    text = row.cells[column].text if column in row.cells else ""
    if text and column not in profile.tables[row.table].private:
        yield KeptCell(row, column, normalise_key(text, profile))


def list_kept_keys(wanted: Wanted, profile: Profile, roots: SourceRoots) -> set[str]:
    """Keys of the kept files that are there: what is missing is in no result."""
    found = set()
    for cell in list_kept_cells(wanted, profile):
        try:
            roots.locate(cell.key)
        except Problem:
            continue
        found.add(cell.key)
    return found


def check_kept_clocks(cells: Iterable[KeptCell], config: Config) -> Iterator[Finding]:
    """Clocks that are declared of kept files, which have no time that they could shift."""
    for cell in cells:
        place = cell.record.place(cell.column)
        yield from check_clock_options(cell.key, config.find_options(cell.key), "it is kept as it is", place)


@dataclass(frozen=True, slots=True)
class Keeping:
    """Kept files that could be looked at, their sources, and what is wrong with the others."""

    files: tuple[KeptFile, ...]
    sources: tuple[Source, ...]
    findings: tuple[Finding, ...]


def keep_files(cells: Iterable[KeptCell], roots: SourceRoots, profile: Profile) -> Keeping:
    """Look for each kept file, and whether it can be read; its content is not looked at."""
    files, sources, findings = [], [], []
    for cell in cells:
        try:
            source = roots.locate(cell.key)
            _touch_files(source)
        except Problem as bad:
            findings.append(make_lacking_finding(bad, cell.record, cell.column, profile))
            continue
        except PermissionError as refused:
            message = f"{cell.key} cannot be read ({refused.strerror}), so the result says nothing of its content"
            place = cell.record.place(cell.column)
            findings.append(hide_for(finding("file.unreadable", message, file=cell.key, **place), profile))
            continue
        sources.append(source)
        row = cell.record.ref(profile.tables[cell.record.table].key)
        files.append(KeptFile(cell.key, cell.what, cell.record.ref(cell.column), row))
    return Keeping(tuple(files), tuple(sources), tuple(findings))


def _touch_files(source: Source) -> None:
    """Take the stamps of all files of an object, and open the first."""
    folder = source.key.rstrip("/")
    keys = [f"{folder}/{path}" if path else folder for path in source.files()]
    for key in keys:
        source.stamp(key)
    for key in keys[:1]:
        source.open(key).close()


def make_lacking_finding(bad: Problem, record: Record, column: str, profile: Profile) -> Finding:
    """A file beside the data that is not there: a warning, since nothing is withheld for it."""
    message = f"{bad.finding.message}; it is not the data file, so nothing is withheld"
    file, where = bad.finding.location.file, record.place(column)
    return hide_for(finding(bad.finding.id, message, severity=Severity.WARNING, file=file, **where), profile)


def place_kept_files(
    files: Sequence[KeptFile], nodes: Sequence[Node], sources: Mapping[tuple[str, str], Collection[str]]
) -> tuple[tuple[KeptFile, ...], tuple[Node, ...]]:
    """Choose fields of a session that are to name each kept file: those of the objects that its row made, or the notes.

    Parameters
    ----------
    sources
        Table and key of a row -> keys of its raw objects that were converted.
    """
    made = {node.path: node for node in nodes}
    placed = []
    for one in files:
        raw = sources.get((one.cell.table, one.cell.key), ())
        fields = list(_list_places(made.values(), raw))
        what, cells = one.what, [one.cell]
        if not fields:  # nothing but the line itself says whose it is
            fields, what, cells = [(ROOT, NOTES)], f"{one.what} of {one.cell.key}", [one.cell, one.row]
        for path, name in fields:
            made[path] = _add_sources(made[path], name, cells)
        places = tuple(f"{path.rstrip('/')}/{name}" for path, name in fields)
        placed.append(replace(one, what=what, places=places))
    return tuple(placed), tuple(made.values())


def _list_places(nodes: Iterable[Node], raw: Collection[str]) -> Iterator[tuple[str, str]]:
    """Path and field of each object with arrays of these raw objects: comments of a series, else its description."""
    for node in nodes:
        if node.graft or not any(spec.source in raw for spec in node.arrays.values()):
            continue
        if "data" in node.arrays:
            yield node.path, "comments"
        elif "description" in node.fields:
            yield node.path, "description"


def _add_sources(node: Node, name: str, cells: Sequence[CellRef]) -> Node:
    known = node.fields.get(name) or Field("", f"kept:{name}")
    sources = tuple(dict.fromkeys((*known.sources, *cells)))
    return replace(node, fields={**node.fields, name: replace(known, via="join", sources=sources)})
