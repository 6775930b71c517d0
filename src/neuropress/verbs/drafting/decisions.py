"""What only a person can decide about a drafted profile, the most pressing first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .draft import EXAMPLES, MAY_BE_BLANK, TYPES, Draft, parse_examples

_UNIT = re.compile(
    r"\([^)]*\b(?:Hz|[µμ]m|nm|mm|ms|mW|GC/mL|g|s)\b[^)]*\)|\bpixels\b|in (?:grams|seconds|hertz|[a-z]*met(?:er|re)s)",
    re.IGNORECASE,
)
_VERSIONS = ("raw", "processed", "roi", "script")
WHEN = ("before the first use", "before the first release", "when there is time")


@dataclass(frozen=True, slots=True)
class Decision:
    """One open question.

    Attributes
    ----------
    when
        0 (blocks the first use), 1 (blocks a release or loses meaning), 2 (should be looked at).
    place
        ``table`` or ``table.column``; several are joined.
    question
        What is not stated, and what the draft does meanwhile.
    where
        Where the answer is written.
    """

    when: int
    place: str
    question: str
    where: str


def list_decisions(draft: Draft, name: str) -> list[Decision]:
    """All questions, the most pressing first."""
    profile = f"{name}.toml"
    decisions = [
        *_ask_about_profile(draft, profile),
        *_ask_about_keys(draft, profile),
        *_ask_about_paths(draft, profile),
        *_ask_about_columns(draft),
        *_ask_about_examples(draft),
    ]
    return sorted(decisions, key=lambda decision: decision.when)


def _ask_about_profile(draft: Draft, profile: str) -> Iterator[Decision]:
    tables, labs = draft.published.tables, draft.published.labs
    if not labs:
        question = "No list names the labs. State for each: initials, name, folder, institution, time zone."
        yield Decision(0, "labs", question, f"{profile}, [labs.XX]")
    else:
        question = "Time zones are not stated, and times in tables have none."
        yield Decision(0, f"labs.{', '.join(labs)}", question, f"{profile}, timezone of each lab")
        question = "Institutions and folders are not stated; folders are guessed from the names."
        yield Decision(1, f"labs.{', '.join(labs)}", question, f"{profile}, institution and folder of each lab")
    for lab in labs.values():
        for table in lab.tables:
            if table not in tables:
                question = f"{lab.name} fills in {table}, which has no attribute list."
                yield Decision(1, table, question, "a list of its attributes")
    for table in tables:
        if labs and not any(table in lab.tables for lab in labs.values()):
            yield Decision(0, table, "No lab fills in this table.", f"{profile}, [tables.{table}] labs")
    question = "Species and region are stated nowhere; a session needs a species (Latin name)."
    yield Decision(0, "defaults", question, f"{profile}, [defaults] species, region")
    question = "The licence is not stated; nothing can be published without one."
    yield Decision(1, "license", question, f"{profile}, license")
    yield Decision(1, "buckets", "The names of the buckets are not stated.", f"{profile}, buckets")
    for table, column, difference in draft.published.differences:
        question = f"Two lists differ: {difference}. The first is drafted."
        yield Decision(1, f"{table}.{column}", question, f"schemas/{table}.schema.json")
    from_json = [listed for listed in tables.values() if listed.file.endswith(".json")]
    for listed in from_json:
        if listed.file != f"{listed.table}.json":
            question = f"The list stands in {listed.file}; the name inside is taken."
            yield Decision(2, listed.table, question, "nothing to write")
    if from_json:
        question = (
            "The published files are no JSON Schemas: as schemas they accept every row. The drafts take their place."
        )
        yield Decision(2, "all tables", question, "nothing to write")


def _ask_about_keys(draft: Draft, profile: str) -> Iterator[Decision]:
    tables = draft.published.tables
    for name, table in tables.items():
        key = draft.keys.get(name)
        if not table.prefix:
            yield Decision(0, name, "The prefix of its keys is not stated.", f"{profile}, [tables.{name}] prefix")
        if key is None:
            yield Decision(0, name, "No column is an ID, so the table has no key.", f"{profile}, [tables.{name}] key")
            continue
        if not key.is_marked:
            question = f"No column is marked as key; {key.column} is taken."
            yield Decision(1, f"{name}.{key.column}", question, f"{profile}, [tables.{name}] key")
        if key.column != f"{name}_id":
            question = f"The key is not called {name}_id. Is {key.column} right?"
            yield Decision(2, f"{name}.{key.column}", question, f"{profile}, [tables.{name}] key")
        first = table.attributes[0].name
        if first != key.column:
            question = f"The first column is not the key; {key.column} is."
            yield Decision(2, f"{name}.{first}", question, "nothing to write")
        for column, targets in draft.foreign[name].items():
            yield from _ask_about_link(draft, profile, name, column, targets)


def _ask_about_link(draft: Draft, profile: str, name: str, column: str, targets: tuple[str, ...]) -> Iterator[Decision]:
    place, where = f"{name}.{column}", f"{profile}, [tables.{name}] foreign"
    columns = {a.name for a in draft.published.tables[name].attributes}
    if not targets and column.replace("_id", "_type") in columns:
        question = "It may name rows of several tables, of which no list is given; it is drafted as text."
        yield Decision(1, place, question, where)
    elif not targets:
        yield Decision(1, place, "No table has this key; it is drafted as text.", where)
    labs = draft.published.labs.values()
    for target in targets:
        short = [lab.initials for lab in labs if name in lab.tables and target not in lab.tables]
        if short:
            question = f"{', '.join(short)} fill in {name} but no {target}: do they name rows of other labs?"
            yield Decision(2, place, question, "nothing to write, if so")


def _ask_about_paths(draft: Draft, profile: str) -> Iterator[Decision]:
    for name, columns in draft.paths.items():
        for column, versions in columns.items():
            place, where = f"{name}.{column}", f"{profile}, [tables.{name}.paths]"
            if not versions:
                yield Decision(1, place, "Which version it names is not stated; raw and processed are drafted.", where)
            elif versions[0] not in _VERSIONS:
                yield Decision(2, place, f"Its version would be {versions[0]!r}. Is that a folder?", where)
            description = next(a.description for a in draft.published.tables[name].attributes if a.name == column)
            if " or " in description:
                question = f"{description!r}: one file, or a folder of files? Both are accepted, a folder ends in /."
                yield Decision(2, place, question, "nothing to write")
    for name, private in draft.private.items():
        for column in private:
            question = "A path on a lab's own disk names users and machines; it is drafted as private."
            yield Decision(2, f"{name}.{column}", question, f"{profile}, [tables.{name}] private")


def _ask_about_columns(draft: Draft) -> Iterator[Decision]:
    tables = draft.published.tables
    attributes = [a for table in tables.values() for a in table.attributes]
    stated = sum(MAY_BE_BLANK.search(a.description) is not None for a in attributes)
    question = (
        f"Which cells may be blank is stated of {stated} columns only. "
        "Of the others, keys and links must be filled in, all else may be blank."
    )
    yield Decision(1, "all tables", question, "schemas/*.schema.json, oneOf with null")
    for name, table in tables.items():
        where = f"schemas/{name}.schema.json"
        for a in table.attributes:
            place = f"{name}.{a.name}"
            if a.type not in {*TYPES, "ID"}:
                yield Decision(0, place, f"The type {a.type!r} is not known; it is drafted as text.", where)
            # Without the examples, which hold units themselves: "(e.g., 20 mm)" does not say that the column is in mm.
            has_unit = _UNIT.search(EXAMPLES.sub("", a.description)) is not None
            if a.type in ("int", "float") and not has_unit:
                yield Decision(1, place, f"The unit is not stated: {a.description!r}.", where)
            if a.type == "str" and has_unit:
                yield Decision(1, place, "It is text, but the description states a unit. Is it a number?", where)
            if a.type == "str" and len(parse_examples(a)) > 1:
                examples = ", ".join(parse_examples(a))
                yield Decision(2, place, f"Are these all values that it may have? {examples}", f"{where}, enum")
    yield from _ask_about_times(draft)


def _ask_about_times(draft: Draft) -> Iterator[Decision]:
    for name, table in draft.published.tables.items():
        for a in table.attributes:
            if a.type != "time":
                continue
            question = "A time without zone and seconds: it is read in the lab's zone."
            if a.name.startswith("end"):
                question += " It has no date either: a time before the start is on the next day."
            yield Decision(2, f"{name}.{a.name}", question, "nothing to write, if so")


def _ask_about_examples(draft: Draft) -> Iterator[Decision]:
    for name, table in draft.published.tables.items():
        for a in table.attributes:
            odd = sorted({c for c in a.description if c in "\u201c\u201d\u2018\u2019"})
            if odd and parse_examples(a):
                question = f"The example stands in typographic quotes ({' '.join(odd)}); they are taken off."
                yield Decision(2, f"{name}.{a.name}", question, f"schemas/{name}.schema.json, examples")
