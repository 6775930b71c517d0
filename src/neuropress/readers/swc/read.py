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

SOMA = 1
COLUMNS = 7
DIGITS = 200
"""Characters of one number; real files pad to 64."""


@dataclass(frozen=True, slots=True)
class _Sample:
    kind: int
    place: tuple[Decimal, Decimal, Decimal]
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
    comments, samples = _samples(data, source.key)
    _check_tree(samples, source.key)
    facts = dict(_facts(samples))
    return (Content("", FORMAT.name, facts, {"comments": comments, "facts": facts}, {}),)


def _samples(data: bytes, key: str) -> tuple[list[str], dict[int, _Sample]]:
    comments: list[str] = []
    samples: dict[int, _Sample] = {}
    room = SWC_COMMENTS
    # Lines end in LF, CR LF or CR; other separators of Unicode may stand within a comment.
    for number, raw in enumerate(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", "backslashreplace"), 1):
        line = raw.strip()
        if line.startswith("#"):
            if 0 <= room < len(line):
                comments.append(f"[comments after the first {SWC_COMMENTS} characters of them are left out]")
            room -= len(line) if room >= 0 else 0
            comments += [line] if room >= 0 else []
        elif line:
            if len(samples) == SWC_SAMPLES:
                raise _bad("swc.line", key, number, f"more than {SWC_SAMPLES} samples")
            id, sample = _parse(line, number, key)
            if id in samples:
                message = f"sample {id} stands in line {samples[id].line} already"
                raise _bad("swc.tree", key, number, message)
            samples[id] = sample
    if not samples:
        raise problem("swc.line", f"{key} has no sample", file=key)
    return comments, samples


def _parse(line: str, number: int, key: str) -> tuple[int, _Sample]:
    cells = line.split()
    try:
        if len(cells) < COLUMNS:
            raise ValueError(f"it has {len(cells)} columns instead of {COLUMNS}")
        if any(len(cell) > DIGITS or "_" in cell for cell in cells[:COLUMNS]):  # Python takes 1_000 for a number
            raise ValueError(f"a number of more than {DIGITS} characters, or with an underscore")
        id, kind, parent = int(cells[0]), int(cells[1]), int(cells[6])
        x, y, z, radius = (Decimal(cell) for cell in cells[2:6])
        if not all(value.is_finite() and abs(value.adjusted()) < 30 for value in (x, y, z, radius)):
            raise ValueError("a place or radius that no cell can have")
    except (ValueError, ArithmeticError) as error:
        why = str(error) if isinstance(error, ValueError) else "a place or radius is no number"
        raise _bad("swc.line", key, number, why) from None
    return id, _Sample(kind, (x, y, z), parent, number)


def _check_tree(samples: Mapping[int, _Sample], key: str) -> None:
    """Every parent is there, and no chain of parents comes back to where it began."""
    whole: set[int] = set()
    for id, sample in samples.items():
        if sample.parent >= 0 and sample.parent not in samples:
            raise _bad("swc.tree", key, sample.line, f"sample {id} has the parent {sample.parent}, which is not there")
        chain: list[int] = []
        at, seen = id, set[int]()
        while at in samples and at not in whole:
            if at in seen:
                raise _bad("swc.tree", key, samples[at].line, f"sample {at} is among its own ancestors")
            seen.add(at)
            chain.append(at)
            at = samples[at].parent
        whole.update(chain)


def _facts(samples: Mapping[int, _Sample]) -> Iterator[tuple[str, str]]:
    neurites = {id: sample for id, sample in samples.items() if sample.kind != SOMA}
    children: dict[int, list[int]] = {}
    for id, sample in neurites.items():
        if sample.parent in neurites:
            children.setdefault(sample.parent, []).append(id)
    roots = [id for id, sample in neurites.items() if sample.parent not in neurites]
    starts = [
        id
        for id, sample in neurites.items()
        if sample.parent in neurites
        and (len(children[sample.parent]) > 1 or neurites[sample.parent].kind != sample.kind)
    ]
    lengths = [math.dist(s.place, neurites[s.parent].place) for s in neurites.values() if s.parent in neurites]
    yield "points", str(len(samples))
    yield "soma_points", str(len(samples) - len(neurites))
    yield "roots", str(len(roots))
    yield "sections", str(len(roots) + len(starts))
    yield "total_length", f"{math.fsum(lengths):.6f}"
    for axis, name in enumerate("xyz"):
        places = [sample.place[axis] for sample in samples.values()]
        yield f"{name}_min", f"{min(places).normalize():f}"  # of 5.5 and 5.50 neither comes first
        yield f"{name}_max", f"{max(places).normalize():f}"


def _bad(id: str, key: str, line: int, why: str) -> Problem:
    return problem(id, f"{key} line {line}: {why}", file=key)
