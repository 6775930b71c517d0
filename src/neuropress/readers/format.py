"""How a reader declares itself: what is known of a format before any file is opened.

Nothing here imports numpy: tables and settings are checked against declarations alone.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, runtime_checkable

from ..model.clock import find_number_complaint
from ..model.serial import is_plain

if TYPE_CHECKING:
    from ..model.content import Content
    from ..model.source import Source

type OptionKind = Literal["text", "choice", "whole number", "number", "yes/no", "table"]

_WHOLE_LIMIT = 2**63
"""What TOML promises of whole numbers, and JSON readers in other languages can hold."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A reader's answer to "is this yours?": the format and how it was recognised.

    `strength` 2: the content's own signature; 1: the name only; 0: the name, where no other reader claims the file.
    """

    format: str
    reason: str
    strength: int = 2


@dataclass(frozen=True, slots=True)
class Option:
    """What a person may state for a reader in ``[options."key"]`` of ``neuropress.toml``.

    Attributes
    ----------
    name, doc
        The entry's name, and a sentence on what it says and when it is needed.
    kind
        What its value is: a TOML text (of `choices` only, if it is a choice), whole number, number, true and false, or
        a table of these and of lists.
    least, most
        Limits of a number, both included.
    check
        Given a value of the right kind, says what is wrong with it; "" for nothing.
    """

    name: str
    doc: str
    kind: OptionKind = "text"
    choices: tuple[str, ...] = ()
    least: float = -math.inf
    most: float = math.inf
    check: Callable[[Any], str] = lambda value: ""

    @property
    def allowed_values(self) -> str:
        """What its value may be, in words."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        table = "a table of texts, numbers, true and false, lists and tables"
        words = {"text": "a text", "yes/no": "true or false", "table": table}.get(self.kind, f"a {self.kind}")
        lower = f" from {self.least:g}" if math.isfinite(self.least) else ""
        upper = f" up to {self.most:g}" if math.isfinite(self.most) else ""
        return words + lower + upper

    def find_complaint(self, value: Any) -> str:
        """What is wrong with a value; "" for nothing."""
        if not self._is_allowed(value):
            return f"must be {self.allowed_values}, not {_shorten_repr(value)}"
        return self.check(value)

    def _is_allowed(self, value: Any) -> bool:
        if self.kind == "yes/no":
            return isinstance(value, bool)
        if self.kind == "table":
            return isinstance(value, dict) and is_plain(value)
        if self.kind in ("text", "choice"):
            return isinstance(value, str) and (self.kind == "text" or value in self.choices)
        # Python takes True for the number 1, which nobody means.
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        if isinstance(value, int):
            in_range = abs(value) < _WHOLE_LIMIT
        else:
            in_range = self.kind == "number" and math.isfinite(value)
        return in_range and self.least <= value <= self.most


@dataclass(frozen=True, slots=True)
class Fact:
    """A header fact that a reader gives where the file states it; see `Content.facts`."""

    name: str
    meaning: str
    unit: str = ""


CLOCK_OFFSET = Option(
    "clock_offset",
    "Seconds from the session's start to the file's time 0, by a clock that the lab declares: \"12.5\".",
    check=find_number_complaint,
)


def split_channel(text: str) -> tuple[str, str]:
    """Key of a raw file and name of its channel, of ``KEY#CHANNEL``; channels may have a # in their names."""
    key, _, channel = text.partition("#")
    return key.strip(), channel.strip()


def _find_channel_complaint(text: str) -> str:
    return "" if all(split_channel(text)) else f"must be KEY#CHANNEL, not {text[:80]!r}"


EDGES = "edges/"
"""How the names of arrays of a channel's edges begin: ``edges/IN 1@5/2``."""
FIRST_EDGE = "first edge"
CLOCK = Option(
    "clock",
    'Channel of another raw file whose rising edges are this file\'s clock: "KEY#CHANNEL"; the first is its time 0, '
    "and each is a frame of a movie. {1}, {2} in it are what the *s of the pattern above stand for.",
    check=_find_channel_complaint,
)
CLOCK_THRESHOLD = Option(
    "clock_threshold",
    "Level that an edge of `clock` reaches, in the channel's unit; the middle of its least and largest value without.",
    check=find_number_complaint,
)
CLOCK_EDGES = Option(
    "clock_edges",
    '"first edge": the channel of `clock` tells a movie\'s start alone; "each frame" without.',
    "choice",
    (FIRST_EDGE, "each frame"),
)


