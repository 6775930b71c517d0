"""The results that are opened, and the table of ``docs/opens-in.md``: ``python tests/openers/results.py FOLDER``.

The folder gets the demonstration's results and those of all files of the corpus. ``NEUROPRESS_OPENERS`` names the
Python that has the programs of ``requirements.txt``; without it, those of this Python are asked.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conftest import corpus_folder
from corpus_outcomes import find_options
from opening import NWB, OME_ZARR
from test_independent_corpus import ABF, list_images

import neuropress
from neuropress.cli.main import main
from neuropress.model.finding import Finding, Problem
from neuropress.tools import find_tool, run_tool
from neuropress.tools.dandi import validate_with_dandi

HERE = Path(__file__).parent
ANIMAL = {
    "subject.subject_id": "m7",
    "subject.species": "Mus musculus",
    "subject.sex": "F",
    "subject.age": "P90D",
}
IBW = "ibw/BlueBrain__BluePyEfe"
FRAME_RATES = {  # of movies; "" where the header tells it
    "tiff_timeseries/losonczylab__sima/example.tif": "30",
    "tiff_imagej/NEUBIAS__training-resources/xyt_calibrated_16bit__golgi_bfa_sum_projection.tif": "",
    "tiff_scanimage/jefferis__scanimage/Blank-IPA_1s_16r_032.tif": "",
    "tiff_scanimage/thunder-project__thunder/test_signed.tif": "",
    "tiff_ome/qupath__qupath/cells-2t.ome.tif": "10",
    "tiff_compressed/thunder-project__thunder/dotdotdot_lzw.tif": "10",
    "tiff_timeseries/zeiss-microscopy__OAD/Experiment_Feedback/Testimages/Calcium_340-380_100frames": "",
}

SESSIONS = (
    "behaviour/DeepLabCut__DLC2NWB/m3v1mp4DLC_resnet50_openfieldAug20shuffle1_30000.h5",
    "trace_text/BlueBrain__eFEL/dendritic_AP.txt",
    "npy/brainglobe__brainrender/probe_1_striatum.npy",
)
VOLUMES = (
    "atlas/natverse__nat/FCWB_2um_mask.nrrd",
    "czi/sebi06__czitools/CellDivision_T3_Z5_CH2_X240_Y170.czi",
    "hdf5/losonczylab__sima/example-volume.h5",
    "lif/nimne__readlif/LeicaLASX_wavelength-sweep_example.lif",
    "nd2/soft-matter__pims/cluster.nd2",
    "npy/brainglobe__brainrender/volume.npy",
    "vaa3d/natverse__nat/L1DS1_crop_straight_crop_slice.v3draw",
)
"""Files of other formats, one of each; what a person says of them stands in `corpus_outcomes`."""


@dataclass(frozen=True)
class Task:
    """A raw file, the suffix of its result, and what a person says of it."""

    raw: Path
    suffix: str
    options: dict[str, Any] = field(default_factory=dict)
    cells: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.raw.name.split(".")[0] + self.suffix


def list_tasks(corpus: Path) -> Iterator[Task]:
    """Every recording, movie, behaviour table and image of the corpus that neuropress reads."""
    for path in sorted((corpus / ABF).glob("*.abf")):
        yield Task(path, NWB)
    yield Task(corpus / IBW / "B6_Ch3_IDRest_181.ibw", NWB, {"x_unit": "s", "command": "B6_Ch0_IDRest_181.ibw"})
    yield Task(corpus / IBW / "B95_Ch0_IDRest_107.ibw", NWB, {"x_unit": "s", "clamp": "current clamp"})
    options = {"header": "speed (cm/s),lick (1),", "frame_rate": "30"}
    yield Task(corpus / "behaviour/oist__optinist/sample_mouse2p_behavior.csv", NWB, options)
    for name, rate in FRAME_RATES.items():
        yield Task(corpus / name, NWB, cells={"image.frame_rate": rate} if rate else {})
    for key in SESSIONS:
        yield Task(corpus / key, NWB, find_options(key))
    for path in list_images(corpus):
        yield Task(path, OME_ZARR)
    for key in VOLUMES:
        yield Task(corpus / key, OME_ZARR, find_options(key))


def make_demo(folder: Path) -> list[Path]:
    """The demonstration's session and volume."""
    assert main(["demo", str(folder / "demo")]) == 0
    output = folder / "demo" / "output"
    return sorted(output.rglob(f"*{NWB}")) + sorted(output.rglob(f"*{OME_ZARR}"))


