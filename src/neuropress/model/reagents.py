"""What an animal carries, and how names of it are compared."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from .record import Record


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """For comparing names: compatibility forms, case, spaces and hyphens do not count."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\s\-\u2010-\u2015\u2212]+", "", folded)


def plasmids_of(animal: Record | None) -> list[Record]:
    """The plasmids that an animal carries: its virus's, its own and those of its injections, each once."""
    if animal is None:
        return []
    found = [animal.related("virus.plasmid"), animal.related("plasmid")]
    found += [row.related("virus.plasmid") for row in animal.companions]
    return list({p.key: p for p in found if p}.values())
