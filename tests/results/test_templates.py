"""Sessions that are made after others of their shape are, byte for byte, what hdmf makes of them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import pytest
from builder import Builder, abf, movie

from neuropress.model.finding import Problem
from neuropress.model.plan import Field, Node, Plan
from neuropress.model.provenance import Provenance
from neuropress.planning.build import build_plan
from neuropress.readers.raw import RawArrays
from neuropress.results.nwb import files, shapes
from neuropress.results.nwb.digest import digest_objects
from neuropress.workspace import Workspace


@pytest.fixture(autouse=True)
def no_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_SEEN", {})
    monkeypatch.setattr(files, "_TEMPLATES", {})


def make_sessions(root: Path, count: int) -> Builder:
    build = Builder(root)
    recording, frames = abf(root / "a.abf", sweeps=3, points=50), movie(root / "m.tif", (4, 12, 8))
    for number in range(1, count + 1):
        build.session(number, start_time=f"14:0{number}", end_time=f"15:1{number}")
        build.ephys(recording, "20000", number=number, session=number)
        build.movie(frames, (4, 12, 8), number=number, session=number)
    return build


def make_plans(build: Builder) -> Iterator[Plan]:
    workspace = Workspace.open(build.root)
    for wanted in workspace.targets():
        with RawArrays(workspace.config.sources()) as raw:
            plan = build_plan(wanted, workspace.config, raw).plan
        assert plan
        yield plan


def declare(plan: Plan, path: Path) -> tuple[bytes, dict[str, str], dict[str, str]]:
    """The file's bytes, the digests that were known beforehand, and those of what was written."""
    known = files.declare_file(plan, "1", Provenance.draft(plan).texts(), path)
    with h5py.File(path) as file:
        found = digest_objects(file, plan.arrays())
    return path.read_bytes(), known, found


def change_field(plan: Plan, path: str, name: str, value: Any) -> Plan:
    def change(node: Node) -> Node:
        return replace(node, fields={**node.fields, name: Field(value, "")}) if node.path == path else node

    return replace(plan, nodes=tuple(map(change, plan.nodes)))


def test_sessions_of_one_shape_have_the_bytes_and_digests_that_hdmf_gives_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = make_sessions(tmp_path / "ours", 4)
    assert ours.dataset.convert().ok
    assert [bool(template) for template in files._TEMPLATES.values()] == [True]
    assert ours.dataset.verify().ok
    monkeypatch.setattr(files, "describe_shape", lambda *_: None)
    theirs = make_sessions(tmp_path / "theirs", 4)
    assert theirs.dataset.convert().ok
    for number in range(1, 5):
        name = f"RY_S_000{number}.nwb"
        assert ours.output(name).read_bytes() == theirs.output(name).read_bytes(), name  # type: ignore[union-attr]


def test_texts_numbers_and_instants_are_those_of_the_plan(tmp_path: Path) -> None:
    first, second, third = make_plans(make_sessions(tmp_path / "ds", 3))
    sweep = next(node.path for node in third.nodes if "sweep001" in node.path)
    third = change_field(third, "/", "session_start_time", "2025-06-20T14:05:00.25+02:00")
    third = change_field(third, sweep, "rate", 19999.5)
    third = change_field(third, sweep, "description", "Ganz anders – 北")
    for number, plan in enumerate((first, second)):
        _, known, _ = declare(plan, tmp_path / f"{number}.nwb")
        assert not known
    made, known, found = declare(third, tmp_path / "made.nwb")
    assert {path for path, digest in known.items() if digest != found[path]} == {"/events/session/timestamp"}
    assert known.keys() == found.keys()
    files._TEMPLATES.clear()
    assert made == declare(third, tmp_path / "theirs.nwb")[0]


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/general/subject", "sex", "M"),  # a choice
        ("/", "keywords", ["one", "two"]),
        ("/", "notes", ""),
        ("/general/subject", "age", "P3M"),
    ],
)
def test_what_pynwb_may_look_at_belongs_to_the_shape(tmp_path: Path, path: str, name: str, value: Any) -> None:
    (plan,) = make_plans(make_sessions(tmp_path, 1))
    sections = Provenance.draft(plan).texts()
    shape, other = (shapes.describe_shape(one, "1", sections) for one in (plan, change_field(plan, path, name, value)))
    assert shape
    assert other
    assert shape.key != other.key


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_texts_that_hdf5_cannot_hold_are_refused_after_others_of_the_shape(tmp_path: Path, text: str) -> None:
    *plans, last = make_plans(make_sessions(tmp_path / "ds", 3))
    for number, plan in enumerate(plans):
        declare(plan, tmp_path / f"{number}.nwb")
    bad = change_field(last, "/", "session_description", text)
    with pytest.raises(Problem) as refused:
        files.declare_file(bad, "1", Provenance.draft(plans[0]).texts(), tmp_path / "bad.nwb")
    assert refused.value.finding.id == "plan.invalid"


def test_what_follows_from_a_value_in_another_way_is_left_to_hdmf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_tree = files._build_tree

    def count_characters(plan: Plan, *others: Any) -> Any:
        root = build_tree(plan, *others)
        root.attributes["count"] = len(root.datasets["identifier"].data)
        return root

    monkeypatch.setattr(files, "_build_tree", count_characters)
    for number, plan in enumerate(make_plans(make_sessions(tmp_path / "ds", 3))):
        _, known, _ = declare(plan, tmp_path / f"{number}.nwb")
        assert not known
    assert list(files._TEMPLATES.values()) == [None]
