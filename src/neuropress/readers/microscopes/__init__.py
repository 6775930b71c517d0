"""What the readers of microscopes' own files share: findings, bounds, libraries at arm's length, planes, times."""

from __future__ import annotations

from ..format import Fact
from ..images import IMAGE_FACTS

FACTS: tuple[Fact, ...] = tuple(fact for fact in IMAGE_FACTS if fact.name != "photometric")

FINDINGS = ("image.hostile", "image.unsupported", "microscope.damaged", "microscope.truncated")
"""What such a file can be found to be, beside what its own reader finds."""

EXTRA = "microscopes"
"""The extra of the package that brings the libraries."""
