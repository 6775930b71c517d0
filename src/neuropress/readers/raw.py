"""Raw objects and their contents: which reader takes one, and the arrays that plans and receipts name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ..model.content import Access, Content, LazyArray, content_names, list_contents
from ..model.finding import Problem, problem
from ..model.plan import ArraySpec
from ..model.source import Source, SourceRoots
from ..registry import CORE
from . import COMMON, Format, get_formats, get_registered_formats
from .format import CLOCK_OFFSET, EDGES, Claim, FragmentMaker, check_options
from .unread import find_unread_format, is_stand_in

if TYPE_CHECKING:
    import numpy as np

    from .edges import Edges

BY_CONTENT = 2
"""Strength of a claim that goes by the content."""


def find_format(name: str) -> Format:
    """A format by its name.

    Raises
    ------
    Problem
        ``format.unknown``: a result names a format that is not read here.
    """
    known = get_registered_formats()
    if name not in known:
        raise problem("format.unknown", f"no reader for the format {name[:80]!r}; known: {', '.join(known)}")
    return known[name].value


def choose_format(source: Source, purposes: Collection[str] = ()) -> Claim:
    """Which reader takes a raw object, and why.

    Parameters
    ----------
    purposes
        What the object is opened for: readers for that alone come before all others (see `Format.purpose`).

    Raises
    ------
    Problem
        ``format.unknown`` when none does, ``format.ambiguous`` when two do, ``file.empty``.
    """
    head = b"" if source.is_folder else source.head()
    if not source.is_folder and not head:
        raise problem("file.empty", f"{source.key} has no bytes", file=source.key)
    name = source.name + ("/" if source.is_folder else "")
    files = source.files() if source.is_folder else ()
    claims, failures = _collect_claims(head, name, source.key, files)
    claims = _keep_suitable(claims, purposes)
    best = max((claim.strength for claim in claims), default=0)  # 0: where nobody else claims it
    strongest = [claim for claim in claims if claim.strength == best]
    if best < BY_CONTENT and is_stand_in(head):
        raise _make_unknown_problem(source, head, name)
    if not strongest and failures:
        raise failures[0]
    if not strongest:
        raise _make_unknown_problem(source, head, name)
    if len(strongest) > 1:
        reasons = "; ".join(f"{c.format}: {c.reason}" for c in strongest)
        raise problem("format.ambiguous", f"{source.key} is claimed twice ({reasons})", file=source.key)
    return strongest[0]


def _make_unknown_problem(source: Source, head: bytes, name: str) -> Problem:
    """What a file is that no reader takes, as far as that is known, and the way out."""
    known = find_unread_format(head, name)
    if known:
        message = f"{source.key} is {known.title}, which no reader takes"
        return problem("format.unknown", message, hint=known.way_out, file=source.key)
    start = head[:8].hex(" ") or "a folder"
    return problem("format.unknown", f"{source.key}: no reader knows this content (it begins {start})", file=source.key)


def _keep_suitable(claims: Sequence[Claim], purposes: Collection[str]) -> list[Claim]:
    """The claims of readers for one of the purposes, else of those for anything."""
    known = get_registered_formats()
    asked = [claim for claim in claims if known[claim.format].value.purpose in purposes]
    return asked or [claim for claim in claims if not known[claim.format].value.purpose]


def _collect_claims(head: bytes, name: str, key: str, files: Sequence[str]) -> tuple[list[Claim], list[Problem]]:
    """The claims of all readers, and the failures of plug-ins, which keep nobody else from reading the file."""
    claims, failures = [], []
    for format, entry in get_registered_formats().items():
        try:
            with _name_plugin_failures(format, key):
                claim = entry.value.claim(head, name, files)
                if claim is not None and (claim.format, claim.strength) not in ((format, 0), (format, 1), (format, 2)):
                    raise TypeError(f"its probe answers {claim!r}")
        except Problem as failure:
            failures.append(failure)
        else:
            if claim is not None:
                claims.append(claim)
    return claims, failures


@contextmanager
def _name_plugin_failures(format: str, key: str) -> Iterator[None]:
    """Tell an exception in a plug-in's reader by its package's name; one in ours is a defect and goes on as it is."""
    try:
        yield
    except (Problem, OSError):
        raise
    except Exception as error:
        package = get_registered_formats()[format].package
        if package == CORE:
            raise
        message = f"{key}: the reader {format} of package {package} failed: {type(error).__name__}: {str(error)[:500]}"
        raise problem("plugin.failed", message, file=key) from error


def read(
    source: Source, options: Mapping[str, Any] | None = None, purposes: Collection[str] = ()
) -> tuple[Content, ...]:
    """Contents of a raw object, by the reader that claims it, or by the one that ``options["reader"]`` names."""
    stated = dict(options or {})
    name = choose_reader(source, stated, purposes).format
    stated.pop("reader", None)
    return _read_as_format(name, source, stated)


def choose_reader(source: Source, options: Mapping[str, Any], purposes: Collection[str] = ()) -> Claim:
    """Which reader takes a raw object, and why: the one that a person names, else by content, name and options.

    Readers of text cannot tell each other's files by the content: where the one that claims a file has not all of the
    options that are stated, and one other of such names has, that one is meant.

    Raises
    ------
    Problem
        As `choose_format` does.
    """
    if "reader" in options:
        return Claim(str(options["reader"]), "the option says so")
    stated = set(options) - {option.name for option in COMMON}
    name = source.name.lower()
    fitting = [
        format.name
        for format in get_formats().values()
        if stated
        and name.endswith(format.suffixes or ("/",))
        and stated <= {option.name for option in format.options}
        and (not format.purpose or format.purpose in purposes)
    ]
    try:
        claim = choose_format(source, purposes)
    except Problem:
        if len(fitting) != 1:
            raise
    else:
        known = {option.name for option in find_format(claim.format).options}
        if stated <= known or len(fitting) != 1:
            return claim
    return Claim(fitting[0], f"no other reader of such names has {' and '.join(sorted(stated))}")


def _read_as_format(format: str, source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """Contents by one reader; only the one that the option ``image`` names, if it is given.

    Raises
    ------
    Problem
        ``reader.option``; ``image.choice``: the file has no such image, or two of this name; and what the
        reader raises.
    """
    declared = find_format(format)
    options = {name: value for name, value in options.items() if name != "reader"}
    if complaint := check_options(options, declared, COMMON):
        raise problem("reader.option", f"{source.key}: {complaint}", file=source.key)
    common = {option.name for option in COMMON} - {option.name for option in declared.options}
    stated = {name: value for name, value in options.items() if name not in common}
    with _name_plugin_failures(format, source.key):
        contents = declared.load().read(source, stated)
        if not isinstance(contents, tuple) or any(content.format != format for content in contents):
            raise TypeError(f"it gives no tuple of contents of the format {format}")
    if offset := options.get(CLOCK_OFFSET.name):
        contents = tuple(replace(content, clock_offset=offset) for content in contents)
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
        message = f"{source.key} has {count} called {wanted!r} (option image); it holds {list_contents(contents)}"
        raise problem("image.choice", message, value=wanted, file=source.key)
    return tuple(chosen)


def _opening(key: str, format: str, options: Mapping[str, Any]) -> tuple[str, str, str]:
    """What makes two ways of opening a raw object the same."""
    return key, format, repr(sorted(options.items()))


def locate_fragment(roots: SourceRoots, key: str, options: Mapping[str, Any]) -> Source:
    """The fragment of a raw object: the file itself, or what its reader has another program make of it.

    Raises
    ------
    Problem
        As `SourceRoots.locate` and the reader do.
    """
    source = roots.locate(key)
    maker = find_fragment_maker(options)
    if maker is None:
        return source
    return maker.find_fragment(source, {name: value for name, value in options.items() if name != "reader"})


def find_fragment_maker(options: Mapping[str, Any]) -> FragmentMaker | None:
    """The reader that options name, where it has another program export NWB; None for any other."""
    module = find_format(str(options["reader"])).load() if "reader" in options else None
    return module if isinstance(module, FragmentMaker) else None


class RawArrays:
    """Opens the raw arrays that a plan or a receipt names, each file once.

    Use as a context manager; leaving it closes all files.
    """

    def __init__(self, roots: SourceRoots) -> None:
        self.roots = roots
        self._open: dict[tuple[str, str, str], tuple[Source, tuple[Content, ...]]] = {}
        self._edges: dict[tuple[str, str, str, str, str], LazyArray] = {}

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

    def get_array(self, spec: ArraySpec) -> LazyArray:
        """The raw array behind a result's array.

        Raises
        ------
        Problem
            The raw file is missing or unreadable, or has no such array any more
            (``file.changed``).
        """
        key = _opening(spec.source, spec.format, spec.options)
        if key not in self._open:
            source = self.roots.locate(spec.source)
            self._open[key] = (source, _read_as_format(spec.format, source, spec.options))
        for content in self._open[key][1]:
            if content.name == spec.content and spec.array in content.arrays:
                return content.arrays[spec.array]
            if content.name == spec.content and spec.array.startswith(EDGES):
                return self._get_edges(spec, content)
        raise problem(
            "file.changed", f"{spec.source} has no array {spec.content}/{spec.array} any more", file=spec.source
        )

    def _get_edges(self, spec: ArraySpec, content: Content) -> LazyArray:
        """Edges of a channel, found once: all samples are read for them."""
        key = (*_opening(spec.source, spec.format, spec.options), spec.content, spec.array)
        if key not in self._edges:
            from .edges import derive_edges  # not above: checking tables needs no array

            self._edges[key] = derive_edges(spec.source, content, spec.array)
        return self._edges[key]

    def find_edges(self, key: str, options: Mapping[str, Any], channel: str, threshold: Fraction | None) -> Edges:
        """The edges of a channel of a raw file (see `neuropress.readers.edges`). Raises `Problem`."""
        from .edges import find_edges

        _, contents = self.open_source(key, options)
        edges = find_edges(key, contents, channel, threshold)
        of = edges.content
        self._edges[*_opening(key, of.format, options), of.name, edges.array] = of.arrays[edges.array]
        return edges

    def get_access(self, spec: ArraySpec) -> Access:
        """How an array is read: what at once, how many parts at a time."""
        array = self.get_array(spec)
        kept = [n for n, entry in zip(array.block, spec.index.select, strict=True) if not isinstance(entry, int)]
        return Access(tuple(kept[axis] for axis in spec.index.order), array.is_shared, array.kept)

    def list_access(self, arrays: Mapping[str, ArraySpec]) -> dict[str, Access]:
        """The same of many; none where one of them is no array of its file."""
        try:
            return {path: self.get_access(spec) for path, spec in arrays.items()}
        except (Problem, ValueError, IndexError):  # of a wrong reader or converter, which is reported elsewhere
            return {}

    def read(self, spec: ArraySpec, selection: tuple[slice, ...]) -> np.ndarray:
        """A block of the result, made from the raw array by the index map."""
        array = self.get_array(spec)
        with _name_plugin_failures(spec.format, spec.source):
            block = array.read(spec.index.source_selection(selection))
        return spec.from_source(block)

    def open_source(
        self, key: str, options: Mapping[str, Any], purposes: Collection[str] = ()
    ) -> tuple[Source, tuple[Content, ...]]:
        """A raw object and what it holds, headers only; its arrays are read later. Raises `Problem`."""
        source = self.roots.locate(key)
        claim = choose_reader(source, options, purposes)
        if known := self._open.get(_opening(key, claim.format, options)):  # it may be the clock of another file
            return known
        contents = _read_as_format(claim.format, source, options)
        for content in contents:
            self._open[_opening(key, content.format, options)] = (source, contents)
        if not contents:
            self._open[_opening(key, "", options)] = (source, contents)
        return source, contents

    def list_sources(self) -> tuple[Source, ...]:
        """Every raw object opened so far."""
        return tuple(source for source, _ in self._open.values())
