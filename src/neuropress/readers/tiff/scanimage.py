"""ScanImage's three generations of headers: saved channels, slices, volumes and rates.

ScanImage interleaves the saved channels, channel fastest; its pages are frames x channels.
Sources: SI 3.x ``state.acq.*``, SI 4 ``scanimage.SI4.*``, SI 5 and later ``SI.h*``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from ...model.finding import problem
from ..images.calibration import ImageMetadata, divide, format_decimal, parse_decimal, parse_key_values

_PREFIX = re.compile(r"^(?:state|scanimage\.SI[0-9A-Z]*|SI[0-9]*)\.")


def collect_settings(description: str, software: str, static: Mapping[str, Any]) -> dict[str, str]:
    """All settings, without the generation's prefix; texts of the pages before the binary header's values."""
    pairs = parse_key_values(description + "\n" + software)
    settings = {_PREFIX.sub("", k): v for k, v in pairs.items() if _PREFIX.match(k)}
    for key, value in static.items():
        settings.setdefault(_PREFIX.sub("", str(key)), str(value))
    return settings


def list_saved_channels(settings: Mapping[str, str]) -> tuple[int, ...]:
    """Numbers of the saved channels; () where the header does not say."""
    for key in ("hChannels.channelSave", "channelsSave"):
        if key in settings:
            return tuple(int(n) for n in re.findall(r"\d{1,9}", settings[key]))
    flags = {int(k[-1]): v for k, v in settings.items() if re.fullmatch(r"acq\.savingChannel\d", k)}
    return tuple(n for n, v in sorted(flags.items()) if v == "1")


def derive_axes(settings: Mapping[str, str], pages: int, key: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Axes and extents of the pages, channel last; ``q`` where the header leaves it open.

    Raises
    ------
    Problem
        ``tiff.pages``: the pages do not divide by the saved channels.
    """
    channels = max(len(list_saved_channels(settings)), 1)
    if pages % channels:
        raise problem(
            "tiff.pages",
            f"{key}: {pages} pages, but its ScanImage header says {channels} channels were saved",
            file=key,
        )
    frames = pages // channels
    axes, shape = _derive_frame_axes(settings, frames)
    extents = [*zip(axes, shape, strict=True), ("c", channels)]
    kept = [(axis, extent) for axis, extent in extents if extent > 1]
    return tuple(axis for axis, _ in kept), tuple(extent for _, extent in kept)


def _derive_frame_axes(settings: Mapping[str, str], frames: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    slices = _find_count(settings, "hStackManager.numSlices", "stackNumSlices", "acq.numberOfZSlices")
    volumes = settings.get("hFastZ.enable") in ("true", "1", "True")
    with_flyback = _find_count(settings, "hStackManager.numFramesPerVolumeWithFlyback", "hFastZ.numFramesPerVolume")
    per_slice = _find_count(settings, "hStackManager.framesPerSlice")
    depth = with_flyback or slices
    if slices == 1:
        return ("t",), (frames,)
    if volumes and depth and frames % depth == 0:
        return ("t", "z"), (frames // depth, depth)
    if not volumes and slices and per_slice and frames == slices * per_slice:
        return ("z", "t"), (slices, per_slice)
    return ("q",), (frames,)


def apply_scanimage(meta: ImageMetadata, settings: Mapping[str, str], axes: tuple[str, ...]) -> None:
    """Channel names, frame or volume rate and the trigger's clock."""
    saved = list_saved_channels(settings)
    names = re.findall(r"'([^']*)'", settings.get("hChannels.channelName", ""))
    if len(saved) > 1:
        known = all(0 < n <= len(names) for n in saved)
        meta.channels = tuple(names[n - 1] if known else f"channel {n}" for n in saved)
    volumetric = "t" in axes and "z" in axes and axes.index("t") < axes.index("z")
    if volumetric:
        rate = _find_decimal(settings, "hRoiManager.scanVolumeRate")
    else:
        rate = _find_decimal(settings, "hRoiManager.scanFrameRate", "scanFrameRate", "acq.frameRate")
    average = _find_decimal(settings, "hScan2D.logAverageFactor", "acq.numAvgFramesSave", "acqNumAveragedFrames")
    if rate and rate > 0 and {"t", "q"} & set(axes):
        meta.facts["frame_rate"] = format_decimal(rate if not average or average <= 1 else divide(rate, average))
    meta.acquired = _parse_clock(settings)


def _parse_clock(settings: Mapping[str, str]) -> datetime | None:
    epoch = [parse_decimal(n) for n in re.findall(r"[\d.]+", settings.get("epoch", ""))]
    if len(epoch) == 6 and all(n is not None for n in epoch):
        whole = [int(n) for n in epoch if n is not None]
        fraction = (epoch[5] or Decimal(0)) % 1
        return _build_datetime(*whole, int(fraction * 1000000))
    match = re.match(
        r"'(\d\d?)/(\d\d?)/(\d{4}) (\d\d?):(\d\d):(\d\d)\.?(\d*)'", settings.get("internal.triggerTimeString", "")
    )
    if match:
        month, day, year, *rest = (int(n) for n in match.groups()[:6])
        return _build_datetime(year, month, day, *rest, int(match[7].ljust(6, "0")[:6]))
    return None


def _build_datetime(*parts: int) -> datetime | None:
    try:
        return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - the header's clock has no zone
    except ValueError:
        return None


def _find_decimal(settings: Mapping[str, str], *names: str) -> Decimal | None:
    """The first of the settings that is a number: each generation of the program has its own names."""
    for name in names:
        value = parse_decimal(settings.get(name))
        if value is not None:
            return value
    return None


def _find_count(settings: Mapping[str, str], *names: str) -> int | None:
    value = _find_decimal(settings, *names)
    return int(value) if value is not None and value > 0 and value == int(value) else None
