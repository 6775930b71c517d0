"""GenBank flat files: a LOCUS line, a table of features, the sequence, ``//``; several records may follow each other.

A file that was cut off lacks ``//``, or letters of the length that its LOCUS line states; both are compared.
"""

from __future__ import annotations

import codecs
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from ...model.content import Content
from ...model.finding import Problem, problem
from ...model.source import Source
from . import FORMAT

MOST_BYTES = 16 * 2**20
"""A bacterium's genome has 11 MB."""
MOST_LINES = 1_000_000
MOST_LINE = 2**16
"""Bytes of one line; the format has 80."""
MOST_RECORDS = 1000
MOST_HEADER = 2**18
"""Characters of a record's header that travel in the result."""
LEFT_OUT = f"[lines after the first {MOST_HEADER} characters of them are left out]"

_UNITS = ("bp", "aa", "rc")
_DATE = re.compile(r"(\d{1,2})-([A-Z]{3})-(\d{4})", re.ASCII)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_KIND = re.compile(r"(?:[SDM]S-)?[A-Z]*[DR]NA|NA")
_LETTERS = frozenset("ACGTURYSWKMBDHVN")
_NO_LETTERS = str.maketrans("", "", " \t0123456789")
_FEATURE = re.compile(r" {5}[^\s/]")


@dataclass(slots=True)
class _Record:
    """One record as far as it was read; `section` is the keyword at a line's start under which the lines stand."""

    line: int
    facts: dict[str, str]
    length: int
    room: int
    section: str = "LOCUS"
    features: int = 0
    sequence: bool = False
    elsewhere: bool = False
    letters: Counter[str] = field(default_factory=Counter)
    header: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """One content a record; no arrays.

    Raises
    ------
    Problem
        ``genbank.damaged``: a record is cut off, contradicts itself, or is no nucleotide sequence.
    """
    with source.open() as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise problem("genbank.damaged", f"{source.key} has more than {MOST_BYTES} bytes", file=source.key)
    records = list(_records(data, source.key))
    if not records:
        raise problem("genbank.damaged", f"{source.key} has no record", file=source.key)
    return tuple(_content(records, number) for number in range(len(records)))


def _records(data: bytes, key: str) -> Iterator[_Record]:
    record: _Record | None = None
    count = 0
    for number, line in _lines(data, key):
        word = line.partition(" ")[0].partition("\t")[0]
        if record is None:
            if word == "LOCUS":
                count += 1
                if count > MOST_RECORDS:
                    raise _bad(key, number, f"more than {MOST_RECORDS} records")
                record = _locus(line, number, key)
            else:
                raise _bad(key, number, "a record begins with LOCUS")
        elif word == "LOCUS":
            raise _bad(key, number, f"the record of line {record.line} has no end (//)")
        elif word == "//":
            _check_end(record, number, key)
            yield record
            record = None
        else:
            _take(record, word, line, number, key)
    if record is not None:
        raise _bad(key, record.line, "its record has no end (//): the file was cut off")


def _lines(data: bytes, key: str) -> Iterator[tuple[int, str]]:
    """Lines that say something, with their numbers; they end in LF, CR LF or CR."""
    file = io.BytesIO(data.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    number = 0
    while raw := file.readline(MOST_LINE + 1):
        number += 1
        if len(raw) > MOST_LINE or number > MOST_LINES:
            raise _bad(key, number, f"a line of more than {MOST_LINE} bytes, or more than {MOST_LINES} lines")
        if line := raw.decode("utf-8", "backslashreplace").rstrip():
            yield number, line


def _locus(line: str, number: int, key: str) -> _Record:
    """What a LOCUS line says. Columns differ among programs, so words count: name, length, bp, what may follow."""
    words = line.split()
    at = max((i for i in range(2, len(words)) if words[i] in _UNITS and _is_number(words[i - 1])), default=0)
    if not at:
        raise _bad(key, number, "LOCUS states no length in bp")
    if words[at] != "bp":
        raise _bad(key, number, f"its length is in {words[at]}: it is no sequence of nucleotides")
    length, rest = int(words[at - 1]), words[at + 1 :]
    found = {"locus": " ".join(words[1 : at - 1]), "length": str(length)}
    warnings = []
    if topology := next((word.lower() for word in rest if word.lower() in ("circular", "linear")), ""):
        found["topology"] = topology
    if dated := next(filter(None, map(_DATE.fullmatch, map(str.upper, rest))), None):
        try:
            found["date"] = date(int(dated[3]), _MONTHS.index(dated[2]) + 1, int(dated[1])).isoformat()
        except ValueError:
            warnings.append(f"the date {dated[0]} of its LOCUS line is none")
    if rest and _KIND.fullmatch(rest[0].upper()):
        found["molecule"] = rest[0]
    facts = {name: text for name, text in found.items() if text}
    return _Record(number, facts, length, MOST_HEADER, header=[line], warnings=warnings)


def _take(record: _Record, word: str, line: str, number: int, key: str) -> None:
    if word and not (record.section == "ORIGIN" and _is_number(word)):  # positions of nine digits stand there
        record.section = word
        record.sequence |= word == "ORIGIN"
        record.elsewhere |= word.startswith(("CONTIG", "WGS"))
    if record.section == "ORIGIN" and word != "ORIGIN":
        letters = line.translate(_NO_LETTERS).upper()
        if not _LETTERS.issuperset(letters):
            raise _bad(key, number, "it has characters that are no letters of nucleotides")
        record.letters.update(letters)
    elif record.section == "FEATURES":
        record.features += bool(_FEATURE.match(line))
    elif record.section != "ORIGIN" and record.room >= 0:
        record.room -= len(line)
        record.header.append(line if record.room >= 0 else LEFT_OUT)


def _check_end(record: _Record, number: int, key: str) -> None:
    counted = record.letters.total()
    if counted != record.length and (record.sequence or not record.elsewhere):
        why = f"LOCUS in line {record.line} states {record.length} bp, but the sequence has {counted}"
        raise _bad(key, number, why)


def _content(records: list[_Record], number: int) -> Content:
    record = records[number]
    facts = dict(record.facts)
    facts["features"] = str(record.features)
    strong = sum(record.letters[letter] for letter in "GCS")
    if known := strong + sum(record.letters[letter] for letter in "ATUW"):
        facts["gc_content"] = f"{Decimal(strong) / known:.6f}"
    locus = facts.get("locus", "")
    alike = [other for other in records if other.facts.get("locus", "") == locus]
    name = "" if len(records) == 1 else locus if locus and len(alike) == 1 else f"{locus} (record {number + 1})".strip()
    return Content(name, FORMAT.name, facts, {"lines": record.header}, {}, tuple(record.warnings))


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 12


def _bad(key: str, line: int, why: str) -> Problem:
    return problem("genbank.damaged", f"{key} line {line}: {why}", file=key)
