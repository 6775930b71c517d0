"""The part of a release that holds one lab's metadata: all that its results can be made from again, but the raw files.

A part is a folder asset, ``dataset/<initials>``::

    part.json              lab, profile, settings, and key and columns of each table
    tables/<table>.csv     the lab's rows as they were typed, private cells blank; no file where it has none
    applied_fixes.csv      the signed fixes of these rows
    waivers.csv            what somebody answers for
    profile.json           texts of the profile's files, its schemas and its own mappings, by path
    rules.json             texts of the mappings that neuropress shipped when it was published, by name

Rows whose key names no lab are in the part `NOBODY`. A lab is thus the unit of what may be
published, inherited or withheld.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from ..checks.waivers import FILE as WAIVERS
from ..config import DATASET_ENTRIES, Config
from ..model.finding import problem
from ..model.key_patterns import matches_key
from ..model.labels import LabelFile
from ..model.parsing import parse_toml
from ..model.plan import SourceRow, canonical
from ..model.profile import BY_PATHS, PACKAGE_PROFILES, Profile, TableSpec
from ..model.record import Fix
from ..model.serial import to_json
from ..model.waiver import Waiver
from ..planning.records import raw_rows
from ..release.assets import FileDigest, format_manifest
from ..tables import FIXES, RawParts, normalise_key
from ..tables.canonical import format_canonical_csv, parse_canonical_csv
from ..tables.fixes import FixLine, format_fixes

NOBODY = "none"
FOLDER = "dataset"
KIND = "dataset"
ABOUT = "part.json"
PROFILE = "profile.json"
RULES = "rules.json"
FORMAT = 1

type Files = Mapping[str, bytes]
"""Path below the part -> bytes."""


type SignedFixes = Mapping[tuple[str, str], Mapping[str, Fix]]
"""Table and text of the row's key cell -> column -> fix."""


def make_part_name(lab: str) -> str:
    """Logical name of a lab's part."""
    return f"{FOLDER}/{lab}"


@dataclass(frozen=True, slots=True)
class PartTable:
    """One table of a part: its key column, its layout, and its rows with the signed fixes laid over them."""

    key: str
    columns: tuple[str, ...]
    optional: tuple[str, ...]
    rows: tuple[SourceRow, ...] = ()

    @property
    def spec(self) -> TableSpec:
        """As much of the table's specification as its canonical form needs."""
        return TableSpec("", self.key, "", self.columns, optional=self.optional)


@dataclass(frozen=True, slots=True)
class Part:
    """One lab's part: what ``part.json`` says, its tables, its other files as they are."""

    lab: str
    settings: Mapping[str, Any]
    tables: Mapping[str, PartTable]
    others: Files = field(default_factory=dict)

    def to_files(self) -> Files:
        """The part as files."""
        layouts = {
            name: {"key": table.key, "columns": list(table.columns), "optional": list(table.optional)}
            for name, table in self.tables.items()
        }
        about = {"format": FORMAT, "lab": self.lab, "settings": self.settings, "tables": layouts}
        files = {ABOUT: f"{canonical(about)}\n".encode("ascii"), **self.others}
        for name, table in self.tables.items():
            if table.rows:
                files[f"tables/{name}.csv"] = format_canonical_csv(table.spec, table.rows, ordered=True).encode()
        fixes = [line for name, table in self.tables.items() for line in _list_fix_lines(name, table)]
        if fixes:
            files[FIXES] = format_fixes(fixes).encode()
        return files

    @property
    def sha256(self) -> str:
        """Digest of the part's files, as the release states it."""
        digests = [
            FileDigest(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in self.to_files().items()
        ]
        return hashlib.sha256(format_manifest(digests)).hexdigest()

    @classmethod
    def from_files(cls, files: Files, place: str) -> Part:
        """The reverse of `to_files`.

        Raises
        ------
        Problem
            ``release.unreadable``.
        """
        try:
            about = json.loads(files[ABOUT])
            if about["format"] != FORMAT:
                raise ValueError(f"it has format {about['format']}, this version reads {FORMAT}")
            signed = _parse_signed_fixes(files.get(FIXES, b""))
            tables = {name: _parse_table(name, layout, files, signed) for name, layout in about["tables"].items()}
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise problem("release.unreadable", f"{place} cannot be read: {error!r}", file=place) from error
        others = {
            path: data for path, data in files.items() if path not in (ABOUT, FIXES) and not path.startswith("tables/")
        }
        return cls(about["lab"], about["settings"], tables, others)


def _parse_table(name: str, layout: Mapping[str, Any], files: Files, signed: SignedFixes) -> PartTable:
    data = files.get(f"tables/{name}.csv")
    rows = parse_canonical_csv(data.decode())[1] if data is not None else []
    key = layout["key"]
    source_rows = []
    for cells in rows:
        typed_key = cells.get(key, "")
        # Fixes name a row by its key as it was typed, also where they correct the key itself.
        fixes = signed.get((name, typed_key), {})
        row_key = fixes[key].text if key in fixes else typed_key
        source_rows.append(SourceRow(name, row_key, cells, fixes))
    return PartTable(key, tuple(layout["columns"]), tuple(layout["optional"]), tuple(source_rows))


def _list_fix_lines(name: str, table: PartTable) -> Iterable[FixLine]:
    for row in table.rows:
        for column, fix in row.fixes.items():
            key = row.cells.get(table.key, "")
            yield FixLine("", name, key, "", column, fix.original, fix.text, fix.reason, "", fix.person)


def _parse_signed_fixes(data: bytes) -> SignedFixes:
    fixes: dict[tuple[str, str], dict[str, Fix]] = {}
    for line in csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True):
        fix = Fix(line["text"], line["fix"], line["person"], line["reason"])
        fixes.setdefault((line["table"], line["key"]), {})[line["column"]] = fix
    return fixes


