"""``explain FILE`` in a page, and ``coverage`` as a table of 80 columns or as HTML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from ..results import KINDS
from ..verbs.coverage import CLASSES, Coverage
from ..verbs.explain import Explanation

ORIGINS = {
    "cell": "from cells",
    "fix": "from signed corrections",
    "header": "from headers",
    "default": "dataset defaults",
    "constant": "constants of mappings",
    "export": "as exported",
    "replaced": "from headers",
}
EXPLAINED = (
    f"{', '.join(kind.label for kind in KINDS.values())}: the value of a field, looked up in the result",
    "free text: among other words in a field of the standard",
    "record: verbatim in a result, in no field",
    "catalogue only: verbatim in records.jsonl, no result carries its row",
    "private: never leaves",
)


def summarize_explanations(file: str, explanations: Sequence[Explanation]) -> Iterator[str]:
    """A line an object; objects with the same fields that differ in a number only, as sweeps do, share one."""
    if not explanations:
        yield f"{file} states no field and no array"
        return
    first = explanations[0]
    yield f"{file}: written by neuropress {first.version}, profile {first.profile}"
    yield f"{_describe_origins(explanations)}"
    objects: dict[str, list[Explanation]] = {}
    for one in explanations:
        objects.setdefault(one.path.rpartition("/")[0] or "/", []).append(one)
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for path, members in objects.items():
        names = tuple(sorted(one.path.rpartition("/")[2] for one in members))
        alike.setdefault((re.sub("[0-9]+", "#", path), names), []).append(path)
    for paths in alike.values():
        more = f" and {len(paths) - 1} like it" if len(paths) > 1 else ""
        yield f"  {paths[0]}{more}: {_describe_members(objects[paths[0]])}"
    for one in explanations:
        if one.unmatched:
            yield f"NOT in the result as stated: {one.path}: {one.unmatched}"
    yield f"neuropress explain {file} FIELD says where a value came from (subject/species); --all says it of all."


def _describe_origins(explanations: Sequence[Explanation]) -> str:
    """How many fields there are, and of what they were made; a field of several kinds of sources counts in each."""
    fields = [one.field for one in explanations if one.field]
    counts: Counter[str] = Counter()
    for field in fields:
        counts.update({ORIGINS[ref.origin] for ref in field.sources} or {"by the software itself"})
    parts = ", ".join(f"{number} {what}" for what, number in counts.most_common())
    arrays = [one.array for one in explanations if one.array]
    raw = sorted({array.spec.source for array in arrays})
    of_files = (
        f"; {len(arrays)} arrays from {', '.join(raw[:3])}{' and more' if len(raw) > 3 else ''}" if arrays else ""
    )
    return f"{len(fields)} fields: {parts}{of_files}"


def _describe_members(members: Sequence[Explanation]) -> str:
    names = [one.path.rpartition("/")[2] for one in members]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def format_coverage(covered: Coverage) -> Iterator[str]:
    """The matrix, one line a column below its table's name; classes that no cell is in are left out."""
    totals, best = covered.totals(), covered.best_classes()
    used = [name for name in CLASSES if totals.get(name) or best.get(name)]
    words = {name: re.split("[ -]", name) for name in used}
    widths = {name: max(6, *map(len, parts)) + 1 for name, parts in words.items()}
    tables = _group_by_table(covered)
    label = max([len(column) for columns in tables.values() for column in columns] + [18]) + 2
    for row in range(2):
        cells = "".join(f"{parts[row] if row < len(parts) else '':>{widths[name]}}" for name, parts in words.items())
        yield " " * label + cells
    for table, columns in tables.items():
        yield table
        for column, counts in columns.items():
            yield f"  {column:{label - 2}}" + _format_counts(counts, widths)
    yield f"{'all cells':{label}}" + _format_counts(totals, widths)
    yield f"{'columns by best':{label}}" + _format_counts(best, widths)
    yield ""
    without = sorted({column.partition(".")[0] for column in covered.counts} - tables.keys())
    if without:
        yield f"without rows: {', '.join(without)}"
    yield from (f"{line}." for line in EXPLAINED)
    yield f"Each cell is counted once, the first that holds; {covered.cells} cells were read."


def _group_by_table(covered: Coverage) -> dict[str, dict[str, Mapping[str, int]]]:
    """Table -> column -> counts, of tables that have rows."""
    tables: dict[str, dict[str, Mapping[str, int]]] = {}
    for name, counts in covered.counts.items():
        table, _, column = name.partition(".")
        tables.setdefault(table, {})[column] = counts
    return {table: columns for table, columns in tables.items() if any(map(len, columns.values()))}


def _format_counts(counts: Mapping[str, int], widths: Mapping[str, int]) -> str:
    return "".join(f"{counts.get(name, 0) or '-':>{width}}" for name, width in widths.items())


def format_coverage_html(covered: Coverage, title: str) -> str:
    """The same as a page that stands alone."""
    head = "".join(f"<th>{escape(name)}</th>" for name in CLASSES)
    rows = []
    for table, columns in _group_by_table(covered).items():
        rows.append(f'<tr><th colspan="{len(CLASSES) + 1}" class="table">{escape(table)}</th></tr>')
        rows += [_format_html_row(column, counts) for column, counts in columns.items()]
    rows.append(_format_html_row("all cells", covered.totals()))
    rows.append(_format_html_row("columns by their best", covered.best_classes()))
    notes = "".join(f"<li>{escape(line)}</li>" for line in EXPLAINED)
    style = (
        "body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}"
        "td,th{padding:.2em .6em;text-align:right;border-bottom:1px solid #ddd}"
        "td:first-child,.table{text-align:left}.table{background:#eee}"
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{style}</style>"
        f"<h1>{escape(title)}</h1><p>{covered.cells} cells were read; each is counted once.</p>"
        f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table><ul>{notes}</ul></html>\n"
    )


def _format_html_row(label: str, counts: Mapping[str, int]) -> str:
    cells = "".join(f"<td>{counts.get(name, 0) or ''}</td>" for name in CLASSES)
    return f"<tr><td>{escape(label)}</td>{cells}</tr>"
