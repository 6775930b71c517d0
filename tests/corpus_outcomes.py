"""What becomes of every raw file of the corpus, each by itself: writes docs/corpus.md.

    python tests/corpus_outcomes.py [--only abf/] [--print]

Recordings, tables and trained points become an NWB file, images a volume, as `neuropress convert FILE --to OUT` makes
them; each is verified and validated. What needs rows of a dataset (trees, maps, regions, simulations) is read whole.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from neuropress.model.content import Content, Image
from neuropress.model.finding import Problem
from neuropress.model.report import Report
from neuropress.model.source import Source
from neuropress.readers import raw
from neuropress.storage.roots import Folder
from neuropress.verbs.single import Stated, convert_file

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/corpus.md"
UNDECLARED = "nobody declared what it holds, or nothing in it can be declared"
FOLDERS = (
    "em/NEUBIAS__training-resources/image_data/xyz_8bit__em_volume_tiff_series",
    "em/zhixuhao__unet/data/membrane/train/image",
    "em/zhixuhao__unet/data/membrane/train/label",
    "tiff_timeseries/zeiss-microscopy__OAD/Experiment_Feedback/Testimages/Calcium_340-380_100frames",
    "tiff_zseries/brainglobe__brainreg/tests/data/input/brain",
)
"""Folders that are one raw object each."""
STATED: Mapping[str, Mapping[str, Any]] = {
    "abf/*sine sweep*.atf": {"data_unit": "mV", "clamp": "current clamp"},
    "cells/*.xml": {"reader": "points"},
    "mat/drieslab*": {"pixels": "expr", "axes": "yx"},
    "mat/*/neo_test*": {
        "channels": "block/segments/0/analogsignals/0/signal = mV",
        "rate": "block/segments/0/analogsignals/0/sampling_rate Hz",
        "clamp": "current clamp",
    },
    "npy/*/neurite.npy": {"pixels": "array", "axes": "yx"},
    "npy/*/volume.npy": {"pixels": "array", "axes": "zyx"},
    "atlas/*.nrrd": {"unit": "um"},
    "npy/*/probe*": {"columns": "array = um", "frame_rate": "1"},
    "hdf5/*sima/example.h5": {"pixels": "imaging", "axes": "yxt"},
    "hdf5/*sima/example-volume.h5": {"pixels": "imaging", "axes": "tzyxc"},
    "hdf5/*plant-seg/*": {"pixels": "raw", "axes": "zyx"},
    "microct/*": {"pixels": "exchange/data", "axes": "tyx"},
    "trace_text/*": {"channels": "column2 = mV", "time": "column1 ms", "clamp": "current clamp"},
    "lif/*": {"image": "3"},
    "behaviour/*.h5": {"frame_rate": "30"},
    "sonata/*/compartment_named.h5": {"started": "2025-06-20T09:00+02:00", "time_unit": "ms", "data_unit": "mV"},
    "sonata/*.h5": {"started": "2025-06-20T09:00+02:00"},
    "ibw/*": {"clamp": "current clamp", "x_unit": "s"},
    "behaviour/oist*": {
        "header": "speed,lick,rest",
        "columns": "speed = cm/s; lick = 1; rest = ignore",
        "frame_rate": "30",
    },
    "behaviour/*.csv": {"frame_rate": "30"},
}
"""What a person says of files that do not say it themselves."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    file: str
    format: str
    outcome: str
    """``converted``, ``kept``, ``read`` or ``refused``."""
    what: str


