"""Second readers: libraries that share no code with our readers, and read the raw files once more for `verify`.

Add one: write a module with ``read`` (see `SecondReaderModule`), declare it as a `SecondReader` and name it in
`BUILT_IN`; another installed package names its `SecondReader` under the entry point ``neuropress.second_readers``. The
libraries come with the extra ``independent``; nothing of them is imported but in a child process (`worker`), and no
module here may import a reader of ours, tifffile or imagecodecs.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from ..model.finding import Finding, problem
from ..registry import PluginError, Plugins, load_plugins

if TYPE_CHECKING:  # numpy takes a tenth of a second
    from .reading import SecondArrays, SecondImage, SecondRecording

GROUP = "neuropress.second_readers"
"""Entry point of other packages' second readers."""

type Verdict = Literal["agrees", "differs", "library wrong", "cannot read"]


@dataclass(frozen=True, slots=True)
class SecondReader:
    """A library that reads some formats, as its adapter declares it.

    Attributes
    ----------
    name, distribution
        What people call the library, and its package: its version is recorded.
    formats
        Names of our readers' formats that it reads, too.
    module
        Has what `SecondReaderModule` demands; imported in a child process only.
    is_optional
        Whether nothing is said where the library is not installed: the extra does not bring it.
    suffixes
        How the keys end of what it reads, in lower case; empty for any.
    heads, other_heads
        How the files begin that it reads, one of these; and how those of the format begin that it leaves to others.
    """

    name: str
    distribution: str
    formats: tuple[str, ...]
    module: str
    is_optional: bool = False
    suffixes: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    other_heads: tuple[str, ...] = ()

    def takes(self, key: str, format: str, read_head: Callable[[str], bytes]) -> bool:
        """Whether a raw object of a format is for it; its first bytes are asked for only where they decide."""
        if format not in self.formats or (self.suffixes and not key.lower().endswith(self.suffixes)):
            return False
        if not self.heads and not self.other_heads:
            return True
        head = read_head(key).decode("latin-1")
        return (not self.heads or head.startswith(self.heads)) and not head.startswith(self.other_heads)

    @property
    def version(self) -> str:
        """Of the installed library; empty where there is none."""
        try:
            return version(self.distribution)
        except PackageNotFoundError:
            return ""

    def load(self) -> SecondReaderModule:
        """The adapter, imported when first asked for."""
        return cast(SecondReaderModule, importlib.import_module(self.module))


class SecondReaderModule(Protocol):
    """What the adapter of a library offers."""

    def read(
        self, path: Path, content: str, options: Mapping[str, Any]
    ) -> SecondRecording | SecondImage | SecondArrays:
        """Open a raw file or folder, for reading only.

        Parameters
        ----------
        content
            Name of the image, where the file has several.
        options
            What a person stated for the file (``axes``).

        Raises
        ------
        Exception
            Anything: the library cannot read the file, for this reason.
        """
        ...


