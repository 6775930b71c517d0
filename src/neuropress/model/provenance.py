"""What every result carries about itself: rows, fields, headers and receipt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .columns import encode
from .columns_reader import decode
from .parsing import parse_json
from .plan import Field, Plan, SourceRow, Target, canonical
from .receipt import Receipt, check_array
from .serial import from_json, is_plain, to_json

FORMAT = 4
SECTIONS = ("about", "records", "fields", "headers", "receipt")
COLUMNAR = ("fields", "receipt")
"""Sections in which thousands of records differ in a number or a digest."""
FIELD = ("value", "rule", "via", "sources")
SOURCE = ("table", "key", "column", "text", "origin")
"""In which order the section of fields has the parts of a `Field`, and of its sources: names would be half of it."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Read back from a result, it answers `explain` and drives `verify` without the tables.

    Attributes
    ----------
    target, notes
        What the result is, and remarks for its readers.
    records
        The contributing rows, verbatim but for private columns.
    fields
        Path in the result -> value, rule, transform and cells.
    headers
        Raw file's key -> its own header.
    receipt
        Digests of inputs and arrays, index maps, tool version.
    profile
        Name and version of the profile (``dendritic-consortium 1``); empty where it was not recorded.
        For people: nothing that is read here depends on it.
    """

    target: Target
    records: tuple[SourceRow, ...]
    fields: Mapping[str, Field]
    headers: Mapping[str, Any]
    receipt: Receipt
    notes: tuple[str, ...] = ()
    format: int = field(default=FORMAT)
    profile: str = ""

    @classmethod
    def of(cls, plan: Plan, receipt: Receipt) -> Provenance:
        """Provenance of a plan that was carried out."""
        fields = {f"{n.path.rstrip('/')}/{name}": value for n in plan.nodes for name, value in n.fields.items()}
        return cls(plan.target, plan.rows, fields, plan.headers, receipt, plan.notes, profile=plan.profile)

    @classmethod
    def draft(cls, plan: Plan) -> Provenance:
        """What a plan's provenance will say, but for digests that only the run finds out."""
        return cls.of(plan, Receipt("", "", plan.revisions, {}, {}, {}, plan.sources, plan.grafts(), plan.kept_keys))

    def sections(self) -> dict[str, Any]:
        """Plain objects by section (see `SECTIONS`); fields and receipt in columns (see `columns`)."""
        plain = {name: self._plain(name) for name in SECTIONS}
        return {name: encode(data) if name in COLUMNAR else data for name, data in plain.items()}

    def text(self, section: str) -> str:
        """A section as canonical ASCII JSON, in which even a NUL is harmless."""
        # Sorted before columns are made of it: the form must not depend on the order of what was read.
        plain = json.loads(canonical(self._plain(section)))
        return canonical(encode(plain) if section in COLUMNAR else plain)

    def texts(self) -> dict[str, str]:
        """All sections as text."""
        return {name: self.text(name) for name in SECTIONS}

    def _plain(self, section: str) -> Any:
        if section == "fields":
            return {name: _write_field(one) for name, one in self.fields.items()}
        if section != "about":
            return to_json(getattr(self, section))
        about = {"target": self.target, "notes": self.notes, "profile": self.profile, "format": self.format}
        return {name: to_json(value) for name, value in about.items()}

    @classmethod
    def from_sections(cls, sections: Mapping[str, Any]) -> Provenance:
        """The reverse of `sections`.

        Raises
        ------
        KeyError, TypeError, ValueError
            A section is missing, not as this version writes it, or asks for what no array can be.
        """
        about = sections["about"]
        if about["format"] != FORMAT:
            raise ValueError(f"provenance format {about['format']}; this version reads {FORMAT}")
        whole = {k: sections[k] for k in ("records", "headers")} | {k: decode(sections[k]) for k in COLUMNAR}
        whole["fields"] = _read_fields(whole["fields"])
        known = {"target": about["target"], "notes": about["notes"], "profile": about.get("profile", "")}
        made = from_json(cls, {**known, **whole})
        for name, array in made.receipt.arrays.items():
            check_array(name, array)
        stated = [*made.receipt.sources.values(), *(array.spec.options for array in made.receipt.arrays.values())]
        if not all(is_plain(value) for options in stated for value in options.values()):
            raise ValueError(
                "a reader was given an option that is no text, number, true or false, nor a table of these"
            )
        return made

    @classmethod
    def from_texts(cls, texts: Mapping[str, str | bytes]) -> Provenance:
        """The reverse of `texts`."""
        return cls.from_sections({name: parse_json(text, parse_constant=float) for name, text in texts.items()})


def _write_field(one: Field) -> list[Any]:
    sources = [[getattr(ref, name) for name in SOURCE] for ref in one.sources]
    return [to_json(one.value), one.rule, one.via, sources]


def _read_fields(rows: Any) -> dict[str, Any]:
    """The reverse, of all of them. Raises `TypeError` or `ValueError` for what are no such rows."""
    if not isinstance(rows, dict):
        raise TypeError("fields: expected a table")
    fields = {}
    for name, row in rows.items():
        plain = dict(zip(FIELD, row, strict=True))
        fields[name] = {**plain, "sources": [dict(zip(SOURCE, ref, strict=True)) for ref in plain["sources"]]}
    return fields
