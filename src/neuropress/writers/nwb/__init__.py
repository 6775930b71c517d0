"""NWB 2 files (HDF5)."""
