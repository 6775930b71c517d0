"""Volumes of many formats to OME-Zarr: the peak memory of `neuropress convert FILE --to OUT`, CPU seconds, and cores used.

    python benchmarks/formats.py [NAME ...] [--gb 1] [--dtype u1] [--side 2048] [--folder KEEP] [--limit MB]

Files are made by independent writers (h5py, tensorstore, tifffile, Pillow, pynrrd, nibabel, zarr-python, pylibCZIrw) of
the slices of `volume.py`: 64 of them, again and again; ND2 and LIF, which nobody else writes, by those of the tests.
Each is converted from nothing in a process of its own, verified and validated, and removed. Printed are its bytes,
wall and CPU seconds (user and system of the whole process tree) and the tree's peak of memory. `--limit` gives the
process so much private memory at most (RLIMIT_DATA, which counts what is allocated and not only what is touched), so
that a conversion that wants more fails.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import batched
from pathlib import Path
from typing import Any

import numpy as np
from volume import ROOT, SIDE, draw_slices, run_process

CYCLE = 64
"""Slices that are drawn; a codec that looks back so far has met none of them."""


class Slices:
    """Slices of a volume, one by one or some together."""

    def __init__(self, folder: Path, nbytes: float, dtype: str, side: int) -> None:
        kept = folder / "slices.npy"
        if not kept.exists():
            np.save(kept, np.stack(list(draw_slices(CYCLE))))
        self._drawn = np.load(kept, mmap_mode="r")
        self.dtype, self._side = np.dtype(dtype), side
        self.count = round(nbytes / side**2 / self.dtype.itemsize)
        self.shape = self.count, side, side

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self._make(z) for z in range(self.count))

    def stack(self, depth: int) -> Iterator[tuple[slice, np.ndarray]]:
        """So many together, the last ones fewer."""
        for numbers in batched(range(self.count), depth):
            yield slice(numbers[0], numbers[-1] + 1), np.stack([self._make(z) for z in numbers])

    def _make(self, z: int) -> np.ndarray:
        drawn = self._drawn[z % CYCLE]
        times = -(-self._side // SIDE)
        plane = np.tile(drawn, (times, times))[: self._side, : self._side]
        if self.dtype.itemsize == 1:
            return plane
        # 12 bits of a camera: the eight drawn ones, and noise below.
        return plane.astype(self.dtype) * 16 + (np.roll(plane, z + 1, 0) & 15)


def write_hdf5(chunks: tuple[int, ...] | None, **packed: Any) -> Callable[[Slices, Path], Path]:
    """A dataset of h5py."""

    def write(slices: Slices, folder: Path) -> Path:
        import h5py

        path = folder / "v.h5"
        extents = tuple(min(c or n, n) for c, n in zip(chunks, slices.shape, strict=True)) if chunks else None
        with h5py.File(path, "w") as file:
            data = file.create_dataset("volume", slices.shape, slices.dtype, chunks=extents, **packed)
            for place, planes in slices.stack(extents[0] if extents else 16):
                data[place] = planes
        return path

    return write


def write_imaris(slices: Slices, folder: Path) -> Path:
    """What Imaris writes, as far as a reader needs it."""
    import h5py

    path = folder / "v.ims"

    def spell(text: object) -> np.ndarray:
        return np.frombuffer(str(text).encode(), "S1")

    depth, height, width = slices.shape
    with h5py.File(path, "w") as file:
        about = file.create_group("DataSetInfo/Image").attrs
        for name, value in {"X": width, "Y": height, "Z": depth, "Unit": "um"}.items():
            about[name] = spell(value)
        for axis, extent in enumerate((width, height, depth)):
            about[f"ExtMin{axis}"], about[f"ExtMax{axis}"] = spell(0), spell(extent)
        group = file.create_group("DataSet/ResolutionLevel 0/TimePoint 0/Channel 0")
        for name, value in {"X": width, "Y": height, "Z": depth}.items():
            group.attrs[f"ImageSize{name}"] = spell(value)
        data = group.create_dataset("Data", slices.shape, slices.dtype, chunks=(16, 256, 256), compression="gzip")
        for place, planes in slices.stack(16):
            data[place] = planes
    return path


def write_tensorstore(driver: str, name: str, axes: str, chunk: int, **metadata: Any) -> Callable[[Slices, Path], Path]:
    """A folder that tensorstore writes; `axes` say in which order it has them."""

    def write(slices: Slices, folder: Path) -> Path:
        import tensorstore

        path = folder / name
        order = ["zyx".index(axis) for axis in axes]
        shape = [slices.shape[n] for n in order]
        stated = {key: value(shape, slices.dtype) if callable(value) else value for key, value in metadata.items()}
        store = tensorstore.open(
            {"driver": driver, "kvstore": {"driver": "file", "path": str(path)}, **stated, "create": True}
        ).result()
        for place, planes in slices.stack(chunk):
            part = planes.transpose(order)
            where = tuple(place if axis == "z" else slice(None) for axis in axes)
            if store.rank == 4:  # channels of precomputed
                store[(*where, slice(None))].write(part[..., None]).result()
            else:
                store[where].write(part).result()
        return path

    return write


def make_n5(size: int, compression: str) -> Callable[[Slices, Path], Path]:
    """N5 in cubes."""
    return write_tensorstore(
        "n5", "v.n5", "xyz", size,
        metadata=lambda shape, dtype: {
            "dimensions": shape, "blockSize": [size] * 3, "dataType": dtype.name, "compression": {"type": compression},
        },
    )  # fmt: skip


def make_precomputed(encoding: str) -> Callable[[Slices, Path], Path]:
    """Precomputed in cubes of 64."""
    return write_tensorstore(
        "neuroglancer_precomputed", "v.precomputed", "xyz", 64,
        multiscale_metadata=lambda _, dtype: {"type": "image", "data_type": dtype.name, "num_channels": 1},
        scale_metadata=lambda shape, _: {
            "size": shape, "encoding": encoding, "chunk_size": [64] * 3, "resolution": [8, 8, 8],
        },
    )  # fmt: skip


def make_zarr(format: int, shard: int, chunk: int) -> Callable[[Slices, Path], Path]:
    """An OME-Zarr of one level, by zarr-python."""

    def write(slices: Slices, folder: Path) -> Path:
        import zarr

        path = folder / "in.ome.zarr"
        root = zarr.open_group(path, mode="w", zarr_format=format)
        options = {"shards": (shard,) * 3} if shard else {}
        data = root.create_array("0", shape=slices.shape, chunks=(chunk,) * 3, dtype=slices.dtype, **options)
        for place, planes in slices.stack(shard or chunk):
            data[place] = planes
        axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
        scales = [{"type": "scale", "scale": [1.0] * 3}]
        image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scales}]}
        if format == 2:
            root.attrs["multiscales"] = [{"version": "0.4", **image}]
        else:
            root.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
        return path

    return write


def write_tiff(**options: Any) -> Callable[[Slices, Path], Path]:
    """One BigTIFF."""

    def write(slices: Slices, folder: Path) -> Path:
        import tifffile

        path = folder / "v.ome.tif"
        axes = {"axes": "ZYX"}
        planes = np.stack(list(slices)) if "tile" in options else iter(slices)  # of an iterator it wants tiles
        tifffile.imwrite(path, planes, shape=slices.shape, dtype=slices.dtype, bigtiff=True, metadata=axes, **options)
        return path

    return write


def write_npy(slices: Slices, folder: Path) -> Path:
    """numpy's own."""
    path = folder / "v.npy"
    out = np.lib.format.open_memmap(path, "w+", slices.dtype, slices.shape)
    for place, planes in slices.stack(16):
        out[place] = planes
    return path


