"""Everything that belongs to one consortium and not to neuropress: data only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .budget import SETTING_BYTES, TABLE_COLUMNS, TOML_BYTES, read_file
from .credits import Funding, Related
from .labels import LabelFile
from .packing import Packing
from .parsing import parse_toml
from .people import Person
from .serial import SPARSE, from_json

PACKAGE_PROFILES = "neuropress.data.profiles"
GENERIC = "generic"
"""The profile of any lab, which states the limits of checks that another does not."""
MOST_EXTENDED = 8
"""Profiles that extend one another."""
BY_PATHS, BY_DANDI = "profile", "dandi"
"""How files of sessions are named: by `Profile.paths`, or as ``dandi organize`` names them."""
EACH_ROW, EVERY_CONVERTER = "{id}", "*"
"""In ``[split]``: a file for each row, and of all converters that are not named."""
_PATH_NAMES = {"lab", "date", "table", "id", "part"}
INHERITED = "..."
"""Stands in a list of a profile that `extends` another for the entries of that one."""


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
        Initials of the labs that may own rows; empty in a profile: every lab of the dataset.
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
    optional_table
        A dataset may have the table or not; `init` writes it only when asked to.
    accompanies
        A relation of this table: its rows travel, verbatim, in the results of the sessions
        that the same row stands behind (``mouse``: all sessions of that mouse).
    either
        Columns of which a row fills in exactly one, where the table file has them all.
    schema
        Text of a JSON Schema that lies beside a dataset's own profile; empty: the shipped one.
    """

    name: str
    key: str
    prefix: str
    columns: tuple[str, ...]
    labs: tuple[str, ...] = ()
    foreign: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    paths: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    private: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    optional_table: bool = False
    accompanies: str = ""
    either: tuple[str, ...] = ()
    schema: str = ""


@dataclass(frozen=True)
class Profile:
    """A consortium's labs, tables, defaults and layout.

    `defaults` are dataset defaults (``species``, ``region``), empty where only a lab may state one;
    every value taken from them is marked "default" in the result. A lab's `overrides` come before them.
    `coverage` promises: kind of result -> column (``mouse.weight``) -> mapping rules
    (``session/subject.weight``) that take it to a field of the standard. `extends` names the profile that
    this one adds to, `mappings` holds the texts of its own mapping files by name, `local`
    what ``neuropress.toml`` says in place of both, by lab. `split` names converters (``imaging``) whose rows
    of a session go into a file of their own, and the part of its name that says so (``ophys``). `names` is ``dandi``
    where files of sessions are named as ``dandi organize`` names them, else ``profile``: as `paths` says.
    `labels` are the masks that a dataset names as labels of its volumes, by key or pattern of keys; `readers`,
    likewise, the readers that it names for raw files; `images`, by key of a row, which images of its
    file are meant. `description`, `contact` (the name of one of `people`),
    `funding` and `related` are what an archive says of the whole.
    """

    name: str
    version: str
    title: str
    license: str
    labs: Mapping[str, Lab]
    tables: Mapping[str, TableSpec]
    defaults: Mapping[str, str]
    buckets: tuple[str, ...] = ()
    people: tuple[Person, ...] = ()
    limits: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    coverage: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    extends: str = ""
    mappings: Mapping[str, str] = field(default_factory=dict)
    local: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    split: Mapping[str, str] = field(default_factory=dict)
    names: str = BY_PATHS
    labels: Mapping[str, tuple[LabelFile, ...]] = field(default_factory=dict)
    packing: Packing = field(default_factory=Packing)
    readers: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, tuple[str, ...]] = field(default_factory=dict, metadata=SPARSE)
    description: str = field(default="", metadata=SPARSE)
    contact: str = field(default="", metadata=SPARSE)
    funding: tuple[Funding, ...] = field(default=(), metadata=SPARSE)
    related: tuple[Related, ...] = field(default=(), metadata=SPARSE)

    @cached_property
    def accompanied(self) -> frozenset[str]:
        """Tables whose rows others accompany."""
        specs = (spec for spec in self.tables.values() if spec.accompanies)
        return frozenset(target for spec in specs for target in spec.foreign[f"{spec.accompanies}_id"])

    def lab_of(self, key: str) -> Lab | None:
        """The lab that owns a key; None for initials that no lab has."""
        return self.labs.get(key.split("_", 1)[0])

    def default(self, name: str, lab: Lab | None) -> str | None:
        """A dataset default, the lab's own first."""
        own = lab.overrides.get(name) if lab else None
        return own if own is not None else self.defaults.get(name) or None

    def with_labs(self, labs: Mapping[str, Lab], local: Mapping[str, Mapping[str, str]]) -> Profile:
        """The profile of one dataset: with its labs, which own rows of every table that names none itself.

        Parameters
        ----------
        local
            What ``neuropress.toml`` says of each, by initials.
        """
        every = tuple(labs)
        tables = {name: spec if spec.labs else replace(spec, labs=every) for name, spec in self.tables.items()}
        return replace(self, labs=labs, tables=tables, local=local)

    def place_of_default(self, name: str, lab: Lab | None) -> str:
        """Where a default or an entry of a lab is stated: the profile, its lab, or ``neuropress.toml``."""
        if lab and name in self.local.get(lab.initials, {}):
            return f"neuropress.toml [labs.{lab.initials}]"
        return f"{self.name} [labs.{lab.initials}]" if lab and name in lab.overrides else self.name


