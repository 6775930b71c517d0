"""What a reader found in a raw file: header facts and lazy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .clock import Clock, parse_number
from .graft import Graft

if TYPE_CHECKING:  # numpy takes a tenth of a second, and checking tables needs none of it
    import numpy as np

type Selection = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class LazyArray:
    """An array in a raw file that is read block by block.

    Attributes
    ----------
    name
        Unique within its content (``sweep000/adc0``, ``pixels``).
    shape, dtype
        As stored; `dtype` in native byte order.
    axes
        One name an axis: ``t c z y x s q``, ``sample``. ``q`` means not declared.
    read
        ``read(selection)`` gives the block of one slice an axis (step 1), as stored.
    block
        The extent an axis that is read at once, however little of it is asked for: one row of plain pixels, a strip,
        tile or chunk of packed ones, a page that a codec gives as a whole; a whole sweep.
    is_shared
        Whether several blocks may be read at the same time, which pays where unpacking takes time.
    kept
        Bytes that the reader may keep of what it unpacked, so that it need not do it again.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: tuple[str, ...]
    read: Callable[[Selection], np.ndarray]
    block: tuple[int, ...]
    is_shared: bool = False
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Access:
    """What a reader says of reading an array, its axes in the result's order; see `LazyArray`."""

    block: tuple[int, ...]
    is_shared: bool = False
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Content:
    """One scene, position or recording of a raw file.

    Attributes
    ----------
    name
        Unique within the source; ``""`` when the source has one content only.
    format
        The reader's format name (``abf``, ``tiff``, ``slices``).
    facts
        Header facts under the names that tables use (``sampling_rate`` in Hz,
        ``frame_rate`` in Hz, ``pixel_size`` in um, ``x``, ``y``, ``z``), as exact
        decimal text. What the header does not say is not there.
    header
        The header as the file states it, JSON-able; the result keeps it without names of users and machines.
    arrays
        Name -> `LazyArray`.
    warnings
        What the reader had to work around, one sentence each.
    started
        The header's own clock when it was acquired, without a zone where the header states none; None when it
        does not say (a file's ctime is no header).
    clock_offset
        Seconds from the session's start to the file's time 0, exact, as a person declared it; empty where nobody did.
    trigger
        What a channel of another file says of its time 0; None where nobody declared one.
    """

    name: str
    format: str
    facts: Mapping[str, str]
    header: Mapping[str, Any]
    arrays: Mapping[str, LazyArray]
    warnings: tuple[str, ...] = ()
    close: Callable[[], None] = field(default=lambda: None, compare=False)
    started: datetime | None = None
    clock_offset: str = ""
    trigger: Trigger | None = None

    @property
    def clock(self) -> datetime | None:
        """The file's own clock when it was acquired, whatever kind of content it is."""
        return self.started

    @property
    def declared_offset(self) -> Fraction | None:
        """Seconds from the session's start to time 0, as far as what is declared says it without any header's clock."""
        if self.clock_offset:
            return parse_number(self.clock_offset)
        known = self.trigger.content.declared_offset if self.trigger else None
        return known + self.trigger.first if self.trigger and known is not None else None


@dataclass(frozen=True, slots=True)
class Trigger:
    """Edges of a channel that another file of the session recorded: the first is the time 0 of a file.

    Attributes
    ----------
    key, content
        The other file, and the content that has the channel.
    array
        Name of the array of edges in `content`, one element each.
    clock
        Makes seconds of the edges, from the other file's time 0.
    count
        Number of edges.
    first
        The first edge in seconds, exact.
    text
        Channel, threshold and number of edges, in words.
    is_each_frame
        Whether each edge is a frame of the movie, in their order.
    """

    key: str
    content: Content
    array: str
    clock: Clock
    count: int
    first: Fraction
    text: str
    is_each_frame: bool = False


@dataclass(frozen=True, slots=True)
class Image(Content):
    """Pixels: one array named ``pixels`` and the calibration that the file states.

    Attributes
    ----------
    spacing
        um per pixel for the axes that the file calibrates.
    channels
        Names of the channels; empty where the file does not give all of them.
    acquired
        When the first frame was taken or, with `timestamps`, what these count from.
    timestamps
        Name of the array of times as stored, one for each index of the axis ``t``; empty where the file has none.
    scale
        Seconds of one unit of `timestamps`, exact (``0.001``, ``1/30000``; see `neuropress.model.clock`).
    """

    spacing: Mapping[str, Decimal] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    acquired: datetime | None = None
    timestamps: str = ""
    scale: str = "1"

    @property
    def clock(self) -> datetime | None:
        """The file's own clock when it was acquired."""
        return self.acquired


