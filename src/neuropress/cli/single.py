"""``convert FILE --to OUT`` and ``inspect FILE``: one file, of which a person says something by options."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..model.finding import problem
from ..model.labels import LabelFile, check_label_name
from ..model.packing import Packing
from ..model.report import Report
from ..readers import parse_reader_options
from ..storage.state import write_atomic
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
DEFAULTS = ("experiment_description", "keywords")
"""Options that a dataset's lab would state in ``neuropress.toml``."""


def run_single(args: argparse.Namespace, output: Output) -> int:
    """Convert, verify and validate one file."""
    from ..verbs.single import Stated, convert_file

    cells = {cell: getattr(args, name) for name, cell in CELLS.items() if getattr(args, name)}
    cells |= dict(_split_pairs(args.set, "--set TABLE.COLUMN=TEXT"))
    stated = Stated(
        start=args.session_start,
        timezone=args.timezone,
        cells=cells,
        options=parse_options(args.option),
        session=args.session_id,
        lab=args.lab_name,
        institution=args.institution,
        defaults={name: text for name in DEFAULTS if (text := getattr(args, name))},
        labels=_parse_labels(args),
        points_options=parse_options(args.points_option),
        packing=_parse_packing(args),
    )
    report = convert_file(args.dir, args.to, stated, output.progress("convert"))
    return _report_steps(report, output)


def run_restructure(args: argparse.Namespace, output: Output) -> int:
    """Write a volume anew, verify and validate it."""
    from ..verbs.restructure import restructure_volume

    report = restructure_volume(args.volume, args.to, _parse_packing(args), output.progress("restructure"))
    return _report_steps(report, output)


def _report_steps(report: Report, output: Output) -> int:
    for step in report.steps:
        output.report(step)
    return report.exit_status


def _parse_packing(args: argparse.Namespace) -> Packing:
    """How a volume is to be stored. Raises `Problem` (``dataset.config``)."""
    try:
        return Packing.parse(vars(args))
    except ValueError as error:
        raise problem("dataset.config", str(error)) from error


def _parse_labels(args: argparse.Namespace) -> tuple[LabelFile, ...]:
    """``--labels`` and ``--points``, as ``[NAME=]FILE``, with ``--classes``. Raises `Problem` (``dataset.config``)."""
    masks, points = (_name_files(option, texts) for option, texts in (("labels", args.labels), ("points", args.points)))
    named = {**points, **masks}
    classes = [_split_name(text) for text in args.classes]
    tables = {name or next(iter({**masks, **points}), ""): path for name, path in classes}
    unknown = next((name for name in tables if name not in named), None)
    if unknown is not None or (len(named) > 1 and not all(name for name, _ in classes)):
        known = ", ".join(named) or "none"
        message = f"--classes must name the labels or points that it is of, as --classes cells=TABLE: {known}"
        raise problem("dataset.config", message, value=unknown or known)
    of_points = {name: path for name, path in tables.items() if name not in masks}
    return (
        *(LabelFile(name, path, classes=tables.get(name, ""), dtype=args.label_dtype) for name, path in masks.items()),
        *(LabelFile(name, path, classes=of_points.get(name, ""), is_points=True) for name, path in points.items()),
    )


def _name_files(option: str, texts: list[str]) -> dict[str, str]:
    """Path of each file by its name. Raises `Problem` (``dataset.config``)."""
    pairs = [(name or Path(path).name.split(".")[0], path) for name, path in map(_split_name, texts)]
    if len(dict(pairs)) < len(pairs):
        message = f"--{option} must name each once, as --{option} cells=FILE: {', '.join(name for name, _ in pairs)}"
        raise problem("dataset.config", message, value=pairs[-1][0])
    try:
        for name, _ in pairs:
            check_label_name(name)
    except ValueError as error:
        raise problem("dataset.config", str(error), hint=f"As --{option} cells=FILE.") from error
    return dict(pairs)


def _split_name(text: str) -> tuple[str, str]:
    """``NAME=PATH``; the name is empty where there is none, or the whole text is a path that has a ``=``."""
    name, equals, path = text.partition("=")
    return ("", text) if not equals or Path(text).exists() else (name, path)


def inspect_one(args: argparse.Namespace, output: Output) -> int:
    """Say what a raw file holds, and draw it."""
    from ..verbs.inspect import inspect_file

    seen = inspect_file(Path(args.file), parse_options(args.option))
    try:
        if args.json:
            output.record(seen.to_json())
        if args.write_mapping:
            output.say(seen.draft_mapping())
            return 0
        for line in seen.lines():
            output.say(line)
        if args.header:
            for content in seen.contents:
                output.say(json.dumps(content.header, indent=2, ensure_ascii=False))
        if args.png:
            write_atomic(_check_picture(Path(args.png), Path(args.file)), seen.draw())
            output.say(f"{args.png} shows it")
    finally:
        seen.close()
    return 0


def _check_picture(to: Path, raw: Path) -> Path:
    """A path that a picture may be written to. Raises `Problem` (``single.occupied``, ``dataset.config``)."""
    from ..verbs.single import check_outside

    if to.suffix.lower() != ".png":
        raise problem("dataset.config", f"--png {to} is not called like a PNG", hint=f"As {to}.png.", value=str(to))
    check_outside(raw, to)
    return to


def _split_pairs(texts: list[str], form: str) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise problem("dataset.config", f"{text!r} is not {form}", value=text)
        yield name.strip(), value


def parse_options(texts: list[str]) -> dict[str, Any]:
    """``--option NAME=VALUE`` as the readers' options. Raises `Problem` (``dataset.config``)."""
    return parse_reader_options(dict(_split_pairs(texts, "--option NAME=VALUE")))
