"""``inspect``: what a reader sees in a raw file, as lines, as an object, or as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..model.content import Content, Image, LazyArray, Recording, Series
from ..model.elements import element_text
from ..model.finding import problem
from ..model.source import Source
from ..readers.raw import choose_reader, find_format
from ..readers.raw import read as read_contents
from ..storage.roots import Folder

MOST_LISTED = 12
"""Kinds of arrays that are listed; more are counted."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a raw file holds, by its reader.

    Attributes
    ----------
    claim
        Why the reader takes it.
    contents
        Scenes, positions or recordings; their arrays are read when asked for.
    """

    path: Path
    format: str
    title: str
    claim: str
    nbytes: int
    contents: tuple[Content, ...] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            "file": str(self.path),
            "format": self.format,
            "title": self.title,
            "bytes": self.nbytes,
            "contents": [_describe_content(content) for content in self.contents],
        }

    def lines(self) -> Iterator[str]:
        """What people want to see, in lines of text."""
        yield f"{self.path.name}: {self.title} ({self.format}: {self.claim}), {self.nbytes} bytes"
        for content in self.contents:
            yield from _format_content(_describe_content(content))

    def draft_mapping(self) -> str:
        """A block of ``neuropress.toml`` in which a person says what the file's arrays are.

        Raises
        ------
        Problem
            ``inspect.nothing``: the file says it by itself, or it is declared already.
        """
        drafts = [str(content.header["draft"]) for content in self.contents if "draft" in content.header]
        if not drafts:
            unsaid = [str(content.header["undeclared"]) for content in self.contents if "undeclared" in content.header]
            why = "; ".join(unsaid) or "it needs no mapping: it says what it holds, or options state it"
            message = f"{self.path.name} ({self.format}): {why}"
            hint = "A recording as CSV or TSV: add --option reader=trace_text." if self.path.suffix else ""
            raise problem("inspect.nothing", message, hint=hint)
        return "\n".join(drafts)

    def close(self) -> None:
        """Close the file."""
        for content in self.contents:
            content.close()

    def draw(self, content: int = 0) -> bytes:
        """A content as a PNG: the first sweep of a recording, the middle frame or plane of an image.

        Raises
        ------
        Problem
            ``inspect.nothing``: it has no samples.
        """
        from .drawing import draw_frame, draw_traces

        chosen = self.contents[content]
        if isinstance(chosen, Image):
            return draw_frame(chosen.arrays["pixels"])
        names = _list_first_traces(chosen)
        if not names:
            raise problem("inspect.nothing", f"{self.path.name} has no samples that could be drawn")
        return draw_traces([chosen.arrays[name] for name in names])


def inspect_file(path: Path, options: Mapping[str, Any] | None = None) -> Inspection:
    """Read a raw file's headers.

    Raises
    ------
    Problem
        ``file.missing``; ``format.unknown``, which names the format where it is known; or what the reader says.
    """
    if not path.exists():
        raise problem("file.missing", f"{path} does not exist", file=str(path))
    source = Source(path.name + ("/" if path.is_dir() else ""), Folder(path.resolve().parent))
    stated = dict(options or {})
    claim = choose_reader(source, stated)
    title = find_format(claim.format).title
    contents = read_contents(source, stated)
    nbytes = sum(source.size(key) for key in source.list_keys())
    return Inspection(path, claim.format, title, claim.reason, nbytes, contents)


def _describe_content(content: Content) -> dict[str, Any]:
    clock = content.acquired if isinstance(content, Image) else content.started
    described: dict[str, Any] = {
        "kind": type(content).__name__,
        "name": content.name,
        "started": clock.isoformat() if clock else None,
        "facts": dict(content.facts),
        "arrays": [_describe_array(array) for array in content.arrays.values()],
        "warnings": list(content.warnings),
        "header": content.header,
    }
    if isinstance(content, Recording):
        described |= {"rate": str(content.rate), "mode": content.mode, "sweeps": len(content.sweeps)}
        described |= {"protocol": content.protocol, "tags": len(content.tags)}
        described["channels"] = [
            {"name": one.name, "unit": one.unit, "gain": str(one.gain), "offset": str(one.offset), "clamp": one.clamp}
            for one in content.adc
        ]
    if isinstance(content, Image):
        described["spacing_um"] = {axis: str(size) for axis, size in content.spacing.items()}
        described["channels"] = [{"name": name, "unit": ""} for name in content.channels]
    if isinstance(content, Series):
        described["rate"] = str(content.rate) if content.rate is not None else None
        described["channels"] = [{"name": one.name, "unit": one.unit} for one in content.channels]
    return described


def _describe_array(array: LazyArray) -> dict[str, Any]:
    extents = [{"axis": axis, "length": length} for axis, length in zip(array.axes, array.shape, strict=True)]
    return {
        "name": array.name,
        "type": array.dtype.name if array.dtype.names is None else element_text(array.dtype),
        "extents": extents,
    }


def _format_content(entry: Mapping[str, Any]) -> Iterator[str]:
    name = f" {entry['name']!r}" if entry["name"] else ""
    yield f"{entry['kind']}{name}"
    for label in ("started", "mode", "protocol", "sweeps", "rate"):
        if entry.get(label):
            yield f"  {label}: {entry[label]}{' Hz' if label == 'rate' else ''}"
    if entry["started"] is None:
        yield "  started: the header does not say"
    for channel in entry.get("channels", ()):
        clamp = f", {channel['clamp']}" if channel.get("clamp") else ""
        yield f"  channel {channel['name']}{' in ' + channel['unit'] if channel['unit'] else ''}{clamp}"
    if spacing := entry.get("spacing_um"):
        yield f"  spacing: {', '.join(f'{axis} {size} um' for axis, size in spacing.items())}"
    for name, text in entry["facts"].items():
        yield f"  {name}: {text}"
    yield from _format_arrays(entry["arrays"])
    if undeclared := entry["header"].get("undeclared"):
        yield f"  not declared: {undeclared}"
    for warning in entry["warnings"]:
        yield f"  warning: {warning}"


def _format_arrays(arrays: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One line for all arrays of the same type and extents: hundreds of sweeps are alike."""
    alike: dict[str, list[str]] = {}
    for array in arrays:
        extents = " x ".join(f"{one['axis']} {one['length']}" for one in array["extents"])
        alike.setdefault(f"{array['type']}, {extents}", []).append(array["name"])
    for number, (what, names) in enumerate(alike.items()):
        if number == MOST_LISTED:
            yield f"  and arrays of {len(alike) - MOST_LISTED} more kinds"
            return
        shown = f"array {names[0]}" if len(names) == 1 else f"{len(names)} arrays {names[0]} ... {names[-1]}"
        yield f"  {shown}: {what}"


def _list_first_traces(content: Content) -> list[str]:
    if isinstance(content, Recording):
        return list(content.sweeps[0].responses.values()) if content.sweeps else []
    if isinstance(content, Series):
        return [content.array]
    return []
