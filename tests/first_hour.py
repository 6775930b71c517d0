"""``python tests/first_hour.py``: docs/first-hour.md followed in a fresh clone and environment, counted and timed."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from doc_pages import DOCS, Block, add_lines, make_raw_files, parse_blocks, type_cells

PAGE = DOCS / "first-hour.md"
TABLE = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- end -->)", re.S)
INSTALL = "Installing, and the demonstration"
SHORTENED = re.compile(r" \| (head|tail) -\d+$")


@dataclass(frozen=True)
class Task:
    """One section of the page, and what is typed in it."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def commands(self) -> list[str]:
        """As a person types them."""
        shown = [command for block in self.blocks if block.kind == "console" for command, _, _ in block.commands()]
        return [SHORTENED.sub("", command) for command in shown]

    @property
    def cells(self) -> list[str]:
        """The cells that a person types: all but the keys, which stand there."""
        tables = [list(csv.DictReader(block.lines)) for block in self.blocks if block.kind == "csv"]
        return [cell for table in tables for row in table for cell in list(row.values())[1:]]

    @property
    def keystrokes(self) -> int:
        """Of commands and settings with Enter, and of cells."""
        settings = [line for block in self.blocks if block.kind == "toml" for line in block.lines]
        return sum(len(line) + 1 for line in (*self.commands, *settings)) + sum(map(len, self.cells))


def list_tasks() -> list[Task]:
    """The sections of the page that hold commands."""
    parts = re.split(r"^## (.*)\n", PAGE.read_text("utf-8"), flags=re.M)
    tasks = (Task(title, tuple(parse_blocks(body))) for title, body in zip(parts[1::2], parts[2::2], strict=True))
    return [task for task in tasks if task.blocks]


def format_row(task: Task, seconds: str) -> str:
    """One line of the page's table."""
    return f"| {task.title} | {len(task.commands)} | {task.keystrokes} | {len(task.cells)} | {seconds} |"


def main() -> None:
    """Clone, install by the README's line, do every task, and write the table into the page."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        subprocess.run(["git", "clone", "-q", str(DOCS.parent), "clone"], check=True)
        lines = Path("clone/README.md").read_text("utf-8").splitlines()
        install = next(line for line in lines if line.endswith("&& neuropress demo"))
        rows = [f"| {INSTALL} | 1 | {len(install) + 1} | 0 | {_time(install, 'clone'):.0f} |"]
        make_raw_files(Path(scratch))
        rows += [format_row(task, f"{sum(_follow(task)):.0f}") for task in list_tasks()]
    head = "| task | commands | keystrokes | cells typed | seconds |\n|---|---|---|---|---|\n"
    PAGE.write_text(TABLE.sub(head + "\n".join(rows) + "\n", PAGE.read_text("utf-8")), "utf-8")
    print("\n".join(rows))


def _follow(task: Task) -> Iterator[float]:
    """Do what the section says, in its order; yields the seconds of every command."""
    for block in task.blocks:
        if block.kind == "csv":
            type_cells(block)
        elif block.kind == "toml":
            add_lines(block)
        elif block.kind == "console":
            for command, _, _ in block.commands():
                yield _time(f". clone/.venv/bin/activate && {SHORTENED.sub('', command)}", ".")


def _time(command: str, folder: str) -> float:
    begun = perf_counter()
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run(["bash", "-c", command], cwd=folder, env=plain, check=True, stdout=sys.stderr)
    return perf_counter() - begun


if __name__ == "__main__":
    main()