def is_zone(name: object) -> bool:
    """Whether it is the name of a time zone (``America/New_York``)."""
    try:
        ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def load_profile(name: str, folder: Path | None = None) -> Profile:
    """Load a profile by its name, or from ``<name>.toml`` in `folder`.

    A profile in the folder may say ``extends = "<other>"``: its entries are laid over the
    other's, and ``"..."`` in a list stands for the other's entries. Its tables' schemas
    lie in ``schemas/`` of the folder, its mappings in ``mappings/``. Limits of checks that it
    does not state are those of the shipped profile.

    Raises
    ------
    FileNotFoundError
        No profile of this name is shipped or lies in the folder.
    TypeError, ValueError
        The file has unknown, missing or wrong entries.
    """
    _check_name(name)
    own = folder if folder and (folder / f"{name}.toml").exists() else None
    data = _with_names(_data(name, folder, ()), own)
    if own and (own / "mappings").is_dir():
        paths = sorted((own / "mappings").glob("*.toml"))
        data["mappings"] = {path.stem: _text(path, TOML_BYTES) for path in paths}
    profile = from_json(Profile, data)
    _check(profile)
    return profile


def _data(name: str, folder: Path | None, above: tuple[str, ...]) -> dict[str, Any]:
    """The profile's TOML laid over that of the profile it extends."""
    _check_name(name)
    own = folder / f"{name}.toml" if folder and name not in above else None
    if own is None or not own.exists():
        own, data = None, _read_shipped(name)
    else:
        data = parse_toml(_text(own, TOML_BYTES))
    if len(above) >= MOST_EXTENDED:
        raise ValueError(f"{name}.toml: more than {MOST_EXTENDED} profiles extend each other")
    if data.get("name") != name or "version" not in data:
        raise ValueError(f'{name}.toml must state name = "{name}" and its version')
    if base := data.get("extends", ""):
        if not isinstance(base, str):
            raise ValueError(f"{name}.toml: extends must name a profile, not {base!r}")
        # What is shipped rests on what is shipped, whatever of that name lies in the folder.
        merged: dict[str, Any] = _over(_data(base, folder if own else None, (*above, name)), data, "")
        return merged
    return {**data, "limits": {**_read_shipped(GENERIC)["limits"], **data.get("limits", {})}}


def list_shipped_profiles() -> list[str]:
    """Names of the profiles that neuropress brings."""
    names = (item.name for item in files(PACKAGE_PROFILES).iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def _read_shipped(name: str) -> dict[str, Any]:
    return parse_toml(files(PACKAGE_PROFILES).joinpath(f"{name}.toml").read_text("utf-8"))


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name):
        raise FileNotFoundError(str(name)[:100])


def _text(path: Path, most: int) -> str:
    """Text of one of a dataset's own settings. Raises `ValueError` that names the file."""
    try:
        return read_file(path, most).decode("utf-8")
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error


def _over(below: Any, above: Any, place: str) -> Any:
    """Tables are merged by name, lists may take in what they replace, all else is replaced."""
    if isinstance(above, dict) and isinstance(below, dict):
        merged = {k: _over(below.get(k), v, f"{place}.{k}".lstrip(".")) for k, v in above.items()}
        return {**below, **merged}
    if place == "people" and isinstance(above, list) and isinstance(below, list):
        names = {entry.get("name") for entry in above if isinstance(entry, dict)}
        return [*above, *(entry for entry in below if entry["name"] not in names)]
    if isinstance(above, list) and INHERITED in above:
        if not isinstance(below, list):
            raise ValueError(f"{place}: there is nothing that {INHERITED!r} could stand for")
        position = above.index(INHERITED)
        return [*above[:position], *below, *above[position + 1 :]]
    return above


def _with_names(data: dict[str, Any], folder: Path | None) -> dict[str, Any]:
    """Fill in what the TOML table names already say, and the schemas in the folder of a dataset's own profile."""
    for initials, lab in data.get("labs", {}).items():
        lab["initials"] = initials
    for name, table in data.get("tables", {}).items():
        table["name"] = name
        schema = folder / "schemas" / f"{name}.schema.json" if folder else None
        if schema and schema.exists():
            table["schema"] = _text(schema, SETTING_BYTES)
    return data


