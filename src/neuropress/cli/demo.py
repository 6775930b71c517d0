"""``neuropress demo``: the whole way of the data on an example, in under a minute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote
from time import perf_counter

from ..api import Dataset
from ..model.finding import problem
from ..model.report import Report
from ..verbs.explain import explain_result
from .demo_data import SETTINGS, fill_tables, make_files
from .render import Output

FIELD = "/general/subject/weight"


def run_demo(root: Path, output: Output) -> int:
    """Make an example dataset in a new folder and take it through every verb.

    Raises
    ------
    Problem
        ``dataset.exists``: the folder is there already and not empty.
    """
    if root.exists() and any(root.iterdir()):
        raise problem("dataset.exists", f"{root} exists and is not empty", file=str(root))
    begun = perf_counter()
    output.say(f"Making an example dataset in {root}: raw files and tables of three labs.")
    dataset = Dataset.init(root, "dendritic-consortium")
    for made in make_files(root / "source"):
        output.say(f"  made {made}")
    fill_tables(root / "tables")
    with (root / "neuropress.toml").open("a", encoding="utf-8", newline="\n") as config:
        config.write(SETTINGS)
    dataset = Dataset.open(root)
    release = root.resolve().parent / f"{root.name}-release"
    status = 0
    for title, command in _steps(dataset, release, output):
        output.say(f"\n$ neuropress {title}")
        status = max(status, output.report(command()))
    nwb = next(path for path in dataset.results() if path.suffix == ".nwb")
    output.say(f"\n$ neuropress explain {nwb.name} {FIELD}")
    for explanation in explain_result(nwb, FIELD):
        output.explanation(explanation)
    _account(dataset, release, perf_counter() - begun, status, output)
    return status


def _steps(dataset: Dataset, release: Path, output: Output) -> Iterator[tuple[str, Callable[[], Report]]]:
    where = quote(dataset.config.root.name)
    yield f"check {where}", dataset.check
    yield f"plan {where}", dataset.plan
    yield f"convert {where}", lambda: dataset.convert(progress=output.progress("convert"))
    yield f"verify {where}", lambda: dataset.verify(progress=output.progress("verify"))
    yield f"validate {where}", dataset.validate
    yield f"publish {where} --to {quote(release.name)} --release 1.0.0", lambda: dataset.publish(str(release), "1.0.0")


def _account(dataset: Dataset, release: Path, seconds: float, status: int, output: Output) -> None:
    """What was made, where, what was proven, what to try next."""
    root = dataset.config.root
    output.say(f"\nDone in {seconds:.0f} s." if status == 0 else "\nSomething went wrong: see above.")
    output.say("\nMade:")
    for path in dataset.results():
        output.say(f"  {Path(str(path)).relative_to(root.parent)}")
    output.say(f"  {release.relative_to(root.parent)}/  release 1.0.0, raw files and results with their digests")
    output.say("\nProven: every sample and pixel of the results equals the raw files; no unexplained finding of")
    output.say("pynwb, nwbinspector (default and DANDI) or ome-zarr-models.")
    output.say("\nTry next:")
    name = quote(root.name)
    output.say(f"  neuropress convert {name}          (nothing to do: all is up to date)")
    output.say(f"  edit the weight in {name}/tables/mouse.csv, then: neuropress plan {name}")
    output.say(f"  neuropress status {name}")
    output.say("  neuropress docs lab-member          (ten minutes with your own files)")
