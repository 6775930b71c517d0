"""``init``: what a person says of the first lab, by options or, on a terminal, when asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from ..config import FILE, LAB_REQUIRED, open_profile
from ..model.finding import problem
from .render import Output

QUESTIONS = {
    "lab": "Initials of your lab, in capital letters (AB)",
    "name": "Its name (Smith lab)",
    "institution": "Its institution (University of X)",
    "timezone": "Its time zone (Europe/Berlin)",
}
ABOUT = {
    "title": "Title of its releases (Dendrites of layer 5; blank: later)",
    "license": "Licence of the data, that its owners agreed on (CC-BY-4.0; blank: later)",
}


def run_init(args: argparse.Namespace, output: Output) -> int:
    """Make an empty dataset."""
    from ..api import Dataset

    labs = _collect_lab(args)
    dataset = Dataset.init(args.dir, args.profile, args.optional, labs=labs, about=_collect_about(args, labs))
    folders = ", ".join(sorted(lab.folder for lab in dataset.config.profile.labs.values()))
    output.say(f"{dataset.config.root} is ready. Next:")
    output.say(f"  neuropress add FILE... --lab {next(iter(dataset.config.profile.labs))} --dataset {args.dir}")
    output.say("      copies raw files to their place and drafts their rows; or fill in tables/*.csv and put")
    output.say("      raw files under source/<lab>/<YYYYMMDD>/<table>/raw/ yourself")
    output.say(f"      (<lab>: {folders})")
    output.say(f"  neuropress check {args.dir}")
    if not dataset.config.profile.license:
        output.say(f"Before publish: write license, and a title, below [dataset] in {Path(args.dir) / FILE}")
    return 0


def _collect_about(args: argparse.Namespace, labs: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Title and licence of the options; who was asked for the lab is asked for them, too, unless the profile has them.

    A whole command line asks nothing, so that a script that runs on a terminal does not wait.
    """
    given = {name: getattr(args, name) or "" for name in ABOUT}
    was_asked = bool(labs) and sys.stdin.isatty() and not all(getattr(args, name) for name in QUESTIONS)
    if was_asked and not open_profile(args.profile, Path(args.dir)).license:
        given |= {name: input(f"{ABOUT[name]}: ").strip() for name, text in given.items() if not text}
    return given


def _collect_lab(args: argparse.Namespace) -> dict[str, dict[str, str]]:
    """The lab of the options; on a terminal the missing answers are asked for, elsewhere they are named at once."""
    given = {name: getattr(args, name) for name in QUESTIONS}
    if not any(given.values()) and open_profile(args.profile, Path(args.dir)).labs:
        return {}
    missing = [name for name, text in given.items() if not text]
    if missing and sys.stdin.isatty():
        given |= {name: input(f"{QUESTIONS[name]}: ").strip() for name in missing}
        missing = [name for name, text in given.items() if not text]
    if missing:
        options = " ".join(f'--{name} "..."' for name in missing)
        message = f"the dataset's lab lacks {', '.join(missing)}"
        raise problem("dataset.config", message, hint=f"Say it with {options}; neuropress init --help has an example.")
    entries = {name: given[name] for name in LAB_REQUIRED}
    return {given["lab"]: entries | ({"species": args.species} if args.species else {})}
