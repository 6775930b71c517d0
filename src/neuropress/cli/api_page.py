"""``python -m neuropress.cli.api_page``: docs/reference/api.md, generated from the docstrings of the public names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

HEADER = """# Library

What `import neuropress` gives; everything else may change without notice. [The notebook](../start/programmer.md) shows
it at work.
Generated: `python -m neuropress.cli.api_page > docs/reference/api.md`.
"""
SECTION = re.compile(r"^([A-Z][a-z]+)\n-+\n", re.M)


def page() -> str:
    """The page as Markdown: functions first, then classes with their public methods and properties."""
    import neuropress

    names = [name for name in neuropress.__all__ if not name.startswith("_")]
    names.sort(key=lambda name: (inspect.isclass(getattr(neuropress, name)), name))
    listed = " ".join(f"[{name}](#{name.lower()})" for name in names)
    sections = ("\n".join(_format_name(name, getattr(neuropress, name))) for name in names)
    return "\n".join((HEADER, f"Names: {listed}\n", "\n\n".join(sections))) + "\n"


def _format_name(name: str, value: Any) -> Iterator[str]:
    yield f"## {name}\n"
    if not inspect.isclass(value):
        yield f"`neuropress.{name}{_format_signature(value)}`\n"
        yield _format_docstring(value)
        return
    if not issubclass(value, BaseException):
        yield f"`neuropress.{name}{_format_signature(value)}`\n"
    yield _format_docstring(value)
    for member, made in vars(value).items():
        function = made.__func__ if isinstance(made, classmethod) else made
        is_shown = isinstance(function, property) or inspect.isfunction(function)
        if member.startswith("_") or not is_shown or not inspect.getdoc(function):
            continue
        signature = "" if isinstance(function, property) else _format_signature(function)
        yield f"\n### {name}.{member}\n\n`{member}{signature}`\n"
        yield _format_docstring(function)


def _format_signature(value: Any) -> str:
    """Names and defaults; annotations would make it a paragraph, and the docstring says what they are."""
    parameters = [one for one in inspect.signature(value).parameters.values() if one.name not in ("self", "cls")]
    texts = [_format_parameter(one) for one in parameters]
    star = next((n for n, one in enumerate(parameters) if one.kind is one.KEYWORD_ONLY), None)
    if star is not None:
        texts.insert(star, "*")
    return f"({', '.join(texts)})"


def _format_parameter(parameter: inspect.Parameter) -> str:
    if _is_opaque(parameter.default):
        return f"{parameter.name}=..."
    return str(parameter.replace(annotation=inspect.Parameter.empty))


def _is_opaque(default: Any) -> bool:
    """Whether the default's text would say nothing, or hold an address in memory."""
    is_plain = isinstance(default, (str, int, bool, tuple, dict, type(None)))
    return default is not inspect.Parameter.empty and not is_plain


def _format_docstring(value: Any) -> str:
    """A docstring in numpy style as Markdown."""
    head, *rest = SECTION.split(inspect.getdoc(value) or "")
    parts = [_unquote(head).strip()]
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        if title == "Examples":
            parts.append(f"```pycon\n{body.strip()}\n```".replace("  # doctest: +ELLIPSIS", ""))
        else:
            parts.append(f"*{title}*\n\n" + "\n".join(_format_items(body)))
    return "\n\n".join(parts)


def _format_items(body: str) -> Iterator[str]:
    """Names at the margin, what they are indented below."""
    for item in re.split(r"\n(?=\S)", body.strip()):
        name, _, meaning = item.partition("\n")
        yield f"- `{name}`: {' '.join(_unquote(meaning).split())}"


def _unquote(text: str) -> str:
    return text.replace("``", "`")


if __name__ == "__main__":
    print(page(), end="")
