"""What a dataset's own JSON Schemas may ask for: nothing from outside, and no expression without an end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import regex
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from ..model.budget import PATTERN_OVERRUNS, PATTERN_SECONDS

MOST_PATTERN = 2000
"""Characters of an expression."""

MOST_PARTS = 5000
"""Objects and lists of one schema: jsonschema takes a millisecond for each when it checks it."""

OVERRUN_PATTERNS: set[str] = set()
"""Expressions for which `PATTERN_SECONDS` were not enough."""

_MOST_COUNT = 1000
_COUNT = re.compile(r"\{(\d+)?(,(\d+)?)?\}")
_UNSUPPORTED = ("$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$id", "$anchor")


def check_own_schema(schema: Any) -> None:
    """Refuse what would load something, go in circles, or cost more than it says.

    ``$ref`` may stand in a column, one of its ``oneOf``, a side of an ``if``/``then``, or below ``$defs``: there it is
    followed here, to ``$defs`` of the same or of a shipped schema and nowhere else.

    Raises
    ------
    ValueError
        It has a reference elsewhere, names of its own (``$id``), or an expression that is too long.
    """
    for keyword, value, allowed in _iterate_keywords(schema):
        if keyword in _UNSUPPORTED and value not in (None, "") and not (keyword == "$id" and allowed is None):
            raise ValueError(f"{keyword} cannot be used here")
        if keyword == "$ref" and not allowed:
            message = (
                f"$ref {value!r} stands where none is followed: only a column, its oneOf, if/then and $defs have one"
            )
            raise ValueError(message)
        if keyword == "pattern":
            check_pattern(value)


def check_schema_size(schema: Any) -> None:
    """Refuse a schema of more than `MOST_PARTS` objects and lists. Raises `ValueError`."""
    queue, count = [schema], 0
    while queue:
        part = queue.pop()
        count += 1
        if count > MOST_PARTS:
            raise ValueError(f"it has more than {MOST_PARTS} objects and lists")
        nested = part.values() if isinstance(part, dict) else part
        queue += [value for value in nested if isinstance(value, (dict, list))]


def _iterate_keywords(schema: Any) -> Iterator[tuple[str, Any, bool | None]]:
    """Every keyword with its value, and whether a reference is followed there; None at the top."""
    followed = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()]
    for rule in schema.get("allOf", ()):
        for side in ("if", "then"):
            followed += rule.get(side, {}).get("properties", {}).values()
    for part in list(followed):
        followed += part.get("oneOf", ())
    # By identity: two columns with equal schemas are two places, and a schema is no key of a dictionary.
    followed_ids = {id(part) for part in followed}
    # A queue and no recursion: how deep a schema is nested is for its author to say.
    queue: list[tuple[Any, bool | None]] = [(schema, None)]
    while queue:
        part, allowed = queue.pop()
        if isinstance(part, dict):
            for keyword, value in part.items():
                if isinstance(keyword, str) and not isinstance(value, (dict, list)):
                    yield keyword, value, allowed
                queue.append((value, id(value) in followed_ids))
        elif isinstance(part, list):
            queue += [(value, id(value) in followed_ids) for value in part]


def check_pattern(pattern: object) -> None:
    """Refuse an expression that is none, is very long, or counts very far. Raises `ValueError`."""
    if not isinstance(pattern, str) or len(pattern) > MOST_PATTERN:
        raise ValueError(f"a pattern must be a text of at most {MOST_PATTERN} characters")
    counts = []
    for least, _, most in _COUNT.findall(pattern):
        counts += [int(digits[-9:]) for digits in (least, most) if digits]  # int() refuses thousands of digits
    if any(count > _MOST_COUNT for count in counts):
        raise ValueError(f"the pattern {pattern[:80]!r} counts further than {_MOST_COUNT}")
    nested = 1
    for count in counts:
        nested *= max(1, count)
    if nested > _MOST_COUNT**2:
        raise ValueError(f"the counts of the pattern {pattern[:80]!r} multiply to more than {_MOST_COUNT**2}")
    try:
        re.compile(pattern)
        regex.compile(pattern)
    except (re.error, regex.error, RecursionError, OverflowError) as error:
        raise ValueError(f"the pattern {pattern[:80]!r} is no regular expression: {error}") from error


def compile_bounded_search(pattern: str) -> Callable[[str], bool]:
    """Whether an expression is found in a text, within `PATTERN_SECONDS` a text.

    A text on which that is not enough does not match, and after `PATTERN_OVERRUNS` of them none
    does: ``(a+)+$`` takes two to the power of the text's length.
    """
    compiled = regex.compile(pattern)  # not re: it has no timeout, and no thread can stop it
    overruns = 0

    def search_text(text: str) -> bool:
        nonlocal overruns
        if overruns >= PATTERN_OVERRUNS:
            return False
        try:
            return compiled.search(text, timeout=PATTERN_SECONDS) is not None
        except TimeoutError:
            overruns += 1
            OVERRUN_PATTERNS.add(pattern)
            return False

    return search_text


def _validate_pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _get_search(pattern)(instance):
        yield ValidationError(f"{instance[:80]!r} does not match {pattern[:80]!r}")


_SEARCHES: dict[str, Callable[[str], bool]] = {}


def _get_search(pattern: str) -> Callable[[str], bool]:
    if pattern not in _SEARCHES:
        _SEARCHES[pattern] = compile_bounded_search(pattern)
    return _SEARCHES[pattern]


ConfinedValidator: Any = validators.extend(Draft202012Validator, {"pattern": _validate_pattern})
"""jsonschema's validator with bounded expressions; it is given an empty registry, so that it loads nothing."""
