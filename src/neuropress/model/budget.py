"""The budget: what bytes that others wrote may cost, stated once and applied where they are first parsed.

A limit here is far above anything that real metadata, headers or results hold, and far
below what would stop a laptop. Whoever parses foreign bytes takes its limit from here and
answers with a finding that names the limit; nothing is truncated in silence.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

DEPTH = 64
"""Levels of nesting of JSON and TOML."""

JSON_BYTES = 256 * 2**20
"""A JSON document: the provenance of a result with thousands of arrays has a tenth of it."""

TOML_BYTES = 4 * 2**20
"""``neuropress.toml``, a profile or a mapping."""

TOML_KEY_PARTS = 16
"""Parts of one dotted key: tomllib takes quadratic time in them."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_DOTS = re.compile(rf"[^=\n#\"']{{0,200}}(?:\.[^=\n#\"'.]{{0,200}}){{{TOML_KEY_PARTS}}}")


class OverBudget(ValueError):
    """Foreign bytes ask for more than the budget allows; the text names the limit."""


def parse_json(data: bytes | str) -> Any:
    """JSON of bounded size and depth.

    Raises
    ------
    OverBudget
        It is larger than `JSON_BYTES` or nested deeper than `DEPTH`.
    ValueError
        It is no JSON; also for NaN and infinities, which JSON does not have.
    """
    octets = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(octets) > JSON_BYTES:
        raise OverBudget(f"{len(octets)} bytes of JSON, more than {JSON_BYTES}")
    _check_depth(octets)
    return json.loads(octets)


def _check_depth(octets: bytes) -> None:
    """Count brackets outside strings: the decoder itself recurses, and what it builds is walked by recursion too."""
    if octets.count(b"[") + octets.count(b"{") <= DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.finditer(_STRINGS.sub(b"", octets)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > DEPTH:
            raise OverBudget(f"JSON is nested deeper than {DEPTH} levels")


def parse_toml(text: str) -> dict[str, Any]:
    """TOML of bounded size, depth and length of keys.

    Raises
    ------
    OverBudget
        It is larger than `TOML_BYTES`, nested deeper than `DEPTH`, or has a key of more than `TOML_KEY_PARTS` parts.
    tomllib.TOMLDecodeError
        It is no TOML.
    """
    if len(text) > TOML_BYTES:
        raise OverBudget(f"{len(text)} characters of TOML, more than {TOML_BYTES}")
    for number, line in enumerate(text.splitlines(), 1):
        if line.count(".") > TOML_KEY_PARTS and _DOTS.match(line):
            raise OverBudget(f"line {number}: a key of more than {TOML_KEY_PARTS} parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise OverBudget(f"TOML is nested deeper than {DEPTH} levels") from None
