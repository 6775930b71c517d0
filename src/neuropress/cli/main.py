"""``neuropress``: arguments in, exit status out. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import parser
from .releases import run_releases
from .tools import run_tools

if TYPE_CHECKING:
    from ..api import Dataset
    from ..workspace import Selection
    from .render import Output


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    # numpy's linear algebra, which nothing here needs, would start a thread for each core, and memory for it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    args = parser().parse_args(arguments)
    from ..model.finding import MappingError, Problem, Unusable
    from ..model.report import FINDINGS, MACHINE, USAGE
    from .render import Output

    chosen = {name: getattr(args, name, False) for name in ("quiet", "verbose")}
    output = Output(args.verb, as_json=getattr(args, "json", False), **chosen)
    try:
        try:
            if args.verb in _LARGE:
                from ..model.allocator import share_arena

                share_arena()
            return _VERBS[args.verb](args, output)
        finally:
            output.close()  # before anything is said of what went wrong
    except Problem as bad:
        if bad.finding.id in _USAGE:
            print(f"neuropress {args.verb}: {bad.finding.message}. {bad.finding.hint}", file=sys.stderr)
            return USAGE
        output.finding(bad.finding)
        return FINDINGS
    except MappingError as error:
        print(f"neuropress {args.verb}: {error}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:  # whoever read the output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Unusable as refused:
        output.finding(refused.finding)
        return FINDINGS
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        print(f"neuropress {args.verb}: {said}", file=sys.stderr)
        return MACHINE
    except KeyboardInterrupt:
        print(f"\nneuropress {args.verb}: interrupted; run it again to continue", file=sys.stderr)
        return 130


def _dataset(args: argparse.Namespace) -> Dataset:
    import neuropress

    return neuropress.open(args.dir)


def _selection(args: argparse.Namespace) -> Selection:
    from ..workspace import Selection

    return Selection(tuple(args.session), tuple(args.lab), tuple(args.object))


def _demo(args: argparse.Namespace, output: Output) -> int:
    from .demo import run_demo

    return run_demo(Path(args.dir), output)


def _init(args: argparse.Namespace, output: Output) -> int:
    from .init import run_init

    return run_init(args, output)


def _profiles(args: argparse.Namespace, output: Output) -> int:
    from ..verbs.profiles import format_profile, list_profiles

    for entry in list_profiles(Path(args.dir)):
        if args.json:
            output.record(entry)
        for line in format_profile(entry):
            output.say(line)
    return 0


def _add(args: argparse.Namespace, output: Output) -> int:
    from ..verbs.adding import Occasion
    from .single import parse_options

    args.dir = args.dataset
    occasion = Occasion(
        args.lab, args.session, args.table, args.subject, args.date, args.experimenter, parse_options(args.option)
    )
    return output.report(_dataset(args).add(args.files, occasion))


def _docs(args: argparse.Namespace, output: Output) -> int:
    from ..verbs.docs import format_page, list_topics, read_page

    if args.topic:
        for line in format_page(read_page(args.topic)):
            output.say(line)
        return 0
    for name, title in list_topics().items():
        output.say(f"{name:20}  {title}")
    output.say(
        "\nneuropress docs TOPIC prints one; begin with start/lab-member, start/data-manager or start/programmer."
    )
    return 0


def _formats(args: argparse.Namespace, output: Output) -> int:
    from ..readers import list_broken_readers
    from ..verbs.formats import format_lines, list_formats

    for found in list_broken_readers():
        output.finding(found)
    for entry in list_formats(args.format):
        if args.json:
            output.record(entry)
        for line in format_lines(entry, whole=args.format is not None):
            output.say(line)
    return 0


def _complete(args: argparse.Namespace, output: Output) -> int:
    from .completion import format_completion

    sys.stdout.write(format_completion(parser(), args.shell))
    return 0


def _inspect(args: argparse.Namespace, output: Output) -> int:
    from .single import inspect_one

    return inspect_one(args, output)


def _check(args: argparse.Namespace, output: Output) -> int:
    if args.changed is not None:
        from .checking import check_changed

        return check_changed(args, _selection(args), output)
    if args.letter:
        return _letter(args)
    if args.propose:
        return output.report(_dataset(args).propose_fixes(args.propose))
    if args.apply:
        return output.report(_dataset(args).apply_fixes(args.apply))
    if args.format != "text":
        from .checking import check_formatted

        return check_formatted(_dataset(args), args, _selection(args), output)
    progress = output.progress("check")
    report = _dataset(args).check(_selection(args), tables_only=args.tables_only, since=args.since, progress=progress)
    return output.report(report)


def _letter(args: argparse.Namespace) -> int:
    from ..model.finding import has_errors

    dataset = _dataset(args)
    if args.letter not in (*dataset.config.profile.labs, "-"):
        known = ", ".join(dataset.config.profile.labs)
        print(f"neuropress check: no lab {args.letter!r}; known: {known}, and - for no lab", file=sys.stderr)
        return 2
    letter = dataset.letter(args.letter, _selection(args), tables_only=args.tables_only)
    sys.stdout.write(letter.to_html() if args.html else letter.to_text())
    return 1 if has_errors(letter.findings) else 0


def _facts(args: argparse.Namespace, output: Output) -> int:
    return output.report(_dataset(args).facts())


def _plan(args: argparse.Namespace, output: Output) -> int:
    return output.report(_dataset(args).plan(_selection(args), outdated=args.outdated, memory=args.memory))


def _convert(args: argparse.Namespace, output: Output) -> int:
    progress = output.progress("convert")  # before anything large is imported and the dataset opened: that takes time
    if args.to:
        from .single import run_single

        return run_single(args, output)
    report = _dataset(args).convert(
        _selection(args),
        workers=args.workers,
        keep_going=args.keep_going,
        outdated=args.outdated,
        part=args.part,
        dask=args.dask,
        memory=args.memory,
        progress=progress,
    )
    return output.report(report)


def _verify(args: argparse.Namespace, output: Output) -> int:
    progress = output.progress("verify")
    from ..api import Dataset
    from ..verbs.verify import verify_files

    files, datasets = _split(args.paths)
    status = 0
    for folder in datasets:
        args.dir = folder
        dataset = _dataset(args)
        if args.source:
            dataset = Dataset(replace(dataset.config, roots=tuple(Path(p).resolve() for p in args.source)))
        report = dataset.verify(select=_selection(args), progress=progress, independent=args.independent)
        status = max(status, output.report(report))
    if files:
        sources = [p if p.startswith("s3://") else Path(p) for p in args.source]
        report = verify_files(files, sources, progress, independent=args.independent)
        status = max(status, output.report(report))
    return status


def _validate(args: argparse.Namespace, output: Output) -> int:
    progress = output.progress("validate")
    from ..verbs.validate import validate_files

    files, datasets = _split(args.paths)
    status = 0
    for folder in datasets:
        args.dir = folder
        report = _dataset(args).validate(select=_selection(args), dandi=args.dandi, progress=progress)
        status = max(status, output.report(report))
    return max(status, output.report(validate_files(files, progress, dandi=args.dandi))) if files else status


def _split(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Single results, and dataset folders (here, when nothing is named)."""
    files = [p for p in paths if not (Path(p) / "neuropress.toml").is_file()]
    return files, [p for p in paths if p not in files] if paths else ["."]


