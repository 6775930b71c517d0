"""OME-Zarr volumes: Zarr v3, sharded, multiscale (NGFF 0.5), or Zarr v2 (NGFF 0.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..kind import Kind
from .versions import ROOT_FILES

if TYPE_CHECKING:
    from ...storage.remote import ResultPath


def _is_zarr_folder(path: ResultPath) -> bool:
    return path.name.endswith(".zarr") or any((path / name).is_file() for name in ROOT_FILES)


KIND = Kind(
    name="ome-zarr",
    target="volume",
    suffix=".ome.zarr",
    is_folder=True,
    label="OME-Zarr",
    template="{lab}/{date}/{table}/ome-zarr/{id}.ome.zarr",
    recognises=_is_zarr_folder,
    package="neuropress.results.omezarr.volume",
    libraries=("numcodecs", "imagecodecs"),
    units="neuropress.results.omezarr.units",
    parts="neuropress.results.omezarr.parts",
    last_files=ROOT_FILES,
    staged_bytes=3 * 2**30,  # a batch: 8 slabs of 256 MiB that hardly shrink, and the levels above
)
