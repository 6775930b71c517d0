"""A movie of 1 GB to NWB: the whole `neuropress convert` beside neuroconv, a plain copy and pynwb's own writer.

    python benchmarks/movie.py --neuroconv PYTHON [--frames 2000] [--rounds 3] [--folder KEEP]

PYTHON is an interpreter of an environment with `neuroconv[tiff]==0.10.2`, zarr below 3 and numcodecs below 0.16. Each
candidate runs in a process of its own, in turn, `--rounds` times; the medians of wall and CPU seconds (user and system,
of the whole process tree), the largest peak of memory and the size of the output are printed, and ratios to neuroconv.
The file is one BigTIFF of 512 x 512 uint16, photon noise over smooth structure. `verify` runs after `convert`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests"), str(ROOT / "src")]

from side_by_side import MEASURED, Run, compare, make_copy, make_peer, run_process, write_program  # noqa: E402

NEUROCONV = """
import sys
from datetime import datetime, timezone
from neuroconv.datainterfaces import TiffImagingInterface
interface = TiffImagingInterface(file_path=sys.argv[1], sampling_frequency=30.0)
metadata = interface.get_metadata()
metadata["NWBFile"].update(session_start_time=datetime(2025, 6, 20, 9, tzinfo=timezone.utc))
interface.run_conversion(nwbfile_path=sys.argv[2], metadata=metadata, overwrite=True)
"""


def write_movie(path: Path, frames: int) -> None:
    """Photon noise over structure that drifts, as a functional movie has it."""
    numbers = np.random.default_rng(0)
    y, x = np.ogrid[:512, :512]
    with tifffile.TiffWriter(path, bigtiff=True) as out:
        for t in range(frames):
            light = 800 + 400 * np.sin((x + t / 50) / 37) * np.cos((y - t / 70) / 53)
            out.write(numbers.poisson(light).astype("<u2"), contiguous=True, metadata=None, photometric="minisblack")


def list_candidates(folder: Path, movie: Path, neuroconv: str) -> dict[str, Callable[[], Run]]:
    """Name -> what runs it from nothing."""
    measured, dataset, program = folder / "measured.py", folder / "ds", folder / "program.py"
    measured.write_text(MEASURED)
    write_program(program, ROOT / "src")

    def convert() -> Run:
        for name in ("output", ".neuropress"):
            shutil.rmtree(dataset / name, ignore_errors=True)
        (dataset / "output").mkdir()
        command = [sys.executable, str(measured), str(program), "convert", str(dataset), "-q"]
        return run_process(command, lambda: next(dataset.rglob("*.nwb")).stat().st_size)

    def verify() -> Run:
        shutil.rmtree(dataset / ".neuropress", ignore_errors=True)
        return run_process([sys.executable, str(measured), str(program), "verify", str(dataset), "-q"], lambda: 0)

    found = {"copy": make_copy(movie, folder), "neuropress convert": convert, "neuropress verify": verify}
    peer = make_peer(movie, folder, neuroconv, "peer", NEUROCONV)
    return {**({"neuroconv": peer} if neuroconv else {}), **found}


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
        compare("", candidates, args.rounds, "neuroconv", "neuropress convert")


if __name__ == "__main__":
    main()