def list_objects(corpus: Path) -> list[str]:
    """Keys of all raw objects; a folder ends in ``/``."""
    with (corpus / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        keys = [row["path"] for row in csv.DictReader(file, delimiter="\t")]
    alone = [key for key in keys if not key.startswith(tuple(f"{folder}/" for folder in FOLDERS))]
    return sorted([*alone, *(f"{folder}/" for folder in FOLDERS)])


def find_options(key: str) -> dict[str, Any]:
    """What stands in `STATED` for a file: the first pattern that fits."""
    return dict(next((options for pattern, options in STATED.items() if fnmatch(key, pattern)), {}))


def describe(corpus: Path, key: str) -> Row:
    """What becomes of one file."""
    try:
        contents = read_contents(corpus, key)
    except Problem as bad:
        return Row(key, "", "refused", f"`{bad.finding.id}`: {bad.finding.message}")
    name = contents[0].format if contents else ""
    with tempfile.TemporaryDirectory() as folder:
        suffix = ".ome.zarr" if any(isinstance(content, Image) for content in contents) else ".nwb"
        start = "" if any(content.started for content in contents) and name != "sonata" else "2025-06-20T09:00"
        cells = (
            {}
            if suffix == ".ome.zarr" or name == "sonata"
            else {"subject.subject_id": "m1", "subject.species": "Mus musculus"}
        )
        stated = Stated(start, "Europe/Berlin", cells, find_options(key), "s1")
        try:
            report = convert_file(corpus / key, Path(folder) / f"result{suffix}", stated)
        except Problem as bad:
            return read_or_refuse(key, name, contents, bad)
    return judge(key, name, contents, report)


def read_contents(corpus: Path, key: str) -> tuple[Content, ...]:
    """Headers of a file. Raises `Problem`."""
    folder, _, name = key.rstrip("/").rpartition("/")
    source = Source(name + "/" * key.endswith("/"), Folder(corpus / folder))
    return raw.read(source, find_options(key))


def read_or_refuse(key: str, name: str, contents: tuple[Content, ...], bad: Problem) -> Row:
    """A file that needs a dataset's rows is read whole, one that nobody declared is kept there; others are refused."""
    if bad.finding.id == "arrays.undeclared":
        return Row(key, name, "kept", UNDECLARED)
    if bad.finding.id not in ("single.unstated", "single.target", "dataset.config"):
        return Row(key, name, "refused", f"`{bad.finding.id}`: {bad.finding.message}")
    return read_whole(key, name, contents)


def read_whole(key: str, name: str, contents: tuple[Content, ...]) -> Row:
    """Every element of every array."""
    count = 0
    for content in contents:
        for array in content.arrays.values():
            count += array.read(tuple(slice(0, n) for n in array.shape)).size
    kinds = Counter(type(content).__name__ for content in contents)
    return Row(key, name, "read", f"{', '.join(f'{n} {kind}' for kind, n in kinds.items())}; {count} elements")


def judge(key: str, name: str, contents: tuple[Content, ...], report: Report) -> Row:
    """Converted and verified; or what stood in the way."""
    if name == "suite2p":  # regions, which are of a movie's row
        return read_whole(key, name, contents)
    errors = [found for found in report.findings if found.severity == "error"]
    if errors:
        return Row(key, name, "refused", f"`{errors[0].id}`: {errors[0].message}")
    verified = [outcome for step in report.steps for outcome in step.outcomes if outcome.done == "verified"]
    assert len(verified) == 1, (key, report.steps)
    if not any(content.arrays for content in contents):
        return Row(key, name, "kept", UNDECLARED)
    return Row(key, name, "converted", verified[0].why)


def format_page(rows: list[Row]) -> str:
    """The page."""
    lines = [
        "# The corpus, file by file",
        "",
        "Real files of instruments, laboratories and the test sets of format libraries, each by itself, by",
        "`python tests/corpus_outcomes.py`. *Converted*: to NWB or OME-Zarr, verified equal to the raw file bit by bit,",
        "validated without an error. *Kept*: it stays as it is, with its digest. *Read*: its rows stand in a dataset's tables (trees, regions, maps), so that it is read",
        "whole here and converted in other tests. *Refused*: with the finding and its message.",
        "",
        "| format | converted | kept | read | refused |",
        "|---|---|---|---|---|",
    ]
    formats = sorted({row.format for row in rows})
    for name in formats:
        counts = Counter(row.outcome for row in rows if row.format == name)
        cells = " | ".join(str(counts[outcome]) for outcome in ("converted", "kept", "read", "refused"))
        lines.append(f"| {name or 'none'} | {cells} |")
    lines += ["", describe_refused(rows), "", "| file | format | outcome | |", "|---|---|---|---|"]
    return "\n".join([*lines, *map(format_row, rows)]) + "\n"


def describe_refused(rows: list[Row]) -> str:
    """How many files are refused, and for which findings: a line that the README repeats."""
    causes = Counter(re.match(r"`([^`]*)`", row.what)[1] for row in rows if row.outcome == "refused")
    named = ", ".join(f"{count} `{cause}`" for cause, count in causes.most_common())
    return f"Of {len(rows)}, {causes.total()} are refused: {named}."


def format_row(row: Row) -> str:
    """A line of the table."""
    text = re.sub(r"[|\n]", " ", row.what)
    return f"| {row.file} | {row.format} | {row.outcome} | {text[:200]} |"


def describe_all(corpus: Path, keys: list[str]) -> Iterator[Row]:
    """Each in one of two processes."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(describe, [corpus] * len(keys), keys)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--print", action="store_true")
    args = parser.parse_args()
    corpus = Path(os.environ.get("NEUROPRESS_CORPUS", ROOT.parent / "shared/corpus"))
    scratch = Path(tempfile.mkdtemp())
    try:
        tempfile.tempdir = str(scratch)
        keys = [key for key in list_objects(corpus) if key.startswith(args.only)]
        text = format_page(list(describe_all(corpus, keys)))
    finally:
        shutil.rmtree(scratch)
    if args.print or args.only:
        sys.stdout.write(text)
    else:
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
