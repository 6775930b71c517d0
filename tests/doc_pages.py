"""Pages whose commands and snippets are run, in order, in a folder of their own.

A page holds fenced blocks. ``console``: lines ``$ command`` and below each what it prints. ``python``: is run, in one
namespace a page; the ``text`` block right below it is what it prints. ``csv title="FILE"``: cells that a person types
into the rows of that table, found by the first column. ``toml title="FILE"``: lines that a person adds to that file, below
their heading.
A comment ``<!-- status 1 -->`` above a block says that its last command ends so.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from neuropress.cli.demo_data import make_movie, make_recording, make_stack
from neuropress.cli.main import main

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = ("start/lab-member.md", "start/data-manager.md", "start/programmer.md", "first-hour.md")
KINDS = ("console", "python", "text", "csv", "toml")
FENCE = re.compile(r'```(\w+)(?: title="([^"]+)")?$')
STATUS = re.compile(r"<!-- status (\d+) -->$")
DIGEST = re.compile(r"\b[0-9a-f]{32,}\b")
SECONDS = re.compile(r"\b\d+(\.\d+)?(?= s\b)")
SIZE = re.compile(r"\b\d+(?= bytes\b(?! equal))")
"""Sizes of files are shown and not compared: they hang on compression libraries. Bytes that were compared are."""
ANYTHING = "..."


@dataclass(frozen=True)
class Block:
    """One fenced block; `start` and `stop` are the lines of its text in the page."""

    kind: str
    title: str
    status: int
    start: int
    lines: tuple[str, ...]

    @property
    def stop(self) -> int:
        return self.start + len(self.lines)

    def commands(self) -> Iterator[tuple[str, list[str], list[str]]]:
        """Every command of a console block: joined, as its lines stand, and what is printed below it."""
        lines = list(self.lines)
        while lines:
            shown = [lines.pop(0)]
            assert shown[0].startswith("$ "), f"{shown[0]!r} stands below no command"
            while shown[-1].endswith("\\"):
                shown.append(lines.pop(0))
            printed = []
            while lines and not lines[0].startswith("$ "):
                printed.append(lines.pop(0))
            yield " ".join(line.removesuffix("\\").strip() for line in shown)[2:], shown, printed


def parse_blocks(text: str) -> list[Block]:
    """The fenced blocks of a page, from top to bottom."""
    found, lines, number = [], text.splitlines(), 0
    while number < len(lines):
        if opened := FENCE.match(lines[number]):
            stop = lines.index("```", number + 1)
            status = STATUS.match(lines[number - 1]) if number else None
            body = tuple(lines[number + 1 : stop])
            found.append(Block(opened[1], opened[2] or "", int(status[1]) if status else 0, number + 1, body))
            number = stop
        number += 1
    return found


def make_raw_files(folder: Path) -> None:
    """What the pages call somebody's own files."""
    make_recording(folder / "cell1.abf")
    make_movie(folder / "movie.tif")
    with tempfile.TemporaryDirectory() as slices:
        make_stack(Path(slices))
        pixels = np.stack([tifffile.imread(path) for path in sorted(Path(slices).iterdir())])
    metadata = {"axes": "ZYX", "spacing": 0.03, "unit": "um"}
    tifffile.imwrite(folder / "stack.tif", pixels, imagej=True, resolution=(250, 250), metadata=metadata)


def mask_varying(text: str, folder: Path) -> list[str]:
    """The printed lines, with ``...`` for what differs from run to run."""
    text = text.replace(str(folder.resolve()), ANYTHING).replace(str(folder), ANYTHING)
    return [SECONDS.sub(ANYTHING, DIGEST.sub(ANYTHING, line)).rstrip() for line in text.splitlines()]


def is_as_shown(shown: list[str], printed: list[str]) -> bool:
    """Whether every line is the one that the page shows; ``...`` stands for anything within a line."""
    if len(shown) != len(printed):
        return False
    patterns = (".*".join(map(re.escape, SIZE.sub("0", line).split(ANYTHING))) for line in shown)
    return all(re.fullmatch(pattern, SIZE.sub("0", line)) for pattern, line in zip(patterns, printed, strict=True))