@dataclass(frozen=True, slots=True)
class Channel:
    """One recorded (ADC) or command (DAC) channel: `gain` and `offset` give the unit's
    value of a stored sample, ``sample * gain + offset``, exact decimals of the header's
    float64; `unit` is the header's text, stripped of padding and NUL. `terminal` is the
    number printed on the digitiser; `clamp` what the amplifier telegraphed, or a
    person stated, about a recorded channel (``voltage clamp``, ``current clamp``, ``I=0``); `driven` whether the
    program played a command on a DAC, and `holding` its level otherwise."""

    index: int
    name: str
    unit: str
    gain: Decimal
    offset: Decimal
    dtype: np.dtype[Any]
    terminal: int | None = None
    clamp: str = ""
    driven: bool = False
    holding: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Stimulus:
    """The command of one DAC in one sweep, where the header determines it or a person named its file.

    `array` names the lazy array (in the DAC's unit); `how` says from what it was
    rebuilt (``epoch table``, ``file NAME``), or, where `rebuilt` is False, where its
    samples are stored.
    """

    dac: int
    array: str
    how: str
    rebuilt: bool = True


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep: `start` in seconds from the recording's start; `responses` maps an ADC
    index to the name of its array; all arrays of a sweep are equally long."""

    index: int
    start: Decimal
    length: int
    responses: Mapping[int, str]
    stimuli: tuple[Stimulus, ...] = ()


@dataclass(frozen=True, slots=True)
class Tag:
    """A comment that the experimenter or the program set, seconds from the recording's start."""

    time: Decimal
    text: str
    kind: str = "comment"


@dataclass(frozen=True, slots=True)
class Recording(Content):
    """Sampled channels in sweeps.

    `rate` is samples per second of each channel, from the sample interval (never a
    rounded integer).
    """

    rate: Decimal = Decimal(0)
    mode: str = ""
    protocol: str = ""
    adc: tuple[Channel, ...] = ()
    dac: tuple[Channel, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a `DataTable`.

    Attributes
    ----------
    name
        As the file names it.
    array
        Name of its lazy array: one element a row, or all rows' elements one after the other.
    unit
        As the file states it; empty where it does not.
    ends
        Name of the array that says where each row's elements end in `array`; empty for one element a row.
    meaning
        What its elements are, for people; empty where the format does not say.
    """

    name: str
    array: str
    unit: str = ""
    ends: str = ""
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class DataTable(Content):
    """Rows of measured values: events, tracked points, trials, spikes, masks of regions.

    Arrays of texts have the type ``numpy.dtypes.StringDType()``, masks are arrays of records (``x``, ``y``,
    ``weight``). Times stay as stored; a converter gives them their clock.
    """

    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Series(Content):
    """Channels sampled together: an array with time along the first axis, or along the one that is named ``time``.

    Attributes
    ----------
    array
        Name of the lazy array, (time,) or (time, channel); regions' traces may be stored as (roi, time).
    rate
        Samples per second; None where `timestamps` are stored.
    timestamps
        Name of the array of times as stored; empty where `rate` says them.
    scale
        Seconds of one unit of `timestamps`, exact (``0.001``, ``1/30000``; see `neuropress.model.clock`).
    channels
        Name, unit, gain and offset of each column.
    """

    array: str = ""
    rate: Decimal | None = None
    timestamps: str = ""
    scale: str = "1"
    channels: tuple[Channel, ...] = ()


@dataclass(frozen=True, slots=True)
class Exported:
    """An object of a fragment with all below it.

    Attributes
    ----------
    graft
        What a plan says of it.
    type
        Its own type (``PoseEstimation``).
    fields
        What its attributes and scalars say, as JSON, by their place below it (``pose/scorer``).
    arrays
        Place below it -> name of the array in the content.
    """

    graft: Graft
    type: str
    fields: Mapping[str, Any]
    arrays: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fragment(Content):
    """Objects that another program exported as NWB; arrays are named by their place in the file.

    `describe` looks at the object at a place; it raises `Problem` (``fragment.*``). `started` is what the file's times
    count from. `objects` are the outermost objects with their types, those of a processing module one by one.
    `is_shifted`: its times count from the session's start already, by the declared clock.
    """

    describe: Callable[[str], Exported] = field(kw_only=True, compare=False)
    objects: Mapping[str, str] = field(kw_only=True, default_factory=dict)
    is_shifted: bool = field(kw_only=True, default=False)


def count_frames(image: Image) -> int:
    """Frames of a movie, along the axis that its series takes for time; 1 of a single image."""
    pixels = image.arrays["pixels"]
    axis = next((axis for axis in "tqz" if axis in pixels.axes), "")
    return pixels.shape[pixels.axes.index(axis)] if axis else 1


def describe_contents(contents: Sequence[Content]) -> str:
    """Kind, format and names of what a file holds: for a person who must see why no converter takes it."""
    texts = []
    for content in contents[:20]:
        parts = [column.name for column in content.columns] if isinstance(content, DataTable) else list(content.arrays)
        names = ", ".join(parts[:20]) + (", ..." if len(parts) > 20 else "")
        name = f" {content.name!r}" if content.name else ""
        texts.append(f"{type(content).__name__}{name} ({content.format}: {names or 'no arrays'})")
    return "; ".join(texts) + ("; ..." if len(contents) > 20 else "") or "nothing"


def list_contents(contents: Sequence[Content], most: int = 20) -> str:
    """Number, name and extents of each content, as a person chooses one."""
    texts = []
    for number, content in enumerate(contents[:most], 1):
        names = " ".join(f"{name!r}" for name in content_names(content))
        pixels = content.arrays.get("pixels")
        extent = " ".join(f"{a}={n}" for a, n in zip(pixels.axes, pixels.shape, strict=True)) if pixels else ""
        texts.append(f"{number}: {names} {extent}".rstrip())
    more = f", and {len(contents) - most} more" if len(contents) > most else ""
    return ", ".join(texts) + more


def content_names(content: Content) -> tuple[str, ...]:
    """What a content may be called: its own name, and the one that the file gives it."""
    return tuple(dict.fromkeys(name for name in (content.name, str(content.header.get("name", ""))) if name))
