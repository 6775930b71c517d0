"""One package per kind of result: it writes a plan and reads the result back for proof."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from ..model.finding import Finding
from ..model.plan import Plan
from ..model.provenance import Provenance
from ..model.receipt import InputDigest
from ..readers import RawArrays

KINDS = {"nwb": "nwb", "ome-zarr": "omezarr"}

type Progress = Callable[[int], None]
"""Called with the number of uncompressed bytes that were just written."""


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


class Writer(Protocol):
    """What a package in ``writers/`` offers."""

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

    def read_provenance(self, path: Path) -> Provenance:
        """What the result says about itself. Raises `Problem` (``result.unreadable``)."""
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


def writer(kind: str) -> Writer:
    """The writer of a kind of result (``nwb``, ``ome-zarr``), imported when first asked for."""
    return cast(Writer, importlib.import_module(f"neuropress.writers.{KINDS[kind]}"))
