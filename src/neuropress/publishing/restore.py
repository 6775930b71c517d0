"""A dataset again from the labs' parts of a release: tables, fixes, waivers, profile and settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..checks.waivers import FILE as WAIVERS
from ..config import DATASET_ENTRIES, FILE
from ..model.finding import Finding, finding, problem
from ..model.labels import ENTRIES
from ..model.packing import PACKING
from ..model.plan import canonical
from ..model.source import check_key
from ..model.toml import format_toml_text, format_toml_value
from ..storage.state import write_atomic
from ..tables import FIXES
from ..tables.canonical import format_canonical_csv
from .parts import PROFILE, RULES, Part, PartTable, read_shipped_profile, read_shipped_rules, read_shipped_schema


def restore_dataset(parts: Mapping[str, Part], folder: Path, lab: str) -> list[Finding]:
    """Write a dataset that holds the rows of all parts, with the profile and the rules of one lab's part.

    Raw files and results are not among it.

    Returns
    -------
    list of Finding
        ``release.other_rules``: neuropress now has other mappings than those that the part was published with.

    Raises
    ------
    Problem
        ``release.unreadable``: a part is damaged.
    """
    chosen = parts[lab]
    try:
        texts = _parse_texts(chosen, PROFILE)
        rules = _parse_texts(chosen, RULES)
        settings = _format_settings(parts.values(), chosen)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise problem("release.unreadable", f"the part of {lab} cannot be read: {error!r}", value=lab) from error
    for path, text in texts.items():
        check_key(path)
        if not _is_shipped(path, text):
            write_atomic(folder / path, text)
    merged = Part(lab, {}, _merge_tables(parts.values()), {})
    fixes = merged.to_files().get(FIXES)
    if fixes is not None:
        write_atomic(folder / FIXES, fixes.decode())
    for name, table in merged.tables.items():  # also those without a row, which a part has no file for
        write_atomic(folder / "tables" / f"{name}.csv", format_canonical_csv(table.spec, table.rows, ordered=True))
    # Each line once: the header, and waivers of no lab, are in the parts of all.
    waivers = dict.fromkeys(line for part in parts.values() for line in _list_waiver_lines(part))
    if waivers:
        write_atomic(folder / WAIVERS, "".join(f"{line}\n" for line in waivers))
    write_atomic(folder / FILE, settings)
    return list(_compare_rules(rules))


def _parse_texts(part: Part, name: str) -> Mapping[str, str]:
    data: dict[str, str] = json.loads(part.others[name])
    if not all(isinstance(text, str) for text in data.values()):
        raise TypeError(f"{name} holds something that is no text")
    return data


def _is_shipped(path: str, text: str) -> bool:
    """Whether neuropress has the file as it is, so that it need not lie beside the dataset."""
    folder, _, name = path.rpartition("/")
    if folder == "schemas":
        return text in ("", read_shipped_schema(name.removesuffix(".schema.json")))
    return not folder and text == read_shipped_profile(name.removesuffix(".toml"))


def _merge_tables(parts: Iterable[Part]) -> dict[str, PartTable]:
    merged: dict[str, PartTable] = {}
    for part in parts:
        for name, table in part.tables.items():
            known = merged.get(name, table)
            rows = (*known.rows, *table.rows) if name in merged else table.rows
            merged[name] = PartTable(known.key, known.columns, known.optional, rows)
    return merged


def _list_waiver_lines(part: Part) -> list[str]:
    return part.others.get(WAIVERS, b"").decode().splitlines()


def _compare_rules(rules: Mapping[str, str]) -> Iterator[Finding]:
    now = read_shipped_rules()
    for name in sorted({**rules, **now}):
        if rules.get(name) != now.get(name):
            message = f"mappings/{name} is not the one that the release was made with"
            yield finding("release.other_rules", message, value=name)


def _format_settings(parts: Iterable[Part], chosen: Part) -> str:
    """``neuropress.toml``: the profile of the chosen part, the settings of all labs and raw files."""
    profile = chosen.settings["profile"]
    labs: dict[str, Any] = {}
    options: dict[str, Any] = {}
    flat: dict[str, dict[str, Any]] = {"split": {}, "images": {}}
    beside: dict[tuple[str, str], dict[str, Any]] = {}
    about = chosen.settings.get("dataset", {})
    lists: dict[str, dict[str, dict[str, Any]]] = {"people": {}, "funding": {}, "related": {}}
    for part in parts:
        for name, entries in lists.items():
            for entry in part.settings.get(name, []):
                entries[entry["name"] if name == "people" else canonical(entry)] = entry
        for name, known in flat.items():
            known |= part.settings.get(name, {})
        beside |= {(name, volume): one for name in ENTRIES for volume, one in part.settings.get(name, {}).items()}
        labs |= part.settings["labs"]
        options |= part.settings["options"]
    lines = [
        "# Written from a release.",
        f"profile = {format_toml_text(profile['name'])}",
        f"profile_version = {format_toml_text(profile['version'])}",
        "",
        "[source]",
        'roots = ["source"]',
    ]
    if about:
        lines += [
            "",
            "[dataset]",
            *(f"{name} = {format_toml_text(about[name])}" for name in DATASET_ENTRIES if name in about),
        ]
    if output := {name: chosen.settings[name] for name in ("names", *PACKING) if name in chosen.settings}:
        lines += ["", "[output]", *(f"{name} = {format_toml_value(value)}" for name, value in output.items())]
    for table, known in flat.items():
        lines += ["", f"[{table}]"] if known else []
        lines += [f"{format_toml_text(name)} = {format_toml_value(value)}" for name, value in known.items()]
    for table, entries in (("labs", labs), ("options", options)):
        for name, values in entries.items():
            lines += ["", f"[{table}.{format_toml_text(name)}]"]
            lines += [f"{format_toml_text(key)} = {format_toml_value(value)}" for key, value in values.items()]
    for (section, volume), files in beside.items():
        for name, values in files.items():
            lines += ["", f"[{section}.{format_toml_text(volume)}.{format_toml_text(name)}]"]
            lines += [f"{format_toml_text(key)} = {format_toml_value(value)}" for key, value in values.items()]
    for name, entries in lists.items():
        for entry in entries.values():
            lines += ["", f"[[{name}]]"]
            lines += [f"{format_toml_text(key)} = {format_toml_value(value)}" for key, value in entry.items()]
    return "\n".join(lines) + "\n"
