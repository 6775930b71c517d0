"""EM slices to OME-Zarr: the whole `neuropress convert` beside acquire-zarr, ome-zarr-py and ngff-zarr at equal size.

    python benchmarks/volume.py --peers PYTHON [--gb 2] [--rounds 3] [--only NAME ...] [--levels 1 2 3] [--bigtiff]
        [--folder KEEP]

PYTHON is an interpreter of an environment with acquire-zarr, ome-zarr, ngff-zarr and tifffile. The input is a folder
of uint8 TIFF slices of 2048 x 2048: membranes and cytoplasm that change slowly with depth, and noise of 6 grey levels
whose neighbours are alike as a detector makes them; with `--bigtiff` one BigTIFF of the same in uint16. Everybody writes chunks of 64^3, shards of 512 voxels an axis
and five levels of the mean, by zstd, alone or in blosc. Each candidate runs in a process of its own, in turn,
`--rounds` times; printed are the medians of wall and CPU seconds (user and system of the whole process tree), the
largest peak of memory of the tree, the output, and the ratios of neuropress to the peer at equal size: neuropress runs
at each of `--levels`, and a peer is compared with the fastest level whose output is at most 0.5 % larger than its own.
"floor" gathers the chunks of all levels from memory and packs them on all cores, and does nothing else.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import tifffile

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

SIDE = 2048
NOISE = 6
CLOSE = 1.005
PEERS = ("acquire-zarr 1", "acquire-zarr 2", "acquire-zarr 3", "ome-zarr-py", "ngff-zarr")

PEER = """
import sys
from functools import cache
from pathlib import Path
import tifffile

@cache
def open_tiff(name):
    return tifffile.TiffFile(name)

def load(slice):
    name, page = slice
    return tifffile.imread(name) if page is None else open_tiff(name).pages[page].asarray()

def acquire(slices, out, level):
    import acquire_zarr as aqz, numpy as np
    kinds = (aqz.DimensionType.SPACE,) * 3
    sizes = [len(slices), *load(slices[0]).shape]
    axes = [aqz.Dimension(name=n, kind=k, array_size_px=s, chunk_size_px=64, shard_size_chunks=8)
            for n, k, s in zip("zyx", kinds, sizes)]
    packed = aqz.CompressionSettings(compressor=aqz.Compressor.BLOSC1, codec=aqz.CompressionCodec.BLOSC_ZSTD,
                                     level=level, shuffle=1)
    array = aqz.ArraySettings(dimensions=axes, data_type=load(slices[0]).dtype.type, compression=packed,
                              downsampling_method=aqz.DownsamplingMethod.MEAN, max_levels=5)
    stream = aqz.ZarrStream(aqz.StreamSettings(store_path=out, overwrite=True, arrays=[array]))
    for name in slices:
        stream.append(load(name)[None])
    stream.close()

def open_lazily(slices):
    import dask, dask.array as da
    first = load(slices[0])
    pages = [da.from_delayed(dask.delayed(load)(name), first.shape, first.dtype) for name in slices]
    return da.stack(pages).rechunk((64, 512, 512))

def ome(slices, out, level):
    from ome_zarr.scale import Scaler
    from ome_zarr.writer import write_image
    import zarr
    from zarr.codecs import ZstdCodec
    write_image(open_lazily(slices), zarr.open_group(out, mode="w", zarr_format=3), axes="zyx",
                scale_factors=[{"z": 2**i, "y": 2**i, "x": 2**i} for i in range(1, 5)], method="local_mean",
                storage_options={"chunks": (64, 64, 64), "shards": (512, 512, 512),
                                 "compressors": [ZstdCodec(level=level)]})

def ngff(slices, out, level):
    import ngff_zarr as nz
    from zarr.codecs import ZstdCodec
    image = nz.to_ngff_image(open_lazily(slices), dims=["z", "y", "x"])
    levels = nz.to_multiscales(image, scale_factors=[2, 4, 8, 16], chunks=64, method=nz.Methods.ITKWASM_BIN_SHRINK)
    nz.to_ngff_zarr(out, levels, version="0.5", chunks_per_shard=8, compressors=[ZstdCodec(level=level)])

if __name__ == "__main__":
    name, folder, out, level = sys.argv[1:]
    if Path(folder).is_dir():
        slices = [(str(path), None) for path in sorted(Path(folder).iterdir())]
    else:
        slices = [(folder, page) for page in range(len(open_tiff(folder).pages))]
    {"acquire-zarr": acquire, "ome-zarr-py": ome, "ngff-zarr": ngff}[name](slices, out, int(level))