def run_command(command: str) -> tuple[int, str]:
    """Run one command of a console block; returns its exit status and what it prints."""
    command, _, target = command.partition(" > ")
    words, *pipes = (shlex.split(part) for part in command.split(" | "))
    assert words[0] == "neuropress", command
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            status = main(words[1:])
        except SystemExit as ended:
            status = int(ended.code or 0)
    lines = printed.getvalue().splitlines(keepends=True)
    for name, count in pipes:
        assert name in ("head", "tail"), command
        lines = lines[: -int(count)] if name == "head" else lines[int(count) :]
    if target:
        Path(target.strip()).write_text("".join(lines), "utf-8")
    return status, "" if target else "".join(lines)


def type_cells(block: Block) -> None:
    """Type the cells of a csv block into the rows of its file; a row whose first cell is not there is added."""
    path = Path(block.title)
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), list(reader.fieldnames or ())
    for typed in csv.DictReader(block.lines):
        key = next(iter(typed))
        assert set(typed) <= set(columns), f"{path} has no column {set(typed) - set(columns)}"
        row = next((row for row in rows if row[key] == typed[key]), None)
        if row is None:
            rows.append(row := dict.fromkeys(columns, ""))
        row |= typed
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def add_lines(block: Block) -> None:
    """Write the lines of a toml block at the end of its file, or below their heading where that is there already."""
    path = Path(block.title)
    lines = path.read_text("utf-8").splitlines()
    heading, *below = block.lines
    place = lines.index(heading) + 1 if heading in lines else len(lines)
    lines[place:place] = below if heading in lines else ["", *block.lines]
    path.write_text("\n".join(lines) + "\n", "utf-8")


class Page:
    """One page while it runs: what is typed, and what came out."""

    def __init__(self, name: str, folder: Path) -> None:
        self.path, self.folder = DOCS / name, folder
        self.text = self.path.read_text("utf-8")
        self.blocks = parse_blocks(self.text)
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.wrong: list[str] = []
        self._lines: list[str] = self.text.splitlines()
        self._moved = 0

    def run(self) -> str:
        """Run all blocks in the current folder; returns the page with what they really print."""
        following = [*self.blocks[1:], None]
        for block, below in zip(self.blocks, following, strict=True):
            if block.kind == "console":
                self._replace(block, self._run_console(block))
            elif block.kind == "csv":
                type_cells(block)
            elif block.kind == "toml":
                add_lines(block)
            elif block.kind == "python":
                printed = self._run_python(block)
                if below and below.kind == "text":
                    self._replace(below, self._compare("\n".join(block.lines), list(below.lines), printed))
                elif printed:
                    self.wrong.append(f"python prints, and no text block follows: {printed}")
        return "\n".join(self._lines) + "\n"

    def _replace(self, block: Block, lines: list[str]) -> None:
        self._lines[block.start + self._moved : block.stop + self._moved] = lines
        self._moved += len(lines) - len(block.lines)

    def _compare(self, what: str, shown: list[str], printed: list[str]) -> list[str]:
        if is_as_shown(shown, printed):
            return shown
        self.wrong.append(f"{what}\nprints now:\n" + "\n".join(printed))
        return printed

    def _run_console(self, block: Block) -> list[str]:
        lines = []
        every = list(block.commands())
        for number, (command, typed, shown) in enumerate(every, 1):
            status, printed = run_command(command)
            expected = block.status if number == len(every) else 0
            if status != expected:
                self.wrong.append(f"{command}\nends with {status}, not {expected}:\n{printed}")
            lines += [*typed, *self._compare(command, shown, mask_varying(printed, self.folder))]
        return lines

    def _run_python(self, block: Block) -> list[str]:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n".join(block.lines), self.path.name, "exec"), self.names)
        return mask_varying(printed.getvalue(), self.folder)


def is_writing() -> bool:
    """Whether pages are rewritten from what their blocks really print."""
    return os.environ.get("NEUROPRESS_DOCS") == "write"
