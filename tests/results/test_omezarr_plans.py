"""Plans that cannot be written as OME-Zarr: refused before anything is, in one sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_omezarr import SEAL, Raw, volume_plan

from neuropress.execution.executor import LocalExecutor, write_result
from neuropress.model.finding import Problem
from neuropress.model.plan import Field, Node, Plan
from neuropress.results import Request
from neuropress.results.omezarr import volume as omezarr


def make_edited_plan(change: dict[str, Any] | None = None, without: str = "", **parts: Any) -> Plan:
    plan = volume_plan(np.zeros((4, 5, 6), "u1"), "zyx")
    (node,) = plan.nodes
    fields = {name: field for name, field in node.fields.items() if name != without} | (change or {})
    return replace(plan, nodes=(replace(node, fields=fields, **parts),))


@pytest.mark.parametrize(
    "plan",
    [
        replace(make_edited_plan(), nodes=()),
        replace(make_edited_plan(), nodes=(*make_edited_plan().nodes, Node("/labels", "Multiscale"))),
        make_edited_plan(arrays={}),
        make_edited_plan(without="multiscales/0/axes/0/name"),
        make_edited_plan(without="multiscales/0/datasets/0/coordinateTransformations/0/scale/2"),
        make_edited_plan({"multiscales/0/axes/3/name": Field("c", "test")}),
        make_edited_plan({"multiscales": Field("none", "test")}),
        make_edited_plan(
            {"multiscales/0/name": Field(float("nan"), "test")},
            arrays={"0": replace(make_edited_plan().nodes[0].arrays["0"], dtype="<U4")},
        ),
    ],
)
def test_an_impossible_plan_is_refused_before_and_by_the_writer(tmp_path: Path, plan: Plan) -> None:
    (refusal,) = omezarr.check_plan(plan)
    assert (refusal.id, plan.target.id in refusal.message) == ("plan.invalid", True)
    request = Request(plan, tmp_path / "v.ome.zarr", SEAL)
    with pytest.raises(Problem) as caught:
        write_result(request, Raw(np.zeros((4, 5, 6), "u1")), LocalExecutor(), print)
    assert caught.value.finding == refusal
    assert list(tmp_path.iterdir()) == []


def test_a_possible_plan_has_no_findings() -> None:
    assert list(omezarr.check_plan(make_edited_plan())) == []
