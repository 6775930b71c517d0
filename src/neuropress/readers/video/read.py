"""A video's width, height, codec, rate and frame times, from its container; no frame is decoded.

Every packet is passed by, so the file is read once, as its digest needs it to be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec
from typing import Any

import numpy as np

from ...model import budget
from ...model.content import Content, LazyArray
from ...model.finding import Problem, problem
from ...model.source import Source
from . import FORMAT, find_container


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """One content without pixels: its header says what the video is, and ``time`` when frames are uneven.

    Raises
    ------
    Problem
        ``video.damaged``, ``video.extra`` without the library, ``file.remote`` for a file in a bucket.
    """
    if find_spec("av") is None:
        raise problem("video.extra", f"{source.key} is a video, and PyAV is not installed", file=source.key)
    answer, times = _run_worker(source)
    width, height = _read_extent(answer, "width"), _read_extent(answer, "height")
    if not (width and height and times.size):
        raise _make_damaged(source.key, f"it has {times.size} frames of {width} x {height} pixels")
    base = _read_ratio(answer["time_base"])
    rate = find_even_rate(times, base, _read_ratio(answer["stated_rate"])) if base else None
    if not base:
        raise _make_damaged(source.key, "its stream has no time base")
    video = {"width": width, "height": height, "codec": answer["codec"], "frames": int(times.size)}
    about = {**video, **{name: answer[name] for name in ("time_base", "stated_rate", "created")}}
    header: dict[str, Any] = {"video": about, "clock": str(base)}
    facts = {"x": str(width), "y": str(height), "rows": str(times.size)}
    arrays = {}
    if rate:
        about["rate"] = str(rate)
        header["start"] = str(int(times[0]) * base)
        facts["frame_rate"] = f"{Decimal(rate.numerator) / Decimal(rate.denominator):f}"
        facts["duration"] = f"{Decimal(times.size * rate.denominator) / Decimal(rate.numerator):f}"
    else:
        arrays["time"] = LazyArray("time", times.shape, times.dtype, ("sample",), times.__getitem__, times.shape)
    return (Content("", FORMAT.name, facts, header, arrays, warnings=tuple(_list_oddities(answer, times))),)


def find_even_rate(times: np.ndarray, base: Fraction, stated: Fraction | None) -> Fraction | None:
    """The rate of frames that are evenly spaced: each within a tick of its place; None where they are not.

    Containers round times to their ticks, as Matroska does to milliseconds, so that the steps alone never tell.
    """
    if times.size < 2 or int(times[-1]) == int(times[0]):
        return None
    measured = Fraction(times.size - 1) / (int(times[-1] - times[0]) * base)
    for rate in (stated, measured):
        if not rate:
            continue
        step = 1 / (rate * base)
        # Float64 tells places to a ten thousandth of a tick, up to 2**39 of them.
        places = np.arange(times.size) * float(step) + int(times[0])
        if bool(np.all(np.abs(times - places) < 1)):
            return rate
    return None


def _run_worker(source: Source) -> tuple[dict[str, Any], np.ndarray]:
    """What the child says, and the times of the frames. Raises `Problem` (``video.damaged``)."""
    container = find_container(source.head())
    if not container:
        raise _make_damaged(source.key, "it is none of the containers that are read: MP4, MOV, AVI, MKV, WebM")
    path = source.path()
    seconds = budget.VIDEO_SECONDS + source.size() // budget.VIDEO_RATE
    request = {
        "path": str(path),
        "container": container,
        "memory": budget.VIDEO_BYTES,
        "seconds": seconds,
        "frames": budget.VIDEO_FRAMES,
    }
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"{__package__}.worker"],
            input=json.dumps(request).encode() + b"\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=2 * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _make_damaged(source.key, f"libav took more than {2 * seconds} s") from error
    line, _, ticks = done.stdout.partition(b"\n")
    if done.returncode or not line:
        raise _make_damaged(source.key, f"libav's process ended with status {done.returncode}")
    answer: dict[str, Any] = json.loads(line)
    if "failed" in answer:
        raise _make_damaged(source.key, answer["failed"])
    return answer, np.frombuffer(ticks, "=i8").astype("<i8")


def _list_oddities(answer: Mapping[str, Any], times: np.ndarray) -> list[str]:
    """What a person should know before the times are relied upon."""
    found = []
    shown, stated = int(times.size), answer["stated_frames"]
    if stated and stated != shown + answer["hidden"] + answer["untimed"]:
        found.append(f"the container states {stated} frames, and has {shown + answer['hidden'] + answer['untimed']}")
    if answer["hidden"]:
        found.append(f"{answer['hidden']} of its frames are cut off by an edit list, never shown and not counted")
    if answer["untimed"]:
        found.append(f"{answer['untimed']} of its frames have no time; they are not counted")
    if same := int(np.count_nonzero(np.diff(times) == 0)):
        found.append(f"{same} of its frames have the time of the one before")
    if answer["videos"] > 1:
        found.append(f"it has {answer['videos']} video streams; the first is taken")
    if answer["others"]:
        found.append(f"beside the video it has streams of {', '.join(answer['others'])}, which stay in the file")
    return found


def _read_extent(answer: Mapping[str, Any], name: str) -> int:
    value = answer[name]
    return value if isinstance(value, int) and 0 < value < 2**20 else 0


def _read_ratio(text: str) -> Fraction | None:
    above, _, below = text.partition("/")
    return Fraction(int(above), int(below)) if below and int(below) > 0 and int(above) > 0 else None


def _make_damaged(key: str, why: str) -> Problem:
    return problem("video.damaged", f"{key}: {why}", file=key)
