"""How long the long campaigns are."""

import os


def campaign(sample: int, full: int | None = None) -> int:
    """How many rounds of a long campaign to run.

    A seeded sample in a plain run; in a full one (NEUROPRESS_CAMPAIGN) as many as the variable says, or `full`.
    """
    asked = os.environ.get("NEUROPRESS_CAMPAIGN")
    return sample if asked is None else full or int(asked)
