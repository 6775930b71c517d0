"""What stays private: findings without the text of private cells, headers without names of people and machines."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from .budget import SHOWN_CHARS
from .finding import Finding, describe
from .profile import Profile

WITHHELD = "withheld"
"""What stands in a result's header for a name that was left out."""
_NAMES = "UserName|ComputerName|HostName|MachineName|LoginName|ProfileName|Email"
_KEYS = frozenset(name.lower() for name in (*_NAMES.split("|"), "User", "Computer", "Host", "Login"))
_NAMED = tuple(
    re.compile(pattern.replace("NAMES", _NAMES), re.IGNORECASE)
    for pattern in (
        r"(?P<kept><(?:\w+:)?(?:NAMES)(?:\s[^<>]*)?>)[^<>]+(?=</)",  # XML
        r"(?P<kept>\b(?:NAMES)\s*=\s*(?P<quote>[\"']))(?:(?!(?P=quote)).)+(?=(?P=quote))",
        r"(?P<kept>\\*\"(?:NAMES)\\*\"\s*:\s*\\*\")[^\"\\]+",  # JSON
        r"(?P<kept>(?:^|[\r\n])[ \t]*(?:NAMES)[ \t]*[:=][ \t]*)[^\s\"'][^\r\n]*",  # lines of names and values
    )
)
"""How headers state who recorded, and on which machine."""
_HOME = re.compile(r"(?P<kept>[\\/](?:Users|home|Documents and Settings)[\\/]+)[^\\/:*?\"'<>|\r\n]+", re.IGNORECASE)
_FOLDERS = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Za-z]:|\\\\(?:\\\\)?[\w.$-]{1,64})[\\/]+(?:[^\\/:*?\"'<>|\r\n]{1,255}[\\/]+)*(?=[\w.-])"
)
"""Of a path on a drive or a server of Windows all but its last part."""


def hide_names(stated: Any) -> Any:
    """A raw header as a result keeps it: without names of users and machines, and without folders that tell them.

    Facts that a table or a standard has a place for are taken from headers before, and are not touched.

    Parameters
    ----------
    stated
        Anything that JSON holds; texts may be XML, JSON or lines. Doing it twice makes no difference.
    """
    if isinstance(stated, str):
        return _hide_in_text(stated)
    if isinstance(stated, Mapping):
        return {
            name: WITHHELD if str(name).lower() in _KEYS and value and isinstance(value, str) else hide_names(value)
            for name, value in stated.items()
        }
    return [hide_names(part) for part in stated] if isinstance(stated, (list, tuple)) else stated


def _hide_in_text(text: str) -> str:
    for pattern in (*_NAMED, _HOME):
        text = pattern.sub(rf"\g<kept>{WITHHELD}", text)
    return _FOLDERS.sub("", text)


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
