"""One module per verb of the command line that is more than a few calls; `neuropress.api.Dataset` has them all."""
