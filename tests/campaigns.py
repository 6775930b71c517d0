"""How long the long campaigns are."""

import os


def campaign(sample: int, full: int = 100) -> int:
    """How many rounds of a long campaign to run.

    A seeded sample; all of them with NEUROPRESS_CAMPAIGN=full, as `.ci/full` does; or NEUROPRESS_CAMPAIGN rounds.
    """
    wanted = os.environ.get("NEUROPRESS_CAMPAIGN", str(sample))
    return full if wanted == "full" else int(wanted)
