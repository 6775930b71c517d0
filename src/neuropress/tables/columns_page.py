"""``python -m neuropress.tables.columns_page``: docs/reference/columns.md, generated from schemas and profiles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..model.profile import Profile, TableSpec, list_shipped_profiles, load_profile
from .schema import ColumnSchema, compile_table_schema, load_schema_document

HEADER = """# Columns

Every column of every table that the shipped profiles have; what a column of your own takes is said in
[profiles](../profiles.md). *Needed* says whether a cell may be blank. Private columns never leave the house.
Generated: `python -m neuropress.tables.columns_page > docs/reference/columns.md`.
"""
UNITS = {
    "Hz": "Hz",
    "pixels": "pixels",
    "micrometres": "µm",
    "nanometres": "nm",
    "milliseconds": "ms",
    "milliwatts": "mW",
    "nanolitres": "nL",
    "grams": "g",
    "mL": "GC/mL",
}
"""Word of a column's meaning -> symbol of its unit."""
UNIT_WORD = re.compile(rf"\b({'|'.join(UNITS)})\b")
WORDS = re.compile(r"\^\(([a-z |]+)\)\( \*; \*\(\1\)\)\*\$")
"""A pattern of words that may be listed: ``^(a|b)( *; *(a|b))*$``."""


def page() -> str:
    """The page as Markdown: one section a table, in the order of the generic profile."""
    profiles = [load_profile(name) for name in sorted(list_shipped_profiles(), reverse=True)]
    names = list(dict.fromkeys(table for profile in profiles for table in profile.tables))
    listed = " ".join(f"[{name}](#{name})" for name in names)
    sections = ("\n".join(_format_table(name, profiles)) for name in names)
    return "\n".join((HEADER, f"Tables: {listed}\n", "\n\n".join(sections))) + "\n"


def _format_table(name: str, profiles: list[Profile]) -> Iterator[str]:
    specs = {profile.name: profile.tables[name] for profile in profiles if name in profile.tables}
    schema = load_schema_document(f"{name}.schema.json")
    any_spec = next(iter(specs.values()))
    demanded = [profile for profile, spec in specs.items() if spec.optional_table]
    yield f"## {name}\n"
    yield f"{schema['description']} Keys are `AB_{any_spec.prefix}_0001`, with the initials of the lab."
    if demanded:
        yield f"On demand (`init --with {name}`) in {' and '.join(demanded)}."
    yield "\n| column | meaning | unit | allowed | example | needed | profiles |\n|---|---|---|---|---|---|---|"
    columns = dict.fromkeys(column for spec in specs.values() for column in (*spec.columns, *spec.optional))
    compiled = compile_table_schema(name).columns
    for column in columns:
        yield f"| {' | '.join(_format_column(compiled[column], specs))} |"


def _format_column(column: ColumnSchema, specs: Mapping[str, TableSpec]) -> Iterator[str]:
    spec = next(iter(specs.values()))
    yield f"`{column.name}`"
    yield f"{column.description}{' Private.' if column.name in spec.private else ''}".replace("|", "\\|")
    has_unit = UNIT_WORD.search(column.description) and (column.kind in ("number", "integer") or "titer" in column.name)
    yield UNITS[UNIT_WORD.findall(column.description)[0]] if has_unit else ""
    yield _format_allowed(column, spec)
    yield f"`{column.example}`" if column.example else ""
    if column.name in spec.either:
        yield f"one of {', '.join(f'`{one}`' for one in sorted(spec.either))}"
    else:
        yield "no" if column.nullable else "yes"
    yield ", ".join(_format_profile(column.name, profile, one) for profile, one in specs.items() if _has(column, one))


def _has(column: ColumnSchema, spec: TableSpec) -> bool:
    return column.name in (*spec.columns, *spec.optional)


def _format_profile(column: str, profile: str, spec: TableSpec) -> str:
    return profile if column in spec.columns else f"{profile} (may be left out)"


def _format_allowed(column: ColumnSchema, spec: TableSpec) -> str:
    if column.name == spec.key:
        return f"`AB_{spec.prefix}_0001`, once"
    if column.name in spec.foreign:
        return "key of " + " or ".join(f"[{table}](#{table})" for table in spec.foreign[column.name])
    if column.name in spec.paths:
        versions = " or ".join(f"`{version}`" for version in spec.paths[column.name])
        return f"`<lab>/<YYYYMMDD>/{spec.name}/<version>/...`, version {versions}"
    if words := column.rules.get("enum"):
        return ", ".join(f"`{word}`" for word in words if word is not None)
    if listed := WORDS.match(column.rules.get("pattern", "")):
        return ", ".join(f"`{word}`" for word in listed[1].split("|")) + "; several with `;`"
    return _format_kind(column)


def _format_kind(column: ColumnSchema) -> str:
    if column.kind in ("number", "integer"):
        limits = {"exclusiveMinimum": "above", "minimum": "at least", "maximum": "at most", "exclusiveMaximum": "below"}
        stated = [f"{word} {column.rules[name]}" for name, word in limits.items() if name in column.rules]
        return ", ".join(["whole number" if column.kind == "integer" else "number", *stated])
    return {"boolean": "`TRUE`, `FALSE`", "date": "`YYYYMMDD`", "time": "`HH:MM`", "text": "text"}[column.kind]


if __name__ == "__main__":
    print(page(), end="")
