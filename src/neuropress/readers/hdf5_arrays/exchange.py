"""Data Exchange, in which beamlines and micro-CT scanners keep projections: ``/exchange/data`` and their angles."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np

from ..arrays.hdf5 import read_text
from ..arrays.tree import ArrayTree

DATA, ANGLES = "exchange/data", "exchange/theta"
MOST_ANGLES = 100_000


def describe_projections(file: h5py.File, tree: ArrayTree) -> ArrayTree:
    """The tree with the angles of its projections; as it is where the file has none.

    Projections are no volume: their first axis is an angle, which NGFF has no name for. They are taken one after the
    other, so it is time here.
    """
    data, angles = tree.variables.get(DATA), tree.variables.get(ANGLES)
    if data is None or angles is None or len(data.shape) != 3 or len(angles.shape) != 1:
        return tree
    if angles.size > MOST_ANGLES or angles.shape[0] not in data.shape:
        return tree
    # The definition of the format says theta, y, x where the attribute axes is left out.
    axes = data.axes or ("tyx" if angles.shape[0] == data.shape[0] else "")
    if "t" not in axes or data.shape[axes.index("t")] != angles.shape[0]:
        return tree
    values = angles.read_whole().tolist()
    unit = angles.unit or read_text(file[ANGLES].attrs, "units") or "unknown unit"
    finite = [value if np.isfinite(value) else str(value) for value in values]
    warning = (
        f"{DATA} are {len(values)} projections, no volume: the angles of rotation ({values[0]:g} to {values[-1]:g} "
        f"{unit}) are kept with the header, and their axis is written as time, in which they were taken"
    )
    return replace(
        tree,
        variables={**tree.variables, DATA: replace(data, axes=axes)},
        header={**tree.header, "theta": {"unit": unit, "values": finite}},
        warnings=(*tree.warnings, warning),
    )
