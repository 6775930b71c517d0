"""Points of DeepLabCut's HDF5 files: a series for each point, read by rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import h5py
import numpy as np

from ...model.content import Content, LazyArray, Selection, Series
from ...model.source import Source
from ..hdf5.opened import GuardedFile
from ..pose.points import Frames, Undeclared, check_names, find_stem, name_point, name_video, read_points, state_clock
from . import FORMAT, KEYS
from .frame import CSV, Block, Frame, Label, open_frame

LIKELIHOOD = "likelihood"


def read(source: Source, options: Mapping[str, Any]) -> tuple[Content, ...]:
    """A series a point; of a file that does not say all a plain content with ``undeclared`` in its header.

    Raises
    ------
    Problem
        ``pose.damaged``, ``pose.unsafe``.
    """
    return read_points(source, FORMAT.name, partial(_make_contents, options))


def _make_contents(options: Mapping[str, Any], opened: GuardedFile) -> Sequence[Content]:
    found = [name.decode() for name in KEYS if isinstance(opened.file.get(name), h5py.Group)]
    if len(found) != 1:
        raise Undeclared(f"it has {len(found)} of DeepLabCut's tables ({', '.join(map(bytes.decode, KEYS))}); {CSV}")
    frame = open_frame(opened.file[found[0]])
    points = _group_points(frame)
    if frame.index.dtype.kind not in "iu":
        first = frame.index[:1].tolist()
        shown = f" ({first[0].decode('utf-8', 'replace')[:80]!r})" if first and isinstance(first[0], bytes) else ""
        raise Undeclared(f"its frames are names{shown}, as of images that somebody labelled: no times")
    if not frame.index.size:
        raise Undeclared("it has no rows")
    numbers = frame.index.astype("<i8")
    if np.any(np.diff(numbers) < 0) or numbers[0] < 0:
        raise ValueError("the numbers of its frames do not ascend")
    frames = Frames(FORMAT.name, len(numbers), state_clock(opened.key, options), numbers)
    scorer = next(iter(points))[0]
    video = name_video(options, find_stem(opened.key, scorer))
    return check_names(list(_make_series(opened, frame, points, frames, video)))


def _group_points(frame: Frame) -> dict[Label, dict[str, tuple[Block, int]]]:
    """Columns of each point, by coordinate: a label is scorer, perhaps individual, body part and coordinate."""
    points: dict[Label, dict[str, tuple[Block, int]]] = {}
    for label, place in frame.columns.items():
        if len(label) not in (3, 4) or label[-1] not in ("x", "y", "z", LIKELIHOOD):
            raise Undeclared(f"its column {'/'.join(label)[:80]!r} is no scorer, body part and coordinate; {CSV}")
        if place[0].dtype.kind not in "fiu":
            raise Undeclared(f"its column {'/'.join(label)[:80]!r} holds no numbers; {CSV}")
        points.setdefault(label[:-1], {})[label[-1]] = place
    if len({label[0] for label in points}) != 1:
        raise Undeclared(f"it has points of {len({label[0] for label in points})} scorers; a file of one is read")
    if bad := next((label for label, columns in points.items() if not {"x", "y"} <= set(columns)), None):
        raise Undeclared(f"its point {'/'.join(bad)[:80]!r} has no x and y; {CSV}")
    return points


def _make_series(
    opened: GuardedFile, frame: Frame, points: Mapping[Label, Mapping[str, tuple[Block, int]]], frames: Frames,
    video: Mapping[str, str],
) -> Iterator[Series]:  # fmt: skip
    for label, columns in points.items():
        axes = "".join(axis for axis in "xyz" if axis in columns)
        arrays = {"data": _make_array(opened, "data", [columns[axis] for axis in axes], frames.count)}
        if LIKELIHOOD in columns:
            confidence = _make_array(opened, "confidence", [columns[LIKELIHOOD]], frames.count)
            arrays["confidence"] = confidence
        pose = {
            "individual": label[1] if len(label) == 3 else "",
            "node": label[-1],
            "scorer": label[0],
            "software": "DeepLabCut",
            "definition": "likelihood, as DeepLabCut gives it",
            **video,
        }
        yield frames.make_series(name_point(pose["individual"], pose["node"]), {"pose": pose}, arrays, axes)


def _make_array(opened: GuardedFile, name: str, columns: Sequence[tuple[Block, int]], count: int) -> LazyArray:
    """(frame,) of one column, (frame, column) of several, of the type that holds all of them."""
    dtype = np.result_type(*(block.dtype for block, _ in columns)).newbyteorder("=")
    shape = (count,) if len(columns) == 1 else (count, len(columns))

    def read(selection: Selection) -> np.ndarray:
        blocks: dict[str, np.ndarray] = {}
        parts = []
        for block, number in columns:
            place = f"{block.dataset.name}/{block.field}"
            if place not in blocks:
                blocks[place] = block.read(selection[0])
            parts.append(blocks[place][:, number])
        return parts[0] if len(shape) == 1 else np.column_stack(parts)[:, selection[1]]

    return opened.make_array(name, shape, dtype, read)
