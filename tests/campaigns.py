"""How long the long campaigns are."""

import os
import random
from collections.abc import Iterator


def campaign(sample: int, full: int = 100) -> int:
    """How many rounds of a long campaign to run.

    A seeded sample; all of them with NEUROPRESS_CAMPAIGN=full, as `.ci/full` does; or NEUROPRESS_CAMPAIGN rounds.
    """
    wanted = os.environ.get("NEUROPRESS_CAMPAIGN", str(sample))
    return full if wanted == "full" else int(wanted)


def spoil(whole: bytes, seed: int) -> Iterator[bytes]:
    """The file cut and with single bits flipped: 20 cuts and 200 flips in the full campaign."""
    chance = random.Random(seed)
    for _ in range(campaign(3, 20)):
        yield whole[: chance.randrange(1, len(whole))]
    for _ in range(campaign(20, 200)):
        spoilt = bytearray(whole)
        spoilt[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        yield bytes(spoilt)