def convert_tasks(tasks: Sequence[Task], folder: Path) -> list[Path]:
    """A result of each raw file, as ``neuropress convert FILE --to RESULT`` makes it."""
    made = []
    for number, task in enumerate(tasks):
        result = folder / f"{number:03}" / task.name
        result.parent.mkdir()
        clock = {"timezone": "Europe/Berlin", "start": "2025-06-20T09:30"}
        stated = neuropress.Stated(**clock, cells=ANIMAL | task.cells, options=task.options)
        report = neuropress.convert_file(task.raw, result, stated)
        assert report.ok, [str(one) for one in report.findings if one.severity == "error"]
        made.append(result)
    return made


def open_results(results: Sequence[Path]) -> list[dict[str, Any]]:
    """What ``opening.py`` says of them, in a Python of its own that does not know neuropress."""
    python = os.environ.get("NEUROPRESS_OPENERS", sys.executable)
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
    command = [python, "-B", str(HERE / "opening.py"), *map(str, results)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]


def has_dandi() -> bool:
    """Whether ``neuropress tools install dandi`` was run."""
    try:
        find_tool("dandi")
    except Problem:
        return False
    return True


def organize_results(results: Sequence[Path], dandiset: Path) -> list[Path]:
    """The files that ``dandi organize`` makes links of in a new dandiset, named by their metadata."""
    dandiset.mkdir()
    (dandiset / "dandiset.yaml").write_text("identifier: '000000'\nname: results\n", "utf-8")
    arguments = ["organize", "--dandiset-path", str(dandiset), "--files-mode", "symlink"]
    done = run_tool("dandi", [*arguments, *map(str, results)], seconds=120 + 30 * len(results))
    assert done.status == 0, done.describe_errors() + done.out.decode()
    return sorted(dandiset.rglob(f"*{NWB}"))


def validate_dandiset(dandiset: Path) -> list[dict[str, Any]]:
    """What ``dandi validate`` says of a dandiset."""
    files = len(list(dandiset.rglob(f"*{NWB}")))
    arguments = ["validate", "--format", "json_lines", str(dandiset)]
    done = run_tool("dandi", arguments, seconds=120 + 30 * files)
    return [json.loads(line) for line in done.out.splitlines()]


def find_dandi_errors(results: Sequence[Path]) -> list[Finding]:
    """Errors of ``neuropress validate --dandi``."""
    by_result, others = validate_with_dandi(results)
    return [one for found in [*by_result.values(), others] for one in found if one.severity == "error"]


def format_rows(opened: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line of the page's table for each program, and below it the causes of refusals and how values are given."""
    for program in dict.fromkeys(one["program"] for one in opened):
        own = [one for one in opened if one["program"] == program]
        outcomes = Counter(one["outcome"] for one in own)
        yield f"| {program} | {own[0]['version']} | {', '.join(f'{n} {what}' for what, n in outcomes.items())} |"
        causes = Counter((re.sub(r"[\d.e-]+$", "...", one["cause"]), one["where"]) for one in own if "cause" in one)
        details = Counter(one["facts"].get("values") for one in own if "facts" in one)
        critical = Counter(check for one in own if "facts" in one for check in one["facts"].get("critical", ()))
        for counted in (causes, details, critical):
            yield from (f"    {n} x {what}" for what, n in counted.items() if what)


def run(folder: Path) -> None:
    """Make, open and print."""
    folder.mkdir(parents=True)
    corpus = corpus_folder()
    results = make_demo(folder)
    results += convert_tasks([*list_tasks(corpus)] if corpus else [], folder)
    opened = open_results(results)
    (folder / "opened.jsonl").write_text("\n".join(map(json.dumps, opened)) + "\n", "utf-8")
    print(*format_rows(opened), sep="\n")
    if has_dandi():
        sessions = [path for path in results if path.name.endswith(NWB)]
        print("validate --dandi:", len(sessions), "sessions,", len(find_dandi_errors(sessions)), "errors")
        filed = organize_results(sessions, folder / "dandiset")
        found = validate_dandiset(folder / "dandiset")
        print("dandi organize:", len(filed), "of", len(sessions))
        print("dandi validate of these:", dict(Counter((one["severity"], one["id"]) for one in found)))


if __name__ == "__main__":
    run(Path(sys.argv[1]).resolve())  # dandi wants absolute paths
