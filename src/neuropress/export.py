"""``export-tables``: the metadata tables again, from results and ``records.jsonl`` alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from .config import DEFAULT_PROFILE, FILE, load_config
from .model.finding import Finding, Problem, finding, problem
from .model.plan import SourceRow
from .model.profile import Profile, TableSpec, load_profile
from .model.provenance import Provenance
from .records import NAME, Records, parse_records, raw_rows
from .release import is_release, open_release
from .state import write_atomic
from .tables import read_tables
from .writers import writer
from .writers.nwb import stream_provenance


@dataclass(slots=True)
class Gathered:
    """All rows of an output folder or a release, and what was wrong with it."""

    profile: str = DEFAULT_PROFILE
    rows: dict[tuple[str, str, tuple[tuple[str, str], ...]], SourceRow] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    results: int = 0

    def add(self, rows: Iterable[SourceRow]) -> None:
        """Take rows; the same row from two results is one."""
        for row in rows:
            self.rows.setdefault((row.table, row.key, tuple(sorted(row.cells.items()))), row)


def gather(source: str, number: str | None = None, endpoint: str | None = None) -> Gathered:
    """All rows that a dataset, an output folder or a release carries.

    Raises
    ------
    Problem
        ``export.nothing``: the source is none of these.
    """
    folder = Path(source)
    if (folder / FILE).is_file():
        folder = load_config(folder).output
    if (folder / NAME).is_file() and not (folder / "releases").is_dir():
        return _from_output(folder)
    if "://" in source or is_release(source, endpoint):
        return _from_release(source, number, endpoint)
    raise problem(
        "export.nothing", f"{source} is no dataset, no output folder with a {NAME}, and no release", file=source
    )


def _from_output(folder: Path) -> Gathered:
    records = parse_records((folder / NAME).read_text("utf-8"), str(folder / NAME))

    def read(path: str) -> Provenance:
        return writer("ome-zarr" if path.endswith(".zarr") else "nwb").read_provenance(folder / path)

    return _gathered(records, read)


def _from_release(url: str, number: str | None, endpoint: str | None) -> Gathered:
    with TemporaryDirectory() as scratch, open_release(url, number, endpoint) as release:
        text = release.read(NAME)
        records = parse_records(text.decode("utf-8"), f"{url}/{NAME}")

        def read(path: str) -> Provenance:
            if not path.endswith(".zarr"):
                return stream_provenance(release.open(path), Path(path))
            folder = Path(scratch) / "volume.ome.zarr"
            folder.mkdir(exist_ok=True)
            (folder / "zarr.json").write_bytes(release.read(path, "zarr.json"))
            return writer("ome-zarr").read_provenance(folder)

        return _gathered(records, read)


def _gathered(records: Records, read: Callable[[str], Provenance]) -> Gathered:
    found = Gathered(records.profile)
    for path, digest in records.results.items():
        try:
            made = read(path)
        except Problem as bad:
            found.findings.append(bad.finding.at(file=path))
            continue
        if made.receipt.rows != digest:
            message = f"{path} was made from other rows than {NAME} says"
            found.findings.append(finding("export.differs", message, file=path))
        found.results += 1
        found.add(made.records)
    found.add(records.rows)
    return found


def export_tables(found: Gathered, to: Path, profile: Profile) -> Mapping[str, int]:
    """Write ``<table>.csv`` for every table of the profile, in canonical form.

    Returns
    -------
    mapping
        Table -> number of rows.
    """
    counts = {}
    for name, spec in profile.tables.items():
        rows = [row for row in found.rows.values() if row.table == name]
        write_atomic(to / f"{name}.csv", canonical_csv(spec, rows))
        counts[name] = len(rows)
    return counts


def canonical_csv(spec: TableSpec, rows: Iterable[SourceRow]) -> str:
    """Canonical form of a table: LF, published column order, sorted by key, private columns blank.

    Columns that only some rows have (optional or unknown ones) come after the published ones.
    """
    ordered = sorted(rows, key=lambda row: (row.key, sorted(row.cells.items())))
    there = {column for row in ordered for column in row.cells}
    columns = [*spec.columns, *(c for c in spec.optional if c in there)]
    columns += sorted(there - set(columns))
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(columns)
    for row in ordered:
        lines.writerow([row.cells.get(column, "") for column in columns])
    return text.getvalue()


def canonical_tables(folder: Path, profile: Profile) -> Iterator[tuple[str, str]]:
    """Canonical form of the tables in a folder, to compare an export with."""
    for name, table in read_tables(folder, profile).items():
        distinct = {tuple(sorted(row.cells.items())): row for row in raw_rows(table)}
        yield name, canonical_csv(table.spec, distinct.values())


def profile_of(found: Gathered, folder: Path | None = None) -> Profile:
    """The profile that the rows were typed for.

    Raises
    ------
    Problem
        ``export.profile``: it is neither shipped nor in the folder.
    """
    try:
        return load_profile(found.profile, folder)
    except FileNotFoundError:
        message = f"the tables belong to profile {found.profile!r}, which is not here"
        raise problem("export.profile", message, value=found.profile) from None