def write_png(slices: Slices, folder: Path) -> Path:
    """A folder of slices by Pillow."""
    from PIL import Image

    path = folder / "png"
    path.mkdir()
    for z, plane in enumerate(slices):
        Image.fromarray(plane).save(path / f"s_{z:05}.png", compress_level=1)
    return path


def write_nrrd(slices: Slices, folder: Path) -> Path:
    """gzip by pynrrd, which wants all at once."""
    import nrrd

    path = folder / "v.nrrd"
    fields = {"space": "left-posterior-superior", "space directions": np.eye(3), "kinds": ["domain"] * 3}
    nrrd.write(str(path), np.stack(list(slices)), fields, compression_level=1, index_order="C")
    return path


def write_nifti(slices: Slices, folder: Path) -> Path:
    """gzip by nibabel."""
    import nibabel

    path = folder / "v.nii.gz"
    image = nibabel.Nifti1Image(np.stack(list(slices)).T, np.eye(4))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
    return path


def write_czi(compression: str) -> Callable[[Slices, Path], Path]:
    """Subblocks of whole planes by Zeiss' own library."""

    def write(slices: Slices, folder: Path) -> Path:
        from pylibCZIrw import czi

        path = folder / "v.czi"
        with czi.create_czi(str(path), compression_options=compression) as file:
            for z, plane in enumerate(slices):
                file.write(plane[..., None], plane={"Z": z})
            file.write_metadata("v", scale_x=1e-6, scale_y=1e-6, scale_z=1e-6)
        return path

    return write


