"""``neuropress releases``: what can be done with releases that lie somewhere."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..results import PUBLISHED

if TYPE_CHECKING:
    from ..publishing.scope import Scope
    from .render import Output

ACTIONS = {
    "list": "the releases, oldest first",
    "diff": "what differs between two releases: assets, tables, rows, cells",
    "verify": "whether a store holds what was published, and which release is good",
    "get": "bring a release to a folder, as a dataset",
    "rebuild": "make every result of a release again, and compare",
}


def add_releases(verb: argparse.ArgumentParser) -> None:
    """The actions of ``neuropress releases`` and their options."""
    actions = verb.add_subparsers(dest="action", metavar="ACTION", required=True)
    made = {name: actions.add_parser(name, help=text, description=f"{text}.") for name, text in ACTIONS.items()}
    for action in made.values():
        action.add_argument("url", metavar="URL", help="a folder or s3://bucket/prefix")
        action.add_argument("--endpoint", metavar="URL", help="of an S3 server other than AWS")
        action.add_argument("--json", action="store_true", help="one JSON object a line on standard output")
    made["diff"].add_argument("before", metavar="A", help="number of a release")
    made["diff"].add_argument("after", metavar="B", help="number of a release")
    made["verify"].add_argument("number", nargs="?", metavar="N", help="one release; default: all")
    made["verify"].add_argument("--deep", action="store_true", help="read every byte again")
    made["get"].add_argument("to", metavar="DIR", help="a new folder, or one of an earlier try")
    made["get"].add_argument("--release", metavar="N", help="default: the newest")
    made["rebuild"].add_argument("number", nargs="?", metavar="N", help="default: the newest")
    made["rebuild"].add_argument("--workers", type=int, default=1, metavar="N", help="worker processes")
    made["rebuild"].add_argument("--work", metavar="DIR", help="where raw files of one lab find room")
    for name in ("get", "rebuild"):
        made[name].add_argument("--lab", action="append", default=[], metavar="INITIALS", help="only these labs")
        made[name].add_argument("--session", action="append", default=[], metavar="ID", help="only these sessions")
    made["get"].add_argument("--only", action="append", default=[], choices=PUBLISHED)


def run_releases(args: argparse.Namespace, output: Output) -> int:
    """Run one action; returns the exit status."""
    progress = output.progress(args.action)
    from ..verbs import releases

    if args.action == "list":
        return output.report(releases.list_published(args.url, endpoint=args.endpoint))
    if args.action == "diff":
        return output.report(releases.diff_releases(args.url, args.before, args.after, endpoint=args.endpoint))
    if args.action == "verify":
        report = releases.verify_releases(
            args.url,
            args.number,
            deep=args.deep,
            endpoint=args.endpoint,
            dandi_key=os.environ.get("DANDI_API_KEY", ""),
            progress=progress,
        )
        return output.report(report)
    if args.action == "get":
        report = releases.get_release(
            args.url, Path(args.to), args.release, _scope(args), endpoint=args.endpoint, progress=progress
        )
        return output.report(report)
    from ..verbs.rebuild import rebuild_release

    report = rebuild_release(
        args.url,
        args.number,
        _scope(args),
        endpoint=args.endpoint,
        workers=args.workers,
        work=Path(args.work) if args.work else None,
        progress=progress,
    )
    return output.report(report)


def _scope(args: argparse.Namespace) -> Scope:
    from ..publishing.scope import Scope

    return Scope(tuple(args.lab), tuple(args.session), tuple(getattr(args, "only", ())))
