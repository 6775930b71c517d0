"""The mappings and converters that plans are made by: whether they fit the profile, and in which revisions they are."""

from __future__ import annotations

from dataclasses import replace

from neuropress.converters import (
    SESSION_CONVERTER,
    list_broken_converters,
    list_converter_names,
    load_converter,
    load_profile_mapping,
)

from ..mapping.rules import check_mapping, list_rule_sources
from ..model.finding import Finding, MappingError
from ..model.profile import EVERY_CONVERTER, Profile
from ..readers import list_broken_readers
from ..results import KINDS
from .targets import Wanted, list_rivals


def check_mappings(profile: Profile) -> None:
    """Check every name in every mapping before any raw file is opened. Raises `MappingError`.

    Of a profile without some of the shipped tables, what is only for these is left out.
    """
    list_broken_plugins()  # loads them all: a waiver may name a finding that only a plug-in describes
    names = (SESSION_CONVERTER, *list_converter_names())
    for name in sorted(profile.split.keys() - {EVERY_CONVERTER}):
        if name not in names or load_converter(name).TARGET != "session":
            known = ", ".join(n for n in list_converter_names() if load_converter(n).TARGET == "session")
            raise MappingError(f"[split] {name}: no converter of sessions has this name; known: {known}")
    for name in profile.mappings:
        if name not in names:
            known = ", ".join(names)
            raise MappingError(f"mappings/{name}.toml: there is no mapping {name!r}; known: {known}")
    for name in names:
        module, mapping = load_converter(name), load_profile_mapping(name, profile)
        there = tuple(table for table in mapping.table if table in profile.tables)
        if there:
            lacking = set(mapping.table) - set(there)
            rules = tuple(rule for rule in mapping.rules if lacking.isdisjoint(rule.tables))
            compare = tuple(one for one in mapping.compare if lacking.isdisjoint(one.tables))
            narrowed = replace(mapping, table=there, rules=rules, compare=compare)
            check_mapping(narrowed, module.SLOTS, module.BINDINGS, profile)
            for table in there:
                _check_raw_columns(name, table, profile)


def _check_raw_columns(name: str, table: str, profile: Profile) -> None:
    """A result names the raw file that it was made from, so that column cannot be private."""
    column = getattr(load_converter(name), "COLUMN", {}).get(table, "")
    if column in profile.tables[table].private:
        message = f"profile {profile.name!r}: {table}.{column} names what {name!r} reads; it cannot be private"
        raise MappingError(message)


def list_broken_plugins() -> tuple[Finding, ...]:
    """A finding for each reader and converter of another package that cannot be used."""
    return (*list_broken_readers(), *list_broken_converters())


def collect_rule_sources(profile: Profile) -> set[tuple[str, str]]:
    """All pairs of a mapping rule and a column that it takes, as `list_rule_sources` names them."""
    pairs: set[tuple[str, str]] = set()
    for name in (SESSION_CONVERTER, *list_converter_names()):
        pairs.update(list_rule_sources(load_profile_mapping(name, profile), load_converter(name).BINDINGS, profile))
    return pairs


def collect_revisions(wanted: Wanted, profile: Profile) -> dict[str, int]:
    """Revisions of the mappings and converters that one result is made with, by name."""
    names = {rival for job in (*wanted.jobs, *wanted.clocks) for rival in list_rivals(*job)} | find_frame(wanted)
    found = {}
    for name in sorted(names):
        mapping = load_profile_mapping(name, profile)
        found[f"mapping:{name}"] = mapping.revision
        found[f"converter:{name}"] = load_converter(name).REVISION
        if mapping.own:
            found[f"mapping:{name} of {profile.name}"] = mapping.own
    return found


def find_frame(wanted: Wanted) -> set[str]:
    """The converter that every such result of its table begins with, if there is one."""
    frame = KINDS[wanted.target.kind].frame
    return {frame} if frame and wanted.record.table in load_converter(frame).TABLES else set()
