"""Columns that a table has beyond those that its profile knows: they travel as they stand, where they may be public.

Nobody has said whether such a column is public. So the rule is: in a table that has private columns, it is private;
in the others a cell is withheld that holds a folder of somebody's machine or an e-mail address.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model.finding import Finding, finding
from ..model.profile import TableSpec
from .cells import find_personal_text
from .raw import RawTable, number_names, strip_serial

_WORDS = {"privacy.local_path": "a folder of one machine", "privacy.email": "an e-mail address"}


def is_private_cell(spec: TableSpec, column: str, text: str) -> bool:
    """Whether a cell's text must not leave its table: by its column, or by what stands in an unknown one."""
    column = strip_serial(column)
    if column in spec.private:
        return True
    if not text or column in spec.columns or column in spec.optional:
        return False
    return bool(spec.private or find_personal_text(text))


def check_unknown_columns(table: RawTable) -> Iterator[Finding]:
    """Cells of unknown columns that are withheld for what stands in them."""
    spec = table.spec
    if spec.private:
        return
    known = {*spec.columns, *spec.optional}
    unknown = [
        (place, name) for place, name in enumerate(number_names(table.columns)) if strip_serial(name) not in known
    ]
    for row in table.rows if unknown else ():
        for place, name in unknown:
            text = row.cells[place] if place < len(row.cells) else ""
            for fault in find_personal_text(text)[:1]:
                # Without the text: findings are sent on, and nobody has said that it is public.
                message = f"{name}: {_WORDS[fault.id]} stands in a column that is not known: the cell is in no result"
                yield finding(fault.id, message, line=row.line, column=name, **table.place)
