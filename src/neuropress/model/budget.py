"""The budget: what bytes that others wrote may cost, stated once and applied where they are first parsed.

A limit here is far above anything that real metadata, headers or results hold, and far
below what would stop a laptop. Whoever parses foreign bytes takes its limit from here and
answers with a finding that names the limit; nothing is truncated in silence.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any
from xml.etree import ElementTree

DEPTH = 64
"""Levels of nesting of JSON and TOML."""

JSON_BYTES = 256 * 2**20
"""A JSON document: the provenance of a result with thousands of arrays has a tenth of it."""

TOML_BYTES = 4 * 2**20
"""``neuropress.toml``, a profile or a mapping."""

TOML_KEY_PARTS = 16
"""Parts of one dotted key: tomllib takes quadratic time in them."""

# Results that others made.

HDF5_OBJECTS = 250_000
"""Links of an HDF5 file: a session of 10,000 sweeps has a third of it."""

HDF5_ATTRIBUTES = 4096
"""Attributes of one HDF5 object."""

HDF5_ROWS = 1_000_000
"""Elements of one HDF5 dataset of texts, references or compounds, each of which becomes a Python object."""

HDF5_RATIO = 1100
"""Uncompressed bytes to stored ones: deflate, the best of the filters that are read, reaches 1032."""

SMALL_BYTES = 64 * 2**20
"""What may be all fill value, whatever is stored."""

CHUNK_BYTES = 256 * 2**20
"""One chunk, uncompressed: it is decoded whole."""

BLOCK_BYTES = 512 * 2**20
"""One block of an array that is read and digested at a time."""

TEXT_BYTES = 256 * 2**20
"""All texts of one HDF5 dataset together; and what one read of them may take."""

BLOCKS = 20_000
BLOCK_LEAST = 4096
"""Blocks or chunks of one array, and where there are more, their bytes on the average: each costs a call."""

ZARR_ENTRIES = 4_000_000
"""Files and folders of an OME-Zarr."""

ZARR_NODES = 1000
"""Groups and arrays of an OME-Zarr."""

SHARD_CHUNKS = 2**20
"""Chunks of one shard: its index has 16 bytes for each."""

RANK = 32
"""Axes of an array."""

EXTENT = 2**48
"""Length of one axis."""

# Images and their headers.

TIFF_TAGS = 4096
"""Tags of one TIFF directory; real ones have some twenty."""

TIFF_PAGES = 2_000_000
"""Directories of one TIFF file, sub-directories counted."""

TIFF_DEPTH = 8
"""Levels of sub-directories of a TIFF."""

TIFF_REREADS = 4
"""How often directories and tag values may cover a TIFF's bytes, before they count as overlapping on purpose."""

CODEC_RATIOS = {1: 8, 2: 200_000, 3: 200_000, 4: 200_000, 5: 4096, 8: 1100, 32773: 130, 32946: 1100}
"""Decoded bytes per stored byte that a TIFF compression can reach; uncompressed bits become bytes."""

OTHER_RATIO = 200_000
"""The same for codecs without a known limit; zstd reaches 43,000 on zeros."""

SHARED_RATIO = 1100
"""The same for a page whose strips or tiles share their bytes."""

IMAGE_SLACK = 2**20
"""Decoded bytes that any image may claim, however few are stored."""

PAGE_BYTES = 2**36
"""Decoded bytes of one page that are believed at all."""

SEGMENT_BYTES = 2**28
"""Decoded bytes of one strip, tile or PNG that must be in memory at once, unless at least a part in
`SEGMENT_RATIO` of them is stored."""

SEGMENT_RATIO = 100

SEGMENT_LIMIT = 2**32
"""Decoded bytes of one strip, tile or PNG, whatever is stored."""

XML_BYTES = 64 * 2**20
"""An OME-XML document: one of ten thousand planes has three million bytes."""

XML_DEPTH = 64
"""Levels of elements of an OME-XML document."""

XML_ELEMENTS = 1_000_000
"""Elements of an OME-XML document: two a plane, mostly."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_DOTS = re.compile(rf"[^=\n#\"']{{0,200}}(?:\.[^=\n#\"'.]{{0,200}}){{{TOML_KEY_PARTS}}}")


class OverBudget(ValueError):
    """Foreign bytes ask for more than the budget allows; the text names the limit."""


def parse_json(data: bytes | str) -> Any:
    """JSON of bounded size and depth.

    Raises
    ------
    OverBudget
        It is larger than `JSON_BYTES` or nested deeper than `DEPTH`.
    ValueError
        It is no JSON; also for NaN and infinities, which JSON does not have.
    """
    octets = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(octets) > JSON_BYTES:
        raise OverBudget(f"{len(octets)} bytes of JSON, more than {JSON_BYTES}")
    _check_depth(octets)
    return json.loads(octets)


def _check_depth(octets: bytes) -> None:
    """Count brackets outside strings: the decoder itself recurses, and what it builds is walked by recursion too."""
    if octets.count(b"[") + octets.count(b"{") <= DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.finditer(_STRINGS.sub(b"", octets)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > DEPTH:
            raise OverBudget(f"JSON is nested deeper than {DEPTH} levels")


def parse_xml(text: str) -> ElementTree.Element:
    """XML of bounded size and depth, without a document type and so without entities of its own.

    Raises
    ------
    OverBudget
        It has a document type, is larger than `XML_BYTES`, nested deeper than `XML_DEPTH`, or has more than
        `XML_ELEMENTS` elements.
    ElementTree.ParseError
        It is no XML.
    """
    octets = text.encode("utf-8", "replace")
    if len(octets) > XML_BYTES:
        raise OverBudget(f"{len(octets)} bytes of XML, more than {XML_BYTES}")
    builder = _Bounded()
    parser = ElementTree.XMLParser(target=builder, encoding="utf-8")  # whatever the text declares: it is decoded
    parser.feed(octets)
    root: ElementTree.Element = parser.close()
    return root


class _Bounded(ElementTree.TreeBuilder):
    """Builds the tree; the first element too deep, and any document type, ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = self.count = 0

    def start(self, tag: str, attrs: dict[Any, Any], /) -> ElementTree.Element:
        self.depth += 1
        self.count += 1
        if self.depth > XML_DEPTH:
            raise OverBudget(f"XML is nested deeper than {XML_DEPTH} levels")
        if self.count > XML_ELEMENTS:
            raise OverBudget(f"XML of more than {XML_ELEMENTS} elements")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ElementTree.Element:
        self.depth -= 1
        return super().end(tag)

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise OverBudget(f"XML with a document type ({name}), which can define entities")


def parse_toml(text: str) -> dict[str, Any]:
    """TOML of bounded size, depth and length of keys.

    Raises
    ------
    OverBudget
        It is larger than `TOML_BYTES`, nested deeper than `DEPTH`, or has a key of more than `TOML_KEY_PARTS` parts.
    tomllib.TOMLDecodeError
        It is no TOML.
    """
    if len(text) > TOML_BYTES:
        raise OverBudget(f"{len(text)} characters of TOML, more than {TOML_BYTES}")
    for number, line in enumerate(text.splitlines(), 1):
        if line.count(".") > TOML_KEY_PARTS and _DOTS.match(line):
            raise OverBudget(f"line {number}: a key of more than {TOML_KEY_PARTS} parts")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise OverBudget(f"TOML is nested deeper than {DEPTH} levels") from None
