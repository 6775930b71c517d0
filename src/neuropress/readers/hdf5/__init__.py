"""What readers of HDF5 files share, and results that are such files: no format of its own.

`guard` looks at a file before anything is read of it, `walk` goes through its objects, `fragment` reads NWB files that
another program has exported.
"""
