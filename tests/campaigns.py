"""How long the long campaigns are."""

import os


def campaign(sample: int) -> int:
    """How many rounds of a long campaign to run: a seeded sample, or NEUROPRESS_CAMPAIGN rounds."""
    return int(os.environ.get("NEUROPRESS_CAMPAIGN", sample))
