"""From a cell's text to its typed value, and what is wrong with it: at most one error a cell.

Numbers become `Decimal`, not float: 24.50 must come back as 24.50 from a result, 1.7 must not exceed a maximum
of 1.7, and checks compare with limits that are written in decimals.
"""

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
from .damage import find_damage
from .keys import CellFault, compile_key_pattern, find_key_fault, find_path_fault, is_date
from .patterns import OVERRUN_PATTERNS
from .schema import ColumnSchema, compile_table_schema
from .spelling import spell_text

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,15}", re.ASCII)
_PLACEHOLDER = re.compile(r"(?i:n/?a|n\.a\.|nan|null|none|unknown|tbd|tba|\?+|-+|x+(?: x x*)*)")
_NONE_IS_A_VALUE = {"anesthesia", "injection", "task", "contrast_agent", "processing_methods", "notes"}
"""Columns in which "none" is information and not a placeholder."""
_PROSE = {"notes", "description"}
_KIND_NAMES = {"key": "key", "number": "number", "integer": "whole number", "boolean": "TRUE or FALSE"}
_KIND_NAMES |= {"date": "date", "time": "time"}
_LOCAL_PATH = re.compile(
    r"(?:^|[\s\"'(\[<=,;])"  # a path begins a word; addresses (https://, s3://) do not
    r"(?:file:/+|~/|\\\\[\w.$-]{1,64}\\|[A-Za-z]:[\\/](?!/)|/(?:home|Users|root)/\w|/[\w.-]{1,64}/[\w.-]{1,64}/[\w./-])"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b", re.ASCII)
_DISTINCT = 8192
"""Texts of one column that a parser remembers: most columns repeat a few values over a whole table."""
_SPELLED = ("cell.damaged", "cell.format", "cell.type", "cell.choice", "cell.date", "key.format")
"""Errors of texts that may mean a value of the column in another spelling."""
_QUOTED = 80
"""A hint quotes texts up to this length."""
_NO_SEPARATORS = "The point is the decimal mark; nothing stands between thousands."
_LONG = 1000
"""Limits from here on are of free text; shorter ones belong to a form that the column's description states."""


class FlaggedCell(NamedTuple):
    """A cell with findings: an error, or remarks on a good value.

    With an error, `value` is None but for a number out of range: it is what the cell says, if a person answers for it.
    """

    value: Value
    faults: tuple[CellFault, ...]

    @property
    def has_error(self) -> bool:
        """Whether the cell has an error."""
        return any(_is_error(fault) for fault in self.faults)

    @property
    def proposal(self) -> str:
        """The right spelling of what the cell means; empty where that is not certain."""
        return next((fault.proposal for fault in self.faults if fault.proposal), "")


def _is_error(fault: CellFault) -> bool:
    severity: str = catalogue()[fault.id]["severity"]
    return severity == Severity.ERROR


type CellParser = Callable[[str], Value | FlaggedCell]
"""From a cell's text to its typed value (None for a blank one), or to that with what is wrong with it."""


def build_cell_parser(name: str, spec: TableSpec, profile: Profile, blank: bool | None = None) -> CellParser:
    """The parser of one column. `blank` says whether a blank cell is right; None: the schema knows.

    It remembers recent texts, but for columns in which hardly any comes twice or is quickly judged.
    The parser is a closure, not an object: it is called for each of millions of cells.
    """
    column = compile_table_schema(spec.name, spec.schema).columns[name]
    may_be_blank = column.nullable if blank is None else blank
    targets = (spec.name,) if name == spec.key else spec.foreign.get(name, ())
    right_key = compile_key_pattern(targets, profile).fullmatch if targets else None
    # The shipped patterns of keys and paths name the labs of one consortium; the profile knows those of the dataset.
    has_schema_rules = not targets and name not in spec.paths
    kind = _find_kind(name, column, spec, targets)

    def judge_text(text: str) -> tuple[Value, CellFault | None]:
        value, fault = _parse_value(text, kind, column, name, spec, targets, profile)
        if fault is None and has_schema_rules and not column.accepts(value):
            fault = explain_violation(text, column)
        return value, fault

    def propose_spelling(text: str, fault: CellFault) -> CellFault:
        if fault.id not in _SPELLED or (len(text) > NUMBER_CHARS and kind not in ("prose", "text")):
            return fault
        choices = [choice for choice in column.rules.get("enum", ()) if isinstance(choice, str)]
        proposal = spell_text(text, kind, column.unit, choices)
        if proposal in ("", text):
            return fault
        _, left = judge_text(proposal)
        if left is not None and _is_error(left):
            return fault
        return _add_proposal(fault, text, proposal, _qualify_advice(fault, kind, column.unit, name == spec.key))

    def parse_cell(text: str) -> Value | FlaggedCell:
        if right_key and right_key(text):
            return text  # the profile decides on keys: it knows all labs and prefixes
        if not text:
            missing = CellFault("cell.blank", "must not be blank")
            return None if may_be_blank else FlaggedCell(None, (missing,))
        value, fault = judge_text(text)
        if fault is not None and _is_error(fault):
            return FlaggedCell(value if fault.id == "cell.range" else None, (propose_spelling(text, fault),))
        remarks = [fault] if fault else []
        if column.kind == "text" and not targets and name not in spec.private:
            remarks += _find_text_remarks(text, name)
            remarks += find_personal_text(text)
        return FlaggedCell(value, tuple(remarks)) if remarks else value

    if targets or name in spec.paths or name in _PROSE:
        return parse_cell
    return lru_cache(maxsize=_DISTINCT)(parse_cell)


def _find_kind(name: str, column: ColumnSchema, spec: TableSpec, targets: tuple[str, ...]) -> str:
    """What a column holds: its schema's kind, or ``key``, ``path``, ``prose``."""
    if name in _PROSE:
        return "prose"
    if targets:
        return "key"
    return "path" if name in spec.paths else column.kind


def _qualify_advice(fault: CellFault, kind: str, unit: str, is_own_key: bool) -> str:
    """Under which condition a proposal holds, or how it is to be written."""
    if kind == "key":
        return ", unless another row has that key" if is_own_key else ", if that row is there"
    if fault.id == "cell.damaged":
        return ", in a cell formatted as text"
    return f": the column is in {unit}" if unit else ""


def _add_proposal(fault: CellFault, text: str, proposal: str, condition: str) -> CellFault:
    """The fault with the right spelling of the text, and a hint that names both: it may be read without its row."""
    if len(text) > _QUOTED:
        return fault._replace(proposal=proposal)
    shown = proposal if proposal.isprintable() else repr(proposal)
    hint = f"Write {shown} instead of {text!r}{condition}."
    expected = proposal if fault.id == "cell.damaged" else fault.expected
    return fault._replace(hint=hint, expected=expected, proposal=proposal)


def _parse_value(
    text: str, kind: str, column: ColumnSchema, name: str, spec: TableSpec, targets: tuple[str, ...], profile: Profile
) -> tuple[Value, CellFault | None]:
    if len(text) > NUMBER_CHARS and kind not in ("prose", "text", "path"):
        wanted = f"at most {NUMBER_CHARS} characters"
        message = f"the text has {len(text)} characters, {text[:20]!r} and so on: that is no {_KIND_NAMES[kind]}"
        return None, CellFault("key.format" if kind == "key" else "cell.type", message, expected=wanted)
    if damaged := find_damage(text, kind):
        return None, damaged
    if targets:
        fault = find_key_fault(text, targets, profile)
        if fault and fault.id == "key.zero" and name != spec.key:
            return text, None  # one defect, one finding: it stands where the row itself has the reserved number
        return text, fault
    if name in spec.paths:
        return text, find_path_fault(text, name, spec, profile)
    if kind in ("number", "integer"):
        return _parse_number(text, kind, column)
    if kind == "boolean":
        if text in ("TRUE", "FALSE"):
            return text == "TRUE", None
        message = f"{text!r} is neither TRUE nor FALSE"
        return None, CellFault("cell.type", message, "Write TRUE or FALSE.", "TRUE or FALSE")
    if kind == "date" and len(text) == 8 and text.isdigit() and not is_date(text):
        return None, CellFault("cell.date", f"{text} is no day of the calendar", expected="YYYYMMDD")
    return text, None


def _parse_number(text: str, kind: str, column: ColumnSchema) -> tuple[Value, CellFault | None]:
    if kind == "integer" and _INTEGER.fullmatch(text):
        return int(text), None
    if kind == "number" and _NUMBER.fullmatch(text):
        return Decimal(text), None
    wanted = "a whole number" if kind == "integer" else "a number"
    return None, CellFault("cell.type", f"{text!r} is not {wanted}", _advise_number(text, wanted, column), wanted)


def _advise_number(text: str, wanted: str, column: ColumnSchema) -> str:
    """How numbers are written in a column; without any number, since this one's is not certain."""
    if _PLACEHOLDER.fullmatch(text.strip()):
        if column.nullable:
            return "Leave the cell blank when the value is not known."
        return "Find the value out: this cell must not be blank."
    if column.unit:
        return f"Write {wanted} of {column.unit}, without the unit; convert what is in another unit. {_NO_SEPARATORS}"
    return f"Write {wanted} and nothing else; the column means: {column.description} {_NO_SEPARATORS}"


def explain_violation(text: str, column: ColumnSchema) -> CellFault:
    """Say in plain words which part of the schema a typed value does not meet.

    jsonschema's own messages quote patterns, which nobody who fills in a table can read.
    """
    rules = column.rules
    if "enum" in rules:
        allowed = ", ".join(str(v) for v in rules["enum"] if v is not None)
        return CellFault("cell.choice", f"{text!r} is not one of: {allowed}", expected=allowed)
    if rules.get("pattern") in OVERRUN_PATTERNS:
        message = f"the text takes the column's own pattern more than {PATTERN_SECONDS} s"
        hint = "Simplify the pattern in the dataset's own schema: nested repetitions as (a+)+ have no end."
        return CellFault("cell.format", message, hint, str(rules["pattern"])[:80])
    if column.kind in ("number", "integer"):
        bounds = {"exclusiveMinimum": "greater than", "minimum": "at least", "maximum": "at most"}
        limits = " and ".join(f"{words} {rules[k]}" for k, words in bounds.items() if k in rules)
        message = f"{text} is out of range: it must be {limits}"
        return CellFault("cell.range", message, f"The column means: {column.description} Correct the number.", limits)
    most = rules.get("maxLength", len(text))
    if len(text) > most >= _LONG:
        message, limit = f"the text has {len(text)} characters", f"at most {most} characters"
        return CellFault(
            "cell.format", f"{message}, {limit} are allowed", "Put the rest into a file of its own.", limit
        )
    example = f", as in {column.example}" if column.example else ""
    expected = f"{column.description.removesuffix('.')}{example}"
    if text != text.strip():
        message = f"{text!r} begins or ends with a space or a line end"
        return CellFault("cell.format", message, "Delete the space or line end around the text.", expected)
    controls = [c for c in text if unicodedata.category(c) == "Cc" and c not in "\t\r\n"]
    if controls:
        control = controls[0]
        message = f"{text!r} holds the control character U+{ord(control):04X}"
        hint = "Look up what stood there: it may be in the place of another character."
        return CellFault("cell.format", message, hint, expected)
    return CellFault("cell.format", f"{text!r} is not what this column holds: {expected}", expected=expected)


def find_personal_text(text: str) -> list[CellFault]:
    """What a public text gives away of a person or a machine, that would be published."""
    remarks = []
    # Both expressions cost far more than the look for a character that each of their matches has.
    if ("/" in text or "\\" in text) and (path := _LOCAL_PATH.search(text)):
        begins = text[path.start() : path.end() + 40].strip(" \t\r\n\"'([<=,;").split("\n")[0]
        message = f"{begins!r} looks like a folder of one machine; the column is public, so it would be published"
        remarks.append(CellFault("privacy.local_path", message))
    if "@" in text and (address := _EMAIL.search(text)):
        message = f"{address[0]!r} is an e-mail address; the column is public, so it would be published"
        remarks.append(CellFault("privacy.email", message))
    return remarks


def _find_text_remarks(text: str, name: str) -> list[CellFault]:
    """What a person should look at, though it is not wrong."""
    remarks = []
    if _PLACEHOLDER.fullmatch(text) and not (name in _NONE_IS_A_VALUE and text.casefold() == "none"):
        remarks.append(CellFault("cell.placeholder", f"{text!r} looks like a placeholder; it is kept as it stands"))
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        remarks.append(CellFault("cell.unicode", f"{text!r} is not in Unicode normal form C; it is kept as it stands"))
    return remarks