class ReaderModule(Protocol):
    """What the module of a format offers."""

    def read(self, source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
        """Read headers only; arrays are read later. `options` were checked. Raises `Problem` on bad input."""
        ...


@runtime_checkable
class FragmentMaker(ReaderModule, Protocol):
    """A reader that has another program export a raw object as NWB."""

    def find_fragment(self, source: Source, options: Mapping[str, Any]) -> Source:
        """The fragment under the key of the raw object, made where it is not there. Raises `Problem`."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """A format that raw objects may have, as its reader declares it.

    Attributes
    ----------
    name
        As ``reader = "..."``, plans and receipts name it (``abf``).
    title
        A line for people: what the files are, and which programs write them.
    module
        Module that has `ReaderModule.read`, imported when a file of the format is opened first.
    signatures
        How the content of every such file begins, if it does so in one of a few ways.
    suffixes
        How such files are called, in lower case. The name alone makes a claim only of a format without signatures.
    is_folder
        Whether the raw object is a folder; every folder is claimed then that has one of `members`, or any without.
    members
        Paths of files within the folder by which it is known, ``*`` for any characters (``plane*/stat.npy``); in a
        pattern of several parts it stays within its part.
    is_container
        Whether `members` tell the container only: a reader that knows the folder by anything else goes first.
    purpose
        What alone such files are opened for (``masks``), where other readers read the same content for anything else.
        It comes before those where a converter asks for it, and takes nothing where nobody does.
    probe
        Recognises the object where signature and name do not suffice: given the first 4 KiB and the name (a folder's
        ends in ``/``), a `Claim` or None.
    options, facts
        What a person may state for it, and what it gives of a header.
    findings
        Ids that it may raise, beside ``file.*`` and ``format.*``.
    """

    name: str
    title: str
    module: str
    signatures: tuple[bytes, ...] = ()
    suffixes: tuple[str, ...] = ()
    is_folder: bool = False
    members: tuple[str, ...] = ()
    is_container: bool = False
    purpose: str = ""
    probe: Callable[[bytes, str], Claim | None] | None = None
    options: tuple[Option, ...] = ()
    facts: tuple[Fact, ...] = ()
    findings: tuple[str, ...] = field(default=())

    def claim(self, head: bytes, name: str, files: Sequence[str] = ()) -> Claim | None:
        """Whether the reader takes a raw object, by its first 4 KiB and its name; of a folder by what lies in it."""
        if name.endswith("/") and self.members:
            known = next((path for path in files for one in self.members if _is_member(path, one)), None)
            return Claim(self.name, f"a folder with {known}", strength=1 if self.is_container else 2) if known else None
        if self.probe is not None:
            return self.probe(head, name)
        if name.endswith("/"):
            return Claim(self.name, "a folder", strength=0) if self.is_folder else None
        for signature in self.signatures:
            if head.startswith(signature):
                return Claim(self.name, f"begins with {signature!r}")
        for suffix in self.suffixes if not self.signatures else ():
            if name.lower().endswith(suffix):
                return Claim(self.name, f"its name ends in {suffix}", strength=1)
        return None

    def load(self) -> ReaderModule:
        """The reader itself, imported when first asked for."""
        return cast(ReaderModule, importlib.import_module(self.module))


def check_options(options: Mapping[str, Any], format: Format, common: tuple[Option, ...]) -> str:
    """What is wrong with the options that a reader is given; "" for nothing.

    Parameters
    ----------
    common
        Options that every reader has.
    """
    known = {option.name: option for option in (*common, *format.options)}
    for name, value in options.items():
        if name not in known:
            listed = ", ".join(sorted(known)) + suggest_name(name, known)
            return f"{name} is no option of the reader {format.name}, which has {listed}"
        if complaint := known[name].find_complaint(value):
            return f"{name} of the reader {format.name} {complaint}"
    return ""


def suggest_name(name: str, known: Mapping[str, Any]) -> str:
    """A question that names what a misspelt name was probably meant to be; "" where nothing is close."""
    close = get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _shorten_repr(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _is_member(path: str, pattern: str) -> bool:
    if "/" not in pattern:
        return fnmatchcase(path, pattern)
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))
