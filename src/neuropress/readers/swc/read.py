"""SWC morphologies: text, one sample a line (id, type, x, y, z, radius, parent), micrometres.

A section is a run of samples between two of root, branch point and end, as MorphIO counts them: where the type
changes along a run, another section begins. Samples of type 1 are the soma. Samples may stand in any order.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ...model.budget import SWC_BYTES, SWC_COMMENTS, SWC_SAMPLES
from ...model.content import Content
from ...model.finding import Problem, problem
from ...model.source import Source
from . import FORMAT

SOMA_TYPE = 1
COLUMN_COUNT = 7
MAX_NUMBER_LENGTH = 200
"""Characters of one number; real files pad to 64."""
MAX_LINE_LENGTH = 2**16
"""Characters of one line; a sample has some 100."""
MAX_LINES = 4 * SWC_SAMPLES
"""Blank ones and comments counted."""


@dataclass(frozen=True, slots=True)
class _Sample:
    kind: int
    position: tuple[Decimal, Decimal, Decimal]
    parent: int
    line: int


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """Facts of the tree; no arrays.

    Raises
    ------
    Problem
        ``swc.line``: a line that is no sample; ``swc.tree``: samples that are no tree.
    """
    with source.open() as file:
        data = file.read(SWC_BYTES + 1)
    if len(data) > SWC_BYTES:
        raise problem("swc.line", f"{source.key} has more than {SWC_BYTES} bytes", file=source.key)
    comments, samples = _parse_samples(data, source.key)
    _check_tree(samples, source.key)
    facts = dict(_compute_facts(samples))
    return (Content("", FORMAT.name, facts, {"comments": comments, "facts": facts}, {}),)


def _split_lines(data: bytes, key: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line, without blanks at its ends. Raises `Problem` (``swc.line``)."""
    # Lines end in LF, CR LF or CR; other separators of Unicode may stand within a comment.
    file = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", "backslashreplace")
    number = 0
    # Without a bound, one line could be the whole file, and four times as long where its bytes are no text.
    while raw := file.readline(MAX_LINE_LENGTH + 1):
        number += 1
        if len(raw) > MAX_LINE_LENGTH:
            raise _make_line_problem("swc.line", key, number, f"more than {MAX_LINE_LENGTH} characters")
        if number > MAX_LINES:
            raise _make_line_problem("swc.line", key, number, f"the file has more than {MAX_LINES} lines")
        yield number, raw.strip()


def _parse_samples(data: bytes, key: str) -> tuple[list[str], dict[int, _Sample]]:
    comments: list[str] = []
    samples: dict[int, _Sample] = {}
    comment_room = SWC_COMMENTS
    for number, line in _split_lines(data, key):
        if line.startswith("#"):
            if 0 <= comment_room < len(line):
                comments.append(f"[comments after the first {SWC_COMMENTS} characters of them are left out]")
            if comment_room >= 0:
                comment_room -= len(line)
            if comment_room >= 0:
                comments.append(line)
        elif line:
            if len(samples) == SWC_SAMPLES:
                raise _make_line_problem("swc.line", key, number, f"more than {SWC_SAMPLES} samples")
            id, sample = _parse_sample(line, number, key)
            if id in samples:
                message = f"sample {id} stands in line {samples[id].line} already"
                raise _make_line_problem("swc.tree", key, number, message)
            samples[id] = sample
    if not samples:
        raise problem("swc.line", f"{key} has no sample", file=key)
    return comments, samples


def _parse_sample(line: str, number: int, key: str) -> tuple[int, _Sample]:
    cells = line.split()
    try:
        if len(cells) < COLUMN_COUNT:
            raise ValueError(f"it has {len(cells)} columns instead of {COLUMN_COUNT}")
        if any(
            len(cell) > MAX_NUMBER_LENGTH or "_" in cell for cell in cells[:COLUMN_COUNT]
        ):  # Python takes 1_000 for a number
            raise ValueError(f"a number of more than {MAX_NUMBER_LENGTH} characters, or with an underscore")
        id, kind, parent = int(cells[0]), int(cells[1]), int(cells[6])
        x, y, z, radius = (Decimal(cell) for cell in cells[2:6])
        if not all(value.is_finite() and abs(value.adjusted()) < 30 for value in (x, y, z, radius)):
            raise ValueError("a place or radius that no cell can have")
    except (ValueError, ArithmeticError) as error:
        reason = str(error) if isinstance(error, ValueError) else "a place or radius is no number"
        raise _make_line_problem("swc.line", key, number, reason) from None
    return id, _Sample(kind, (x, y, z), parent, number)


def _check_tree(samples: Mapping[int, _Sample], key: str) -> None:
    """Every parent is there, and no chain of parents comes back to where it began."""
    rooted: set[int] = set()
    for id, sample in samples.items():
        if sample.parent >= 0 and sample.parent not in samples:
            raise _make_line_problem(
                "swc.tree", key, sample.line, f"sample {id} has the parent {sample.parent}, which is not there"
            )
        chain: list[int] = []
        current, seen = id, set[int]()
        while current in samples and current not in rooted:
            if current in seen:
                raise _make_line_problem(
                    "swc.tree", key, samples[current].line, f"sample {current} is among its own ancestors"
                )
            seen.add(current)
            chain.append(current)
            current = samples[current].parent
        rooted.update(chain)


def _compute_facts(samples: Mapping[int, _Sample]) -> Iterator[tuple[str, str]]:
    neurites = {id: sample for id, sample in samples.items() if sample.kind != SOMA_TYPE}
    children: dict[int, list[int]] = {}
    for id, sample in neurites.items():
        if sample.parent in neurites:
            children.setdefault(sample.parent, []).append(id)
    roots = [id for id, sample in neurites.items() if sample.parent not in neurites]
    starts: list[int] = []
    lengths: list[float] = []
    for id, sample in neurites.items():
        parent = neurites.get(sample.parent)
        if parent is None:
            continue
        if len(children[sample.parent]) > 1 or parent.kind != sample.kind:
            starts.append(id)
        lengths.append(math.dist(sample.position, parent.position))
    yield "points", str(len(samples))
    yield "soma_points", str(len(samples) - len(neurites))
    yield "roots", str(len(roots))
    yield "sections", str(len(roots) + len(starts))
    yield "total_length", f"{math.fsum(lengths):.6f}"
    for axis, name in enumerate("xyz"):
        positions = [sample.position[axis] for sample in samples.values()]
        yield f"{name}_min", f"{min(positions).normalize():f}"  # of 5.5 and 5.50 neither comes first
        yield f"{name}_max", f"{max(positions).normalize():f}"


def _make_line_problem(id: str, key: str, line: int, reason: str) -> Problem:
    return problem(id, f"{key} line {line}: {reason}", file=key)
