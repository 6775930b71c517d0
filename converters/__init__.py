"""One module per modality: which rows and contents it takes, and what they become.

Add a modality: write ``converters/<name>.py`` with what `Converter` asks for, its
rules in ``mappings/<name>.toml``, name it in `CONVERTERS`, add
``tests/converters/test_<name>.py``. Another installed package names its module under the
entry point ``neuropress.converters``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache, wraps
from importlib.resources import files
from types import SimpleNamespace
from typing import Any, Protocol, cast, runtime_checkable

from neuropress.mapping.rules import Fields, MappingRules, Slots, load_mapping
from neuropress.model.clock import parse_number
from neuropress.model.content import Content, Fragment, Image, Trigger, describe_contents, list_contents
from neuropress.model.finding import Finding, MappingError, Problem, Severity, finding, problem
from neuropress.model.labels import Labels
from neuropress.model.plan import ArraySpec, Field, Node
from neuropress.model.profile import Profile
from neuropress.model.record import CellRef, Record
from neuropress.registry import Plugin, PluginError, Plugins, load_plugins
from neuropress.results import TARGETS

GROUP = "neuropress.converters"
"""Entry point of other packages' converters."""
CONVERTERS = (
    "patch_clamp", "imaging", "rois", "volume", "morphology", "plasmid_map", "behavior_table", "behavior_undeclared",
    "processed", "simulation", "external_video", "kept_file", "lab_nwb", "exported",
)  # fmt: skip
"""Names of those that are built in."""
SESSION_CONVERTER = "session"
"""The converter of what every session has, whatever its rows are; it takes no row by itself."""


EXPORTED = "fragment:exported"
"""The rule of every field that another program wrote."""

MICROSECOND = timedelta(microseconds=1)
EARLIEST, LATEST = timedelta(minutes=-10), timedelta(hours=24)
"""How far from the session's start a recording may begin; beyond, its clock is not believed."""


