"""Parsers of what others wrote that keep to the budget: JSON, XML and TOML."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from .budget import DEPTH, JSON_BYTES, TOML_BYTES, TOML_KEY_PARTS, XML_BYTES, XML_DEPTH, XML_ELEMENTS, OverBudget

_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")
_TOML_STRINGS = re.compile(
    r'''"""(?:\\.|(?!""").)*+(?:"{3,5}|\Z)|'{3}(?:(?!'{3}).)*+(?:'{3,5}|\Z)'''
    r"""|"(?:[^"\\\n]++|\\.)*+"?|'[^'\n]*+'?|\#[^\n]*+""",
    re.DOTALL,
)
_DOTS = re.compile(rf"(?:\.[ \t\w-]*+){{{TOML_KEY_PARTS}}}")


def parse_json(data: bytes | str, most: int = JSON_BYTES, **hooks: Callable[..., Any]) -> Any:
    """JSON of bounded size and depth.

    Parameters
    ----------
    most
        Bytes that it may have.
    hooks
        As `json.loads` takes them (``parse_float``, ``object_pairs_hook``).

    Raises
    ------
    OverBudget
        It is larger than `most` or nested deeper than `DEPTH`.
    ValueError
        It is no JSON; also for NaN and infinities, which JSON does not have.
    """
    octets = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(octets) > most:
        raise OverBudget(f"{len(octets)} bytes of JSON, more than {most}")
    _check_depth(octets)
    # Decoded here: `json.loads` would guess UTF-16, in which brackets cannot be counted.
    decoder = json.JSONDecoder(**{"parse_constant": _refuse, **hooks})  # type: ignore[arg-type]
    return decoder.decode(octets.decode("utf-8-sig"))


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _check_depth(octets: bytes) -> None:
    """Count brackets outside strings: the decoder itself recurses, and what it builds is walked by recursion too."""
    if octets.count(b"[") + octets.count(b"{") <= DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.finditer(_STRINGS.sub(b"", octets)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > DEPTH:
            raise OverBudget(f"JSON is nested deeper than {DEPTH} levels")


def parse_xml(
    text: str,
    depth: int = XML_DEPTH,
    most: int = XML_BYTES,
    elements: int = XML_ELEMENTS,
    on_end: Callable[[ElementTree.Element], None] | None = None,
) -> ElementTree.Element:
    """XML of bounded size and depth, without a document type and so without entities of its own.

    Parameters
    ----------
    on_end
        Given each element once it is whole: what it takes from one and clears need not stay in memory.

    Raises
    ------
    OverBudget
        It has a document type, is larger than `most` bytes, nested deeper than `depth`, or has more than
        `elements` elements.
    ElementTree.ParseError
        It is no XML.
    """
    octets = text.encode("utf-8", "replace")
    if len(octets) > most:
        raise OverBudget(f"{len(octets)} bytes of XML, more than {most}")
    builder = _Bounded(depth, elements, on_end)
    parser = ElementTree.XMLParser(target=builder, encoding="utf-8")  # whatever the text declares: it is decoded
    parser.feed(octets)
    root: ElementTree.Element = parser.close()
    return root


class _Bounded(ElementTree.TreeBuilder):
    """Builds the tree; the first element too deep, and any document type, ends it."""

    def __init__(self, most: int, elements: int, on_end: Callable[[ElementTree.Element], None] | None) -> None:
        super().__init__()
        self.most, self.elements, self.on_end = most, elements, on_end
        self.depth = self.count = 0

    def start(self, tag: str, attrs: dict[Any, Any], /) -> ElementTree.Element:
        self.depth += 1
        self.count += 1
        if self.depth > self.most:
            raise OverBudget(f"XML is nested deeper than {self.most} levels")
        if self.count > self.elements:
            raise OverBudget(f"XML of more than {self.elements} elements")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ElementTree.Element:
        self.depth -= 1
        element = super().end(tag)
        if self.on_end is not None:
            self.on_end(element)
        return element

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
    for line in _TOML_STRINGS.sub("_", text).split("\n"):
        if line.count(".") >= TOML_KEY_PARTS and _DOTS.search(line):
            raise OverBudget(f"a key of more than {TOML_KEY_PARTS} parts begins {line.strip()[:40]!r}")
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise OverBudget(f"TOML is nested deeper than {DEPTH} levels") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:  # a number of more digits than Python takes, a day that is none
        raise tomllib.TOMLDecodeError(str(error)) from None
    _check_levels(data)
    return data


def _check_levels(data: Any) -> None:
    """Refuse what is nested deeper than `DEPTH`, without recursion."""
    level = [data]
    for _ in range(DEPTH):
        nested = [value for one in level for value in (one.values() if isinstance(one, dict) else one)]
        level = [value for value in nested if isinstance(value, (dict, list))]
        if not level:
            return
    raise OverBudget(f"TOML is nested deeper than {DEPTH} levels")
