"""What readers of files of named arrays share (MAT, HDF5, NPY, traces as text): a person declares what these are.

`tree` is such a file, `language` the declaration; `recording`, `movie` and `behavior` make contents of both, `draft`
proposes a declaration. No format of its own.
"""

from __future__ import annotations

from ..format import Fact, Option
from ..images import AXES, IMAGE_FACTS
from .columns import parse_columns
from .language import complain, parse_channels, parse_positive, parse_rate, parse_reference, parse_times

RECORDING_OPTIONS = (
    Option(
        "channels",
        'Which array is which channel of a recording: "V = mV; I = pA command". A number before the unit is a factor '
        '("I = 0.305 pA"). Axes stand in brackets: "data[s,t] = mV" (sweeps, time), "data[t,0] = mV" (one place, '
        'counted from 0); with * each array that fits is a sweep: "Trace_1_1_*_1[t,1] = mV".',
        check=complain(parse_channels),
    ),
    Option(
        "rate",
        'Samples of a recording a second: "20000", "30000/1001", or the array that holds it, and its unit: "fs Hz", '
        '"dt ms".',
        check=complain(parse_rate),
    ),
    Option("time", 'The array of a recording\'s times, which must be even, and its unit: "t ms", "data[t,0] s".',
           check=complain(parse_times)),
    Option("clamp", "How the cell was clamped; else the units decide, with a warning where no command confirms them.",
           kind="choice", choices=("voltage clamp", "current clamp", "I=0")),
    Option("sweep_interval", "Seconds from one sweep's start to the next, where the times do not say.",
           kind="number", least=0),
)  # fmt: skip
"""Of recordings."""

PIXEL_SIZE = Option("pixel_size", 'Side of a pixel of that image in um: "0.65".', check=complain(parse_positive))
Z_SPACING = Option("z_spacing", 'Distance of the planes of that volume in um: "2".', check=complain(parse_positive))

OPTIONS = (
    *RECORDING_OPTIONS,
    Option("pixels", "The array that is an image, a movie or a volume.", check=complain(parse_reference)),
    AXES,
    PIXEL_SIZE,
    Z_SPACING,
    Option("frame_rate", 'Frames of that movie, or rows of behaviour, a second: "30", "29.97" or "30000/1001".',
           check=complain(parse_positive)),
    Option(
        "columns",
        'Which arrays are behaviour: "t = time ms; x = cm; lick = 1". One of them has the times, unless frame_rate is '
        "stated.",
        check=complain(parse_columns),
    ),
)  # fmt: skip
"""Of recordings, movies and behaviour."""

RECORDING_FACTS = (Fact("sampling_rate", "samples a second of each channel, from the sample interval", "Hz"),)
_IMAGE_FACTS = ("x", "y", "z", "pixel_size", "frame_rate")
FACTS = (
    *RECORDING_FACTS,
    *(fact for fact in IMAGE_FACTS if fact.name in _IMAGE_FACTS),
    Fact("rows", "rows of behaviour"),
)

FINDINGS = ("arrays.damaged", "arrays.declaration", "arrays.times", "arrays.unsafe")
