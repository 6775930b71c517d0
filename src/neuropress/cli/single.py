"""``convert FILE --to OUT``: what a person says of one file, by options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..model.finding import problem
from ..readers import parse_reader_options
from .render import Output

CELLS = {
    "subject": "subject.subject_id",
    "species": "subject.species",
    "sex": "subject.sex",
    "age": "subject.age",
    "experimenter": "session.experimenter",
    "pixel_size": "image.pixel_size",
    "frame_rate": "image.frame_rate",
}
"""Option -> the cell that a dataset would have it in."""


def run_single(args: argparse.Namespace, output: Output) -> int:
    """Convert, verify and validate one file."""
    from ..verbs.single import Stated, convert_file

    cells = {cell: getattr(args, name) for name, cell in CELLS.items() if getattr(args, name)}
    cells |= dict(_split_pairs(args.set, "--set TABLE.COLUMN=TEXT"))
    stated = Stated(
        start=args.session_start,
        timezone=args.timezone,
        cells=cells,
        options=_parse_options(args.option),
        session=args.session_id,
        lab=args.lab_name,
        institution=args.institution,
    )
    report = convert_file(Path(args.dir), Path(args.to), stated, output.progress("convert"))
    for step in report.steps:
        output.report(step)
    return report.exit_status


def _split_pairs(texts: list[str], form: str) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise problem("dataset.config", f"{text!r} is not {form}", value=text)
        yield name.strip(), value


def _parse_options(texts: list[str]) -> dict[str, Any]:
    return parse_reader_options(dict(_split_pairs(texts, "--option NAME=VALUE")))
