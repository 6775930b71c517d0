"""The labs' parts of a release: what each holds of the dataset, and what a dataset is made from again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from builder import Builder

from neuropress import Problem
from neuropress.config import load_config
from neuropress.model.finding import finding
from neuropress.publishing import PublishRequest, check_target_apart
from neuropress.publishing.gate import redact_finding
from neuropress.publishing.parts import PROFILE, Part, make_parts
from neuropress.publishing.restore import restore_dataset
from neuropress.tables import read_tables
from neuropress.workspace import Workspace


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    build = Builder(tmp_path / "ds")
    build.session()
    (build.root / "waivers.csv").write_text(
        "finding,row,reason,person,expiry\n"
        "mouse.genotype_count,mouse.RY_M_0001,old cohort,Ada Example,29991231\n"
        "cell.range,plasmid.ML_P_0001.wavelength,measured,Grace Example,29991231\n",
        "utf-8",
    )
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write('\n[split]\nimaging = "ophys"\n')
    return build


def make(lab: Builder) -> dict[str, Part]:
    workspace = Workspace(load_config(lab.root))
    return make_parts(workspace.config, read_tables(workspace.config.tables, workspace.profile), workspace.waivers)


def test_a_part_has_its_own_labs_waivers(lab: Builder) -> None:
    waived = {name: part.others["waivers.csv"].decode() for name, part in make(lab).items()}
    assert {name: [n in text for n in ("RY_M_0001", "ML_P_0001")] for name, text in waived.items()} == {
        "RY": [True, False],
        "ML": [False, True],
    }


def test_a_dataset_is_restored_with_settings_and_waivers_of_all_labs(lab: Builder, tmp_path: Path) -> None:
    restore_dataset(make(lab), tmp_path / "again", "RY")
    again = load_config(tmp_path / "again")
    assert again.profile.split == {"imaging": "ophys"}
    lines = (tmp_path / "again/waivers.csv").read_text("utf-8").splitlines()
    assert sorted(lines) == sorted((lab.root / "waivers.csv").read_text("utf-8").splitlines())


def test_a_part_whose_profile_is_no_text_is_refused(lab: Builder, tmp_path: Path) -> None:
    parts = make(lab)
    texts = json.dumps({"generic.toml": ["no", "text"]}).encode()
    parts["RY"] = replace(parts["RY"], others={**parts["RY"].others, PROFILE: texts})
    with pytest.raises(Problem, match="holds something that is no text"):
        restore_dataset(parts, tmp_path / "again", "RY")
    assert not (tmp_path / "again/neuropress.toml").exists()


@pytest.mark.parametrize(
    ("roots", "output", "to", "refused"),
    [
        ('"s3://lab/raw"', "", "s3://lab/raw/releases", True),
        ('"s3://lab/raw"', "", "s3://lab", True),
        ('"source", "s3://lab/raw"', "", "s3://lab/raw", True),
        ('"source", "s3://lab/raw"', "", "s3://lab/rawer", False),
        ('"source"', "s3://lab/volumes", "s3://lab/volumes/x", True),
        ('"source"', "s3://lab/volumes", "s3://other/volumes", False),
    ],
)
def test_a_release_lies_apart_from_raw_files_and_results(
    lab: Builder, roots: str, output: str, to: str, refused: bool
) -> None:
    text = (lab.root / "neuropress.toml").read_text("utf-8").replace('roots = ["source"]', f"roots = [{roots}]")
    text += f'\n[output]\nvolume = "{output}"\n' if output else ""
    (lab.root / "neuropress.toml").write_text(text, "utf-8")
    workspace, request = Workspace(load_config(lab.root)), PublishRequest(to, "1.0.0")
    if not refused:
        check_target_apart(workspace, request)
        return
    with pytest.raises(Problem, match="lie inside one another"):
        check_target_apart(workspace, request)


def test_no_text_of_a_private_cell_leaves_with_a_finding(lab: Builder) -> None:
    workspace = Workspace(load_config(lab.root))
    table, column = next((name, spec.private[0]) for name, spec in workspace.profile.tables.items() if spec.private)
    for where in ({"table": table, "column": column}, {"table": table, "column": "unheard of"}):
        redacted = redact_finding(finding("cell.range", "secret", hint="secret", value="secret", **where), workspace)
        assert "secret" not in str(redacted.to_json())
    public = finding("cell.range", "told", table="mouse", column="strain", value="told")
    assert redact_finding(public, workspace) == public
