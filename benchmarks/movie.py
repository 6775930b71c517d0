"""A movie of 1 GB to NWB: the whole `neuropress convert` beside neuroconv, a plain copy and pynwb's own writer.

    python benchmarks/movie.py --neuroconv PYTHON [--frames 2000] [--rounds 3] [--folder KEEP]

PYTHON is an interpreter of an environment with `neuroconv[tiff]==0.10.2`, zarr below 3 and numcodecs below 0.16. Each
candidate runs in a process of its own, in turn, `--rounds` times; the medians of wall and CPU seconds (user and system,
of the whole process tree), the largest peak of memory and the size of the output are printed, and ratios to neuroconv.
The file is one BigTIFF of 512 x 512 uint16, photon noise over smooth structure. `verify` runs after `convert`.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import tifffile

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

NEUROCONV = """
import sys
from datetime import datetime, timezone
from neuroconv.datainterfaces import TiffImagingInterface
interface = TiffImagingInterface(file_path=sys.argv[1], sampling_frequency=30.0)
metadata = interface.get_metadata()
metadata["NWBFile"].update(session_start_time=datetime(2025, 6, 20, 9, tzinfo=timezone.utc))
interface.run_conversion(nwbfile_path=sys.argv[2], metadata=metadata, overwrite=True)
"""
MEASURED = """
import resource, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


@dataclass(frozen=True)
class Run:
    """What one process took."""

    wall: float
    cpu: float
    peak: float
    size: int


def write_movie(path: Path, frames: int) -> None:
    """Photon noise over structure that drifts, as a functional movie has it."""
    numbers = np.random.default_rng(0)
    y, x = np.ogrid[:512, :512]
    with tifffile.TiffWriter(path, bigtiff=True) as out:
        for t in range(frames):
            light = 800 + 400 * np.sin((x + t / 50) / 37) * np.cos((y - t / 70) / 53)
            out.write(numbers.poisson(light).astype("<u2"), contiguous=True, metadata=None, photometric="minisblack")


def run_process(command: list[str], made: Callable[[], int]) -> Run:
    """Run it, and look at its whole tree."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peaks = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("peak ")]
    return Run(wall, cpu, int(peaks[-1]) / 1024 if peaks else 0.0, made())


def list_candidates(folder: Path, movie: Path, neuroconv: str) -> dict[str, Callable[[], Run]]:
    """Name -> what runs it from nothing."""
    scripts = {"peer.py": NEUROCONV, "measured.py": MEASURED}
    for name, text in scripts.items():
        (folder / name).write_text(text)
    measured, dataset = str(folder / "measured.py"), folder / "ds"
    result, copied = folder / "peer.nwb", folder / "copy.tif"
    program = folder / "program.py"
    program.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r})\n"
        "from neuropress.cli.main import main\nsys.exit(main(sys.argv[1:]))\n"
    )

    def convert() -> Run:
        for name in ("output", ".neuropress"):
            shutil.rmtree(dataset / name, ignore_errors=True)
        (dataset / "output").mkdir()
        command = [sys.executable, measured, str(program), "convert", str(dataset), "-q"]
        return run_process(command, lambda: next(dataset.rglob("*.nwb")).stat().st_size)

    def verify() -> Run:
        shutil.rmtree(dataset / ".neuropress", ignore_errors=True)
        return run_process([sys.executable, measured, str(program), "verify", str(dataset), "-q"], lambda: 0)

    def run_neuroconv() -> Run:
        result.unlink(missing_ok=True)
        command = [neuroconv, measured, str(folder / "peer.py"), str(movie), str(result)]
        return run_process(command, lambda: result.stat().st_size)

    def copy() -> Run:
        return run_process(["cp", str(movie), str(copied)], lambda: copied.stat().st_size)

    found = {"copy": copy, "neuropress convert": convert, "neuropress verify": verify}
    return {**({"neuroconv": run_neuroconv} if neuroconv else {}), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neuroconv", default="", help="python of an environment that has it")
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    from builder import Builder

    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        movie = folder / "movie.tif"
        if not movie.exists():
            write_movie(movie, args.frames)
            build = Builder(folder / "ds")
            build.session(1)
            build.movie(movie, (args.frames, 512, 512))
        candidates = list_candidates(folder, movie, args.neuroconv)
        runs: dict[str, list[Run]] = {name: [] for name in candidates}
        for _ in range(args.rounds):
            for name, candidate in candidates.items():
                runs[name].append(candidate())
        reference = runs.get("neuroconv") or runs["neuropress convert"]
        wall, cpu = median(r.wall for r in reference), median(r.cpu for r in reference)
        print(f"{'':20} {'wall s':>7} {'rel.':>6} {'CPU s':>7} {'rel.':>6} {'MiB':>6} {'output MB':>10}")
        for name, found in runs.items():
            seconds, used = median(r.wall for r in found), median(r.cpu for r in found)
            peak, size = max(r.peak for r in found), found[-1].size / 1e6
            print(
                f"{name:20} {seconds:7.1f} {seconds / wall:6.3f} {used:7.1f} {used / cpu:6.3f} {peak:6.0f} {size:10.1f}"
            )


if __name__ == "__main__":
    main()
