"""``neuropress``: arguments in, exit status out. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .. import __version__

FORMATS = ("text", "jsonl", "junit", "github")

if TYPE_CHECKING:
    from ..api import Dataset, Selection
    from .render import Output

VERBS = {
    "demo": "make an example dataset on the spot and take it through every step",
    "init": "make an empty dataset folder",
    "add": "copy raw files to their place and draft a row for each",
    "status": "how every result stands, and what stands in the way",
    "check": "check the tables, and the tables against the raw files' headers",
    "facts": "write what the raw files' headers say, for checks where no raw file lies",
    "plan": "what convert would do, and why",
    "convert": "convert what is new or changed",
    "verify": "prove results against their raw files, sample by sample",
    "validate": "check results against NWB, DANDI and OME-NGFF rules",
    "run": "check, convert, verify, validate",
    "explain": "which cell, rule and version made a value of a result",
    "coverage": "where every cell of every table went, and that none was dropped",
    "export-tables": "rebuild the metadata tables from results or a release",
    "publish": "publish raw files and proven results as one immutable release",
}


class _Parser(argparse.ArgumentParser):
    """Wrong usage ends with status 2 and one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(
        prog="neuropress",
        description="Raw lab files and metadata tables in; proven NWB, OME-Zarr and versioned releases out.",
        epilog="Exit status: 0 fine, 1 findings of severity error, 2 wrong usage, 3 the machine or the network failed.",
    )
    top.add_argument("--version", action="version", version=f"neuropress {__version__}")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    made = {
        name: verbs.add_parser(name, help=text, description=text.capitalize() + ".") for name, text in VERBS.items()
    }
    for name in ("status", "check", "plan", "convert", "run", "coverage", "facts", "publish"):
        made[name].add_argument("dir", nargs="?", default=".", metavar="DIR", help="dataset folder (default: here)")
    for name in ("status", "check", "plan", "convert", "verify", "validate", "run"):
        _add_selection(made[name])
    for name in made.keys() - {"demo", "init"}:
        made[name].add_argument("--json", action="store_true", help="one JSON object a line on standard output")
    for name in ("convert", "run"):
        made[name].add_argument("--workers", type=_positive, default=1, metavar="N", help="results made side by side")
        made[name].add_argument("--keep-going", action="store_true", help="write sessions without their bad rows")
    for name in ("plan", "convert", "run"):
        made[name].add_argument("--outdated", action="store_true", help="rebuild what older rules made")
    for name, what in (("verify", "FILE"), ("validate", "PATH")):
        made[name].add_argument("paths", nargs="*", metavar=f"DIR|{what}", help="a dataset, or single results")
    made["add"].add_argument("files", nargs="+", metavar="FILE", help="raw files, or folders of slices")
    made["add"].add_argument("--lab", required=True, metavar="INITIALS", help="whose files they are")
    made["add"].add_argument("--session", metavar="ID", help="the session they belong to")
    made["add"].add_argument("--table", metavar="TABLE", help="where the content does not tell: sem_dataset, ...")
    made["add"].add_argument("--mouse", metavar="ID", help="for tables without a session")
    made["add"].add_argument("--date", metavar="YYYYMMDD", help="for tables without a session")
    made["add"].add_argument("--dataset", default=".", metavar="DIR", help="dataset folder (default: here)")
    made["check"].add_argument("--tables-only", action="store_true", help="open no raw file; compare with facts.jsonl")
    made["check"].add_argument(
        "--letter", metavar="LAB", help="what this lab should mend, in plain words; - for no lab"
    )
    made["check"].add_argument("--html", action="store_true", help="the letter as a page")
    made["check"].add_argument("--since", metavar="REF", help="fail only on what git revision REF did not have")
    made["check"].add_argument(
        "--format", choices=FORMATS, default="text", help="of the findings; default: %(default)s"
    )
    made["verify"].add_argument("--source", action="append", default=[], metavar="DIR", help="where raw files lie")
    made["demo"].add_argument("dir", nargs="?", default="neuropress-demo", metavar="DIR", help="a new folder")
    made["init"].add_argument("dir", metavar="DIR", help="a new or empty folder")
    made["init"].add_argument("--profile", default="dendritic-consortium", metavar="P", help="default: %(default)s")
    made["explain"].add_argument(
        "file", metavar="FILE", help="an NWB file or an OME-Zarr folder; with --cell, a dataset"
    )
    made["explain"].add_argument("field", nargs="?", metavar="FIELD", help="as /general/subject/weight, or its end")
    made["explain"].add_argument("--cell", metavar="CELL", help="of a dataset: where mouse.RY_M_0001.weight went")
    made["export-tables"].add_argument("source", metavar="SOURCE", help="a dataset, an output folder or a release")
    made["export-tables"].add_argument("--to", required=True, metavar="OUT", help="folder for the CSV files")
    made["export-tables"].add_argument("--release", metavar="N", help="of a release's URL; default: the newest")
    made["export-tables"].add_argument("--endpoint", metavar="URL", help="of an S3 server other than AWS")
    made["publish"].add_argument("--to", metavar="URL", help="a folder or s3://bucket/prefix")
    made["publish"].add_argument("--release", required=True, metavar="N", help="the release's number, as 1.0.0")
    made["publish"].add_argument("--endpoint", metavar="URL", help="of an S3 server other than AWS")
    made["publish"].add_argument("--allow-errors", action="store_true", help="publish in spite of errors; recorded")
    return top


