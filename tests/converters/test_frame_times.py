"""Movies whose files say when each frame was taken: times where they are uneven, a rate where they are even."""

from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import h5py
import numpy as np
import pytest
from builder import DATE, Builder
from microscope_files import write_nd2

from neuropress.converters._frame_times import FrameTimes, measure_times
from neuropress.model.clock import Clock
from neuropress.model.content import Image
from neuropress.model.plan import ArraySpec
from neuropress.readers.microscopes.planes import build_times

FRAMES = np.random.default_rng(8).integers(0, 60000, (6, 5, 7, 2), dtype=np.uint16)
STARTED = datetime(2025, 6, 20, 9, 0, tzinfo=ZoneInfo("America/New_York"))
"""The files of `write_nd2` begin at 13:30 UTC, half an hour later."""


def measure(times: np.ndarray, scale: str = "0.001") -> FrameTimes | None:
    """The times of a file that began 2 s after the session."""
    image = Image("", "nd2", {}, {}, {"times": build_times("times", times)}, timestamps="times", scale=scale)
    return measure_times(ArraySpec.of("a.nd2", image, "times", clock=Clock(scale, "2")), image, Fraction(scale))


@pytest.mark.parametrize(
    ("times", "scale", "even"),
    [
        (np.array([0.0, 10.0, 20.0, 30.0]), "0.001", True),
        (np.array([445.1, 455.1, 465.1, 475.1]), "0.001", True),
        (np.array([0.0, 10.0, 20.1, 30.0]), "0.001", False),
        (np.array([0, 33, 67, 100]), "0.001", True),  # 33.3 ms in whole ones
        (np.array([0, 33, 69, 100]), "0.001", False),
        (np.array([0, 333333, 666667, 1000000]), "0.0000001", True),
        (np.array([360.4196148, 420.3980454, 480.4104779]), "1", False),
    ],
)
def test_even_is_what_rounding_explains(times: np.ndarray, scale: str, even: bool) -> None:
    found = measure(times, scale)
    assert found is not None
    assert (found.rate is not None) == even
    assert found.first == pytest.approx(2 + times[0] * float(scale), abs=1e-12)
    if even:
        assert found.rate == pytest.approx(3 / ((times[-1] - times[0]) * float(scale)))


def test_one_frame_has_no_rate() -> None:
    assert measure(np.array([5.0])) is None


def convert_movie(root: Path, times: list[float], loops: list[tuple[str, int]], **cells: str) -> Any:
    """The open NWB file of one movie."""
    builder = Builder(root / "ds")
    builder.session(1, start_time="09:00", end_time="10:50", session_date=DATE)
    raw = write_nd2(root / "a.nd2", FRAMES, loops, times=times, channels=("GFP", "RFP 2"))
    key = f"yuste/{DATE}/image/raw/a.nd2"
    builder.put(key, raw)
    usual = {
        "image_id": "RY_IMG_0001", "session_id": "RY_S_0001", "image_type": "voltage", "frame_rate": "100",
        "x": "7", "y": "5", "z": "6", "file_path_raw": key,
    }  # fmt: skip
    builder.row("image", **(usual | cells))
    dataset = builder.dataset
    converted = dataset.convert()
    assert converted.ok, [f.message for f in converted.findings if f.severity == "error"]
    verified = dataset.verify()
    assert verified.ok, [f.message for f in verified.findings]
    path = builder.output("RY_S_0001.nwb")
    assert path is not None
    return h5py.File(path)


def test_uneven_times_are_written_one_by_one_beside_each_channel(tmp_path: Path) -> None:
    times = [445.5, 455.5, 465.5, 475.5, 486.0, 495.5]
    with convert_movie(tmp_path, times, [("t", 6)]) as file:
        for channel, name in enumerate(("GFP", "RFP_2")):
            series = file[f"acquisition/RY_IMG_0001_{name}"]
            assert "starting_time" not in series
            assert series["timestamps"][:] == pytest.approx([1800 + t / 1000 for t in times], abs=1e-9)
            assert np.array_equal(series["data"][:], FRAMES[..., channel].transpose(0, 2, 1))


def test_even_times_are_a_rate_and_depth_is_kept(tmp_path: Path) -> None:
    times = [10.0, 12.0, 20.0, 22.0, 30.0, 32.0]
    with convert_movie(tmp_path, times, [("t", 3), ("z", 2)]) as file:
        series = file["acquisition/RY_IMG_0001_GFP"]
        assert "timestamps" not in series
        start = series["starting_time"]
        assert (float(start[()]), float(start.attrs["rate"])) == pytest.approx((1800.01, 100.0))
        assert series["data"].shape == (3, 7, 5, 2)


def test_a_rate_that_contradicts_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="frame_rate: 80 in the table"):
        convert_movie(tmp_path, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0], [("t", 6)], frame_rate="80")


def test_without_a_clock_near_the_session_times_count_from_the_file(tmp_path: Path) -> None:
    builder_date = {"session_date": "20250622"}
    builder = Builder(tmp_path / "ds")
    builder.session(1, start_time="09:00", end_time="10:50", **builder_date)
    raw = write_nd2(tmp_path / "a.nd2", FRAMES, [("t", 6)], times=[0, 10, 21, 30, 40, 50], channels=("A", "B"))
    key = "yuste/20250622/image/raw/a.nd2"
    builder.put(key, raw)
    builder.row(
        "image", image_id="RY_IMG_0001", session_id="RY_S_0001", image_type="voltage", frame_rate="100",
        x="7", y="5", z="6", file_path_raw=key,
    )  # fmt: skip
    report = builder.dataset.convert()
    assert "image.alignment" in {finding.id for finding in report.findings}
    path = builder.output("RY_S_0001.nwb")
    assert path is not None
    with h5py.File(path) as file:
        series = file["acquisition/RY_IMG_0001_A"]
        assert series["timestamps"][:] == pytest.approx([0, 0.01, 0.021, 0.03, 0.04, 0.05])
        assert "alignment unknown" in series.attrs["comments"]
