"""Asset records: what cannot be one is refused before and by the writer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuropress.model.finding import Problem
from neuropress.model.plan import ArraySpec, Field, IndexMap, Node, Plan, Target
from neuropress.model.receipt import InputDigest
from neuropress.results import Request, Seal
from neuropress.results.asset import record

SEAL = Seal("1.0", "rows", {"segev/a.swc": InputDigest(3, "ab")})
SPEC = ArraySpec("segev/a.swc", "", "x", "swc", (3,), "<i2", IndexMap.whole((3,)))


def make_plan(**fields: Any) -> Plan:
    values = {"id": "IS_MOD_0001", "facts/sections": 4} | {name.replace("__", "/"): v for name, v in fields.items()}
    node = Node("/asset", "Morphology", {name: Field(value, "test") for name, value in values.items()})
    return Plan(Target("asset", "IS_MOD_0001", "IS_MOD_0001.json"), (node,), (), ())


def make_plan_with_array() -> Plan:
    plan = make_plan()
    return replace(plan, nodes=(replace(plan.nodes[0], arrays={"data": SPEC}),))


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (make_plan_with_array(), "holds no arrays"),
        (make_plan(id="IS_MOD_0002"), "'IS_MOD_0002'"),
        (make_plan(facts__x_min="3 um"), "facts/x_min is no number"),
        (make_plan(facts__x_min=float("nan")), "facts/x_min is no number"),
        (make_plan(facts__sections__all=1), "no JSON object"),
        (make_plan(facts={1}), "no JSON object"),
        (make_plan(files=[]), "field files"),
    ],
)
def test_an_impossible_plan_is_refused_before_and_by_the_writer(tmp_path: Path, plan: Plan, words: str) -> None:
    findings = list(record.check_plan(plan))
    assert {finding.id for finding in findings} == {"plan.invalid"}
    assert words in findings[0].message
    with pytest.raises(Problem) as caught:
        record.finish(Request(plan, tmp_path / "a.json", SEAL), None, None, print)  # type: ignore[arg-type]
    assert caught.value.finding == findings[0]
    assert list(tmp_path.iterdir()) == []


def test_a_possible_plan_is_written(tmp_path: Path) -> None:
    assert list(record.check_plan(make_plan())) == []
    record.finish(Request(make_plan(), tmp_path / "a.json", SEAL), None, None, print)  # type: ignore[arg-type]
    assert record.validate(tmp_path / "a.json") == []
