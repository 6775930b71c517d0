"""``neuropress publish``: to a folder or bucket as a release, or to a dandiset."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getpass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..api import Dataset
    from .render import Output

KEY = "DANDI_API_KEY"
"""Where a key is taken from, but for a person who types it: it must not be seen in a list of processes."""


def add_dandi(verb: argparse.ArgumentParser) -> None:
    """The options of ``publish --dandi``."""
    group = verb.add_argument_group(
        "to DANDI, from here or, with --release and --to, from a release that was published",
        f"The key of your account is read from {KEY}, or asked for.",
    )
    group.add_argument("--dandi", metavar="DANDISET", help="to the draft of this dandiset, as 000123")
    text = "dandi (default), dandi-sandbox, ember-dandi, or the address of an archive's interface"
    group.add_argument("--dandi-instance", default="", metavar="NAME|URL", help=text)


def run_publish(args: argparse.Namespace, output: Output, dataset: Dataset) -> int:
    """Publish what the arguments name; returns the exit status."""
    to = args.to or dataset.config.publish.get("to", "")
    complaint = _check_arguments(args, to)
    if complaint:
        output.close()
        print(f"neuropress publish: {complaint}", file=sys.stderr)
        return 2
    from ..workspace import Selection

    select = Selection(tuple(args.session), tuple(args.lab))
    if args.dandi:
        with _take_key(args) as key:
            report = dataset.publish_to_dandi(
                args.dandi,
                select,
                instance=args.dandi_instance or "dandi",
                key=key,
                release=args.release or "",
                to=to,
                endpoint=args.endpoint,
                only=args.only,
                dry_run=args.dry_run,
                progress=output.progress("publish"),
            )
        return output.report(report)
    report = dataset.publish(
        to,
        args.release,
        select,
        only=args.only,
        endpoint=args.endpoint,
        allow_errors=args.allow_errors,
        accept_loss=args.accept_loss,
        dry_run=args.dry_run,
        progress=output.progress("publish"),
    )
    return output.report(report)


def _check_arguments(args: argparse.Namespace, to: str) -> str:
    """What is wrong with the arguments together; empty for nothing."""
    if args.dandi_instance and not args.dandi:
        return "--dandi-instance says where --dandi DANDISET is"
    if args.dandi and (args.allow_errors or args.accept_loss):
        return "--allow-errors and --accept-loss are of releases: nothing with an error goes to a dandiset"
    if not args.dandi and not args.release:
        return "say which release with --release N, or which dandiset with --dandi DANDISET"
    if args.release and not to:
        return "say where with --to URL, or [publish] to in neuropress.toml"
    return ""


@contextmanager
def _take_key(args: argparse.Namespace) -> Iterator[str]:
    """The account's key: from the environment, or typed by a person who sends something; else empty.

    Meanwhile it is not in the environment: whatever program a library may start gets a copy of that.
    """
    stated = os.environ.pop(KEY, None)
    try:
        key = (stated or "").strip()
        if not key and not args.dry_run and sys.stdin.isatty():
            key = getpass(f"Key of your account at {args.dandi_instance or 'dandi'} (it is not shown): ").strip()
        yield key
    finally:
        if stated is not None:
            os.environ[KEY] = stated