def make_parts(config: Config, tables: Mapping[str, RawParts], waivers: Iterable[Waiver]) -> dict[str, Part]:
    """The parts of a dataset as its tables stand now, by lab; a lab without a row has none.

    Parameters
    ----------
    tables
        As read, with the signed fixes laid over them.
    waivers
        Those that hold.
    """
    present = {name: parts for name, parts in tables.items() if parts[0].present}
    rows: dict[str, dict[str, list[SourceRow]]] = {}
    for name, sources in present.items():
        for row in (row for table in sources for row in raw_rows(table)):
            rows.setdefault(find_lab_initials(row.key, config.profile), {}).setdefault(name, []).append(row)
    shared = {PROFILE: _format_json(_read_profile_texts(config)), RULES: _format_json(read_shipped_rules())}
    waived = list(waivers)
    parts = {}
    for lab, by_table in sorted(rows.items()):
        part_tables = {}
        for name, sources in present.items():
            spec, rows_of_table = sources[0].spec, tuple(by_table.get(name, ()))
            part_tables[name] = PartTable(spec.key, spec.columns, spec.optional, rows_of_table)
        others = dict(shared)
        own_waivers = [waiver for waiver in waived if find_waiver_lab(waiver, config.profile) in (lab, NOBODY)]
        if own_waivers:
            others[WAIVERS] = _format_waivers(own_waivers)
        parts[lab] = Part(lab, _collect_settings(config, lab, by_table), part_tables, others)
    return parts


def _format_json(texts: Mapping[str, str]) -> bytes:
    return f"{canonical(texts)}\n".encode("ascii")


def find_lab_initials(key: str, profile: Profile) -> str:
    """Initials of the lab that a row belongs to, by its key; `NOBODY` where they are those of no lab."""
    lab = profile.lab_of(key)
    return lab.initials if lab else NOBODY


def find_waiver_lab(waiver: Waiver, profile: Profile) -> str:
    """The lab of the row that a waiver is about; `NOBODY` for a whole table or a result."""
    return find_lab_initials(waiver.row.partition(".")[2], profile)