def _add_selection(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("selection (each may be repeated)")
    group.add_argument("--session", action="append", default=[], metavar="ID", help="only these sessions")
    group.add_argument("--lab", action="append", default=[], metavar="INITIALS", help="only these labs")
    group.add_argument("--object", action="append", default=[], metavar="ID", help="only these rows")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status."""
    args = parser().parse_args(arguments)
    from ..model.finding import MappingError, Problem
    from ..report import FINDINGS, MACHINE, USAGE
    from .render import Output

    output = Output(args.verb, as_json=getattr(args, "json", False))
    try:
        return _VERBS[args.verb](args, output)
    except Problem as bad:
        if bad.finding.id in ("dataset.none", "dataset.config", "dataset.exists"):
            print(f"neuropress {args.verb}: {bad.finding.message}. {bad.finding.hint}", file=sys.stderr)
            return USAGE
        output.finding(bad.finding)
        return FINDINGS
    except MappingError as error:
        print(f"neuropress {args.verb}: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        print(f"neuropress {args.verb}: {error}", file=sys.stderr)
        return MACHINE
    except KeyboardInterrupt:
        print(f"\nneuropress {args.verb}: interrupted; run it again to continue", file=sys.stderr)
        return 130
    finally:
        output.close()


def _dataset(args: argparse.Namespace) -> Dataset:
    import neuropress

    return neuropress.open(args.dir)


def _selection(args: argparse.Namespace) -> Selection:
    from ..api import Selection

    return Selection(tuple(args.session), tuple(args.lab), tuple(args.object))


def _demo(args: argparse.Namespace, output: Output) -> int:
    from .demo import run_demo

    return run_demo(Path(args.dir), output)


def _init(args: argparse.Namespace, output: Output) -> int:
    from ..api import Dataset

    dataset = Dataset.init(args.dir, args.profile)
    output.say(f"{dataset.config.root} is ready. Next:")
    output.say("  fill in tables/*.csv, put raw files under source/<lab>/<YYYYMMDD>/<object-type>/raw/,")
    output.say(f"  then: neuropress check {args.dir}")
    return 0


def _add(args: argparse.Namespace, output: Output) -> int:
    from ..adding import Occasion

    args.dir = args.dataset
    occasion = Occasion(args.lab, args.session, args.table, args.mouse, args.date)
    return output.report(_dataset(args).add(args.files, occasion))


def _check(args: argparse.Namespace, output: Output) -> int:
    if args.letter:
        return _letter(args)
    report = _dataset(args).check(_selection(args), tables_only=args.tables_only, since=args.since)
    return output.formatted(report, args.format) if args.format != "text" else output.report(report)


def _letter(args: argparse.Namespace) -> int:
    from ..model.finding import has_errors

    dataset = _dataset(args)
    if args.letter not in (*dataset.config.profile.labs, "-"):
        known = ", ".join(dataset.config.profile.labs)
        print(f"neuropress check: no lab {args.letter!r}; known: {known}, and - for no lab", file=sys.stderr)
        return 2
    letter = dataset.letter(args.letter, _selection(args), tables_only=args.tables_only)
    sys.stdout.write(letter.html() if args.html else letter.text())
    return 1 if has_errors(letter.findings) else 0


def _facts(args: argparse.Namespace, output: Output) -> int:
    return output.report(_dataset(args).facts())


def _plan(args: argparse.Namespace, output: Output) -> int:
    return output.report(_dataset(args).plan(_selection(args), args.outdated))


def _convert(args: argparse.Namespace, output: Output) -> int:
    report = _dataset(args).convert(
        _selection(args),
        workers=args.workers,
        keep_going=args.keep_going,
        outdated=args.outdated,
        progress=output.progress("convert"),
    )
    return output.report(report)


def _verify(args: argparse.Namespace, output: Output) -> int:
    from ..results import verify_files

    files, datasets = _split(args.paths)
    status = 0
    for folder in datasets:
        args.dir = folder
        dataset = _dataset(args)
        if args.source:
            dataset.config = replace(dataset.config, roots=tuple(Path(p).resolve() for p in args.source))
        report = dataset.verify(select=_selection(args), progress=output.progress("verify"))
        status = max(status, output.report(report))
    if files:
        report = verify_files(files, [Path(p) for p in args.source], output.progress("verify"))
        status = max(status, output.report(report))
    return status


def _validate(args: argparse.Namespace, output: Output) -> int:
    from ..results import validate_files

    files, datasets = _split(args.paths)
    status = 0
    for folder in datasets:
        args.dir = folder
        status = max(status, output.report(_dataset(args).validate(select=_selection(args))))
    return max(status, output.report(validate_files(files))) if files else status


def _split(paths: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Single results, and dataset folders (here, when nothing is named)."""
    files = [Path(p) for p in paths if not (Path(p) / "neuropress.toml").is_file()]
    return files, [p for p in paths if Path(p) not in files] if paths else ["."]


def _run(args: argparse.Namespace, output: Output) -> int:
    status = 0
    options = {"workers": args.workers, "keep_going": args.keep_going, "outdated": args.outdated}
    for report in _dataset(args).run(_selection(args), progress=output.progress("run"), **options):
        status = max(status, output.report(report))
    return status


def _status(args: argparse.Namespace, output: Output) -> int:
    return output.status(_dataset(args).status(_selection(args)))


def _explain(args: argparse.Namespace, output: Output) -> int:
    from ..explain import explain_result

    if args.cell:
        args.dir = args.file
        return output.places(args.cell, _dataset(args).where(args.cell))
    for explanation in explain_result(Path(args.file), args.field):
        output.explanation(explanation)
    return 0


def _coverage(args: argparse.Namespace, output: Output) -> int:
    covered, report = _dataset(args).coverage()
    output.coverage(covered)
    return output.report(report)


def _export(args: argparse.Namespace, output: Output) -> int:
    from ..results import export

    return output.report(export(args.source, Path(args.to), args.release, args.endpoint))


def _publish(args: argparse.Namespace, output: Output) -> int:
    dataset = _dataset(args)
    to = args.to or dataset.config.publish.get("to")
    if not to:
        print("neuropress publish: say where with --to URL, or [publish] to in neuropress.toml", file=sys.stderr)
        return 2
    progress = output.progress("publish")
    options = {"endpoint": args.endpoint, "allow_errors": args.allow_errors}
    return output.report(dataset.publish(to, args.release, progress=progress, **options))


_VERBS: dict[str, Callable[[argparse.Namespace, Output], int]] = {
    "demo": _demo,
    "init": _init,
    "status": _status,
    "add": _add,
    "check": _check,
    "facts": _facts,
    "plan": _plan,
    "convert": _convert,
    "verify": _verify,
    "validate": _validate,
    "run": _run,
    "explain": _explain,
    "coverage": _coverage,
    "export-tables": _export,
    "publish": _publish,
}

if __name__ == "__main__":
    sys.exit(main())
