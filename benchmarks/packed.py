"""Packed files to OME-Zarr: `neuropress convert` beside decoding all planes and packing all levels on all cores.

    python benchmarks/packed.py [NAME ...] [--gb 1] [--dtype u1] [--rounds 3] [--folder KEEP]

The files are those of `formats.py`, rows of a dataset. "floor" decodes 64 planes at a time by the library that is
named in `DECODERS`, on as many threads as there are cores, then gathers and packs the chunks of all five levels; it
counts these seconds alone. neuropress is the whole command: start-up, tables, headers, SHA-256 of the file, digests of
all levels, means, writing. Printed are the medians, and the floor's share of what neuropress took.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from formats import WRITERS, Slices, measure_size
from volume import ROOT, SIDE, Run, run_ours, take_medians

NAMES = ("tiff lzw", "tiff deflate page", "tiff deflate tiles", "png", "czi zstd", "nd2")
LEVEL = 1

FLOOR = """
import os, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import numpy as np
from neuropress.results.omezarr.layout import Level, list_tiles, make_whole_box
from neuropress.results.omezarr.pyramid import halve_block
from neuropress.results.omezarr.shards import encode_chunk, make_blosc

def open_tiff(path):
    import tifffile
    return [lambda page=page: page.asarray(maxworkers=1) for page in tifffile.TiffFile(path).pages]

def open_png(path):
    import imagecodecs
    return [lambda one=one: imagecodecs.png_decode(one.read_bytes()) for one in sorted(path.iterdir())]

def open_czi(path):
    import czifile
    file = czifile.CziFile(path)
    file.set_lock(True)
    return [lambda entry=entry: np.squeeze(entry.read_segment_data(file).data()) for entry in file.filtered_subblock_directory]

def open_nd2(path):
    import nd2
    file = nd2.imread(path, dask=False, xarray=False)  # mapped: a plain file
    return [lambda n=n: np.array(file[n]) for n in range(len(file))]

path = Path(sys.argv[1])
DECODERS = {"tif": open_tiff, "czi": open_czi, "nd2": open_nd2}
planes = (open_png if path.is_dir() else DECODERS[path.suffix[1:]])(path)
codec = make_blosc(planes[0]().dtype, int(sys.argv[2]))
seconds, cpu, size = 0.0, 0.0, 0
with ThreadPoolExecutor(os.cpu_count()) as pool:
    for first in range(0, len(planes), 64):
        begun, used = time.perf_counter(), time.process_time()
        data = np.stack(list(pool.map(lambda plane: plane(), planes[first : first + 64])))
        seconds, cpu = seconds + time.perf_counter() - begun, cpu + time.process_time() - used
        parts = []
        for halvings in range(5):
            parts.append(data)
            data = halve_block(data, (True, True, True))
        begun, used = time.perf_counter(), time.process_time()
        for part in parts:
            extent = (min(64, part.shape[0]), 64, 64)
            level = Level(part.shape, extent, extent, (1, 1, 1))
            packed = pool.map(lambda box: encode_chunk(part[box], level, codec), list_tiles(make_whole_box(part.shape), extent))
            size += sum(len(piece) for pieces in packed for piece in pieces)
        seconds, cpu = seconds + time.perf_counter() - begun, cpu + time.process_time() - used
print("floor", seconds, cpu, size)
"""


def make_dataset(folder: Path, name: str, slices: Slices) -> Path:
    """A dataset of one row; returns the file, or the folder of slices."""
    from builder import Builder

    dataset = folder / name.replace(" ", "-")
    (place := dataset / "file").mkdir(parents=True)
    path = WRITERS[name](slices, place)
    Builder(dataset).sem(path)
    return path


def run_floor(path: Path) -> Run:
    """Decoding and packing, and nothing else."""
    command = [sys.executable, "-c", FLOOR, str(path), str(LEVEL), str(ROOT / "src")]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    _, wall, cpu, size = done.stdout.split()
    return Run(float(wall), float(cpu), 0.0, int(size) / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--gb", type=float, default=1.0)
    parser.add_argument("--dtype", default="u1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        slices = Slices(folder, args.gb * 1e9, args.dtype, SIDE)
        print(
            f"{'':20} {'MB':>6} {'wall s':>7} {'floor':>7} {'CPU s':>7} {'floor':>7} {'peak MB':>8}  floor/neuropress"
        )
        for name in args.names or NAMES:
            dataset = folder / name.replace(" ", "-")
            path = next((dataset / "file").iterdir()) if dataset.is_dir() else make_dataset(folder, name, slices)
            ours, floors = [], []
            for _ in range(args.rounds):
                floors.append(run_floor(path))
                ours.append(run_ours(dataset, LEVEL))
            run, floor = take_medians(ours), take_medians(floors)
            line = f"{name:20} {measure_size(path) / 1e6:6.0f} {run.wall:7.1f} {floor.wall:7.1f} {run.cpu:7.1f}"
            print(
                f"{line} {floor.cpu:7.1f} {run.peak:8.0f}  {floor.wall / run.wall:.2f} {floor.cpu / run.cpu:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