def _collect_settings(config: Config, lab: str, rows: Mapping[str, list[SourceRow]]) -> dict[str, Any]:
    """What ``neuropress.toml`` says that results depend on; options of this lab's raw objects only."""
    texts = {text for table in rows.values() for row in table for text in row.cells.values()}
    labels = {
        volume: files
        for volume, files in config.profile.labels.items()
        if any(matches_key(volume, row.key) for table in rows.values() for row in table)
    }
    paths = {path for files in labels.values() for one in files for path in (one.path, one.classes)}
    keys = {normalise_key(text, config.profile) for text in texts | paths}
    settings = {
        "profile": {"name": config.profile.name, "version": config.profile.version},
        "dataset": _describe_dataset(config.profile),
        "labs": {name: dict(entry) for name, entry in config.profile.local.items() if name == lab},
        "options": {
            key: to_json(entry) for key, entry in config.options.items() if any(matches_key(key, text) for text in keys)
        },
    }
    named = texts | {config.profile.contact}
    lists = {"funding": config.profile.funding, "related": config.profile.related}
    lists["people"] = tuple(person for person in config.people if named & {person.name, *person.typed})
    settings |= {name: to_json(entries) for name, entries in lists.items() if entries}
    settings |= _collect_labels(labels)
    row_keys = [row.key for table in rows.values() for row in table]
    images = {
        row: to_json(one) for row, one in config.profile.images.items() if any(matches_key(row, k) for k in row_keys)
    }
    settings |= {"images": images} if images else {}
    if config.profile.split:
        settings["split"] = dict(config.profile.split)
    if config.profile.names != BY_PATHS:
        settings["names"] = config.profile.names
    settings |= config.profile.packing.list_stated()
    return settings


def _collect_labels(labels: Mapping[str, Iterable[LabelFile]]) -> dict[str, Any]:
    """``[labels]`` and ``[points]`` as ``neuropress.toml`` has them."""
    sections: dict[str, Any] = {}
    for volume, files in labels.items():
        for one in files:
            sections.setdefault(one.section, {}).setdefault(volume, {})[one.name] = one.make_entry()
    return sections


def _describe_dataset(profile: Profile) -> dict[str, str]:
    """The entries ``[dataset]``; of those that a release did not have once, what is stated."""
    later = {name: getattr(profile, name) for name in DATASET_ENTRIES}
    return {"title": profile.title, "license": profile.license} | {name: text for name, text in later.items() if text}


def _read_profile_texts(config: Config) -> dict[str, str]:
    """The profile with those that it extends, its schemas and its own mappings, by path beside the profile."""
    texts: dict[str, str] = {}
    name = config.profile.name
    while name and f"{name}.toml" not in texts:
        own = config.root / f"{name}.toml"
        texts[f"{name}.toml"] = own.read_text("utf-8") if own.is_file() else read_shipped_profile(name)
        name = parse_toml(texts[f"{name}.toml"]).get("extends", "")
    for table, spec in config.profile.tables.items():
        texts[f"schemas/{table}.schema.json"] = spec.schema or read_shipped_schema(table)
    return texts | {f"mappings/{name}.toml": text for name, text in config.profile.mappings.items()}


def read_shipped_profile(name: str) -> str:
    """Text of a profile as it is shipped; empty when none of this name is."""
    file = resources.files(PACKAGE_PROFILES).joinpath(f"{name}.toml")
    return file.read_text("utf-8") if file.is_file() else ""


def read_shipped_schema(table: str) -> str:
    """A table's schema as it is shipped; empty when there is none."""
    file = resources.files("neuropress.data.schemas").joinpath(f"{table}.schema.json")
    return file.read_text("utf-8") if file.is_file() else ""


def read_shipped_rules() -> dict[str, str]:
    """Texts of all shipped mappings by file name."""
    folder = resources.files("neuropress.data.mappings")
    return {item.name: item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".toml")}


def _format_waivers(waivers: Iterable[Waiver]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("finding", "row", "reason", "person", "expiry"))
    for waiver in waivers:
        writer.writerow((waiver.finding, waiver.row, waiver.reason, waiver.person, waiver.expiry))
    return buffer.getvalue().encode()


def merge_rows(before: Part | None, now: Part, chosen: set[tuple[str, str]]) -> Part:
    """A part in which only some rows are as they are now; the others stay as they were published.

    Parameters
    ----------
    chosen
        (table, key) of the rows that are published anew.
    """
    if before is None:
        before = Part(now.lab, {}, {})
    merged = {}
    for name in {**before.tables, **now.tables}:
        layout = now.tables.get(name) or before.tables[name]
        old = before.tables[name].rows if name in before.tables else ()
        current = now.tables[name].rows if name in now.tables else ()
        new = {row.key: row for row in current if (name, row.key) in chosen}
        # A published row keeps its place, as it is now if it was chosen; a chosen one that is gone is left out.
        kept = [new.pop(row.key, row) for row in old if (name, row.key) not in chosen or row.key in new]
        rows = (*kept, *new.values())
        merged[name] = PartTable(layout.key, layout.columns, layout.optional, rows)
    return Part(now.lab, now.settings, merged, now.others)
