"""OME-Zarr volumes: Zarr v3, sharded, multiscale (NGFF 0.5)."""

from __future__ import annotations

from pathlib import Path

from ..kind import Kind


def _is_zarr_folder(path: Path) -> bool:
    return path.name.endswith(".zarr") or (path / "zarr.json").is_file()


KIND = Kind(
    name="ome-zarr",
    target="volume",
    suffix=".ome.zarr",
    is_folder=True,
    label="OME-Zarr",
    template="{lab}/{date}/{table}/ome-zarr/{id}.ome.zarr",
    recognises=_is_zarr_folder,
    package="neuropress.results.omezarr.volume",
    libraries=("numcodecs",),
    units="neuropress.results.omezarr.units",
)
