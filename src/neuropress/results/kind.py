"""What every kind of result offers: what is known of it without opening one, and what is done with one."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from ..model.progress import Progress

if TYPE_CHECKING:  # numpy takes a tenth of a second, and neither tables nor --help need any of it
    import numpy as np

    from ..model.finding import Finding
    from ..model.plan import Plan
    from ..model.provenance import Provenance
    from ..model.receipt import InputDigest
    from ..model.run_part import RunPart
    from ..model.source import SourceRoots
    from ..readers.raw import RawArrays
    from ..storage.remote import BucketPath, ResultPath


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
        Module that has what `KindModule` demands.
    units
        Module that has what `UnitsModule` demands; empty for a kind whose results `KindModule.finish` writes alone.
    parts
        Module that has what `PartsModule` demands; empty for a kind whose results one process makes alone.
    row_target, row_template
        Another target, of converters that make such a result of one row by itself, and where those results lie; empty
        where `target` alone ends in the kind.
    last_files
        Files of a folder, one of which is written last, so that a result in a bucket is there when it is; empty for a
        kind whose results lie on this machine only.
    staged_bytes
        What a worker needs of this machine's disk, at most, while it writes a result into a bucket.
    """

    name: str
    target: str
    suffix: str
    is_folder: bool
    label: str
    template: str
    recognises: Callable[[ResultPath], bool]
    package: str
    frame: str = ""
    libraries: tuple[str, ...] = ()
    checked_by: tuple[str, ...] = ()
    units: str = ""
    parts: str = ""
    row_target: str = ""
    row_template: str = ""
    last_files: tuple[str, ...] = ()
    staged_bytes: int = 0

    def load(self) -> KindModule:
        """What is done with results of the kind, imported when first asked for."""
        return cast(KindModule, importlib.import_module(self.package))

    def load_units(self) -> UnitsModule:
        """How results of the kind are written unit by unit, imported when first asked for."""
        return cast(UnitsModule, importlib.import_module(self.units))

    def load_parts(self) -> PartsModule:
        """How several processes share one result of the kind, imported when first asked for."""
        return cast(PartsModule, importlib.import_module(self.parts))


@dataclass(frozen=True, slots=True)
class Seal:
    """What a receipt states and a writer cannot know: tool version, digest of the rows, inputs.

    `confirm` is called when all is written and nothing has its name yet: it raises `Problem`
    if the inputs are not any more what their digests say, or if the dataset's lock was lost.
    `inputs` may still be under way: whoever looks one up waits until it is digested. `stamps`
    stands for the inputs before that: it differs if one of them is another file by now.
    """

    version: str
    rows: str
    inputs: Mapping[str, InputDigest]
    confirm: Callable[[], None] = lambda: None
    stamps: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One result that is to be written: what it holds, where it lies, what its receipt states.

    `previous` is an older result of the same target; arrays whose specification and inputs
    are unchanged are taken over from it without being compressed again. A result that goes into a
    `bucket` is not at `path`: work goes on beside it all the same.
    """

    plan: Plan
    path: Path
    seal: Seal
    previous: Path | None = None
    bucket: BucketPath | None = None


type Batch = tuple[str, ...]
"""Names of units that are best run one after the other by one worker, because they read the same raw pages."""


@dataclass(frozen=True, slots=True)
class Work:
    """All that a worker must know to run any unit of a result: a few kB of plain JSON, however large the result.

    Attributes
    ----------
    kind
        Name of the result's kind.
    staging
        Folder in which finished units leave their outcome.
    plan
        Digest of everything that the units' bytes follow from.
    task
        What the kind's units need.
    done
        Uncompressed bytes of the units that an earlier, interrupted run had finished.
    """

    kind: str
    staging: str
    plan: str
    task: Mapping[str, Any]
    done: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What writing a result comes to, by its plan alone.

    Attributes
    ----------
    units, files
        Units of all stages, and files of the finished result.
    nbytes
        Bytes of the arrays from raw files, uncompressed.
    memory
        Bytes of memory that one process needs, at most.
    """

    units: int
    files: int
    nbytes: int
    memory: int


@dataclass(frozen=True, slots=True)
class ArrayMeaning:
    """What stands beside an array in the result and says what its elements are.

    Attributes
    ----------
    axes
        A letter an axis: ``t`` (samples or frames), ``c``, ``z``, ``y``, ``x``.
    rate, start
        Samples a second; seconds from the session's start to the first. None where the result has no time.
    unit, conversion, offset
        A stored value times `conversion` plus `offset` is in `unit`.
    session_start
        What `start` counts from.
    is_aligned
        Whether `start` follows from a clock of the raw file; otherwise its sweeps are placed among themselves only.
    is_declared
        Whether a person declared when the file's time 0 was, so that its own clock does not say it.
    """

    axes: tuple[str, ...]
    rate: float | None = None
    start: float | None = None
    unit: str = ""
    conversion: float = 1.0
    offset: float = 0.0
    session_start: datetime | None = None
    is_aligned: bool = False
    is_declared: bool = False


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