"""

FLOOR = """
import os, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import numpy as np, tifffile
from neuropress.results.omezarr.layout import Level, list_tiles, make_whole_box
from neuropress.results.omezarr.pyramid import halve_block
from neuropress.results.omezarr.shards import encode_chunk, make_blosc

path = Path(sys.argv[1])
pages = sorted(path.iterdir()) if path.is_dir() else tifffile.TiffFile(path).pages
load = tifffile.imread if path.is_dir() else lambda page: page.asarray()
codec = make_blosc(load(pages[0]).dtype, int(sys.argv[2]))
seconds, cpu, size = 0.0, 0.0, 0
for first in range(0, len(pages), 64):
    data = np.stack([load(page) for page in pages[first : first + 64]])
    parts = []
    for halvings in range(5):
        parts.append(data)
        data = halve_block(data, (True, True, True))
    begun, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in parts:
            # Of the higher levels this slab has a part of a chunk's depth: gathered and packed as if it were thinner.
            extent = (min(64, part.shape[0]), 64, 64)
            boxes = list(list_tiles(make_whole_box(part.shape), extent))
            level = Level(part.shape, extent, extent, (1, 1, 1))
            packed = pool.map(lambda box: encode_chunk(part[box], level, codec), boxes)
            size += sum(len(piece) for pieces in packed for piece in pieces)
    seconds, cpu = seconds + time.perf_counter() - begun, cpu + time.process_time() - used
