"""Proposes what the arrays of a file may be: what is evident is filled in, the rest is for a person to say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .language import PLACEHOLDER, Reference, format_options
from .times import NotEven, measure_times
from .tree import ArrayTree, Variable

SHOWN = 200
"""Arrays that a draft lists."""
PROPOSED = 8
TIMES = {"t", "time", "times", "timestamp", "timestamps", "tvec", "time_s", "time_ms", "column1"}
RATES = {"fs": "Hz", "sr": "Hz", "rate": "Hz", "samplerate": "Hz", "sample_rate": "Hz", "sampling_rate": "Hz",
         "samplingrate": "Hz", "srate": "Hz", "dt": "s"}  # fmt: skip
UNITS = re.compile(r"[(\[]\s*([munp\u00b5\u03bc]?[VA])\s*[)\]]|_([mnp]?[VA])$")
GUESSES = (
    (re.compile(r"(v|vm|vmem|voltage|potential)[0-9]*"), "mV"),
    (re.compile(r"(i|im|imem|current|stim|command)[0-9]*"), "pA"),
)
"""Names that electrophysiologists use, and the unit that they mostly mean."""
LEAST_SWEEPS = 3
"""Arrays whose names differ in a number, before they are taken for sweeps of one channel and not for channels."""
LEAST_TRACE, LEAST_TIMES, MOST_TIMES = 10, 3, 10_000_000


@dataclass(frozen=True, slots=True)
class Draft:
    """Options for a person to complete, and what they should know of each."""

    options: Mapping[str, str]
    comments: Sequence[str]


def draft_options(tree: ArrayTree) -> Draft:
    """A movie where an array looks like one, else a recording; capital words are for a person to fill in."""
    comments = [f"{one.describe()}" for one in list(tree.variables.values())[:SHOWN]]
    if len(tree.variables) > SHOWN:
        comments.append(f"and {len(tree.variables) - SHOWN} more arrays")
    comments += [f"{path}: {what}, which cannot be declared" for path, what in list(tree.others.items())[:SHOWN]]
    movies = [one for one in tree.variables.values() if _is_movie(one)]
    if movies:
        return Draft(*_draft_movie(max(movies, key=lambda one: one.size), comments))
    return Draft(*_draft_recording(tree, comments))


def format_block(key: str, draft: Draft) -> str:
    """The draft as a block of ``neuropress.toml``."""
    return format_options(key, draft.options, draft.comments)


def _is_movie(variable: Variable) -> bool:
    return (
        sum(extent >= 16 for extent in variable.shape) >= 2
        and len(variable.shape) >= 3
        and variable.dtype.kind in "uif"
    )


def _draft_movie(variable: Variable, comments: list[str]) -> tuple[dict[str, str], list[str]]:
    axes = variable.axes or "AXES"
    if not variable.axes:
        extents = " x ".join(map(str, variable.shape))
        comments.append(f"axes: one letter for each of {extents}, of t c z y x; tyx if frames come first, yxt if last")
    options = {"pixels": variable.path} | ({} if variable.axes else {"axes": axes})
    return options, [*comments, "frame_rate and pixel_size may be added, where the table does not state them"]


def _draft_recording(tree: ArrayTree, comments: list[str]) -> tuple[dict[str, str], list[str]]:
    times = _find_times(tree, comments)
    rates = [one for one in tree.variables.values() if one.size == 1 and _get_name(one).lower() in RATES]
    options: dict[str, str] = {}
    traces = [one for one in tree.variables.values() if one is not times and max(one.shape, default=0) >= LEAST_TRACE]
    likely = [one for one in _prefer_likely(traces) if one.dtype.kind in "iuf"]
    proposed = _group_sweeps(tree, likely)[:PROPOSED]
    entries = [_draft_channel(one, pattern, comments) for pattern, one in proposed]
    options["channels"] = "; ".join(entries) or f"ARRAY = {PLACEHOLDER}"
    if times is not None:
        options["time"] = f"{times.path} {times.unit if times.unit in ('s', 'ms', 'us') else PLACEHOLDER}"
    elif rates:
        unit = RATES[_get_name(rates[0]).lower()]
        value = rates[0].read_whole().reshape(-1)[0]
        comments.append(f"{rates[0].path} is {value}: in {unit}?")
        options["rate"] = f"{rates[0].path} {unit}"
    elif not (proposed and all(one.intervals for _, one in proposed)):
        options["rate"] = "RATE"
        comments.append(
            'rate: samples a second ("20000"), or an array and its unit ("fs Hz", "dt ms"); or time = "t ms"'
        )
    comments.append("of a command write UNIT command; add clamp and sweep_interval where they are needed")
    comments.append('behaviour instead: columns = "t = time ms; x = cm"; a movie: pixels = "NAME", axes = "tyx"')
    return options, comments


def _prefer_likely(traces: list[Variable]) -> list[Variable]:
    """Those whose name or file says a unit, if there are any."""
    return [one for one in traces if _guess_unit(one)] or traces


def _group_sweeps(tree: ArrayTree, traces: list[Variable]) -> list[tuple[str, Variable]]:
    """Traces alike but for one number in their names (RecordA0, RecordA1, ...) as one pattern; others by their path.

    Of several numbers (Trace_1_2_3_1) the one that most traces differ in is taken for that of the sweep.
    """
    alike: dict[tuple[str, str], list[str]] = {}
    for one in traces:
        is_trace = max(one.shape) == one.size
        for number in re.finditer("[0-9]+", one.path) if is_trace else ():
            pattern = f"{one.path[: number.start()]}*{one.path[number.end() :]}"
            alike.setdefault((pattern, f"{one.shape} {one.dtype} {one.unit}"), []).append(one.path)
    patterns: dict[str, str] = {}
    for (pattern, _), paths in sorted(alike.items(), key=lambda item: -len(item[1])):
        is_new = len(paths) >= LEAST_SWEEPS and patterns.keys().isdisjoint(paths)
        fits = Reference(pattern).compile_pattern().fullmatch
        # A pattern that takes in anything else, the times for one, would say what nobody means.
        if is_new and pattern.count("*") == 1 and sum(map(bool, map(fits, tree.variables))) == len(paths):
            patterns |= dict.fromkeys(paths, pattern)
    grouped: dict[str, Variable] = {}
    for one in traces:
        grouped.setdefault(patterns.get(one.path, one.path), one)
    return list(grouped.items())


def _draft_channel(variable: Variable, pattern: str, comments: list[str]) -> str:
    unit = variable.unit.replace(" ", "") or _read_unit(variable) or PLACEHOLDER
    if unit == PLACEHOLDER and (guess := _guess_unit(variable)):
        comments.append(f"{variable.path}: {guess}, as its name may mean?")
    long = [axis for axis, extent in enumerate(variable.shape) if extent > 1]
    axes = ""
    if pattern != variable.path:
        comments.append(f"{pattern}: each array that fits is a sweep, in the order of their numbers")
    if len(long) > 1:
        time = variable.shape.index(max(variable.shape))
        other = iter(["s", *["0"] * len(variable.shape)])
        letters = ["t" if axis == time else next(other) if axis in long else "0" for axis in range(len(variable.shape))]
        axes = f"[{','.join(letters)}]"
        comments.append(f"{variable.path}{axes}: the longest axis is taken for time (t), the other for sweeps (s)")
    return f"{pattern}{axes} = {unit}"


def _read_unit(variable: Variable) -> str:
    """The unit in a name that says it: ``Vm (mV)``, ``I_pA``."""
    match = UNITS.search(_get_name(variable))
    return match[1] or match[2] if match else ""


def _guess_unit(variable: Variable) -> str:
    """The unit that a name mostly means."""
    name = _get_name(variable).lower()
    known = variable.unit or _read_unit(variable)
    return known or next((unit for pattern, unit in GUESSES if pattern.fullmatch(name)), "")


def _find_times(tree: ArrayTree, comments: list[str]) -> Variable | None:
    """An array that is called like times and is even."""
    for variable in tree.variables.values():
        name = re.split(r"[\s(\[]", _get_name(variable))[0].lower()
        is_vector = max(variable.shape, default=0) == variable.size and LEAST_TIMES <= variable.size <= MOST_TIMES
        if name not in TIMES or not is_vector or variable.dtype.kind not in "iuf":
            continue
        try:
            timing = measure_times(variable.read_whole().reshape(-1))
        except NotEven as error:
            comments.append(f"{variable.path} might be the times, but {error}")
            continue
        comments.append(f"{variable.path} goes evenly from {timing.first} by {timing.step}: times in s or in ms?")
        return variable
    return None


def _get_name(variable: Variable) -> str:
    return variable.path.rpartition("/")[2]