class UnitsModule(Protocol):
    """Writing a result in units: `prepare`, every unit, then `KindModule.finish`.

    A unit has a name and is independent of every other one of its stage: it may run in any
    order, in any process and more than once, and leaves its whole outcome or nothing. Two
    that run at once, and one that wakes up when its work was long done again, do no harm.
    """

    def prepare(self, request: Request) -> Work | None:
        """Make the staging folder, or continue with what an interrupted run left; None: there is nothing to run."""
        ...

    def estimate(self, plan: Plan) -> Estimate:
        """What writing the result comes to."""
        ...

    def list_pending(self, work: Work, parts: int) -> Sequence[Batch]:
        """The missing units of the first stage that is not whole; empty when all are done.

        They come in at least `parts` batches where so many are to be had, for as many workers.
        """
        ...

    def run_units(self, work: Work, units: Batch, raw: RawArrays, progress: Progress) -> None:
        """Run units of one stage, each whole or not at all.

        Raises
        ------
        Problem
            A raw file turned out to be bad while its arrays were read.
        OSError
            The machine failed, or the staging folder is another one by now.
        """
        ...


class PartsModule(Protocol):
    """One result by several processes that do not talk: they agree by what follows from the plan alone.

    What they see of each other may be late; only what cannot be done twice (an exclusive name, a rename) decides.
    """

    def is_finished(self, request: Request) -> bool:
        """Whether the result lies there as it would be written."""
        ...

    def join(self, request: Request) -> Work | None:
        """Go on in the staging folder of this plan, together with others; None: it is not there."""
        ...

    def begin(self, request: Request) -> Work | None:
        """Make that folder, whole and at once; one process at a time. None: nothing is left for units."""
        ...

    def list_share(self, work: Work, part: RunPart) -> Sequence[Batch]:
        """The missing units of the first stage that are this part's."""
        ...

    def count_units(self, work: Work) -> tuple[int, int]:
        """Units of the first stage that are missing, and all of them."""
        ...


class KindModule(Protocol):
    """What the package of a kind does."""

    def finish(self, request: Request, work: Work | None, raw: RawArrays, progress: Progress) -> None:
        """Write what no unit wrote, and give the result its name; it is whole then, or nothing bears the name.

        `work` is what `UnitsModule.prepare` gave, None for a kind without units.

        Raises
        ------
        Problem
            A raw file turned out to be bad while its arrays were read.
        OSError
            The machine failed (disk full, no permission).
        """
        ...

    def check_plan(self, plan: Plan) -> Iterable[Finding]:
        """All for which `finish` would refuse the plan itself, as errors (``plan.invalid``); nothing is written."""
        ...

    def read_provenance(self, path: ResultPath) -> Provenance:
        """What the result says about itself. Raises `Problem` (``result.unreadable``)."""
        ...

    def stream_provenance(self, open_file: Callable[[str], BinaryIO], path: ResultPath) -> Provenance:
        """The same of a released result; `open_file` opens one file of it (``""``: the only one) or
        raises `FileNotFoundError`, `path` names it.
        """
        ...

    def open_arrays(self, path: ResultPath) -> AbstractContextManager[Mapping[str, StoredArray]]:
        """Every array that a receipt may list, by its path in the result."""
        ...

    def describe_arrays(self, path: ResultPath, names: Mapping[str, Any]) -> Mapping[str, ArrayMeaning]:
        """What the named arrays of samples mean, from the result itself and not from its receipt."""
        ...

    def list_sample_arrays(self, path: ResultPath) -> Sequence[str]:
        """Every array of the result that should come from a raw file, by its path."""
        ...

    def read_fields(self, path: ResultPath, names: Collection[str]) -> Mapping[str, Any]:
        """What stands in the result under each name of a field that its provenance has; names that are not there lack.

        Values are plain JSON: texts, numbers, truths and lists of them.
        """
        ...

    def digest_derived(self, path: ResultPath) -> Mapping[str, str]:
        """Digests of all other datasets, computed anew from the result."""
        ...

    def compare_grafts(self, path: ResultPath, roots: SourceRoots) -> Iterable[Finding]:
        """Findings on objects that are not as another program exported them; their arrays are compared as all are."""
        ...

    def check_files(self, path: ResultPath) -> Iterable[Finding]:
        """Findings on files that are no part of the result, or that it lacks."""
        ...

    def validate(self, path: ResultPath) -> list[Finding]:
        """Findings of the standard's own validators, and of what those do not see.

        What the standard or a critical check refuses is an error, every other finding a warning. What is
        explained once and for all stays as info, so that "nothing above info" means "nothing unexplained".
        """
        ...
