"""One module per raw format. A reader knows nothing of tables or targets.

Add a format: write ``readers/<format>.py`` with ``FORMAT``, ``probe`` and ``read``
(see `neuropress.model.content.Reader`), name it in `FORMATS`, add
``tests/readers/test_<format>.py``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from ..model.content import Claim, Content, LazyArray, Reader, content_names, list_contents
from ..model.finding import problem
from ..model.plan import ArraySpec
from ..model.source import Source, SourceRoots

FORMATS = ("abf", "tiff", "slices", "swc")


def reader(format: str) -> Reader:
    """The reader module of a format, imported when first asked for.

    Raises
    ------
    Problem
        ``format.unknown``: a result names a format that this version does not read.
    """
    if format not in FORMATS:
        raise problem("format.unknown", f"no reader for the format {format!r}; known: {', '.join(FORMATS)}")
    return cast(Reader, importlib.import_module(f"neuropress.readers.{format}"))


def choose(source: Source) -> Claim:
    """Which reader takes a raw object, and why.

    Raises
    ------
    Problem
        ``format.unknown`` when none does, ``format.ambiguous`` when two do, ``file.empty``.
    """
    head = b"" if source.is_folder else source.head()
    if not source.is_folder and not head:
        raise problem("file.empty", f"{source.key} has no bytes", file=source.key)
    name = source.name + ("/" if source.is_folder else "")
    claims = [c for c in (reader(f).probe(head, name) for f in FORMATS) if c]
    strongest = [c for c in claims if c.strength == max(c.strength for c in claims)]
    if not strongest:
        start = head[:8].hex(" ") or "a folder"
        raise problem(
            "format.unknown", f"{source.key}: no reader knows this content (it begins {start})", file=source.key
        )
    if len(strongest) > 1:
        said = "; ".join(f"{c.format}: {c.reason}" for c in strongest)
        raise problem("format.ambiguous", f"{source.key} is claimed twice ({said})", file=source.key)
    return strongest[0]


def read(source: Source, options: Mapping[str, Any] | None = None) -> tuple[Content, ...]:
    """Contents of a raw object, by the reader that claims it, or by the one that ``options["reader"]`` names."""
    stated = dict(options or {})
    name = stated.pop("reader", None) or choose(source).format
    return _read(name, source, stated)


def _read(format: str, source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """Contents by one reader; only the one that the option ``image`` names, if it is given.

    Raises
    ------
    Problem
        ``image.choice``: the file has no such image, or two of this name; and what the reader raises.
    """
    stated = {name: value for name, value in options.items() if name not in ("reader", "image")}
    contents = reader(format).read(source, stated)
    wanted = str(options["image"]).strip() if "image" in options else None
    if wanted is None:
        return contents
    chosen = [c for c in contents if wanted in content_names(c)]
    if not chosen and wanted.isascii() and wanted.isdigit() and 0 < int(wanted[:9]) <= len(contents):
        chosen = [contents[int(wanted[:9]) - 1]]
    for content in contents:
        if chosen != [content]:
            content.close()
    if len(chosen) != 1:
        count = "several images" if chosen else "no image"
        held = f"{source.key} has {count} called {wanted!r} (option image); it holds {list_contents(contents)}"
        raise problem("image.choice", held, value=wanted, file=source.key)
    return tuple(chosen)


class RawArrays:
    """Opens the raw arrays that a plan or a receipt names, each file once.

    Use as a context manager; leaving it closes all files.
    """

    def __init__(self, roots: SourceRoots) -> None:
        self.roots = roots
        self._open: dict[tuple[str, str, str], tuple[Source, tuple[Content, ...]]] = {}

    def __enter__(self) -> RawArrays:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all files; a later read opens them anew."""
        for _source, contents in self._open.values():
            for content in contents:
                content.close()
        self._open.clear()

    def array(self, spec: ArraySpec) -> LazyArray:
        """The raw array behind a result's array.

        Raises
        ------
        Problem
            The raw file is missing or unreadable, or has no such array any more
            (``file.changed``).
        """
        options = repr(sorted(spec.options.items()))
        key = (spec.source, spec.format, options)
        if key not in self._open:
            source = self.roots.locate(spec.source)
            self._open[key] = (source, _read(spec.format, source, spec.options))
        for content in self._open[key][1]:
            if content.name == spec.content and spec.array in content.arrays:
                return content.arrays[spec.array]
        raise problem(
            "file.changed", f"{spec.source} has no array {spec.content}/{spec.array} any more", file=spec.source
        )

    def read(self, spec: ArraySpec, selection: tuple[slice, ...]) -> np.ndarray:
        """A block of the result, made from the raw array by the index map."""
        array = self.array(spec)
        block = array.read(spec.index.source_selection(selection))
        return spec.index.to_result(block).astype(spec.dtype, copy=False)

    def contents(self, key: str, options: Mapping[str, Any]) -> tuple[Content, ...]:
        """What a raw object holds, headers only. Raises `Problem`."""
        source = self.roots.locate(key)
        found = read(source, options)
        self._open[key, "", repr(sorted(options.items()))] = (source, found)
        return found

    def sources(self) -> tuple[Source, ...]:
        """Every raw object opened so far."""
        return tuple(source for source, _ in self._open.values())
