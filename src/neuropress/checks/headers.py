"""Cells against what the raw file's own header says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from ..mapping.rules import Compare
from ..mapping.transforms import cell_text
from ..model.finding import Finding, Severity
from ..model.record import Record, Value
from .rule import tell


def compare_cells(record: Record, comparisons: Sequence[Compare], facts: Mapping[str, str], file: str) -> list[Finding]:
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
    return [_compare(record, compare, facts, file) for compare in comparisons]


def _compare(record: Record, compare: Compare, facts: Mapping[str, str], file: str) -> Finding:
    column, value, fact = compare.column, record.values[compare.column], facts.get(compare.fact)
    if value is None:
        return tell("header.unchecked", record, column, "is blank, so there is nothing to compare", file=file)
    if not facts:
        return tell("header.unchecked", record, column, "the file's header could not be asked", file=file)
    if fact is None:
        return tell("header.absent", record, column, f"the file does not say its {compare.fact}", file=file)
    difference = _difference(value, fact, Decimal(compare.scale))
    scaled = "" if Decimal(compare.scale) == 1 else f" (times {compare.scale})"
    said = f"{cell_text(value)}{scaled} in the table, {fact} in the file"
    if difference is None:
        severity = None if cell_text(value) == fact else Severity.ERROR
        limits = "they must be the same text"
    else:
        severity = _severity(difference, compare)
        said += f", a difference of {_percent(difference)}" if difference else ""
        limits = (
            f"up to {_percent(Decimal(compare.error))} is allowed" if Decimal(compare.error) else "they must be equal"
        )
    if severity is None:
        return tell("header.agrees", record, column, said, file=file, expected=fact)
    return tell("header.disagrees", record, column, f"{said}; {limits}", severity=severity, file=file, expected=fact)


def _difference(value: Value, fact: str, scale: Decimal) -> Decimal | None:
    """Relative to the file's value; None when one of the two is no number."""
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


def _severity(difference: Decimal, compare: Compare) -> Severity | None:
    """A limit of 0 is exact. A `warn` above `error` never comes into play."""
    if difference > Decimal(compare.error):
        return Severity.ERROR
    return Severity.WARNING if difference > Decimal(compare.warn) else None


def _percent(ratio: Decimal) -> str:
    return f"{float(ratio) * 100:.3g} %" if ratio.is_finite() else "any size"
