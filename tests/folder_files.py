"""Folders of planes of our own, in the layouts of MicroManager and PrairieView, written by tifffile."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

STACK = np.random.default_rng(21).integers(0, 4000, (3, 2, 2, 6, 8), dtype=np.uint16)
"""Time, channel, depth, rows, columns."""
ELAPSED = (12.5, 112.75, 240.0)
SUMMARY = {
    "PixelSize_um": 0.65,
    "z-step_um": -2.5,
    "ChNames": ["GFP", "RFP"],
    "StartTime": "2025-06-20 09:10:11.250 +0200",
    "Prefix": "run",
}


def write_micromanager(
    folder: Path,
    stack: np.ndarray = STACK,
    version: int = 2,
    elapsed: Sequence[float] = ELAPSED,
    summary: Mapping[str, Any] = SUMMARY,
    absent: Sequence[tuple[int, int, int]] = (),
) -> Path:
    """Single planes with metadata.txt; `absent` planes were never taken."""
    folder.mkdir(parents=True, exist_ok=True)
    times, channels, depths = stack.shape[:3]
    planned = {"Frames": times, "Channels": channels, "Slices": depths}
    if version == 2:
        planned = {"IntendedDimensions": {"time": times, "channel": channels, "z": depths, "position": 1}}
    document: dict[str, Any] = {"Summary": planned | dict(summary)}
    for place in product(range(times), range(channels), range(depths)):
        if place in absent:
            continue
        t, c, z = place
        # A plane takes a millisecond: the time of a frame is that of its first plane.
        stated = {"ElapsedTime-ms": elapsed[t] + c + z, "Exposure-ms": 10, "PixelSizeUm": 0.65, "PositionName": "A"}
        if version == 1:
            name = f"img_{t:09d}_{SUMMARY['ChNames'][c]}_{z:03d}.tif"  # type: ignore[index]
            numbers = {"Frame": t, "FrameIndex": t, "ChannelIndex": c, "Slice": z, "SliceIndex": z, "PositionIndex": 0}
            document[f"FrameKey-{t}-{c}-{z}"] = numbers | stated | {"FileName": name}
        else:
            name = f"img_channel{c:03d}_position000_time{t:09d}_z{z:03d}.tif"
            document[f"Coords-{folder.name}/{name}"] = {"time": t, "channel": c, "z": z, "position": 0}
            document[f"Metadata-{folder.name}/{name}"] = stated | {"FileName": f"{folder.name}/{name}"}
        tifffile.imwrite(folder / name, stack[place], metadata=None)
    (folder / "metadata.txt").write_text(json.dumps(document, indent=1), encoding="utf-8")
    return folder


def write_mmstack(folder: Path, stack: np.ndarray = STACK, name: str = "run_MMStack_Pos0") -> Path:
    """One OME-TIFF of a position and its metadata.txt, as MMStack sets have them."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"axes": "TCZYX", "Name": name}
    tifffile.imwrite(folder / f"{name}.ome.tif", stack, ome=True, metadata=about, photometric="minisblack")
    times, channels, depths = stack.shape[:3]
    document: dict[str, Any] = {"Summary": dict(SUMMARY)}
    for t, c, z in product(range(times), range(channels), range(depths)):
        numbers = {"FrameIndex": t, "ChannelIndex": c, "SliceIndex": z, "PositionIndex": 0}
        document[f"FrameKey-{t}-{c}-{z}"] = numbers | {"ElapsedTime-ms": ELAPSED[t] + c + z, "FileName": f"{name}.tif"}
    (folder / f"{name}_metadata.txt").write_text(json.dumps(document), encoding="utf-8")
    return folder


def write_prairieview(
    folder: Path,
    stack: np.ndarray = STACK,
    kind: str = "TSeries ZSeries Element",
    times: Sequence[float] = (0.0, 0.5, 1.25),
    is_multipage: bool = False,
    is_bidirectional: bool = False,
    **attributes: str,
) -> Path:
    """A folder with its XML: cycles of depths, or one cycle of times (`stack` has one depth then)."""
    folder.mkdir(parents=True, exist_ok=True)
    root = ElementTree.Element("PVScan", version="5.5.64.500", date="6/20/2025 9:10:00 AM", notes="")
    add_state(root, {"framePeriod": "0.25", "bitDepth": "12", "objectiveLensMag": "16", "objectiveLensNA": "0.8"})
    pixel = ElementTree.SubElement(root.find("PVStateShard"), "PVStateValue", key="micronsPerPixel")  # type: ignore[arg-type]
    for axis, value in zip("XYZ", ("1.16", "1.16", "5"), strict=True):
        ElementTree.SubElement(pixel, "IndexedValue", index=f"{axis}Axis", value=value)
    count, channels, depths = stack.shape[:3]
    is_depth = "ZSeries" in kind
    for cycle in range(count if is_depth else 1):
        about = {"type": kind, "cycle": str(cycle + 1), "time": "09:10:11.2500000"} | attributes
        sequence = ElementTree.SubElement(root, "Sequence", about, bidirectionalZ=str(is_bidirectional))
        order = range(depths if is_depth else count)
        for number, at in enumerate(reversed(order) if is_bidirectional and cycle % 2 else order):
            t, z = (cycle, at) if is_depth else (at, 0)
            taken = times[t] + (0.01 * number if is_depth else 0)
            frame = ElementTree.SubElement(
                sequence, "Frame", relativeTime=f"{taken:.9f}", absoluteTime=f"{taken + 2.2:.9f}", index=str(number + 1)
            )
            for c in range(channels):
                _add_file(frame, folder, stack, (t, c, z), cycle + 1, number + 1, is_multipage)
            add_depth(frame, 10.0 * z)
    if is_multipage:
        for cycle in range(count if is_depth else 1):
            for c in range(channels):
                pages = stack[cycle, c] if is_depth else stack[:, c, 0]
                tifffile.imwrite(folder / name_plane(folder, cycle + 1, c, 1), pages, photometric="minisblack")
    ElementTree.ElementTree(root).write(folder / f"{folder.name}.xml", encoding="utf-8", xml_declaration=True)
    return folder


def name_plane(folder: Path, cycle: int, channel: int, number: int) -> str:
    return f"{folder.name}_Cycle{cycle:05d}_Ch{channel + 1}_{number:06d}.ome.tif"


def add_state(element: ElementTree.Element, values: Mapping[str, str]) -> None:
    shard = ElementTree.SubElement(element, "PVStateShard")
    for key, value in values.items():
        ElementTree.SubElement(shard, "PVStateValue", key=key, value=value)


def add_depth(frame: ElementTree.Element, depth: float) -> None:
    shard = ElementTree.SubElement(frame, "PVStateShard")
    current = ElementTree.SubElement(shard, "PVStateValue", key="positionCurrent")
    axis = ElementTree.SubElement(current, "SubindexedValues", index="ZAxis")
    ElementTree.SubElement(axis, "SubindexedValue", subindex="0", value=f"{depth}", description="Z Focus")


def _add_file(
    frame: ElementTree.Element,
    folder: Path,
    stack: np.ndarray,
    place: tuple[int, int, int],
    cycle: int,
    number: int,
    is_multipage: bool,
) -> None:
    channel = place[1]
    name = name_plane(folder, cycle, channel, 1 if is_multipage else number)
    page = str(number if is_multipage else 1)
    about = {"channel": str(channel + 1), "channelName": ("Green", "Red")[channel], "page": page, "filename": name}
    ElementTree.SubElement(frame, "File", about)
    if not is_multipage:
        tifffile.imwrite(folder / name, stack[place], metadata=None)