def _check(profile: Profile) -> None:
    """Refuse what would fail far away from its cause. Raises `ValueError`."""
    for lab in profile.labs.values():
        check_lab(lab)
    _check_limits(profile)
    _check_paths(profile)
    check_layout(profile.split, profile.names, profile.packing)
    prefixes: dict[str, str] = {}
    for name, spec in profile.tables.items():
        for wrong in _faults(spec, profile):
            raise ValueError(f"tables.{name}: {wrong}")
        if prefixes.setdefault(spec.prefix, name) != name:
            raise ValueError(f"tables.{name}: prefix {spec.prefix!r} is that of {prefixes[spec.prefix]} already")


def check_lab(lab: Lab) -> None:
    """See that a lab can stand in keys, paths and times. Raises `ValueError`."""
    if not re.fullmatch("[A-Z]{1,10}", lab.initials):
        raise ValueError(f"labs.{lab.initials!r}: initials are capital letters")
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", lab.folder):
        raise ValueError(f"labs.{lab.initials}: folder {lab.folder!r} is no name of one folder")
    if not is_zone(lab.timezone):
        raise ValueError(f"labs.{lab.initials}: {lab.timezone!r} is no time zone, as Europe/Berlin is")


def _check_limits(profile: Profile) -> None:
    for name, text in profile.limits.items():
        if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?", text):
            raise ValueError(f"limits.{name}: {text[:40]!r} is no number as 16 or 1e8")


def check_layout(split: Mapping[str, str], names: object, packing: Packing) -> None:
    """See that parts can stand in the names of files, that files are named in a known way, and volumes packed so.

    Raises
    ------
    ValueError
    """
    if names not in (BY_PATHS, BY_DANDI):
        raise ValueError(f"names: {names!r} is neither {BY_PATHS} nor {BY_DANDI}")
    for name, part in split.items():
        if not isinstance(part, str) or not (part == EACH_ROW or re.fullmatch("[a-z][a-z0-9]{0,31}", part)):
            raise ValueError(f"split.{name}: {part!r} must be small letters and digits, as ophys, or {EACH_ROW}")
    packing.check()


def _check_paths(profile: Profile) -> None:
    """Where results lie: below ``output/``, each under its own id."""
    for target, path in profile.paths.items():
        names = set(re.findall(r"\{([^{}]*)\}", path))
        plain = re.fullmatch(r"(?:[A-Za-z0-9._-]|\{[a-z]+\}|/){1,500}", path)
        if not plain or names - _PATH_NAMES or "id" not in names or ".." in path:
            known = ", ".join(f"{{{name}}}" for name in sorted(_PATH_NAMES))
            raise ValueError(f"paths.{target}: {path[:80]!r} must be made of {known} and hold {{id}}")
        if path.startswith("/") or "//" in path or any(part == "." for part in path.split("/")):
            raise ValueError(f"paths.{target}: {path[:80]!r} must lie below output/")


def _faults(spec: TableSpec, profile: Profile) -> Iterator[str]:
    columns = (*spec.columns, *spec.optional)
    if not re.fullmatch("[a-z][a-z0-9_]{0,99}", spec.name):
        yield f"the name of a table is small letters, digits and _, not {spec.name!r}"
    if len(columns) > TABLE_COLUMNS:
        yield f"{len(columns)} columns; a table has at most {TABLE_COLUMNS}"
        return
    for column in (spec.key, *spec.foreign):
        if column in spec.private:
            yield f"{column!r} is a key: it cannot be private, because results and releases name rows by it"
    if not re.fullmatch("[A-Z]{1,10}", spec.prefix):
        yield f"prefix must be capital letters, not {spec.prefix!r}"
    for lab in spec.labs:
        if lab not in profile.labs:
            yield f"there is no lab {lab!r}"
    for column in {c for c in columns if columns.count(c) > 1}:
        yield f"column {column!r} is named twice"
    for column in (spec.key, *spec.foreign, *spec.paths, *spec.private, *spec.either):
        if column not in columns:
            yield f"there is no column {column!r}"
    for column, targets in spec.foreign.items():
        if not targets or not column.endswith("_id"):
            yield f"foreign.{column}: a foreign key ends in _id and names the tables it may point to"
        for target in targets:
            if target not in profile.tables:
                yield f"foreign.{column}: there is no table {target!r}"
    if spec.accompanies and f"{spec.accompanies}_id" not in spec.foreign:
        yield f"accompanies: {spec.accompanies}_id is no foreign key"