def write_nd2(slices: Slices, folder: Path) -> Path:
    """By the writer of the tests, which holds all of it."""
    from microscope_files import write_nd2 as write

    return write(folder / "v.nd2", np.stack(list(slices))[..., None], [("z", slices.count)])


def write_lif(slices: Slices, folder: Path) -> Path:
    """By the writer of the tests, which holds all of it."""
    from microscope_files import write_lif as write

    z, y, x = slices.shape
    stack = ("v", np.stack(list(slices)), [(1, x, f"{x} um"), (2, y, f"{y} um"), (3, z, f"{z} um")])
    return write(folder / "v.lif", [stack])


WRITERS: dict[str, Callable[[Slices, Path], Path]] = {
    "npy": write_npy,
    "hdf5": write_hdf5(None),
    "hdf5 gzip 64": write_hdf5((64, 64, 64), compression="gzip", compression_opts=1),
    "hdf5 gzip 100": write_hdf5((100, 100, 100), compression="gzip", compression_opts=1),
    "hdf5 gzip page": write_hdf5((1, 0, 0), compression="gzip", compression_opts=1),
    "hdf5 lzf 64": write_hdf5((64, 64, 64), compression="lzf"),
    "imaris": write_imaris,
    "n5 gzip 64": make_n5(64, "gzip"),
    "n5 gzip 128": make_n5(128, "gzip"),
    "precomputed raw": make_precomputed("raw"),
    "ome-zarr 0.4": make_zarr(2, 0, 64),
    "ome-zarr 0.5": make_zarr(3, 512, 64),
    "zarr 256": make_zarr(3, 0, 256),
    "tiff": write_tiff(),
    "tiff lzw": write_tiff(compression="lzw", rowsperstrip=64),
    "tiff deflate page": write_tiff(compression="zlib", compressionargs={"level": 1}, rowsperstrip=2**20),
    "tiff deflate tiles": write_tiff(compression="zlib", compressionargs={"level": 1}, tile=(256, 256)),
    "png": write_png,
    "nrrd gz": write_nrrd,
    "nifti gz": write_nifti,
    "czi": write_czi("uncompressed:"),
    "czi zstd": write_czi("zstd1:ExplicitLevel=1;PreProcess=HiLoByteUnpack"),
    "nd2": write_nd2,
    "lif": write_lif,
}


OPTIONS = {"hdf5": ["--option", "axes=zyx"], "n5": ["--option", "axes=zyx"], "npy": ["--option", "axes=zyx"]}
"""What people must say of files of a format, by the first word of its name."""

PROGRAM = """
import resource, sys
limit = int(sys.argv.pop(1))
if limit:
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
sys.path.insert(0, sys.argv.pop(1))
from neuropress.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def measure_size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return sum(one.stat().st_size for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(WRITERS)}")
    parser.add_argument("--gb", type=float, default=1.0)
    parser.add_argument("--dtype", default="u1")
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--folder", type=Path, help="where files lie; those that are there are not made again")
    parser.add_argument("--limit", type=float, default=0, metavar="MB")
    parser.add_argument("--code", type=Path, default=ROOT / "src")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        slices = Slices(folder, args.gb * 1e9, args.dtype, args.side)
        print(f"{'':20} {'MB':>7} {'wall s':>7} {'CPU s':>7} {'peak MB':>8}")
        for name in args.names or WRITERS:
            place = folder / f"{name} {args.gb:g} {args.dtype} {args.side}".replace(" ", "-")
            if not place.exists():
                place.mkdir()
                WRITERS[name](slices, place)
            (path,) = place.iterdir()
            out = folder / "out.ome.zarr"
            limit = str(round(args.limit * 1e6))
            command = [sys.executable, "-c", PROGRAM, limit, str(args.code), "convert", str(path), "--to", str(out)]
            command += OPTIONS.get(name.split()[0], [])
            run = run_process(command, out)
            size = measure_size(path) / 1e6
            print(f"{name:20} {size:7.0f} {run.wall:7.1f} {run.cpu:7.1f} {run.peak:8.0f}", flush=True)
            shutil.rmtree(out)
            if not args.folder:
                shutil.rmtree(place)


if __name__ == "__main__":
    main()
