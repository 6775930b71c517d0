"""OME-Zarr volumes (NGFF 0.5, Zarr v3)."""
