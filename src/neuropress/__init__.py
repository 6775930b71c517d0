"""neuropress: raw lab files and metadata tables in; proven NWB, OME-Zarr and releases out.

Examples
--------
``neuropress demo`` makes a dataset in a folder ``demo``:

>>> import neuropress
>>> dataset = neuropress.open("demo")
>>> dataset.run().ok
True
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import Dataset
    from .model.finding import Finding, Problem
    from .model.report import Report
    from .verbs.adding import Occasion
    from .verbs.explain import explain_file
    from .verbs.single import Stated, convert_file
    from .workspace import Selection

__version__ = "0.1.0"
__all__ = [
    "Dataset",
    "Finding",
    "Occasion",
    "Problem",
    "Report",
    "Selection",
    "Stated",
    "__version__",
    "convert_file",
    "explain_file",
    "open",
]

_HOMES = {
    "Dataset": ".api",
    "Finding": ".model.finding",
    "Occasion": ".verbs.adding",
    "Problem": ".model.finding",
    "Report": ".model.report",
    "Selection": ".workspace",
    "Stated": ".verbs.single",
    "convert_file": ".verbs.single",
    "explain_file": ".verbs.explain",
}
"""Imported when first asked for: ``neuropress --help`` needs none of them."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def open(path: str | os.PathLike[str] = ".") -> Dataset:
    """Open a dataset folder; the methods of what you get are the verbs of the command line.

    Parameters
    ----------
    path
        The folder that holds ``neuropress.toml``.

    Raises
    ------
    Problem
        ``dataset.none`` or ``dataset.config``.
    """
    from .api import Dataset

    return Dataset.open(path)
