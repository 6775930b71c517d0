"""Where ``neuropress.toml`` says that tables are kept."""

from __future__ import annotations

import codecs
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..model.finding import problem
from .fixes import FILE as FIXES
from .raw import TableSource, TableSources

_NO_ENCODING = ("idna", "punycode", "unicode-escape", "unicode_escape", "raw-unicode-escape", "raw_unicode_escape")


def parse_table_sources(root: Path, entries: Any, path: Path) -> TableSources:
    """The ``[tables]`` entry, or each of the ``[[tables]]``, of the file at `path`.

    Raises
    ------
    Problem
        ``dataset.config``: an entry is not known, is no text, or names a source a second time.
    """
    entries = entries if isinstance(entries, list) and entries else [entries or {}]
    sources = tuple(_parse_table_source(root, entry, path) for entry in entries)
    if len(sources) > 1:
        sources = tuple(replace(one, label=_label_source(one, root)) for one in sources)
        labels = [one.label for one in sources]
        if twice := next((label for label in labels if labels.count(label) > 1), None):
            raise problem("dataset.config", f"{path}: [[tables]] {twice} is there twice", file=str(path))
    return TableSources(sources, str(root / FIXES))


def _label_source(source: TableSource, root: Path) -> str:
    """What a source goes by in messages: its path as seen from the dataset, or its address."""
    if "://" in source.location:
        return source.display_name + (f"/{source.schema}" if source.schema != "public" else "")
    return Path(os.path.relpath(source.location, root)).as_posix()


def _parse_table_source(root: Path, entry: Any, path: Path) -> TableSource:
    """One place of tables; a location that is no URL starts at the dataset folder."""
    known = {"source", "encoding", "delimiter", "schema"}
    if not isinstance(entry, dict):
        raise problem("dataset.config", f"{path}: [[tables]] must be tables of entries", file=str(path))
    wrong = next((k for k, v in entry.items() if k not in known or not isinstance(v, str)), None)
    if wrong:
        raise problem(
            "dataset.config", f"{path}: [tables] {wrong} is none of {', '.join(sorted(known))}", file=str(path)
        )
    options = {k: v for k, v in entry.items() if k != "source"}
    delimiter = options.get("delimiter", ",")
    if len(delimiter) != 1 or delimiter in ' "\r\n' or delimiter.isalnum():
        message = f"{path}: [tables] delimiter must be one character, no letter, digit, space or quote: {delimiter!r}"
        raise problem("dataset.config", message, file=str(path))
    location = entry.get("source", "tables")
    if "encoding" in options:
        try:
            "a".encode(options["encoding"])
            if codecs.lookup(options["encoding"]).name in _NO_ENCODING:
                raise LookupError(f"{options['encoding']} is not how texts are stored")
        except (LookupError, ValueError) as error:
            raise problem("dataset.config", f"{path}: [tables] encoding: {error}", file=str(path)) from error
    return TableSource(location if "://" in location else str(root / location), **options)
