"""Declared clocks: a channel of another raw file whose rising edges say when a file began, and when its frames were."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from ..config import Config
from ..model.clock import parse_number
from ..model.content import Content, Image, Trigger, count_frames
from ..model.finding import Problem, problem
from ..readers.format import CLOCK, CLOCK_EDGES, CLOCK_OFFSET, CLOCK_THRESHOLD, FIRST_EDGE, split_channel
from ..readers.raw import RawArrays


def find_clock_key(key: str, config: Config) -> str:
    """Key of the raw file that has a file's clock; empty where none is declared."""
    return split_channel(config.find_options(key).get(CLOCK.name, ""))[0]


def list_clock_keys(keys: Iterable[str], config: Config) -> set[str]:
    """Keys of the raw files that have the clocks of others."""
    return {clock for key in keys if (clock := find_clock_key(key, config))}


def add_trigger(key: str, contents: tuple[Content, ...], config: Config, files: RawArrays) -> tuple[Content, ...]:
    """What a file holds, with its declared clock; as it is where none is declared.

    Raises
    ------
    Problem
        ``clock.file``: the file that has the clock is missing or cannot be read; ``clock.channel``, ``clock.edges``.
    """
    options = config.find_options(key)
    clock, channel = split_channel(options.get(CLOCK.name, ""))
    if not clock:
        return contents
    if CLOCK_OFFSET.name in options:
        raise problem("clock.file", f"{key}: both clock and clock_offset are declared; leave one out", file=key)
    others = config.find_options(clock)
    if clock == key or CLOCK.name in others:
        message = f"{key}: its clock is in {clock}, which has itself a clock declared in another file"
        raise problem("clock.file", message, value=clock, file=key)
    stated = options.get(CLOCK_THRESHOLD.name)
    try:
        edges = files.find_edges(clock, others, channel, parse_number(stated) if stated else None)
    except Problem as bad:
        if bad.finding.id == "clock.channel":
            raise
        message = f"{key}: the file of its clock cannot be read: {bad.finding.message}"
        raise problem("clock.file", message, hint=bad.finding.hint, value=clock, file=key) from bad
    level = "" if edges.threshold is None else _describe_threshold(edges.threshold, edges.unit, is_stated=bool(stated))
    what = "rows" if edges.threshold is None else "rising edges"
    text = f"{edges.count} {what} of {channel} in {clock}{level}"
    if edges.first is None:
        message = f"{key}: its clock has no edge: {text}"
        raise problem("clock.edges", message, file=key)
    trigger = Trigger(clock, edges.content, edges.array, edges.clock, edges.count, edges.first, text)
    if options.get(CLOCK_EDGES.name) == FIRST_EDGE:
        return tuple(replace(content, trigger=trigger) for content in contents)
    return tuple(replace(content, trigger=_fit_frames(key, content, trigger)) for content in contents)


def _describe_threshold(threshold: Fraction, unit: str, *, is_stated: bool) -> str:
    rule = "" if is_stated else ", by rule: the middle between its least and its largest value"
    return f" through {float(threshold):g} {unit}".rstrip() + rule


def _fit_frames(key: str, content: Content, trigger: Trigger) -> Trigger:
    """The trigger with its edges as frames, of a movie or video. Raises `Problem` (``clock.edges``)."""
    if isinstance(content, Image):
        frames = count_frames(content)
    elif "video" in content.header:
        frames = content.header["video"]["frames"]
    else:
        return trigger
    if frames != trigger.count:
        message = f"{key} has {frames} frames, its clock {trigger.count} edges: {trigger.text}"
        raise problem("clock.edges", message, value=str(trigger.count), expected=str(frames), file=key)
    return replace(trigger, is_each_frame=True)
