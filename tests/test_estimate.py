"""What `plan` says that a result comes to is what it comes to, and what does not fit is refused with the figure."""

from __future__ import annotations

from pathlib import Path

import pytest
from builder import Builder, slices

from neuropress.cli.main import main
from neuropress.model.report import Outcome
from neuropress.planning.estimate import compare_estimates


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    folder = tmp_path_factory.mktemp("estimate")
    build = Builder(folder / "ds")
    build.sem(slices(folder / "v", (70, 66, 80)))
    return build


def test_what_needs_too_much_memory_is_refused_with_the_figure(
    lab: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb, done in (("plan", "blocked"), ("convert", "withheld")):
        assert main([verb, str(lab.root), "--memory", "100M"]) == 1
        out = capsys.readouterr().out
        assert "plan.memory" in out
        assert done in out
        assert "105 MB" in out  # 100 MiB
    assert not list((lab.root / "output").rglob("*.ome.zarr*"))
    with pytest.raises(SystemExit):
        main(["plan", str(lab.root), "--memory", "much"])


def test_a_plan_says_what_the_result_comes_to(lab: Builder) -> None:
    (planned,) = lab.dataset.plan(memory=10**9).outcomes
    estimate = planned.facts["estimate"]
    assert (estimate["units"], estimate["bytes"]) == (1, 70 * 66 * 80)
    assert f"{estimate['files']} files" in planned.why
    (converted,) = lab.dataset.convert(memory=10**9).outcomes
    assert converted.facts["estimate"] == estimate
    assert converted.facts["seconds"] >= 0
    (result,) = (lab.root / "output").rglob("*.ome.zarr")
    assert sum(path.is_file() for path in result.rglob("*")) == estimate["files"]


def test_large_results_are_compared_with_their_estimate(tmp_path: Path) -> None:
    estimate = {"units": 9, "files": 9, "bytes": 4e8, "memory": 518_000_000, "seconds": 4.0}
    facts = {"bytes": 400_000_000, "seconds": 5.2, "estimate": estimate}
    small = Outcome("b.nwb", "converted", facts={**facts, "bytes": 1})
    text = compare_estimates([Outcome("a.ome.zarr", "converted", facts=facts), small])
    assert text.startswith("400 MB in 5 s, estimated 4 s")
    assert compare_estimates([small]) == ""