@dataclass(frozen=True, slots=True)
class SecondReading:
    """What came of reading one raw object once more with another library.

    Attributes
    ----------
    source
        Key of the raw object.
    library, version
        What read it.
    verdict
        Whether it agrees with the result in all that it states, differs, is wrong for a known reason (and agrees in
        what else it states), or could not read the object.
    agreed
        What it agrees in: ``shape``, ``samples``, ``times``, ``scale``, ``unit``, ``rate``, ``start``, ``date``,
        ``command``, ``axes``.
    reasons
        A sentence for each thing that it does not agree in.
    """

    source: str
    library: str
    version: str
    verdict: Verdict
    agreed: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line for people."""
        agreed = f"agrees in {', '.join(self.agreed)}" if self.agreed else ""
        reasons = f"{self.verdict} ({'; '.join(self.reasons)})" if self.reasons else ""
        return f"{self.library} {self.version}: {'; '.join(filter(None, (reasons, agreed)))}"


_ADAPTERS = "neuropress.independent"
_HDF5 = ("MATLAB 7.3 MAT-file", "\x89HDF")
BUILT_IN = (
    SecondReader("neo", "neo", ("abf",), f"{_ADAPTERS}.neo_abf"),
    SecondReader("pyABF", "pyabf", ("abf",), f"{_ADAPTERS}.pyabf_abf"),
    SecondReader("pyABF", "pyabf", ("atf",), f"{_ADAPTERS}.pyabf_atf"),
    SecondReader("Pillow", "pillow", ("tiff", "slices"), f"{_ADAPTERS}.pillow_images"),
    SecondReader("SciPy", "scipy", ("mat",), f"{_ADAPTERS}.scipy_mat", other_heads=_HDF5),
    SecondReader("pyfive", "pyfive", ("mat",), f"{_ADAPTERS}.pyfive_mat", heads=_HDF5),
    SecondReader("NumPy", "numpy", ("npy",), f"{_ADAPTERS}.numpy_npy"),
    SecondReader("pandas", "pandas", ("trace_text",), f"{_ADAPTERS}.pandas_text"),
    SecondReader("pandas", "pandas", ("behavior_csv",), f"{_ADAPTERS}.pandas_behavior"),
    SecondReader("pandas", "pandas", ("points",), f"{_ADAPTERS}.pandas_points"),
    SecondReader("pandas", "pandas", ("traces",), f"{_ADAPTERS}.pandas_traces", suffixes=(".csv", ".tsv")),
    SecondReader("NumPy", "numpy", ("traces",), f"{_ADAPTERS}.numpy_traces", suffixes=(".npy",)),
    SecondReader("NumPy", "numpy", ("masks",), f"{_ADAPTERS}.numpy_masks", suffixes=(".npy",)),
    SecondReader("NumPy", "numpy", ("suite2p",), f"{_ADAPTERS}.numpy_suite2p"),
    SecondReader("pyfive", "pyfive", ("hdf5_arrays",), f"{_ADAPTERS}.pyfive_arrays"),
    SecondReader("pyfive", "pyfive", ("caiman",), f"{_ADAPTERS}.pyfive_caiman"),
    SecondReader("pyfive", "pyfive", ("sleap",), f"{_ADAPTERS}.pyfive_sleap"),
    SecondReader("PyTables", "tables", ("deeplabcut",), f"{_ADAPTERS}.pytables_deeplabcut", is_optional=True),
    SecondReader("Pillow", "pillow", ("masks",), f"{_ADAPTERS}.pillow_masks", suffixes=(".tif", ".tiff", ".png")),
    SecondReader("roifile", "roifile", ("imagej_roi",), f"{_ADAPTERS}.roifile_regions"),
    SecondReader("pylibCZIrw", "pylibCZIrw", ("czi",), f"{_ADAPTERS}.zeiss_czi", is_optional=True),
    SecondReader("libsonata", "libsonata", ("sonata",), f"{_ADAPTERS}.libsonata_output", is_optional=True),
)


def describe_standing(readings: Sequence[SecondReading]) -> str:
    """``yes`` where a library agrees on each raw object but for its known mistakes; ``partly``, ``differs``, ``-``."""
    if any(one.verdict == "differs" for one in readings):
        return "differs"
    read = {one.source for one in readings if one.verdict in ("agrees", "library wrong")}
    if not read:
        return "-"
    return "yes" if read == {one.source for one in readings} else "partly"


def summarize_readings(readings: Sequence[SecondReading]) -> str:
    """How many raw objects each library came to which verdict on, in words."""
    counts = Counter((one.library, one.verdict) for one in readings)
    return ", ".join(f"{library} {verdict} ({count})" for (library, verdict), count in sorted(counts.items()))


def list_verdicts(readings: Sequence[SecondReading]) -> list[dict[str, Any]]:
    """What a release says of an asset: library, version, verdict, and on how many raw objects; nothing of them."""
    counts = Counter((one.library, one.version, one.verdict) for one in readings)
    names = ("library", "version", "verdict")
    return [{**dict(zip(names, key, strict=True)), "raw_objects": count} for key, count in sorted(counts.items())]


@cache
def _load_plugins() -> Plugins[SecondReader]:
    return load_plugins(GROUP, {reader.name for reader in BUILT_IN}, _check_reader)


def _check_reader(name: str, package: str, value: Any) -> SecondReader:
    if not isinstance(value, SecondReader):
        raise PluginError(f"it is {type(value).__name__!r}, not a neuropress.independent.SecondReader")
    if value.name != name:
        raise PluginError(f"it declares the name {value.name!r}")
    return value


def list_second_readers() -> tuple[SecondReader, ...]:
    """Every second reader but the optional ones that are not installed; those of other packages last."""
    readers = (*BUILT_IN, *(plugin.value for plugin in _load_plugins().usable))
    return tuple(reader for reader in readers if not reader.is_optional or reader.version)


def list_broken_second_readers() -> tuple[Finding, ...]:
    """A finding for each second reader of another package that cannot be used."""
    return _load_plugins().broken


def check_libraries() -> None:
    """See that the libraries are there, before anything is read.

    Raises
    ------
    Problem
        ``independent.missing``
    """
    missing = dict.fromkeys(reader.distribution for reader in list_second_readers() if not reader.version)
    if missing:
        message = f"verify --independent needs {', '.join(missing)}: python -m pip install 'neuropress[independent]'"
        raise problem("independent.missing", message)
