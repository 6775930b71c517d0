"""Cells against what the raw file's own header says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from ..mapping.rules import Comparison
from ..mapping.transforms import format_cell, format_decimal
from ..model.finding import Finding, Severity
from ..model.record import Record, Value
from .rule import make_cell_finding

PLAIN_DIGITS = 30
"""Numbers beyond are not written out."""
LEAST, MOST = Decimal("0.000001"), Decimal(100)
"""Relative differences between which a number says more than "less" and "more"."""


def compare_cells(
    record: Record, comparisons: Sequence[Comparison], facts: Mapping[str, str], file: str
) -> list[Finding]:
    """One finding for each comparison, in one of four states.

    ``header.agrees`` (info); ``header.disagrees`` (error beyond the comparison's `error`
    limit, warning beyond `warn` only); ``header.absent`` (info): the file does not say;
    ``header.unchecked`` (info): the cell is blank, or there is nothing to compare it with.

    Parameters
    ----------
    facts
        Header facts of the file; empty when the file could not be asked.
    file
        Key of the raw file, for messages.
    """
    return [_compare_cell(record, comparison, facts, file) for comparison in comparisons]


def _compare_cell(record: Record, comparison: Comparison, facts: Mapping[str, str], file: str) -> Finding:
    column = comparison.column
    value, fact = record.values[column], facts.get(comparison.fact)
    if value is None:
        message = "is blank, so there is nothing to compare"
        return make_cell_finding("header.unchecked", record, column, message, file=file)
    if not facts:
        message = "the file's header could not be asked"
        return make_cell_finding("header.unchecked", record, column, message, file=file)
    if fact is None:
        message = f"the file does not say its {comparison.fact}"
        return make_cell_finding("header.absent", record, column, message, file=file)
    scale = Decimal(comparison.scale)
    scaled = "" if scale == 1 else f" (times {comparison.scale})"
    difference = _compute_difference(value, fact, scale)
    if difference is None:
        severity = None if format_cell(value) == fact else Severity.ERROR
        limit = "they must be the same text"
    else:
        severity = _rate_difference(difference, comparison)
        limit = _describe_limit(comparison)
    message = f"{format_cell(value)}{scaled} in the table, {_format_number(fact)} in the file"
    if difference:
        message += f", a difference of {_format_difference(difference)}"
    message += f"; {limit}"
    if severity is None:
        return make_cell_finding("header.agrees", record, column, message, file=file, expected=fact)
    return make_cell_finding("header.disagrees", record, column, message, severity=severity, file=file, expected=fact)


def _describe_limit(comparison: Comparison) -> str:
    """What is allowed, and which of the two is written, in plain digits."""
    error, warn = Decimal(comparison.error), Decimal(comparison.warn)
    if not error.is_finite():
        return f"any is allowed, one above {_format_percent(warn)} is a warning; the table's is written"
    if not error:
        return "they must be equal"
    warning = f", one above {_format_percent(warn)} is a warning" if 0 < warn < error else ""
    return f"up to {_format_percent(error)} is allowed{warning}; the file's is written"


def is_replaced_by_header(value: Value, fact: str, comparison: Comparison) -> bool:
    """Whether the header's value is written in place of the cell's: they differ, and by no more than is allowed."""
    difference = _compute_difference(value, fact, Decimal(comparison.scale))
    error = Decimal(comparison.error)
    return difference is not None and error.is_finite() and 0 < difference <= error


def _compute_difference(value: Value, fact: str, scale: Decimal) -> Decimal | None:
    """Relative to the file's value; None when one of the two is no number.

    In decimals: 0.813 as a float times 0.001 is not the fact's 0.000813, and a limit of 0 must hold for equal numbers.
    """
    try:
        ours, theirs = Decimal(str(value)) * scale, Decimal(fact)
    except ArithmeticError:
        return None
    if not ours.is_finite() or not theirs.is_finite():
        return None
    if ours == theirs:
        return Decimal(0)
    try:
        return abs(ours - theirs) / abs(theirs) if theirs else Decimal("Infinity")
    except ArithmeticError:  # a fact of 1e999999999 is finite, its distance from anything is not
        return Decimal("Infinity")


def _rate_difference(difference: Decimal, comparison: Comparison) -> Severity | None:
    """A limit of 0 is exact. A `warn` above `error` never comes into play."""
    if difference > Decimal(comparison.error):
        return Severity.ERROR
    return Severity.WARNING if difference > Decimal(comparison.warn) else None


def _format_percent(ratio: Decimal) -> str:
    """In digits, without an exponent: 0.0001 %."""
    return f"{format_decimal(ratio * 100)} %"


def _format_difference(ratio: Decimal) -> str:
    """To three digits, without an exponent."""
    if not ratio.is_finite() or ratio >= MOST:
        return f"more than {_format_percent(MOST)}"
    if ratio < LEAST:
        return f"less than {_format_percent(LEAST)}"
    return _format_percent(Decimal(f"{ratio:.3g}"))


def _format_number(text: str) -> str:
    """A fact as people write numbers; one of hundreds of digits, or a text, stays as it is."""
    try:
        number = Decimal(text)
        return format_decimal(number) if number.is_finite() and abs(number.adjusted()) <= PLAIN_DIGITS else text
    except ArithmeticError:
        return text
