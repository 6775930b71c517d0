"""Rows that are drafted, and appended to the tables' files without another byte being changed."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from neuropress.converters import list_converter_names, load_converter

from ...config import FILE, Config
from ...model.finding import problem
from ...model.profile import TableSpec
from ...model.toml import format_toml_text, format_toml_value
from ...storage.state import write_atomic
from ...tables import RawParts, RawTable, TableSource, read_tables
from ...tables.raw import choose_part

HIGHEST = 9999


@dataclass(slots=True)
class Draft:
    """A row with what is known of it.

    Attributes
    ----------
    path
        Key of the raw object that it names; empty for none.
    written
        False where the tables are no CSV folder: the row is to be typed in by a person.
    """

    table: str
    lab: str
    key: str
    row: Mapping[str, str]
    path: str = ""
    written: bool = False


class Drafts:
    """The tables as they stand, and the rows that are to be added to them."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.made: list[Draft] = []

    @cached_property
    def _raw(self) -> Mapping[str, RawParts]:
        return read_tables(self.config.tables, self.config.profile)

    def get_raw(self, table: str, lab: str) -> RawTable:
        """A table as it stands where the lab's rows are kept."""
        return choose_part(self._raw[table], self._find_home(lab).label)

    def _find_home(self, lab: str) -> TableSource:
        """The source that has most rows of a lab, or else the first."""
        counts: Counter[str] = Counter()
        for parts in self._raw.values():
            for raw in parts:
                counts[raw.label] += sum(key.startswith(f"{lab}_") for key in _list_keys(raw))
        return max(self.config.tables.parts, key=lambda source: counts[source.label])

    def list_keys(self, table: str) -> list[str]:
        """What stands in a table's key column, in all sources, also of faulty rows."""
        return [key for raw in self._raw[table] for key in _list_keys(raw)]

    def draft(self, table: str, lab: str, cells: Mapping[str, str], *, key: str | None = None, path: str = "") -> Draft:
        """Draft a row; columns that its table's file does not have are left out.

        Raises
        ------
        Problem
            ``add.full``: the lab's numbers are used up.
        """
        raw = self.get_raw(table, lab)
        own = key or self._get_next_key(raw.spec, lab)
        row = dict.fromkeys(raw.columns, "") | {name: text for name, text in cells.items() if name in raw.columns}
        draft = Draft(table, lab, own, row | {raw.spec.key: own}, path)
        self.made.append(draft)
        return draft

    def link(self, table: str, subject: str) -> dict[str, str]:
        """The column of a row that names an animal, and its key."""
        profile = self.config.profile
        for column, targets in profile.tables[table].foreign.items():
            if subject and any(subject.split("_")[1] == profile.tables[target].prefix for target in targets):
                return {column: subject}
        return {}

    def _get_next_key(self, spec: TableSpec, lab: str) -> str:
        """The number after the highest that any row bears, also a faulty one."""
        pattern = re.compile(rf"{lab}_{spec.prefix}_(\d{{4}})")
        highest = max((int(m[1]) for m in map(pattern.fullmatch, self.list_keys(spec.name)) if m), default=0)
        if highest >= HIGHEST:
            message = f"{lab}_{spec.prefix}_{HIGHEST} is taken: the format of the ids ends there"
            raise problem("add.full", message, table=spec.name)
        return f"{lab}_{spec.prefix}_{highest + 1:04d}"

    def write(self) -> None:
        """Append the rows, those that others refer to first."""
        for draft in self.made:
            source, raw = self._find_home(draft.lab), self.get_raw(draft.table, draft.lab)
            plain = source.encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
            draft.written = plain and _append_row(Path(source.location) / f"{draft.table}.csv", raw, draft.row)


def _list_keys(raw: RawTable) -> list[str]:
    position = raw.columns.index(raw.spec.key) if raw.spec.key in raw.columns else 0
    return [row.cells[position] for row in raw.rows if position < len(row.cells)]


def list_converters(table: str) -> list[str]:
    """Names of the converters that read files of a table's rows."""
    return [name for name in list_converter_names() if table in load_converter(name).TABLES]


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


def check_options(config: Config, key: str, options: Mapping[str, Any]) -> None:
    """Refuse other options than those by which a file is read: a person has written these.

    Raises
    ------
    Problem
        ``add.options``.
    """
    known = config.find_options(key)
    if options.items() <= known.items():
        return
    message = f"{FILE} has the options {known or 'none'} for {key}, and here are {dict(options)}"
    raise problem("add.options", message, file=key)


def note_options(config: Config, key: str, options: Mapping[str, Any]) -> None:
    """Append what a person said of a file to ``neuropress.toml``; what stands there stays as it is."""
    if options.items() <= config.find_options(key).items():
        return
    path = config.root / FILE
    lines = [
        f"[options.{format_toml_text(key)}]",
        *(f"{name} = {format_toml_value(options[name])}" for name in options),
    ]
    text = path.read_text("utf-8")
    write_atomic(path, f"{text.rstrip()}\n\n" + "\n".join(lines) + "\n")
