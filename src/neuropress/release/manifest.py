"""The release manifest and release numbers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from ..model.finding import Problem, problem
from ..model.parsing import parse_json
from ..model.plan import canonical
from ..model.serial import from_json, to_json
from ..model.source import check_key
from ..storage.store import Store

FORMAT = 1
FOLDER = "releases"
LATEST = f"{FOLDER}/latest.json"
_SEMANTIC = re.compile(r"(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
# A year is never a major version, so that no text is both.
_CALENDAR = re.compile(r"(2[0-9]{3})\.([0-9]{2})\.([0-9]{2})")


@dataclass(frozen=True, slots=True)
class AssetEntry:
    """Where an asset lies and what it is.

    Attributes
    ----------
    key
        Physical key below the URL; a folder asset's files lie below it.
    size, files
        Bytes and number of files.
    sha256
        Of the file; for a folder, of its manifest.
    manifest
        Key of the folder's manifest (JSON Lines: path, size, sha256); None for a file.
    provenance
        Labs and sessions that the asset is from, and what other libraries made of its raw files (``independent``), as
        the publisher stated them.
    """

    key: str
    kind: str
    size: int
    files: int
    sha256: str
    manifest: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parent:
    """The release before this one, by number and by the SHA-256 of its manifest's bytes."""

    number: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Release:
    """A committed release: ``releases/<number>.json``. `assets` maps logical names to entries."""

    number: str
    title: str
    license: str
    assets: Mapping[str, AssetEntry]
    parent: Parent | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def key(self) -> str:
        """Key of the release manifest."""
        return f"{FOLDER}/{self.number}.json"

    @property
    def sha256(self) -> str:
        """Digest of the manifest's bytes, by which a later release names its parent."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Canonical JSON and a line end."""
        return f"{canonical(to_json(self))}\n".encode("ascii")

    def has_same_content(self, other: Release) -> bool:
        """Whether two releases have the same content, wherever it lies and whatever came before."""
        return self._strip_keys() == other._strip_keys()

    def _strip_keys(self) -> Release:
        assets = {name: replace(entry, key="") for name, entry in self.assets.items()}
        return replace(self, parent=None, assets=assets)

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Release:
        """The reverse of `to_bytes`.

        Raises
        ------
        Problem
            ``release.unreadable``: damaged, or written by a newer version.
        """
        try:
            document = parse_json(data)
            if document["format"] != FORMAT:
                raise ValueError(f"it has format {document['format']}, this version reads {FORMAT}")
            parent = document.pop("parent")
            release = replace(from_json(cls, document), parent=from_json(Parent, parent) if parent else None)
            if release.to_bytes() != data:
                raise ValueError("its bytes are not as neuropress wrote them")
            for name, entry in release.assets.items():
                _check_entry(name, entry)
        except (Problem, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise problem("release.unreadable", f"{where} is no readable release: {error}", file=where) from error
        return release


def _check_entry(name: str, entry: AssetEntry) -> None:
    """Refuse what would lead out of the store's folder, or out of where assets are put: whoever wrote it."""
    check_key(name)
    check_key(entry.key)
    if entry.manifest not in (None, f"{FOLDER}/manifests/{entry.sha256}.jsonl"):
        raise ValueError(f"the manifest of {name} is not named by its digest")
    if not re.fullmatch("[0-9a-f]{64}", entry.sha256):
        raise ValueError(f"the digest of {name} is none")


def parse_number(number: str) -> tuple[int, int, int]:
    """A release number as an ordered triple: semantic ``1.2.3`` or calendar ``2025.06.20``.

    Raises
    ------
    Problem
        ``release.number``.
    """
    if parts := _CALENDAR.fullmatch(number):
        year, month, day = (int(part) for part in parts.groups())
        try:
            date(year, month, day)
        except ValueError:
            raise problem("release.number", f"{number} is no date of the calendar", value=number) from None
        return year, month, day
    if parts := _SEMANTIC.fullmatch(number):
        major, minor, patch = (int(part) for part in parts.groups())
        return major, minor, patch
    raise problem("release.number", f"{number!r} is no release number", value=number)


def get_next_number(newest: str) -> str:
    """The next free number after the newest release: the next patch, or the next day."""
    triple = parse_number(newest)
    if _CALENDAR.fullmatch(newest):
        return (date(*triple) + timedelta(days=1)).strftime("%Y.%m.%d")
    return f"{triple[0]}.{triple[1]}.{triple[2] + 1}"


def list_release_numbers(names: Iterable[str]) -> tuple[str, ...]:
    """The numbers among the file names of the releases folder, oldest first."""
    numbers = []
    for name in names:
        number = name.removesuffix(".json")
        if number != name:
            try:
                numbers.append((parse_number(number), number))
            except Problem:
                continue  # latest.json and what later versions may put there
    return tuple(number for _, number in sorted(numbers))


def find_newest_number(store: Store) -> str:
    """The number of the newest committed release. Raises `Problem` (``release.none``)."""
    numbers = list_release_numbers(store.list_names(FOLDER)[0])
    if not numbers:
        raise problem("release.none", f"no release has been committed at {store.url}")
    return numbers[-1]


def load_release(store: Store, number: str) -> Release | None:
    """A committed release; None when there is none of that number. Raises `Problem` (``release.number``)."""
    parse_number(number)  # a path is none, and names no file of the store
    data = store.get(f"{FOLDER}/{number}.json")
    return None if data is None else Release.from_bytes(data, f"{store.url}/{FOLDER}/{number}.json")


def format_readme(release: Release, url: str) -> str:
    """The release for people, as Markdown."""
    size = sum(entry.size for entry in release.assets.values())
    files = sum(entry.files for entry in release.assets.values())
    before = release.parent.number if release.parent else "none, this is the first"
    origin = f"`{url}`" if "://" in url else "the folder that holds `releases/`"
    notes = {name: _format_note(note) for name, note in release.notes.items()}
    lines = [
        f"# {_escape_cell(release.title) or 'Release'} {release.number}",
        "",
        f"- License: {_escape_cell(release.license)}",
        f"- Assets: {len(release.assets)} ({files} files, {size} bytes)",
        f"- Release before this one: {before}",
        f"- Manifest: `{release.key}`, SHA-256 `{release.sha256}`",
        f"- Keys are relative to {origin}",
        "",
        *(f"- {_escape_cell(str(name))}: {_escape_cell(note)}" for name, note in notes.items()),
        "",
        "| Asset | Kind | Key | Files | Bytes | SHA-256 |",
        "|---|---|---|---|---|---|",
    ]
    for name, entry in sorted(release.assets.items()):
        cells = (
            _escape_cell(name),
            entry.kind,
            f"`{_escape_cell(entry.key)}`",
            str(entry.files),
            str(entry.size),
            entry.sha256,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            *lines,
            "",
            "The SHA-256 of an asset of several files is that of its manifest",
            f"`{FOLDER}/manifests/<SHA-256>.jsonl`, which lists every file with its own SHA-256.",
            "",
        ]
    )


def _format_note(note: Any) -> str:
    """A note for people: names with their identifiers, texts as they are, all else as JSON."""
    if isinstance(note, str):
        return note
    if not isinstance(note, list) or not all(isinstance(one, dict) and "nameType" in one for one in note):
        return canonical(note)
    names = []
    for person in note:
        identifiers = [str(one.get("nameIdentifier")) for one in person.get("nameIdentifiers", [])]
        names.append(f"{person.get('name')} ({', '.join(identifiers)})" if identifiers else str(person.get("name")))
    return "; ".join(names)


def _escape_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
