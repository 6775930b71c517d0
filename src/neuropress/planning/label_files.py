"""Which masks and points a volume has, by what a person stated, and the rows of tables that name their files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from neuropress.converters import load_converter

from ..model.labels import LabelFile, find_label_files
from ..model.profile import Profile
from ..model.record import Record
from ..tables import Tables, normalise_key


def list_label_files(
    record: Record, converters: Iterable[str], profile: Profile
) -> Iterator[tuple[LabelFile, str, str]]:
    """Masks and points of a row's volume with the keys of each and of its classes (empty for none); none of a blank
    cell."""
    if not any(getattr(load_converter(name), "HAS_LABELS", False) for name in converters):
        return
    for _, one in sorted(find_label_files(profile.labels, record.key).items()):
        cell = record.cells.get(one.column)
        path = one.path or (cell.text if cell else "")
        if path:
            yield one, normalise_key(path, profile), normalise_key(one.classes, profile) if one.classes else ""


class RowsByFile:
    """Rows by the files that they name, for masks and points of which a table says more (which program found them)."""

    def __init__(self, tables: Tables, profile: Profile) -> None:
        self._tables, self._profile = tables, profile

    def list_rows(self, record: Record, converter: str) -> tuple[Record, ...]:
        """Other rows than the volume's own that name its masks or points."""
        found = []
        for _, key, _ in list_label_files(record, (converter,), self._profile):
            found += [row for row in self._rows.get(key, ()) if row is not record and row not in found]
        return tuple(found)

    @cached_property
    def _rows(self) -> dict[str, list[Record]]:
        rows: dict[str, list[Record]] = {}
        for table, spec in self._profile.tables.items():
            for record in self._tables.records.get(table, {}).values():
                texts = (record.cells[column].text for column in spec.paths if column in record.cells)
                for key in dict.fromkeys(normalise_key(text, self._profile) for text in texts if text):
                    rows.setdefault(key, []).append(record)
        return rows
