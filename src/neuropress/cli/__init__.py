"""The command line: a thin skin over `neuropress.open`."""
