"""Everything that belongs to one consortium and not to neuropress: data only."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from .serial import from_json

PACKAGE_PROFILES = "neuropress.profiles"


@dataclass(frozen=True, slots=True)
class Lab:
    """One lab: `initials` begin its keys, `folder` is the first level of its paths."""

    initials: str
    name: str
    folder: str
    institution: str
    timezone: str
    overrides: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table of the profile.

    Attributes
    ----------
    name, key, prefix
        Table name, primary key column, token between the underscores of its keys.
    labs
        Initials of the labs that may own rows.
    columns
        All columns in published order.
    foreign
        Foreign key column -> tables it may point to.
    paths
        Path column -> versions (fourth level of the key) that it may name.
    private
        Columns that never leave the house.
    optional
        Columns that a table file may have in addition.
    """

    name: str
    key: str
    prefix: str
    labs: tuple[str, ...]
    columns: tuple[str, ...]
    foreign: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    private: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """How a name in a table is written in standards: ``Last, First`` and, if known, ORCID."""

    name: str
    formal: str
    orcid: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """A consortium's labs, tables, defaults and layout.

    `defaults` are dataset defaults (``species``, ``region``); every value taken from
    them is marked "default" in the result. A lab's `overrides` come before them.
    `coverage` promises: kind of result -> columns (``mouse.weight``) that reach a field of
    the standard in every result that carries their row.
    """

    name: str
    version: str
    title: str
    license: str
    labs: Mapping[str, Lab]
    tables: Mapping[str, TableSpec]
    defaults: Mapping[str, str]
    buckets: tuple[str, ...] = ()
    people: Mapping[str, Person] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    coverage: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def lab_of(self, key: str) -> Lab | None:
        """The lab that owns a key; None for initials that no lab has."""
        return self.labs.get(key.split("_", 1)[0])

    def default(self, name: str, lab: Lab | None) -> str | None:
        """A dataset default, the lab's own first."""
        own = lab.overrides.get(name) if lab else None
        return own if own is not None else self.defaults.get(name)


def load_profile(name: str, folder: Path | None = None) -> Profile:
    """Load a profile by its name, or from ``<name>.toml`` in `folder`.

    Raises
    ------
    FileNotFoundError
        No profile of this name is shipped or lies in the folder.
    TypeError
        The file has unknown, missing or wrongly typed entries.
    """
    own = folder / f"{name}.toml" if folder else None
    if own and own.is_file():
        text = own.read_text("utf-8")
    else:
        text = files(PACKAGE_PROFILES).joinpath(f"{name}.toml").read_text("utf-8")
    return from_json(Profile, _with_names(tomllib.loads(text)))


def _with_names(data: dict[str, Any]) -> dict[str, Any]:
    """Fill in what the TOML table names already say."""
    for initials, lab in data.get("labs", {}).items():
        lab.setdefault("initials", initials)
    for name, table in data.get("tables", {}).items():
        table.setdefault("name", name)
    for name, person in data.get("people", {}).items():
        person.setdefault("name", name)
    return data