def _run(args: argparse.Namespace, output: Output) -> int:
    progress = output.progress("run")
    report = _dataset(args).run(
        _selection(args),
        workers=args.workers,
        keep_going=args.keep_going,
        outdated=args.outdated,
        progress=progress,
        step_done=output.report,
    )
    return report.exit_status


def _status(args: argparse.Namespace, output: Output) -> int:
    if args.files:
        return output.files(_dataset(args).list_files())
    return output.status(_dataset(args).status(_selection(args)))


def _view(args: argparse.Namespace, output: Output) -> int:
    from .viewing import run_view

    return run_view(args, output)


def _restructure(args: argparse.Namespace, output: Output) -> int:
    from .single import run_restructure

    return run_restructure(args, output)


def _schema(args: argparse.Namespace, output: Output) -> int:
    from ..verbs.drafting import WHEN, draft_profile

    made = draft_profile(Path(args.lists), Path(args.to), args.name)
    output.say(f"{made.tables} tables with {made.columns} columns are drafted:")
    for path in made.files[:2]:
        output.say(f"  {path}")
    output.say(f"  {made.files[-1].parent}{os.sep}*.schema.json")
    for when, title in enumerate(WHEN):
        group = [d for d in made.decisions if d.when == when]
        output.say(f"{title}, {len(group)} decisions{':' if group and not when else ''}")
        for decision in group if not when else ():
            output.say(f"  {decision.place}: {decision.question} ({decision.where})")
    output.say(f"All of them stand in {made.files[1]}. Then: neuropress init {args.to} --profile {args.name}")
    return 0


def _explain(args: argparse.Namespace, output: Output) -> int:
    from ..verbs.explain import explain_file

    if args.cell:
        args.dir = args.file
        return output.places(args.cell, _dataset(args).find_cell(args.cell))
    explanations = explain_file(args.file, args.field).explanations
    if not args.field and not args.all:
        output.explanations(args.file, explanations)
        return 0
    for explanation in explanations:
        output.explanation(explanation)
    return 0


def _coverage(args: argparse.Namespace, output: Output) -> int:
    report = _dataset(args).coverage()
    if args.html:
        from .summary import format_coverage_html

        sys.stdout.write(format_coverage_html(report.coverage, f"Coverage of {Path(args.dir).resolve().name}"))
        return report.exit_status
    output.coverage(report.coverage)
    return output.report(report)


def _export(args: argparse.Namespace, output: Output) -> int:
    from ..verbs.export import export_source

    return output.report(export_source(args.source, Path(args.to), args.release, args.endpoint))


def _publish(args: argparse.Namespace, output: Output) -> int:
    from .publishing import run_publish

    return run_publish(args, output, _dataset(args))


_USAGE = (
    "cluster.address",
    "cluster.extra",
    "cluster.jobs",
    "dataset.none",
    "dataset.config",
    "dataset.exists",
    "docs.topic",
    "fixes.none",
    "single.occupied",
    "single.target",
    "single.unstated",
)
"""Findings on what was asked for, not on data."""

_VERBS: dict[str, Callable[[argparse.Namespace, Output], int]] = {
    "demo": _demo,
    "init": _init,
    "profiles": _profiles,
    "status": _status,
    "docs": _docs,
    "formats": _formats,
    "completion": _complete,
    "inspect": _inspect,
    "add": _add,
    "check": _check,
    "facts": _facts,
    "plan": _plan,
    "convert": _convert,
    "verify": _verify,
    "validate": _validate,
    "run": _run,
    "restructure": _restructure,
    "view": _view,
    "schema": _schema,
    "explain": _explain,
    "coverage": _coverage,
    "export-tables": _export,
    "publish": _publish,
    "releases": run_releases,
    "tools": run_tools,
}

_LARGE = {"convert", "verify", "validate", "run", "restructure", "releases"}
"""Verbs that read and write whole arrays."""

if __name__ == "__main__":
    sys.exit(main())
