"""Patterns of raw objects' keys, as settings name several files at once."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

_WILDCARDS = {"*": "(.*)", "?": "."}


def matches_key(pattern: str, key: str) -> bool:
    """Whether the key of a raw object is the one meant: ``*`` stands for any characters, ``?`` for one."""
    return pattern == key or fnmatchcase(key, pattern.replace("[", "[[]"))


def find_stars(pattern: str, key: str) -> tuple[str, ...]:
    """What the ``*`` of a pattern stand for in a key that it matches, in their order."""
    found = re.fullmatch("".join(_WILDCARDS.get(one, re.escape(one)) for one in pattern), key, re.DOTALL)
    return found.groups() if found else ()
