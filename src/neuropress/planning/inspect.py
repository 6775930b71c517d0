"""Raw files of rows that an error withholds: looked at all the same, so that the first check tells everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace

from neuropress.converters import list_converter_names, load_converter

from ..config import Config
from ..model.finding import Finding, Severity
from ..model.record import Record, RowPlace
from ..model.waiver import waive_all
from ..tables import Tables
from .build import inspect_row
from .facts import Facts, compare_row_with_facts
from .targets import Wanted, list_rivals, list_takers, raw_column, raw_key

type CellPlace = tuple[RowPlace, str | None]
"""Row and column."""


def locate_cell(found: Finding) -> CellPlace:
    """The cell that a finding is on."""
    return found.location.row_place, found.location.column


def list_wrong_cells(findings: Iterable[Finding]) -> set[CellPlace]:
    """Cells with an error: what follows from them is not said again."""
    return {locate_cell(found) for found in findings if found.severity is Severity.ERROR}


class RowInspector:
    """Looks at the raw files of rows that no plan looks at, each file with the cells of its row that are sound.

    Parameters
    ----------
    facts
        What headers said when they were collected, in place of the raw files themselves.
    """

    def __init__(self, tables: Tables, config: Config, facts: Facts | None = None) -> None:
        self._tables, self._config, self._facts = tables, config, facts
        self._wrong = list_wrong_cells(tables.findings)
        self.seen: set[CellPlace] = set()
        self.read: set[str] = set()

    def pass_over(self, jobs: Iterable[tuple[str, Record]]) -> None:
        """Leave out rows that a plan has looked at."""
        self.seen |= {(row.row_place, raw_column(name, row)) for name, row in jobs}

    def inspect_jobs(self, jobs: Iterable[tuple[str, Record]]) -> list[Finding]:
        """What is wrong between rows and their raw files; of a cell that is known to be wrong, nothing more."""
        found: list[Finding] = []
        for name, record in jobs:
            place = (record.row_place, raw_column(name, record))
            if place in self.seen:
                continue
            self.seen.add(place)
            errors = self._tables.get_error_columns(record)
            if place in self._wrong or place[1] in errors or not record.cells[raw_column(name, record)].text:
                continue
            if self._facts is None:
                found += inspect_row(name, record, self._config, build=_is_taken_for_sure(record, errors))
            elif len(list_rivals(name, record)) <= 1:  # whose comparisons hold, only the file itself says
                found += compare_row_with_facts(name, record, self._config, self._facts)
        sound = [one for one in found if locate_cell(one) not in self._wrong]
        return waive_all(sound, self._tables.waivers)

    def inspect_rest(self, rows: set[tuple[str, str]] | None = None) -> list[Finding]:
        """The same of all rows that were not looked at yet, or of some (table, key)."""
        return self.inspect_jobs(self.list_jobs(rows))

    def list_jobs(self, rows: set[tuple[str, str]] | None = None) -> Iterator[tuple[str, Record]]:
        """Rows that were not looked at yet, each with a converter that may take it."""
        tables = {table for name in list_converter_names() for table in load_converter(name).TABLES}
        seen = {row_place for row_place, _ in self.seen}  # nearly all rows; asking who takes one costs more
        for table in self._config.profile.tables:
            for record in self._tables.iterate_rows(table) if table in tables else ():
                if record.row_place not in seen and (rows is None or (table, record.key) in rows):
                    yield from ((name, record) for name in list_takers(record)[:1])


def list_expected_keys(tables: Tables, config: Config) -> set[str]:
    """Keys of the raw objects that converters are to read, whether their rows are usable or not."""
    jobs = RowInspector(tables, config).list_jobs()
    return {raw_key(name, row, config.profile) for name, row in jobs}


def _is_taken_for_sure(record: Record, errors: Set[str]) -> bool:
    """Whether the same converters would take the row, whatever its wrong cells meant: a movie is one by frame_rate."""
    other = replace(record, values={**record.values, **dict.fromkeys(errors & record.values.keys(), "?")})
    return not errors or list_takers(other) == list_takers(record)


def leave_out_failed(wanted: Wanted, failed: dict[tuple[str, str], Finding]) -> Wanted | None:
    """A target without the rows that failed; None where there is nothing left to look at."""
    if not failed:
        return None
    return replace(wanted, blocked={**wanted.blocked, **failed}).usable(keep_going=True)


def keep_findings_on_rows(findings: Sequence[Finding], jobs: Iterable[tuple[str, Record]]) -> list[Finding]:
    """Those on the rows themselves: what is said of a session without some of its rows may follow from that."""
    keys = {(row.table, row.key) for _, row in jobs}
    return [found for found in findings if (found.location.table, found.location.key) in keys]
