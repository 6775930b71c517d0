"""neuropress: raw lab files and metadata tables in, proven standard files out."""
