"""One module per modality: which rows and contents it takes, and what they become.

Add a modality: write ``converters/<name>.py`` with what `Converter` asks for, its
rules in ``mappings/<name>.toml``, name it in `CONVERTERS`, add
``tests/converters/test_<name>.py``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, cast, runtime_checkable

from neuropress.mapping.rules import Fields, Slots
from neuropress.model.content import Content, list_contents
from neuropress.model.finding import Finding
from neuropress.model.plan import Node
from neuropress.model.profile import Profile
from neuropress.model.record import Record

CONVERTERS = ("patch_clamp", "imaging", "volume", "morphology")


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
    """

    record: Record
    column: str
    source: str
    contents: tuple[Content, ...]
    fields: Fields
    profile: Profile
    started: datetime | None = None
    part: str = ""


@dataclass(frozen=True, slots=True)
class Built:
    """A converter's answer: nodes for the plan and findings that do not stop it."""

    nodes: tuple[Node, ...]
    findings: tuple[Finding, ...] = ()


def several(job: Job) -> str:
    """Why a row cannot take a file of several images, and how a person says which one it means."""
    if not job.contents or len(job.contents) == 1:
        return f"{job.source} ({', '.join(c.format for c in job.contents) or 'nothing'}) holds no image"
    held = f"{job.source} holds {len(job.contents)} images ({list_contents(job.contents)}); a row describes one"
    return f'{held}: choose it in neuropress.toml by its number or name, [options."{job.source}"] image = "1"'


class Converter(Protocol):
    """What a module in ``converters/`` offers.

    ``TARGET`` names the kind of result (`neuropress.results.TARGETS`): for "session" its nodes join the
    session's result, for any other each row has one of its own. ``SLOTS`` are the objects that mapping rules may fill,
    with the fields they may set; ``BINDINGS`` are extra relations (name -> table).
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


def converter(name: str) -> Converter:
    """The converter module of that name."""
    return cast(Converter, importlib.import_module(f"neuropress.converters.{name}"))
