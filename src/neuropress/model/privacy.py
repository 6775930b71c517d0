"""Findings without the text of private cells: the one rule, for whoever makes findings from cells."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from .budget import SHOWN_CHARS
from .finding import Finding, describe
from .profile import Profile


def hide_private(found: Finding, private: Collection[str]) -> Finding:
    """The finding as anybody may read it: on a private cell, it tells where and what, and no text of the cell.

    Parameters
    ----------
    private
        Private columns of the finding's table.
    """
    return withhold_text(found) if found.location.column in private else shorten(found)


def hide_for(found: Finding, profile: Profile) -> Finding:
    """`hide_private` for a finding on a table of a profile."""
    spec = profile.tables.get(found.location.table or "")
    return hide_private(found, spec.private if spec else ())


def withhold_text(found: Finding) -> Finding:
    """Where a finding is and what its id means, without any text that may come from a private cell."""
    entry = describe(found.id)
    column = f"{found.location.column}: " if found.location.column else ""
    message = f"{column}{entry['meaning']} The text is private and not shown."
    return replace(
        found, message=message, hint=entry["fix"], location=replace(found.location, value=None, expected=None)
    )


def shorten(found: Finding) -> Finding:
    """The finding with no more of a very long cell than people can read; it tells how long the text is."""
    where = found.location
    if len(found.message) <= SHOWN_CHARS and len(where.value or "") <= SHOWN_CHARS and len(found.hint) <= SHOWN_CHARS:
        return found
    value = where.value if where.value is None else _cut(where.value)
    return replace(found, message=_cut(found.message), hint=_cut(found.hint), location=replace(where, value=value))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}... ({len(text)} characters)"
