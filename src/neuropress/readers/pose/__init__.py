"""What readers of tracked points share. No format of its own: `points` makes series, here stands what can be stated."""

from __future__ import annotations

from collections.abc import Callable

from ..behavior_csv import VIDEO
from ..behavior_csv.columns import check_rate
from ..format import Claim, Fact, Format, Option

HDF5 = b"\x89HDF\r\n\x1a\n"


def make_format(name: str, title: str, probe: Callable[[bytes, str], Claim | None]) -> Format:
    """The declaration of a tracking program's HDF5 files."""
    return Format(
        name=name,
        title=title,
        module=f"neuropress.readers.{name}.read",
        probe=probe,
        options=(
            Option("frame_rate", 'Frames a second of the video: "30", "29.97" or "30000/1001".', check=check_rate),
            VIDEO,
        ),
        facts=(Fact("rows", "frames of which there are points"),),
        findings=("pose.damaged", "pose.unsafe"),
    )
