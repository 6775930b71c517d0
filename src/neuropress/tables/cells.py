"""From a cell's text to its typed value, and what is wrong with it: at most one error a cell."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from ..model.budget import NUMBER_CHARS, PATTERN_SECONDS
from ..model.finding import Severity, catalogue
from ..model.profile import Profile, TableSpec
from ..model.record import Value
from .damage import damage
from .keys import Fault, is_date, key_fault, key_pattern, path_fault
from .patterns import OVERRUN
from .schema import Column, table_schema

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,15}", re.ASCII)
_WITH_UNIT = re.compile(r"([+-]?[0-9]+\.?[0-9]*)\s*([A-Za-zµμ%°/]+)")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:[, '\u00a0\u2009\u202f][0-9]{3})+(?:\.[0-9]+)?")
_PLACEHOLDER = re.compile(r"(?i:n/?a|n\.a\.|nan|null|none|unknown|tbd|tba|\?+|-+|x+(?: x x*)*)")
_SAYS_NONE = {"anesthesia", "injection", "task", "contrast_agent", "processing_methods", "notes"}
"""Columns in which "none" is information and not a placeholder."""
_PROSE = {"notes", "description"}
_SAID = {"key": "key", "number": "number", "integer": "whole number", "boolean": "TRUE or FALSE"}
_SAID |= {"date": "date", "time": "time"}
_LOCAL_PATH = re.compile(
    r"(?:^|[\s\"'(\[<=,;])"  # a path begins a word; addresses (https://, s3://) do not
    r"(?:file:/+|~/|\\\\[\w.$-]{1,64}\\|[A-Za-z]:[\\/](?!/)|/(?:home|Users|root)/\w|/[\w.-]{1,64}/[\w.-]{1,64}/[\w./-])"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b", re.ASCII)
_DISTINCT = 8192
_LONG = 1000
"""Limits from here on are of free text; shorter ones belong to a form that the column's description tells."""


class Flawed(NamedTuple):
    """A cell about which something is told: an error, or remarks on a good value.

    With an error, `value` is None but for a number out of range: it is what the cell says, if a person answers for it.
    """

    value: Value
    faults: tuple[Fault, ...]

    @property
    def faulty(self) -> bool:
        """Whether the cell has an error."""
        return any(catalogue()[f.id]["severity"] == Severity.ERROR for f in self.faults)


type Parser = Callable[[str], Value | Flawed]
"""From a cell's text to its typed value (None for a blank one), or to what is told of it."""


def parser(name: str, spec: TableSpec, profile: Profile, blank: bool = False) -> Parser:
    """The parser of one column. With `blank`, a blank cell is never wrong.

    It remembers recent texts, but for columns in which hardly any comes twice or is quickly judged.
    """
    column = table_schema(spec.name, spec.schema).columns[name]
    targets = (spec.name,) if name == spec.key else spec.foreign.get(name, ())
    right_key = key_pattern(targets, profile).fullmatch if targets else None
    # The shipped patterns of paths name the shipped labs; a profile that adds labs has its own.
    by_profile = bool(profile.extends) and name in spec.paths

    def parse(text: str) -> Value | Flawed:
        if right_key and right_key(text):
            return text  # the profile decides on keys: it knows all labs and prefixes
        if not text:
            missing = Fault("cell.blank", "must not be blank")
            return None if column.nullable or blank else Flawed(None, (missing,))
        value, fault = _value(text, column, name, spec, targets, profile)
        if fault is None and not targets and not by_profile and not column.accepts(value):
            fault = explain(text, column)
        if fault is not None and catalogue()[fault.id]["severity"] == Severity.ERROR:
            return Flawed(value if fault.id == "cell.range" else None, (fault,))
        remarks = [fault] if fault else []
        if column.kind == "text" and not targets and name not in spec.private:
            remarks += _remarks(text, name)
            remarks += _personal(text)
        return Flawed(value, tuple(remarks)) if remarks else value

    quick = bool(targets) or name in spec.paths or name in _PROSE
    return parse if quick else lru_cache(maxsize=_DISTINCT)(parse)


def _value(
    text: str, column: Column, name: str, spec: TableSpec, targets: tuple[str, ...], profile: Profile
) -> tuple[Value, Fault | None]:
    kind = "prose" if name in _PROSE else "key" if targets else column.kind
    if len(text) > NUMBER_CHARS and kind not in ("prose", "text"):
        wanted = f"at most {NUMBER_CHARS} characters"
        message = f"the text has {len(text)} characters, {text[:20]!r} and so on: that is no {_SAID[kind]}"
        return None, Fault("key.format" if kind == "key" else "cell.type", message, expected=wanted)
    if found := damage(text, kind, name):
        return None, found
    if targets:
        fault = key_fault(text, targets, profile)
        # A reserved number is told once, where the row has it.
        return text, None if fault and fault.id == "key.zero" and name != spec.key else fault
    if name in spec.paths:
        return text, path_fault(text, name, spec, profile)
    if kind in ("number", "integer"):
        return _number(text, kind)
    if kind == "boolean":
        known = {"TRUE": True, "FALSE": False}
        wrong = Fault("cell.type", f"{text!r} is neither TRUE nor FALSE", "Write TRUE or FALSE.", "TRUE or FALSE")
        return known.get(text), None if text in known else wrong
    if kind == "date" and len(text) == 8 and text.isdigit() and not is_date(text):
        return None, Fault("cell.date", f"{text} is no day of the calendar", expected="YYYYMMDD")
    return text, None


