"""``init``: what a person says of the first lab, by options or, on a terminal, when asked."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..config import LAB_REQUIRED, open_profile
from ..model.finding import problem
from .render import Output

QUESTIONS = {
    "lab": "Initials of your lab, in capital letters (AB)",
    "name": "Its name (Smith lab)",
    "institution": "Its institution (University of X)",
    "timezone": "Its time zone (Europe/Berlin)",
}


def run_init(args: argparse.Namespace, output: Output) -> int:
    """Make an empty dataset."""
    from ..api import Dataset

    labs = _collect_lab(args)
    dataset = Dataset.init(args.dir, args.profile, args.optional, labs=labs)
    folders = ", ".join(sorted(lab.folder for lab in dataset.config.profile.labs.values()))
    output.say(f"{dataset.config.root} is ready. Next:")
    output.say(f"  neuropress add FILE... --lab {next(iter(dataset.config.profile.labs))} --dataset {args.dir}")
    output.say("      copies raw files to their place and drafts their rows; or fill in tables/*.csv and put")
    output.say("      raw files under source/<lab>/<YYYYMMDD>/<table>/raw/ yourself")
    output.say(f"      (<lab>: {folders})")
    output.say(f"  neuropress check {args.dir}")
    return 0


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
