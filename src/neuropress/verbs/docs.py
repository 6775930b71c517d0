"""``docs``: the pages of the documentation, which travel with the package, in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from textwrap import TextWrapper

from ..model.finding import problem

WIDTH = 80
"""Columns of a terminal that every line fits in."""
LINK = re.compile(r"!?\[([^\]]*)\]\(([^)\s]*)\)")
ITEM = re.compile(r"( *)([-*]|\d+\.) ")


def list_topics() -> dict[str, str]:
    """Topic -> its page's title, in the order of names (``tables``, ``start/lab-member``)."""
    pages = _find_pages(files("neuropress.data").joinpath("docs"), "")
    return {name: _read_title(page) for name, page in sorted(pages)}


def read_page(topic: str) -> str:
    """The page of a topic as Markdown; the last part of its name suffices.

    Raises
    ------
    Problem
        ``docs.topic``: there is none of that name.
    """
    pages = dict(_find_pages(files("neuropress.data").joinpath("docs"), ""))
    wanted = topic.removeprefix("docs/").removesuffix(".md").lower()
    name = next((name for name in pages if wanted in (name, name.rpartition("/")[2])), None)
    if name is None:
        raise problem("docs.topic", f"there is no topic {topic!r}", value=topic)
    return pages[name].read_text("utf-8")


def _wrap(text: str, indent: str = "", deeper: str = "", width: int = WIDTH) -> list[str]:
    """Lines of at most `width` columns; options keep their hyphens, a blank text is one blank line."""
    wrapper = TextWrapper(width, initial_indent=indent, subsequent_indent=deeper, break_on_hyphens=False)
    return wrapper.wrap(text) or [""]


def _find_pages(folder: Traversable, above: str) -> Iterator[tuple[str, Traversable]]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _find_pages(item, f"{above}{item.name}/")
        elif item.name.endswith(".md"):
            yield above + item.name.removesuffix(".md"), item


def _read_title(page: Traversable) -> str:
    with page.open(encoding="utf-8") as file:
        return file.readline().removeprefix("# ").strip()


def format_page(text: str) -> Iterator[str]:
    """A page of Markdown as lines of at most `WIDTH` columns: paragraphs filled, tables as lists."""
    lines = re.sub(r"<!--.*?-->\n?", "", text).splitlines()
    while lines:
        if lines[0].lstrip().startswith("```"):
            yield from _format_code(_take_code(lines))
        elif lines[0].startswith("|"):
            yield from _format_table(_take_while(lines, "|"))
        elif not lines[0].strip() or lines[0].startswith("#"):
            yield from _wrap(_show_links(lines.pop(0)))
        else:
            yield from _format_paragraph(_take_paragraph(lines))


def _take_code(lines: list[str]) -> list[str]:
    """The lines within a fence, which is taken off with them."""
    lines.pop(0)
    taken = []
    while lines and not lines[0].lstrip().startswith("```"):
        taken.append(lines.pop(0))
    del lines[:1]
    return taken


def _take_while(lines: list[str], start: str) -> list[str]:
    taken = []
    while lines and lines[0].startswith(start):
        taken.append(lines.pop(0))
    return taken


def _take_paragraph(lines: list[str]) -> list[str]:
    """The first line and those that continue it: neither blank nor the begin of something else."""
    taken = [lines.pop(0)]
    while (
        lines and lines[0].strip() and not lines[0].lstrip().startswith(("|", "#", "```")) and not ITEM.match(lines[0])
    ):
        taken.append(lines.pop(0))
    return taken


def _format_code(lines: Sequence[str]) -> Iterator[str]:
    """As it stands, four columns in; what is longer goes on below, further in, and a command as a shell takes it."""
    for line in lines:
        margin = 4 + len(line) - len(line.lstrip())
        indent, deeper = " " * margin, " " * min(margin + 4, WIDTH // 2)
        *broken, last = _wrap(line.strip(), indent, deeper, WIDTH - 2 if line.startswith("$ ") else WIDTH)
        ending = " \\" if line.startswith("$ ") else ""
        yield from (f"{part}{ending}" for part in broken)
        yield last


def _format_table(rows: Sequence[str]) -> Iterator[str]:
    """Each row as its first cell, and below it the other cells that are not blank, by their column."""
    cells = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    columns, *body = cells[:1] + cells[2:]
    for first, *others in body:
        yield from _wrap(_show_links(first), "- ", "  ")
        for column, cell in zip(columns[1:], others, strict=False):
            if cell:
                named = f"{column}: {_show_links(cell)}" if len(columns) > 2 and column else _show_links(cell)
                yield from _wrap(named, "    ", "      ")


def _format_paragraph(lines: Sequence[str]) -> Iterator[str]:
    item = ITEM.match(lines[0])
    indent = item[1] if item else " " * (len(lines[0]) - len(lines[0].lstrip()))
    deeper = indent + " " * len(item[2] + " ") if item else indent
    text = _show_links(" ".join(line.strip() for line in lines))
    yield from _wrap(text, indent, deeper)


def _show_links(text: str) -> str:
    """Links to pages as their topics, all others as they are; within a page as their text alone."""

    def show(link: re.Match[str]) -> str:
        page = link[2].partition("#")[0]
        if not page.endswith(".md"):
            return f"{link[1]} ({page.rpartition('/')[2]})" if page else link[1]
        topic = page.rpartition("/")[2].removesuffix(".md").lower()
        # The README of the repository does not travel with the package; the index says the same.
        command = f"neuropress docs {'index' if topic == 'readme' else topic}"
        return f"`{command}`" if link[1].endswith(".md") else f"{link[1]} ({command})"

    return LINK.sub(show, text)