def _number(text: str, kind: str) -> tuple[Value, Fault | None]:
    if kind == "integer" and _INTEGER.fullmatch(text):
        return int(text), None
    if kind == "number" and _NUMBER.fullmatch(text):
        return Decimal(text), None
    wanted = "a whole number" if kind == "integer" else "a number"
    hint = "Write a whole number, or leave the cell blank when it is not known." if kind == "integer" else ""
    if text != text.strip():
        hint = f"Delete the space around it: {text.strip()}."
    elif match := _WITH_UNIT.fullmatch(text):
        hint = f"Write the number without its unit: {match[1]}."
    elif _THOUSANDS.fullmatch(text):
        hint = f"Write no separators between thousands; should it be a decimal comma, write {text.replace(',', '.')}."
    elif re.fullmatch(r"[+-]?[0-9]+,[0-9]+", text):
        hint = f"Write a decimal point: {text.replace(',', '.')}."
    elif _PLACEHOLDER.fullmatch(text):
        hint = "Leave the cell blank when the value is not known."
    return None, Fault("cell.type", f"{text!r} is not {wanted}", hint, wanted)


def explain(text: str, column: Column) -> Fault:
    """Say in plain words which part of the schema a typed value does not meet."""
    rules = column.rules
    if "enum" in rules:
        allowed = ", ".join(str(v) for v in rules["enum"] if v is not None)
        return Fault("cell.choice", f"{text!r} is not one of: {allowed}", expected=allowed)
    if rules.get("pattern") in OVERRUN:
        message = f"the text takes the column's own pattern more than {PATTERN_SECONDS} s"
        hint = "Simplify the pattern in the dataset's own schema: nested repetitions as (a+)+ have no end."
        return Fault("cell.format", message, hint, str(rules["pattern"])[:80])
    if column.kind in ("number", "integer"):
        bounds = {"exclusiveMinimum": "greater than", "minimum": "at least", "maximum": "at most"}
        limits = " and ".join(f"{words} {rules[k]}" for k, words in bounds.items() if k in rules)
        message = f"{text} is out of range: it must be {limits}"
        return Fault("cell.range", message, f"The column means: {column.description} Correct the number.", limits)
    most = rules.get("maxLength", len(text))
    if len(text) > most >= _LONG:
        message, limit = f"the text has {len(text)} characters", f"at most {most} characters"
        return Fault("cell.format", f"{message}, {limit} are allowed", "Put the rest into a file of its own.", limit)
    example = f", as in {column.example}" if column.example else ""
    expected = f"{column.description.removesuffix('.')}{example}"
    if text != text.strip():
        message, hint = f"{text!r} begins or ends with a space or a line end", f"Write {text.strip()!r}."
        return Fault("cell.format", message, hint, expected)
    control = next((c for c in text if unicodedata.category(c) == "Cc" and c not in "\t\r\n"), None)
    if control:
        message = f"{text!r} holds the control character U+{ord(control):04X}"
        return Fault("cell.format", message, "Delete that character.", expected)
    return Fault("cell.format", f"{text!r} is not what this column holds: {expected}", expected=expected)


def _personal(text: str) -> list[Fault]:
    """What a public text tells of a person or a machine, that would be published."""
    remarks = []
    if ("/" in text or "\\" in text) and (path := _LOCAL_PATH.search(text)):
        begins = text[path.start() : path.end() + 40].strip(" \t\r\n\"'([<=,;").split("\n")[0]
        message = f"{begins!r} looks like a folder of one machine; the column is public, so it would be published"
        remarks.append(Fault("privacy.local_path", message))
    if "@" in text and (address := _EMAIL.search(text)):
        message = f"{address[0]!r} is an e-mail address; the column is public, so it would be published"
        remarks.append(Fault("privacy.email", message))
    return remarks


def _remarks(text: str, name: str) -> list[Fault]:
    """What is told of a text without being wrong."""
    remarks = []
    if _PLACEHOLDER.fullmatch(text) and not (name in _SAYS_NONE and text.casefold() == "none"):
        remarks.append(Fault("cell.placeholder", f"{text!r} looks like a placeholder; it is kept as it stands"))
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        remarks.append(Fault("cell.unicode", f"{text!r} is not in Unicode normal form C; it is kept as it stands"))
    return remarks