print("floor", seconds, cpu, size)
"""


@dataclass(frozen=True)
class Run:
    """What one process took: seconds, MB of memory and of output."""

    wall: float
    cpu: float
    peak: float
    size: float


def draw_slices(count: int) -> Iterator[np.ndarray]:
    """Membranes around cells of some 100 pixels, and a detector's noise."""
    numbers = np.random.default_rng(0)
    coarse = numbers.standard_normal((count // 16 + 3, SIDE // 16 + 2, SIDE // 16 + 2)).astype("f4")
    for axis in range(3):
        coarse = (coarse + np.roll(coarse, 1, axis) + np.roll(coarse, -1, axis)) / 3
    coarse /= coarse.std()
    place = np.arange(SIDE) / 16
    low, part = place.astype(int), (place % 1).astype("f4")
    for z in range(count):
        deep, share = divmod(z, 16)
        plane = coarse[deep] + (coarse[deep + 1] - coarse[deep]) * np.float32(share / 16)
        plane = plane[low] * (1 - part)[:, None] + plane[low + 1] * part[:, None]
        plane = plane[:, low] * (1 - part) + plane[:, low + 1] * part
        light = 170 - 90 * np.exp(-((plane / 0.15) ** 2)) + 12 * np.sign(plane)
        noise = numbers.standard_normal((SIDE + 1, SIDE + 1), dtype="f4")
        noise = noise[1:, 1:] + 0.3 * (noise[:-1, 1:] + noise[1:, :-1])
        yield np.clip(light + NOISE / 1.09 * noise, 0, 255).astype("u1")


def make_bigtiff_dataset(folder: Path, count: int) -> Path:
    """A dataset of one volume of uint16; returns its BigTIFF."""
    from builder import Builder

    dataset, stack = folder / f"big{count}", folder / "stack.tif"
    place = dataset / "source/lichtman/20250620/sem_dataset/raw/v1.tif"
    if not dataset.exists():
        folder.mkdir(parents=True, exist_ok=True)
        numbers = np.random.default_rng(1)
        with tifffile.TiffWriter(stack, bigtiff=True) as writer:
            for plane in draw_slices(count):
                noise = numbers.integers(0, 16, plane.shape, dtype="u2")
                writer.write(plane.astype("u2") * 16 + noise, metadata=None, contiguous=False)
        Builder(dataset).sem(stack)
        stack.unlink()
    return place


def make_dataset(folder: Path, count: int) -> Path:
    """A dataset of one volume; returns the folder of its slices."""
    from builder import Builder

    dataset = folder / f"ds{count}"
    place = dataset / "source/lichtman/20250620/sem_dataset/raw/v1"
    if not dataset.exists():
        slices = folder / "slices"
        slices.mkdir(parents=True)
        for z, plane in enumerate(draw_slices(count)):
            tifffile.imwrite(slices / f"s_{z:05}.tif", plane, metadata=None)
        build = Builder(dataset)
        (folder / "empty").mkdir()
        build.sem(folder / "empty")
        place.rmdir()
        slices.rename(place)
        (folder / "empty").rmdir()
    return place


def measure_size(folder: Path) -> float:
    """MB of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def read_tree_memory(root: int) -> float:
    """Resident MB of a process and of all that it started; what they share counts for each."""
    parents, sizes = {}, {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal():
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)], sizes[int(entry.name)] = int(fields[1]), int(fields[21])
        except OSError:
            continue
    tree = {root}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(sizes.get(pid, 0) for pid in tree) * os.sysconf("SC_PAGE_SIZE") / 1e6


def run_process(command: list[str], out: Path) -> Run:
    """Run it from nothing, and look at its whole tree."""
    shutil.rmtree(out, ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as text:
        process = subprocess.Popen(command, stdout=text, stderr=text, env={**os.environ, "PYTHONPATH": ""})
        peak, ended = [0.0], threading.Event()

        def watch() -> None:
            while not ended.wait(0.02):
                peak[0] = max(peak[0], read_tree_memory(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        status = process.wait()
        wall = time.perf_counter() - begun
        ended.set()
        watcher.join()
        if status:
            text.seek(0)
            raise SystemExit(f"{' '.join(command)}: status {status}\n{text.read()[-4000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, cpu, peak[0], measure_size(out))


def run_ours(dataset: Path, level: int) -> Run:
    """`neuropress convert`, from nothing, digests and reading of the tables included."""
    shutil.rmtree(dataset / ".neuropress", ignore_errors=True)
    settings = dataset / "neuropress.toml"
    lines = [line for line in settings.read_text().splitlines() if "zstd_level" not in line and line != "[output]"]
    settings.write_text("\n".join([*lines, "[output]", f"zstd_level = {level}", ""]))
    program = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r})\n"
    program += "from neuropress.cli.main import main\nsys.exit(main(sys.argv[1:]))\n"
    return run_process([sys.executable, "-c", program, "convert", str(dataset), "-q"], dataset / "output")


def run_floor(slices: Path, level: int) -> Run:
    """All chunks of all levels, from memory, and nothing else."""
    command = [sys.executable, "-c", FLOOR, str(slices), str(level), str(ROOT / "src")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    _, wall, cpu, size = done.stdout.split()
    return Run(float(wall), float(cpu), 0.0, int(size) / 1e6)


def take_medians(runs: list[Run]) -> Run:
    """Of wall and CPU seconds; the largest memory."""
    return Run(
        median(r.wall for r in runs), median(r.cpu for r in runs), max(r.peak for r in runs), max(r.size for r in runs)
    )


def print_table(found: dict[str, Run], levels: list[int]) -> None:
    """All candidates, and each peer beside the level of neuropress that is no larger."""
    ours = {level: found[f"neuropress {level}"] for level in levels}
    print(f"{'':16} {'wall s':>7} {'CPU s':>7} {'MB':>6} {'output MB':>10}  neuropress: level, wall, CPU of the peer's")
    for name, run in found.items():
        line = f"{name:16} {run.wall:7.1f} {run.cpu:7.1f} {run.peak:6.0f} {run.size:10.1f}"
        fitting = [level for level in levels if ours[level].size <= CLOSE * run.size]
        if name in PEERS and fitting:
            level = min(fitting, key=lambda level: ours[level].cpu)
            line += f"  {level} {ours[level].wall / run.wall:5.2f} {ours[level].cpu / run.cpu:5.2f}"
        elif name in PEERS:
            line += "  none is as small"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="", help="python of an environment that has them")
    parser.add_argument("--gb", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--levels", type=int, nargs="*", default=[1, 2, 3])
    parser.add_argument("--only", nargs="*", default=PEERS, help="peers that are to run")
    parser.add_argument("--bigtiff", action="store_true", help="one file of uint16")
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        count = round(args.gb * 1e9 / SIDE**2)
        slices = make_bigtiff_dataset(folder, count // 2) if args.bigtiff else make_dataset(folder, count)
        dataset, script, out = slices.parents[5], folder / "peer.py", folder / "peer.zarr"
        script.write_text(PEER)
        runs: dict[str, list[Run]] = {}
        for _ in range(args.rounds):
            for level in args.levels:
                runs.setdefault(f"floor {level}", []).append(run_floor(slices, level))
                runs.setdefault(f"neuropress {level}", []).append(run_ours(dataset, level))
            for name in args.only if args.peers else ():
                peer, _, level = name.partition(" ")
                command = [args.peers, str(script), peer, str(slices), str(out), level or "1"]
                runs.setdefault(name, []).append(run_process(command, out))
        print_table({name: take_medians(found) for name, found in runs.items()}, args.levels)


if __name__ == "__main__":
    main()
