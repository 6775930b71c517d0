"""The tags of a TIFF page as JSON, verbatim but for what only says where the pixels lie."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np

MAX_TEXT = 4 * 2**20
"""Characters of one text; an OME-XML of ten thousand planes has three million."""
MAX_BYTES = 64 * 2**10
MAX_ITEMS = 4096
_STRUCTURAL = frozenset(
    (255, 256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 288, 289, 292, 293, 317, 322, 323, 324, 325, 330)
) | {339, 347, 512, 513, 514, 519, 520, 521, 530, 531, 32997, 32998, 50838}


def convert_tags(page: Any) -> dict[str, Any]:
    """Name -> value of all tags of a tifffile page that are not structural."""
    kept: dict[str, Any] = {}
    for tag in page.tags.values():
        if tag.code in _STRUCTURAL:
            continue
        name = tag.name if tag.name != str(tag.code) else f"tag {tag.code}"
        kept.setdefault(name, convert_to_json(tag.value))
    return kept


def convert_to_json(value: Any) -> Any:
    """A tag's value as JSON; what is too large is replaced by a note of its size."""
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            return f"{value[:MAX_TEXT]}\n[cut at {MAX_TEXT} of {len(value)} characters]"
        return value
    if isinstance(value, bytes):
        if len(value) > MAX_BYTES:
            return _note_omission(len(value))
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, np.ndarray):
        return convert_to_json(value.tolist()) if value.size <= MAX_ITEMS else _note_omission(value.nbytes)
    if isinstance(value, np.generic):
        return convert_to_json(value.item())
    if isinstance(value, Mapping):
        return {str(k): convert_to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [convert_to_json(v) for v in value] if len(value) <= MAX_ITEMS else _note_omission(len(value), "values")
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def _note_omission(size: int, unit: str = "bytes") -> dict[str, str]:
    return {"omitted": f"{size} {unit}"}
