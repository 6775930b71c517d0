"""Mapping files: every name is checked; every value knows its cell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neuropress.mapping.rules import MappingRules, Rule, Scope, apply_mapping, check_mapping
from neuropress.model.finding import MappingError
from neuropress.model.profile import load_profile
from neuropress.model.record import Cell, CellRef, Record

PROFILE = load_profile("dendritic-consortium")
SLOTS = {"subject": frozenset({"weight", "species"})}


def mapping(*rules: Rule) -> MappingRules:
    return MappingRules("toy", 1, ("session",), rules)


def record(table: str, key: str, **cells: str) -> Record:
    return Record(table, key, 2, {k: Cell(v) for k, v in cells.items()}, {k: v or None for k, v in cells.items()})


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Rule("animal.weight", ("mouse.weight",)), "no slot 'animal'"),
        (Rule("subject.wieght", ("mouse.weight",)), "no field 'wieght'"),
        (Rule("subject.weight", ("mouse.wieght",)), "no column 'wieght'"),
        (Rule("subject.weight", ("rat.weight",)), "no relation 'rat'"),
        (Rule("subject.weight", ("mouse.weight",), "multiply"), "no transform 'multiply'"),
        (Rule("subject.weight", ("mouse.weight",), tables=("mice",)), "no table 'mice'"),
        (Rule("subject.species", ("default.specie",)), "no default.specie"),
        (Rule("subject.species", ("lab.city",)), "no lab.city"),
    ],
)
def test_an_unknown_name_is_an_error_that_tells_the_known_ones(rule: Rule, message: str) -> None:
    with pytest.raises(MappingError, match=message) as caught:
        check_mapping(mapping(rule), SLOTS, {}, PROFILE)
    assert "mappings/toy.toml" in str(caught.value)


def test_a_value_knows_its_cell_rule_and_transform() -> None:
    mouse = record("mouse", "RY_M_0001", weight="24.50")
    session = replace(record("session", "RY_S_0001", session_id="RY_S_0001"), parents={"mouse": mouse})
    rule = Rule("subject.weight", ("mouse.weight",), "quantity", {"unit": "g"})
    made = apply_mapping(mapping(rule), Scope(session, PROFILE))["subject"]["weight"]
    assert made.value == "24.50 g"
    assert (made.rule, made.via) == ("toy/subject.weight", "quantity")
    assert made.sources == (CellRef("mouse", "RY_M_0001", "weight", "24.50", "cell"),)


@pytest.mark.parametrize(("via", "args"), [("number", {}), ("quantity", {}), ("template", {"parts": []})])
def test_a_transform_that_cannot_take_its_cells_names_the_rule(via: str, args: dict[str, object]) -> None:
    session = replace(record("session", "RY_S_0001"), parents={"mouse": record("mouse", "RY_M_0001", weight="heavy")})
    rule = Rule("subject.weight", ("mouse.weight",), via, args)
    with pytest.raises(MappingError, match=r"toy/subject\.weight"):
        apply_mapping(mapping(rule), Scope(session, PROFILE))


def test_blank_stays_absent_and_a_demanded_value_is_marked() -> None:
    session = replace(record("session", "RY_S_0001"), parents={"mouse": record("mouse", "RY_M_0001", weight="")})
    rule = Rule("subject.weight", ("mouse.weight",))
    assert apply_mapping(mapping(rule), Scope(session, PROFILE)) == {}
    made = apply_mapping(mapping(replace(rule, absent="unknown")), Scope(session, PROFILE))["subject"]["weight"]
    assert (made.value, made.via, made.sources[0].origin) == ("unknown", "absent", "constant")


def test_defaults_are_marked_and_labs_override_them() -> None:
    session = record("session", "RY_S_0001")
    rule = Rule("subject.species", ("default.species",))
    made = apply_mapping(mapping(rule), Scope(session, PROFILE))["subject"]["species"]
    assert made.value == "Mus musculus"
    assert made.sources[0].origin == "default"
    lab = replace(PROFILE.labs["RY"], overrides={"species": "Mus spretus"})
    own = replace(PROFILE, labs={**PROFILE.labs, "RY": lab})
    made = apply_mapping(mapping(rule), Scope(session, own))["subject"]["species"]
    assert made.value == "Mus spretus"
    typed = record("session", "RY_S_0001", species="Rattus norvegicus")
    made = apply_mapping(mapping(rule), Scope(typed, own))["subject"]["species"]
    assert (made.value, made.sources[0].origin) == ("Rattus norvegicus", "cell")
