"""Results against their standards: foreign validators, and what those do not see.

Severities: what the standard or a CRITICAL check refuses is an error; every other finding
is a warning. A finding on the closed list ``explained.toml`` stays in the list as info,
with its rule and reason in the hint. So "nothing above info" means "nothing unexplained".
"""

from __future__ import annotations

from pathlib import Path

from ..model.finding import Finding


def validate_result(path: Path, kind: str) -> list[Finding]:
    """Validate one result of a kind (``nwb``, ``ome-zarr``); validators are imported when first asked for."""
    if kind == "ome-zarr":
        from .zarr import validate_zarr

        return validate_zarr(path)
    from .nwb import validate_nwb

    return validate_nwb(path)