@dataclass(frozen=True, slots=True)
class Start:
    """When a file's time 0 was.

    Attributes
    ----------
    seconds
        From the session's start, exact.
    sources
        The header's clock, or the option by which a person declared it.
    declared
        What was declared, in words for the series; empty where the header's own clock is believed.
    findings
        That both are there and differ.
    """

    seconds: Fraction
    sources: tuple[CellRef, ...]
    declared: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One row to convert, with its raw contents open and its mapping applied.

    Attributes
    ----------
    record
        The row, joined with its parents.
    source
        Key of the raw object that `column` names.
    contents
        What the reader found, headers only.
    fields
        slot -> field -> `Field`, from the mapping.
    started
        The session's start with its zone (session targets only).
    part
        Which of several files of the session it goes into; empty for the main or only one.
    place
        Path of the result below ``output/``, which is its key in a release.
    beside
        The jobs of the row's other columns, as other converters have them, by column.
    others
        The jobs of all rows whose objects go into the same file, this one's too, as their converters have them.
    elsewhere
        The other file of the session that has what is made of this job, in words; empty where it is the same file.
    labels
        Masks and points that a person named beside the result, for converters with ``HAS_LABELS``.
    """

    record: Record
    column: str
    source: str
    contents: tuple[Content, ...]
    fields: Fields
    profile: Profile
    started: datetime | None = None
    part: str = ""
    place: str = ""
    beside: Mapping[str, Job] = field(default_factory=dict)
    others: Sequence[Job] = ()
    elsewhere: str = ""
    labels: Sequence[Labels] = ()

    def make_fact_ref(self, name: str, text: object) -> CellRef:
        """Reference to a fact of the raw file's header."""
        return CellRef("file", self.source, name, str(text), "header")

    def locate(self, column: str = "") -> dict[str, Any]:
        """Where a cell of the row stands (that of the raw file without `column`): parts of a `Location`."""
        column = column or self.column
        place = self.record.place(column if column in self.record.cells else None)
        place = {**place, "column": column, "file": self.source}
        return {name: part for name, part in place.items() if part}

    def measure_delay(self, clock: datetime) -> timedelta | None:
        """From the session's start to a header's clock, which is the lab's time where it states no zone.

        None where the two do not fit: the clock is not believed then, or there is no session start.
        """
        if self.started is None:
            return None
        aware = clock if clock.tzinfo else clock.replace(tzinfo=self.started.tzinfo)
        # In UTC, because a difference within one zone forgets that clocks may have been put forward in between.
        delay = aware.astimezone(UTC) - self.started.astimezone(UTC)
        return delay if EARLIEST <= delay <= LATEST else None

    def find_start(self, content: Content) -> Start | None:
        """When a content's time 0 was: as a person declared it, else by its header's clock; None where nobody knows.

        A declared clock wins over the header's, and a finding says by how much they differ.
        """
        if content.trigger:
            return self._find_edge(content, content.trigger)
        if content.clock_offset:
            return self._find_offset(content)
        delay = self.measure_delay(content.clock) if content.clock else None
        if content.clock is None or delay is None:
            return None
        name = "acquired" if isinstance(content, Image) else "started"
        return Start(Fraction(delay // MICROSECOND, 10**6), (self.make_fact_ref(name, content.clock.isoformat()),))

    def _find_offset(self, content: Content) -> Start:
        source = CellRef("file", self.source, "clock_offset", content.clock_offset, "option")
        words = f"clock declared: time 0 of the file is {content.clock_offset} s after the session's start"
        seconds = parse_number(content.clock_offset)
        found = tuple(self._compare_clocks(content, seconds, f"clock_offset is {content.clock_offset} s"))
        return Start(seconds, (source,), words, found)

    def _find_edge(self, content: Content, trigger: Trigger) -> Start | None:
        """The first edge of a channel of another file, by that file's own start."""
        other = replace(self, source=trigger.key).find_start(trigger.content)
        if other is None:
            return None
        seconds = other.seconds + trigger.first
        edges = CellRef("file", trigger.key, trigger.array, f"{trigger.text}; the first at {trigger.first} s", "header")
        words = f"clock declared: time 0 of the file is the first of {trigger.text}"
        found = self._compare_clocks(content, seconds, f"by {trigger.text} it began at {float(seconds):.6f} s")
        return Start(seconds, (edges, *other.sources), words, tuple(found))

    def make_frame_times(self, content: Content) -> ArraySpec | None:
        """The times of a movie's frames, one for each edge of its declared clock; None where none has them.

        They count from the session's start or, where nobody knows when the file with the clock began, from there.
        """
        trigger = content.trigger
        if trigger is None or not trigger.is_each_frame:
            return None
        known = self.find_start(content)
        clock = trigger.clock.shift(known.seconds - trigger.first) if known else trigger.clock
        return ArraySpec.of(trigger.key, trigger.content, trigger.array, clock=clock)

    def _compare_clocks(self, content: Content, declared: Fraction, words: str) -> Iterator[Finding]:
        """Whether a declared clock is another than the header's, whose seconds may be whole ones."""
        if content.clock is None or self.started is None:
            return
        zone = self.started.tzinfo
        aware = content.clock if content.clock.tzinfo else content.clock.replace(tzinfo=zone)
        delay = aware.astimezone(UTC) - self.started.astimezone(UTC)
        apart = declared - Fraction(delay // MICROSECOND, 10**6)
        if not apart:
            return
        is_small = abs(apart) < 1 or self.measure_delay(content.clock) is None
        message = (
            f"{self.source}: {words}, by the header's clock "
            f"{content.clock.isoformat(' ')} it would be {float(declared - apart):.6f} s: "
            f"{abs(float(apart)):.6f} s {'less' if apart > 0 else 'more'}; what is declared holds"
        )
        severity = Severity.INFO if is_small else None
        yield finding("clock.differs", message, severity=severity, **self.locate())

    def take_over(self, path: str, place: str = "") -> Node:
        """An object that another program exported, with all below it, as it stands in the row's fragment.

        Parameters
        ----------
        path
            Its place in the fragment.
        place
            Its place in the result; the same one if it is not given.

        Raises
        ------
        Problem
            ``fragment.*``: there is no such object, it cannot be taken over, or its times count from another moment;
            ``plan.invalid``: the row does not go into a session.
        """
        if self.started is None:
            message = f"{self.source}: what another program exported as NWB can only go into a session"
            raise problem("plan.invalid", message, **self.locate())
        content = self.contents[0] if len(self.contents) == 1 else None
        if not isinstance(content, Fragment):
            message = f"{self.source} holds {describe_contents(self.contents)}, and no objects that a program exported"
            raise problem("fragment.missing", message, **self.locate())
        if (content.clock_offset and not content.is_shifted) or content.trigger:
            message = (
                f"{self.source}: its times are taken over as they were exported, so no declared clock can shift them"
            )
            raise problem("fragment.clock", message, **self.locate())
        self._check_clock(content, self.started)
        place = place or path
        exported = content.describe(path)
        fields = {
            name: Field(value, EXPORTED, "copy", (CellRef("file", self.source, f"{path}/{name}", "", "export"),))
            for name, value in exported.fields.items()
        }
        arrays = {name: ArraySpec.of(self.source, content, array) for name, array in exported.arrays.items()}
        return Node(place, exported.type, fields, {}, arrays, exported.graft)

    def _check_clock(self, fragment: Fragment, start: datetime) -> None:
        """Refuse times that do not count from the session's start: nothing in the result would say so."""
        if fragment.started is None or fragment.is_shifted:
            return
        aware = fragment.started if fragment.started.tzinfo else fragment.started.replace(tzinfo=start.tzinfo)
        if aware != start:
            counted = f"its times count from {fragment.started.isoformat()}"
            message = f"{self.source}: {counted}, the session starts at {start.isoformat()}"
            raise problem("fragment.clock", message, **self.locate())


def make_constant(converter: str, name: str, value: Any) -> Field:
    """A field that a converter states by itself, under a name of its own."""
    reference = CellRef("converter", converter, name, str(value), "constant")
    return Field(value, f"{converter}:{name}", "constant", (reference,))


@dataclass(frozen=True, slots=True)
class Built:
    """A converter's answer: nodes for the plan and findings that do not stop it."""

    nodes: tuple[Node, ...]
    findings: tuple[Finding, ...] = ()


def describe_image_choice(job: Job) -> str:
    """Why a row cannot take a file of several images, and how a person says which one it means."""
    if any("video" in content.header for content in job.contents):
        return f"{job.source} is a video, whose frames are not decoded here; save them as TIFF without loss"
    if not job.contents or len(job.contents) == 1:
        return f"{job.source} ({', '.join(c.format for c in job.contents) or 'nothing'}) holds no image"
    holding = f"{job.source} holds {len(job.contents)} images ({list_contents(job.contents)}); a row describes one"
    return f'{holding}: choose it in neuropress.toml by its number or name, [options."{job.source}"] image = "1"'


def names_nwb(record: Record, column: str) -> bool:
    """Whether a row's file is called like NWB, or the folder of one: no series are made of the session's own kind."""
    cell = record.cells.get(column)
    return cell is not None and cell.text.lower().rstrip("/").endswith((".nwb", ".nwb.zarr"))


class Converter(Protocol):
    """What a module in ``converters/`` offers.

    ``TARGET`` names the kind of result (`neuropress.results.TARGETS`): for "session" its nodes join the
    session's result, for any other each row has one of its own. ``SLOTS`` are the objects that mapping rules may fill,
    with the fields they may set; ``BINDINGS`` are extra relations (name -> table). A converter may have ``PURPOSES``:
    what it opens files for, where readers are for that alone (`neuropress.readers.Format.purpose`), and
    ``IS_OPTIONAL = True``: a file of its that is missing withholds nothing. ``HAS_IMAGES = True``: ``[images]`` of
    ``neuropress.toml`` may name several images of a row's file, each a result. ``HAS_LABELS = True``: its jobs have
    the masks and points that a person names in ``[labels]`` and ``[points]`` there.
    ``HAS_PACKING = True``: its results are stored as ``[output]`` states. ``NO_CLOCK`` says why what it makes has
    no time that a declared clock could shift: such options of its files are ``clock.unused``.
    """

    NAME: str
    REVISION: int
    TABLES: tuple[str, ...]
    COLUMN: Mapping[str, str]
    TARGET: str
    SLOTS: Slots
    BINDINGS: Mapping[str, str]

    def takes(self, record: Record) -> bool:
        """Whether this converter may take the row: no file is opened for that.

        Where several of one ``TARGET`` take a row and read the same column, the contents decide (see `Selective`).
        """
        ...

    def bindings(self, record: Record) -> Mapping[str, Record | None]:
        """The rows behind `BINDINGS` for one row."""
        ...

    def build(self, jobs: Sequence[Job]) -> Built:
        """Nodes for all rows of one target that this converter takes.

        Raises
        ------
        Problem
            The content cannot become what the row says.
        """
        ...


@runtime_checkable
class Selective(Converter, Protocol):
    """A converter that looks at what the file holds before it takes a row.

    ``WANTS`` says in words what it looks for (``a table with the columns x and y``).
    """

    WANTS: str

    def select(self, record: Record, contents: Sequence[Content]) -> Sequence[Content]:
        """Those of the file's contents that the row means, and `build` gets; none where the file is not for it."""
        ...


def is_fallback(name: str) -> bool:
    """Whether a converter (``FALLBACK``) takes only rows that no other one takes."""
    return bool(getattr(load_converter(name), "FALLBACK", False))


def takes_alone(name: str) -> bool:
    """Whether a converter (``ALONE``) leaves the rows that it takes to no other one: the settings say so."""
    return bool(getattr(load_converter(name), "ALONE", False))


def is_keeping(name: str) -> bool:
    """Whether a converter (``KEEPS``) keeps files as they are, so that no reader is asked what they hold."""
    return bool(getattr(load_converter(name), "KEEPS", False))


def find_clockless(name: str) -> str:
    """Why what a converter makes has no time that a declared clock could shift (``NO_CLOCK``); empty where it has."""
    return str(getattr(load_converter(name), "NO_CLOCK", ""))


@runtime_checkable
class Typed(Converter, Protocol):
    """A converter that says which NWB types a row becomes: the name of a file may hang on them, and opens no file."""

    def list_types(self, record: Record, profile: Profile) -> frozenset[str]:
        """Types by which the row's modality is known, as far as its cells tell."""
        ...


@dataclass(frozen=True, slots=True)
class _PluginConverter:
    """A converter of another package, and the text of its mapping."""

    module: Converter
    mapping: str


@cache
def _load_plugin_converters() -> Plugins[_PluginConverter]:
    return load_plugins(GROUP, {SESSION_CONVERTER, *CONVERTERS}, _check_converter)


def _find_plugin(name: str) -> Plugin[_PluginConverter] | None:
    return next((plugin for plugin in _load_plugin_converters().usable if plugin.name == name), None)


def list_converter_names() -> tuple[str, ...]:
    """Every converter that takes rows, those of other packages last."""
    return (*CONVERTERS, *(plugin.name for plugin in _load_plugin_converters().usable))


def load_converter(name: str) -> Converter:
    """The converter module of that name."""
    if name not in (SESSION_CONVERTER, *CONVERTERS) and (plugin := _find_plugin(name)):
        return plugin.value.module
    return _import_converter(name)


@cache
def _import_converter(name: str) -> Converter:
    return cast(Converter, importlib.import_module(f"neuropress.converters.{name}"))


def load_profile_mapping(name: str, profile: Profile) -> MappingRules:
    """A converter's mapping as a profile has it: the shipped one with the profile's own laid over it."""
    plugin = _find_plugin(name) if name not in (SESSION_CONVERTER, *CONVERTERS) else None
    return load_mapping(name, profile.mappings.get(name, ""), plugin.value.mapping if plugin else "")


def list_broken_converters() -> tuple[Finding, ...]:
    """A finding for each converter of another package that cannot be used."""
    return _load_plugin_converters().broken


_CONSTANTS: Mapping[str, type | tuple[type, ...]] = {
    "NAME": str, "REVISION": int, "TABLES": tuple, "COLUMN": Mapping, "TARGET": str, "SLOTS": Mapping,
    "BINDINGS": Mapping,
}  # fmt: skip
_FUNCTIONS = ("takes", "bindings", "build")
_OPTIONAL = ("list_types", "select")


def _check_converter(name: str, package: str, module: Any) -> _PluginConverter:
    """What a plug-in's module offers, if it is whole. Raises `PluginError`."""
    for part, kind in _CONSTANTS.items():
        if not isinstance(getattr(module, part, None), kind):
            raise PluginError(f"it has no {part} of the type that Converter in neuropress.converters states")
    for part in _FUNCTIONS:
        if not callable(getattr(module, part, None)):
            raise PluginError(f"it has no function {part}")
    if name != module.NAME:
        raise PluginError(f"its NAME is {module.NAME!r}")
    if module.TARGET not in TARGETS:
        raise PluginError(f"its TARGET is {module.TARGET!r}; known: {', '.join(TARGETS)}")
    if missing := sorted(set(module.TABLES) - set(module.COLUMN)):
        raise PluginError(f"its COLUMN does not say which column of {missing[0]!r} names the raw file")
    parts = {part: getattr(module, part) for part in dir(module) if not part.startswith("__")}
    parts |= {part: _guard_function(package, name, parts[part]) for part in (*_FUNCTIONS, *_OPTIONAL) if part in parts}
    return _PluginConverter(cast(Converter, SimpleNamespace(**parts)), _read_mapping_text(name, module))


def _read_mapping_text(name: str, module: Any) -> str:
    """The mapping that a plug-in ships: in its ``MAPPING``, or in ``<name>.toml`` beside it. Raises `PluginError`."""
    text = getattr(module, "MAPPING", None)
    package = getattr(module, "__package__", "")
    if text is None and package:
        file = files(package).joinpath(f"{name}.toml")
        text = file.read_text("utf-8") if file.is_file() else None
    if not isinstance(text, str) or not text:
        raise PluginError(f"it has neither a text MAPPING nor a file {name}.toml beside it")
    try:
        load_mapping(name, "", text)
    except MappingError as error:
        raise PluginError(str(error)) from error
    return text


def _guard_function[**P, R](package: str, name: str, function: Callable[P, R]) -> Callable[P, R]:
    """A plug-in's function whose failure is a finding that names the package."""

    @wraps(function)
    def call_guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (Problem, OSError):
            raise
        except Exception as error:
            what = f"{function.__name__} of the converter {name} of package {package} failed"
            raise problem("plugin.failed", f"{what}: {type(error).__name__}: {str(error)[:500]}") from error

    return call_guarded
