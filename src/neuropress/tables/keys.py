"""Keys of rows (``RY_IMG_0001``) and keys of objects (``yuste/20250620/image/raw/a.tif``)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from ..model.finding import Problem
from ..model.profile import Profile, TableSpec
from ..model.source import check_key

_KEY = re.compile(r"([A-Z]+)_([A-Z]+)_([0-9]{4})")
_LOOSE_KEY = re.compile(r"\s*([A-Za-z]+)[\s_\-]+([A-Za-z]+)[\s_\-]*([0-9]{1,4})(?:\.0)?\s*")
_SEVERAL = re.compile(r"[;,|\n]")


class CellFault(NamedTuple):
    """What is wrong with one cell: a finding without its place.

    `proposal` is the right spelling of what the cell means, where that is certain.
    """

    id: str
    message: str
    hint: str = ""
    expected: str | None = None
    proposal: str = ""


class ObjectKey(NamedTuple):
    """The levels of an object's key."""

    folder: str
    date: str
    object_type: str
    version: str
    rest: str


def parse_key_prefix(key: str) -> str:
    """The token between the underscores: ``MD`` of ``JL_MD_0001``; empty when there is none."""
    parts = key.split("_")
    return parts[1] if len(parts) == 3 else ""


def compile_key_pattern(tables: Sequence[str], profile: Profile) -> re.Pattern[str]:
    """What matches nothing but right keys of rows in `tables`; `find_key_fault` says what is wrong with the others."""
    specs = [profile.tables[t] for t in tables]
    owners = "|".join(f"(?:{'|'.join(spec.labs)})_{spec.prefix}" for spec in specs)
    return re.compile(rf"(?:{owners})_(?!0000)[0-9]{{4}}")


def find_key_fault(text: str, tables: Sequence[str], profile: Profile) -> CellFault | None:
    """What is wrong with the key of a row in one of `tables`."""
    specs = [profile.tables[t] for t in tables]
    # A form and no example: somebody would write the example.
    form = f"<initials>_{'|'.join(spec.prefix for spec in specs)}_<four digits>"
    parts = [part for part in _SEVERAL.split(text) if part.strip()]
    if len(parts) > 1:
        return CellFault("key.several", f"{text!r} names several rows; a cell names one", expected=form)
    match = _KEY.fullmatch(text)
    if not match:
        return CellFault("key.format", f"{text!r} is no key", f"Write it as {form}.", form)
    lab, prefix, number = match.groups()
    spec = next((s for s in specs if s.prefix == prefix), None)
    if spec is None:
        wanted = ", ".join(f"{s.prefix} ({s.name})" for s in specs)
        # Most such keys stand in the wrong column: the table that they belong to shows it.
        other = next((name for name, s in profile.tables.items() if s.prefix == prefix), "no table")
        return CellFault("key.prefix", f"{text}: {prefix} is the prefix of {other}; expected {wanted}", expected=wanted)
    if lab not in spec.labs:
        owner = f"lab {lab} owns no {spec.name} rows" if lab in profile.labs else f"{lab} are no lab's initials"
        labs = ", ".join(spec.labs)
        return CellFault("key.lab", f"{text}: {owner}; labs that do: {labs}", expected=labs)
    if number == "0000":
        return CellFault("key.zero", f"{text}: the number 0000 is reserved")
    return None


def guess_key(text: str) -> str:
    """The key that a text is in another spelling: other case, other separators, leading zeros lost; else empty."""
    loose = _LOOSE_KEY.fullmatch(text)
    if not loose:
        return ""
    lab, prefix, number = loose.groups()
    return f"{lab.upper()}_{prefix.upper()}_{int(number):04d}"


@lru_cache(maxsize=8)
def _compile_bucket_address(buckets: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(re.escape(b) for b in buckets)
    return re.compile(rf"s3://(?:{names})/|https://(?:{names})\.s3(?:[.-][a-z0-9-]+)?\.amazonaws\.com/")


def normalise_key(text: str, profile: Profile) -> str:
    """The key relative to a source root: the address of one of the profile's buckets is taken off.

    Nothing else changes: keys are case-sensitive and not percent-decoded.
    """
    address = _compile_bucket_address(profile.buckets).match(text) if profile.buckets else None
    return text[address.end() :] if address else text


def parse_object_key(text: str, profile: Profile) -> ObjectKey | None:
    """The levels of a path cell; None when it has fewer than five."""
    return _split_levels(normalise_key(text, profile))


def _split_levels(key: str) -> ObjectKey | None:
    parts = key.split("/", 4)
    return ObjectKey(*parts) if len(parts) == 5 and parts[4] else None


@lru_cache(maxsize=4096)
def is_date(text: str) -> bool:
    """Whether a text is a day of the calendar as YYYYMMDD."""
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        return False
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return False
    return True


def find_path_fault(text: str, column: str, spec: TableSpec, profile: Profile) -> CellFault | None:
    """What is wrong with a path cell, its row's own lab and date left aside."""
    key = normalise_key(text, profile)
    versions = spec.paths[column]
    expected = f"<lab>/<YYYYMMDD>/{spec.name}/{'|'.join(versions)}/<name>"
    if "://" in key:
        buckets = ", ".join(profile.buckets)
        return CellFault("path.bucket", f"{text!r} is not in a bucket of this dataset ({buckets})", expected=expected)
    try:
        check_key(key)
    except Problem as unsafe:
        return CellFault("path.unsafe", unsafe.finding.message, expected=expected)
    parts = _split_levels(key)
    if parts is None or not is_date(parts.date):
        why = "has fewer than five levels" if parts is None else f"has {parts.date!r} where the date belongs"
        return CellFault("path.layout", f"{key!r} {why}; expected {expected}", expected=expected)
    faults = list(_find_level_faults(key, parts, column, spec, profile))
    if not faults:
        return None
    # One finding a cell, with all that is wrong: each level is corrected by itself.
    message = "; ".join([faults[0].message, *(fault.message.removeprefix(f"{key!r} ") for fault in faults[1:])])
    return faults[0]._replace(message=message, expected=faults[0].expected if len(faults) == 1 else expected)


def _find_level_faults(
    key: str, parts: ObjectKey, column: str, spec: TableSpec, profile: Profile
) -> Iterator[CellFault]:
    """What is wrong with the levels of a path that has all of them."""
    folders = [profile.labs[i].folder for i in spec.labs]
    if parts.folder not in folders:
        allowed = ", ".join(folders)
        message = f"{key!r} begins with {parts.folder!r}; labs with {spec.name} rows have the folders {allowed}"
        yield CellFault("path.lab", message, expected=allowed)
    if parts.object_type != spec.name:
        message = f"{key!r} is under {parts.object_type!r}; a {column} of table {spec.name} is under {spec.name!r}"
        yield CellFault("path.type", message, expected=spec.name)
    versions = spec.paths[column]
    if parts.version not in versions:
        allowed = " or ".join(versions)
        message = f"{key!r} is under {parts.version!r}; a {column} is under {allowed}"
        yield CellFault("path.version", message, expected=allowed)
