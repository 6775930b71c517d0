"""``neuropress formats``: what is read, with the options and facts of each reader, from their declarations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..model.finding import problem
from ..readers import COMMON, Fact, Format, Option, get_registered_formats
from ..readers.format import suggest_name


def list_formats(name: str | None = None) -> list[dict[str, Any]]:
    """Every format, or one, as plain objects.

    Raises
    ------
    Problem
        ``format.unknown``: no reader has that name.
    """
    known = get_registered_formats()
    if name is not None and name not in known:
        message = f"no reader for the format {name!r}; known: {', '.join(known)}{suggest_name(name, known)}"
        raise problem("format.unknown", message, hint="neuropress formats lists them.", value=name)
    return [_to_json(entry.value, entry.package) for entry in known.values() if name in (None, entry.name)]


def _to_json(format: Format, package: str) -> dict[str, Any]:
    return {
        "format": format.name,
        "title": format.title,
        "package": package,
        "suffixes": list(format.suffixes),
        "options": [_option(option) for option in (*COMMON, *format.options)],
        "facts": [{"name": fact.name, "unit": fact.unit, "meaning": fact.meaning} for fact in format.facts],
        "findings": list(format.findings),
    }


def _option(option: Option) -> dict[str, str]:
    return {"name": option.name, "allowed": option.allowed_values, "meaning": option.doc}


def format_lines(entry: dict[str, Any], *, whole: bool) -> Iterator[str]:
    """One format as text: a line, or with options, facts and findings."""
    suffixes = " ".join(entry["suffixes"])
    yield f"{entry['format']:8}  {entry['title']}  [{suffixes}]  (package {entry['package']})"
    if not whole:
        return
    yield "  options:"
    for option in entry["options"]:
        yield f"    {option['name']} ({option['allowed']}): {option['meaning']}"
    yield "  facts:"
    for fact in entry["facts"]:
        unit = f" ({fact['unit']})" if fact["unit"] else ""
        yield f"    {fact['name']}{unit}: {fact['meaning']}"
    yield f"  findings: {', '.join(entry['findings']) or 'none of its own'}"


def options_table(formats: Sequence[Format]) -> str:
    """Markdown table of all options, for docs/formats.md."""
    lines = ["| option | readers | value | meaning |", "|---|---|---|---|"]
    lines += [_option_line(option, "all") for option in COMMON]
    readers: dict[Option, list[str]] = {}
    for format in formats:
        for option in (one for one in format.options if one not in COMMON):
            readers.setdefault(option, []).append(format.name)
    lines += [_option_line(option, ", ".join(names)) for option, names in readers.items()]
    return "\n".join(lines) + "\n"


def _option_line(option: Option, readers: str) -> str:
    return f"| `{option.name}` | {readers} | {option.allowed_values} | {option.doc} |"


def facts_table(formats: Sequence[Format]) -> str:
    """Markdown table of all facts, for docs/formats.md."""
    readers: dict[Fact, list[str]] = {}
    for format in formats:
        for fact in format.facts:
            readers.setdefault(fact, []).append(format.name)
    lines = ["| fact | readers | unit | meaning |", "|---|---|---|---|"]
    for fact, names in readers.items():
        lines.append(f"| `{fact.name}` | {', '.join(names)} | {fact.unit} | {fact.meaning} |")
    return "\n".join(lines) + "\n"
