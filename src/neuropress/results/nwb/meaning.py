"""What the samples of a session mean by what stands beside them in the file: axes, rate, start, unit and scale."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py

from ...readers.hdf5.guard import translate_errors
from .. import ArrayMeaning
from .opening import open_checked

_IMAGES = ("ImageSeries", "OnePhotonSeries", "TwoPhotonSeries")
_UNALIGNED = "alignment unknown"
"""How the comments of a series begin or go on whose time is counted from its own first sample."""


_DECLARED = "clock declared"
"""The same of a series whose start a person declared."""


def describe_arrays(path: Path, names: Mapping[str, Any]) -> Mapping[str, ArrayMeaning]:
    """Meaning of the ``data`` among the named arrays, by path. Raises `Problem` (``result.unreadable``)."""
    with open_checked(path) as (file, _), translate_errors(path):
        started = datetime.fromisoformat(_decode(file["session_start_time"][()]))
        data = {name: file.get(name) for name in names if name.endswith("/data")}
        return {name: _describe(item, started) for name, item in data.items() if isinstance(item, h5py.Dataset)}


def _describe(data: h5py.Dataset, session_start: datetime) -> ArrayMeaning:
    series = data.parent
    comments = _decode(series.attrs.get("comments", ""))
    start = series.get("starting_time")
    times = isinstance(start, h5py.Dataset)
    is_image = _decode(series.attrs.get("neurodata_type", "")) in _IMAGES
    return ArrayMeaning(
        axes=tuple("txyz"[: data.ndim]) if is_image else ("t",),
        rate=float(start.attrs["rate"]) if times else None,
        start=float(start[()]) if times else None,
        unit=_decode(data.attrs.get("unit", "")),
        conversion=float(data.attrs.get("conversion", 1)),
        offset=float(data.attrs.get("offset", 0)),
        session_start=session_start,
        is_aligned=_UNALIGNED not in comments,
        is_declared=_DECLARED in comments,
    )


def _decode(text: Any) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
