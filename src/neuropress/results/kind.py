"""What every kind of result offers: what is known of it without opening one, and what is done with one."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

if TYPE_CHECKING:  # numpy takes a tenth of a second, and neither tables nor --help need any of it
    import numpy as np

    from ..model.finding import Finding
    from ..model.plan import Plan
    from ..model.provenance import Provenance
    from ..model.receipt import InputDigest
    from ..readers.raw import RawArrays

type Progress = Callable[[int], None]
"""Called with the number of uncompressed bytes that were just written."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of result, as its package declares it; nothing heavy is imported for that.

    Attributes
    ----------
    name
        As plans, releases and ``--only`` name it (``nwb``).
    target
        The converters' ``TARGET`` that ends in it, and the entry of the profile's ``[paths]`` (``session``).
    suffix
        How every path of such a result ends (``.nwb``).
    is_folder
        Whether a result is a folder of files and not one file.
    label
        What `coverage` calls a cell that reached a field of it.
    template
        Where results lie below ``output/`` in a profile that is drafted.
    frame
        Converter that every result of the kind begins with, whatever its rows are; empty for none.
    libraries
        Packages by whose version the bytes of equal data may differ.
    recognises
        Whether a path that exists is such a result, by its content.
    checked_by
        Packages that decide which plans can be written, beside neuropress.
    package
        Module that has what `Result` demands.
    """

    name: str
    target: str
    suffix: str
    is_folder: bool
    label: str
    template: str
    recognises: Callable[[Path], bool]
    package: str
    frame: str = ""
    libraries: tuple[str, ...] = ()
    checked_by: tuple[str, ...] = ()

    def load(self) -> Result:
        """What is done with results of the kind, imported when first asked for."""
        return cast(Result, importlib.import_module(self.package))


@dataclass(frozen=True, slots=True)
class Seal:
    """What a receipt states and a writer cannot know: tool version, digest of the rows, inputs.

    `confirm` is called when all is written and nothing has its name yet: it raises `Problem`
    if the inputs are not any more what their digests say, or if the dataset's lock was lost.
    """

    version: str
    rows: str
    inputs: Mapping[str, InputDigest]
    confirm: Callable[[], None] = lambda: None


class StoredArray(Protocol):
    """An array of a result, read block by block."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Extent of each axis."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        ...

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Extent of what is decoded at a time; None where nothing is packed."""
        ...

    def __getitem__(self, selection: tuple[slice, ...]) -> np.ndarray: ...


class Result(Protocol):
    """What the package of a kind does."""

    def write(
        self, plan: Plan, raw: RawArrays, path: Path, seal: Seal, previous: Path | None, progress: Progress
    ) -> None:
        """Write the result whole under `path`, or leave nothing there.

        Work goes on under ``<name>.partial`` beside it and is renamed at the end.
        `previous` is an older result of the same target; arrays whose specification
        and inputs are unchanged are taken over from it without being compressed again.

        Raises
        ------
        Problem
            A raw file turned out to be bad while its arrays were read.
        OSError
            The machine failed (disk full, no permission).
        """
        ...

    def check_plan(self, plan: Plan) -> Iterable[Finding]:
        """All for which `write` would refuse the plan itself, as errors (``plan.invalid``); nothing is written."""
        ...

    def read_provenance(self, path: Path) -> Provenance:
        """What the result says about itself. Raises `Problem` (``result.unreadable``)."""
        ...

    def stream_provenance(self, open_file: Callable[[str], BinaryIO], path: Path) -> Provenance:
        """The same of a released result; `open_file` opens one file of it (``""``: the only one), `path` names it."""
        ...

    def arrays(self, path: Path) -> AbstractContextManager[Mapping[str, StoredArray]]:
        """Every array that a receipt may list, by its path in the result."""
        ...

    def samples(self, path: Path) -> Sequence[str]:
        """Every array of the result that should come from a raw file, by its path."""
        ...

    def derived(self, path: Path) -> Mapping[str, str]:
        """Digests of all other datasets, computed anew from the result."""
        ...

    def check_files(self, path: Path) -> Iterable[Finding]:
        """Findings on files that are no part of the result, or that it lacks."""
        ...

    def validate(self, path: Path) -> list[Finding]:
        """Findings of the standard's own validators, and of what those do not see.

        What the standard or a critical check refuses is an error, every other finding a warning. What is
        explained once and for all stays as info, so that "nothing above info" means "nothing unexplained".
        """
        ...
