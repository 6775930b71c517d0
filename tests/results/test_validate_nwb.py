"""Validation of NWB results: nothing unexplained, and every silent mistake is found."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import nwb_example as ex
import pytest

from neuropress.model.finding import Problem, Severity
from neuropress.model.plan import Node
from neuropress.results import load_kind
from neuropress.results.nwb.explained import CONDITIONS, load_explanations
from neuropress.results.nwb.silent import CHECKS, find_silent_mistakes


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ex.write_example(tmp_path_factory.mktemp("nwb") / "RY_S_0001.nwb")


def unexplained(path: Path) -> list[tuple[str, str]]:
    return [(f.id, f.message) for f in load_kind("nwb").validate(path) if f.severity is not Severity.INFO]


def test_a_whole_session_has_nothing_unexplained(result: Path) -> None:
    assert unexplained(result) == []
    found = load_kind("nwb").validate(result)
    assert [f.location.array for f in found] == [
        "(ExperimentalConditionsTable experimental_conditions)",
        "(RepetitionsTable repetitions)",
        "(SequentialRecordingsTable sequential_recordings)",
    ]
    assert {(f.id, f.origin.split()[0], f.severity) for f in found} == {
        ("nwbinspector:check_single_row", "nwbinspector", Severity.INFO)
    }
    assert all(f.hint.startswith("Explained by rule one-protocol: ") for f in found)
    assert all(f.location.file == str(result) for f in found)


def make_tag_nodes(*times: float) -> list[Node]:
    about = ex.make_fields(description="Tags.", timestamp=list(times), annotation=["x"] * len(times))
    return [Node("/events/tags", "EventsTable", about)]


def test_explained_by_the_data_itself(tmp_path: Path) -> None:
    data = ex.make_samples("pixels")[:5]
    plane, series = ex.make_imaging_nodes()[2:]
    plane = dataclasses.replace(plane, fields={**plane.fields, **ex.make_fields(location="unknown")})
    series = dataclasses.replace(series, arrays={"data": ex.make_spec(ex.MOVIE, "pixels", (0, 2, 1), data)})
    plan = ex.make_example_plan(nodes=[*ex.make_imaging_nodes()[:2], plane, series, *make_tag_nodes(1.0)])
    path = ex.write_example(tmp_path / "few.nwb", plan, raw=ex.Memory({"pixels": data}))
    assert unexplained(path) == []
    assert {f.hint.split(":")[0] for f in load_kind("nwb").validate(path)} == {
        "Explained by rule one-event",
        "Explained by rule few-frames",
        "Explained by rule region-unknown",
    }


def test_what_is_not_on_the_list_counts(tmp_path: Path) -> None:
    subject = Node("/general/subject", "Subject", ex.make_fields(subject_id="RY_M_0001", species="mouse", sex="F"))
    plan = dataclasses.replace(ex.make_example_plan(), nodes=(ex.make_file_node(), subject))
    path = ex.write_example(tmp_path / "x.nwb", plan)
    found = {f.id: f.severity for f in load_kind("nwb").validate(path)}
    assert found["nwbinspector:check_subject_age"] is Severity.ERROR
    assert found["nwbinspector:check_subject_species_form"] is Severity.ERROR  # a violation; critical for DANDI
    assert found["nwbinspector:check_description"] is Severity.WARNING


def test_the_list_names_real_checks_and_conditions() -> None:
    from nwbinspector import available_checks

    known = {f"nwbinspector:{check.__name__}" for check in available_checks}
    assert {entry.check for entry in load_explanations()} <= known
    assert {entry.when for entry in load_explanations() if entry.when} == set(CONDITIONS)
    assert all(entry.rule and entry.reason and entry.types for entry in load_explanations())


def scalar(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name][()] = value

    return change


def volume_without_depth(file: h5py.File) -> None:
    series = file["/acquisition/RY_IMG_0001"]
    del series["data"], series["dimension"]
    series["data"] = np.zeros((300, 12, 20, 2), "u2")


PLANE = "/general/optophysiology/plane_RY_IMG_0001"


@pytest.mark.parametrize(
    ("change", "id", "message"),
    [
        (lambda f: f[f"{PLANE}/grid_spacing"].__setitem__(0, 0.8), "nwb.pixel_size",
         f"{PLANE}: a pixel of 0.8 meters is not between 1 nm and 0.1 mm"),
        (lambda f: f[f"{PLANE}/grid_spacing"].attrs.__setitem__("unit", "um"), "nwb.pixel_size",
         f"{PLANE}: a pixel of 8e-07 um is not between 1 nm and 0.1 mm"),
        (scalar("/general/subject/weight", "24.5 kg"), "nwb.subject_weight", "a mouse that weighs 24.5 kg is above 100 g"),
        (scalar("/session_start_time", "2025-06-20T09:30:00"), "nwb.instant",
         "/session_start_time = 2025-06-20T09:30:00 has no offset from UTC"),
        (scalar("/session_start_time", "1806-01-01T00:00:00+00:00"), "nwb.instant",
         "/session_start_time = 1806-01-01T00:00:00+00:00 is before 1990: the clock was not set"),
        (scalar("/general/subject/date_of_birth", "spring"), "nwb.instant",
         "/general/subject/date_of_birth = 'spring' is no date and time"),
        (lambda f: f["/acquisition/RY_IMG_0001/dimension"].__setitem__(slice(None), [20, 12]), "nwb.axis_order",
         "/acquisition/RY_IMG_0001: frames are stored as [12, 20], but width and height are [20, 12]"),
        (volume_without_depth, "nwb.channel_as_depth",
         "/acquisition/RY_IMG_0001: a fourth axis of length 2, but dimension states no depth"),
        (scalar(f"{PLANE}/excitation_lambda", np.nan), "nwb.wavelength", f"{PLANE}: excitation_lambda is not known"),
    ],
)  # fmt: skip
def test_silent_mistakes(
    result: Path, tmp_path: Path, change: Callable[[h5py.File], None], id: str, message: str
) -> None:
    with h5py.File(shutil.copy(result, tmp_path / "x.nwb"), "r+") as file:
        assert find_silent_mistakes(file) == []
        change(file)
        found = find_silent_mistakes(file)
    assert [(f.id, f.message) for f in found] == [(id, message)]


def test_every_check_is_registered() -> None:
    from neuropress.results.nwb import silent

    public = {name for name in vars(silent) if callable(getattr(silent, name)) and name.islower()}
    own = {name for name in public if getattr(getattr(silent, name), "__module__", "") == silent.__name__}
    assert {check.__name__ for check in CHECKS} == {n for n in own if not n.startswith("_")} - {"find_silent_mistakes"}


def test_no_hdf5_file(tmp_path: Path) -> None:
    path = tmp_path / "x.nwb"
    path.write_bytes(b"nothing")
    with pytest.raises(Problem) as caught:
        load_kind("nwb").validate(path)
    assert caught.value.finding.id == "result.unreadable"


def test_a_file_that_pynwb_refuses(tmp_path: Path) -> None:
    path = tmp_path / "x.nwb"
    with h5py.File(path, "w") as file:
        file["x"] = 1
    assert any(f.severity is Severity.ERROR for f in load_kind("nwb").validate(path))
