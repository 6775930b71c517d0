"""The budget: what bytes that others wrote may cost, stated once and applied where they are first parsed.

A limit here is far above anything that real metadata, headers or results hold, and far
below what would stop a laptop. Whoever parses foreign bytes takes its limit from here and
answers with a finding that names the limit; nothing is truncated in silence.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

DEPTH = 64
"""Levels of nesting of JSON and TOML."""

JSON_BYTES = 256 * 2**20
"""A JSON document: the provenance of a result with thousands of arrays has a tenth of it."""

TOML_BYTES = 2**20
"""``neuropress.toml``, a profile or a mapping: the largest that is shipped has a fiftieth of it."""

TOML_KEY_PARTS = 16
"""Parts of one dotted key: tomllib takes quadratic time in them."""

SETTING_BYTES = 2**20
"""A dataset's own JSON Schema of one table."""

LINES_BYTES = 64 * 2**20
"""``facts.jsonl``, ``applied_fixes.csv``, ``waivers.csv`` or a file of proposals."""

LIST_BYTES = 16 * 2**20
"""A published list of attributes, from which a profile is drafted."""

TABLE_BYTES = 128 * 2**20
"""One table as text: 100,000 recordings take 20 MB."""

TABLE_ROWS = 100_000
"""Rows of one table: keys of four digits allow 9,999 a lab, 60,000 of six."""

TABLE_COLUMNS = 500
"""Columns of one table; the widest published one has 20."""

TABLE_CELLS = 10_000_000
"""Cells of one table: they are kept as text, 60 bytes each and more."""

LINE_CHARS = 2**20
"""Characters of one line of a table as text."""

CELL_CHARS = 131_072
"""Characters of one cell: the limit of Python's own CSV reader, and four times a spreadsheet's."""

NUMBER_CHARS = 64
"""Characters of a number, a truth, a date, a time or a key in a cell, without which expressions take quadratic time."""

SHOWN_CHARS = 1_000
"""Characters of a cell that a message repeats; it tells how many there are."""

WORKBOOK_BYTES = 64 * 2**20
"""An XLSX file as it lies on the disk."""

WORKBOOK_UNPACKED = 512 * 2**20
"""What it may unpack to: a small file can hold a very large one."""

WORKBOOK_CELLS = 2_000_000
"""Elements for cells in all sheets, and texts that they share: openpyxl takes 10 microseconds and more for each."""

WORKBOOK_ELEMENTS = 200_000
"""XML elements of each other part (styles, names of sheets, relations)."""

SOURCE_SECONDS = 10
"""What a database may take for all its tables: of computing in SQLite, for each query in PostgreSQL."""

PATTERN_SECONDS = 0.25
"""What a regular expression of a dataset's own schema may take for one cell."""

PATTERN_OVERRUNS = 3
"""Cells after which an expression that took too long is not tried again."""

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_TOML_STRINGS = re.compile(
    r'''"""(?:\\.|(?!""").)*+(?:"{3,5}|\Z)|'{3}(?:(?!'{3}).)*+(?:'{3,5}|\Z)'''
    r"""|"(?:[^"\\\n]++|\\.)*+"?|'[^'\n]*+'?|\#[^\n]*+""",
    re.DOTALL,
)
_DOTS = re.compile(rf"(?:\.[ \t\w-]*+){{{TOML_KEY_PARTS}}}")


class OverBudget(ValueError):
    """Foreign bytes ask for more than the budget allows; the text names the limit."""


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a regular file of bounded size.

    Raises
    ------
    OverBudget
        It is larger, or no file at all: a pipe never ends, a device has no size, and a link may lead to itself.
    FileNotFoundError
        There is nothing of this name.
    """
    try:
        kind = path.stat().st_mode
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL):
            raise OverBudget(f"its name cannot be followed ({error.strerror})") from None
        raise
    except ValueError:  # a NUL in the name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None
    if not stat.S_ISREG(kind):
        raise OverBudget(f"it is {_KINDS.get(stat.S_IFMT(kind), 'a special file')}, not a file")
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OverBudget(f"it has more than {most} bytes")
    return data


_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def parse_json(data: bytes | str, most: int = JSON_BYTES, **hooks: Callable[..., Any]) -> Any:
    """JSON of bounded size and depth.

    Parameters
    ----------
    most
        Bytes that it may have.
    hooks
        As `json.loads` takes them (``parse_float``, ``object_pairs_hook``).

    Raises
    ------
    OverBudget
        It is larger than `most` or nested deeper than `DEPTH`.
    ValueError
        It is no JSON; also for NaN and infinities, which JSON does not have.
    """
    octets = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(octets) > most:
        raise OverBudget(f"{len(octets)} bytes of JSON, more than {most}")
    _check_depth(octets)
    # Decoded here: `json.loads` would guess UTF-16, in which brackets cannot be counted.
    decoder = json.JSONDecoder(**{"parse_constant": _refuse, **hooks})  # type: ignore[arg-type]
    return decoder.decode(octets.decode("utf-8-sig"))


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


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
    for line in _TOML_STRINGS.sub("_", text).split("\n"):
        if line.count(".") >= TOML_KEY_PARTS and _DOTS.search(line):
            raise OverBudget(f"a key of more than {TOML_KEY_PARTS} parts begins {line.strip()[:40]!r}")
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise OverBudget(f"TOML is nested deeper than {DEPTH} levels") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:  # a number of more digits than Python takes, a day that is none
        raise tomllib.TOMLDecodeError(str(error)) from None
    _check_levels(data)
    return data


def _check_levels(data: Any) -> None:
    """Refuse what is nested deeper than `DEPTH`, without recursion."""
    level = [data]
    for _ in range(DEPTH):
        nested = [value for one in level for value in (one.values() if isinstance(one, dict) else one)]
        level = [value for value in nested if isinstance(value, (dict, list))]
        if not level:
            return
    raise OverBudget(f"TOML is nested deeper than {DEPTH} levels")
