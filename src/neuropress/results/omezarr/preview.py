"""A picture of the middle slices of a volume, with its labels over them: what a person sees before opening it.

It lies among the chunks of level 0, where every reader of Zarr passes over it: in a group's folder zarr-python would
warn of it. It follows from the stored levels, the raw file's own spacing, and the channels' colours and windows:
other corrected cells do not change it. It is read from the smallest level of about `LEAST` voxels a side, some chunks
at a time.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from itertools import product
from typing import Any

import imagecodecs
import numpy as np

from ...storage.remote import ResultPath
from .fresh import FreshLevel
from .layout import Level

NAME = "0/preview.png"
LEAST, MOST = 400, 1024
"""Voxels along the longest axis of the level that is drawn, at least, and pixels, at most."""
GAP = 4
RGB = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
CHUNKS = 8
"""Of one read, along each axis."""
MOST_CHANNELS = 8
_DEFLATE_LEVEL = 8
_HASH = 0x9E3779B97F4A7C15

type Cut = tuple[str, str]
"""The axes that run down and to the right."""
type Indices = Mapping[str, np.ndarray]
"""Axis -> voxel behind each pixel along it; one voxel where the axis is cut."""


def draw_preview(
    root: ResultPath,
    image: Sequence[Level],
    labels: Sequence[Sequence[Level]],
    dtypes: Sequence[np.dtype[Any]],
    names: Sequence[str],
    spacing: Sequence[float],
    colours: Sequence[str],
    windows: Sequence[tuple[float, float]],
) -> bytes:
    """A PNG.

    Parameters
    ----------
    root
        Where the levels lie.
    image, labels
        All levels of the image and of each of its labels, which have no channels.
    dtypes
        Of the image and of each of its labels.
    names
        Axes of the image.
    spacing
        Of the axes in space; empty where it is not known, and then voxels of level 0 are taken for cubes.
    colours
        Of the channels, six hexadecimal digits each.
    windows
        Black and white of each channel that is drawn.
    """
    number = _choose_level(image, names)
    level = image[number]
    space = [name for name in names if name in "zyx"]
    sizes = [size * n for size, n in zip(spacing or [1.0] * len(space), level.shrink[-len(space) :], strict=True)]
    pixels = _count_pixels(dict(zip(space, zip(level.shape[-len(space) :], sizes, strict=True), strict=True)))
    cuts: list[Cut] = [("y", "x")]
    if pixels.get("z", 1) > 1 and level.shape[-3] > 1:
        cuts += [("y", "z"), ("z", "x")]
    extents = dict(zip(names, level.shape, strict=True))
    channels = []
    with closing(FreshLevel(root, level, dtypes[0])) as stored:
        for c in range(len(windows)):
            channels.append([_read_cut(stored, names, extents, pixels, cut, c) for cut in cuts])
    panels = _blend_channels(channels, colours, windows)
    own = [name for name in names if name != "c"]
    for pyramid, dtype in zip(labels, dtypes[1:], strict=True):
        extents = dict(zip(own, pyramid[number].shape, strict=True))
        with closing(FreshLevel(root, pyramid[number], dtype)) as mask:
            for panel, cut in zip(panels, cuts, strict=True):
                _overlay_ids(panel, _read_cut(mask, own, extents, pixels, cut, 0))
    return encode_png(_arrange_panels(panels))


def _choose_level(levels: Sequence[Level], names: Sequence[str]) -> int:
    """The smallest one that is long enough, else the full resolution."""
    space = sum(name in "zyx" for name in names)
    return max((i for i, level in enumerate(levels) if max(level.shape[-space:]) >= LEAST), default=0)


def _count_pixels(axes: Mapping[str, tuple[int, float]]) -> dict[str, int]:
    """Pixels along each axis, so that they are as long as they are wide: a voxel of the plane each, or larger."""
    pixel = max(min(axes["y"][1], axes["x"][1]), max(n * size for n, size in axes.values()) / MOST)
    return {name: max(1, round(n * size / pixel)) for name, (n, size) in axes.items()}


def _read_cut(
    stored: FreshLevel,
    names: Sequence[str],
    extents: Mapping[str, int],
    pixels: Mapping[str, int],
    cut: Cut,
    channel: int,
) -> np.ndarray:
    """Voxels of a cut through the middle, one a pixel."""
    places: dict[str, np.ndarray] = {}
    for name in names:
        n = extents[name]
        if name in cut:
            places[name] = np.arange(pixels[name]) * n // pixels[name]
        else:
            places[name] = np.array([channel if name == "c" else n // 2])
    down, right = (names.index(name) for name in cut)
    picture = np.empty((len(places[cut[0]]), len(places[cut[1]])), stored.dtype)
    # A cut may be long; what is read of it at a time are some chunks.
    steps = [CHUNKS * chunk for chunk in stored.chunks]
    for rows, columns in product(_group(places[cut[0]], steps[down]), _group(places[cut[1]], steps[right])):
        box = [slice(int(places[name][0]), int(places[name][0]) + 1) for name in names]
        for axis, part in ((down, rows), (right, columns)):
            voxels = places[names[axis]][part]
            box[axis] = slice(int(voxels[0]), int(voxels[-1]) + 1)
        block = stored[tuple(box)]
        flat = np.moveaxis(block, (down, right), (0, 1)).reshape(block.shape[down], block.shape[right])
        wanted = [places[cut[i]][part] - box[axis].start for i, axis, part in ((0, down, rows), (1, right, columns))]
        picture[rows, columns] = flat[np.ix_(*wanted)]
    return picture


def _group(voxels: np.ndarray, step: int) -> Iterator[slice]:
    """Pixels whose voxels lie in the same stretch."""
    ends = [*np.flatnonzero(np.diff(voxels // step)) + 1, len(voxels)]
    yield from (slice(int(a), int(b)) for a, b in zip([0, *ends[:-1]], ends, strict=True))


def _blend_channels(
    channels: Sequence[Sequence[np.ndarray]], colours: Sequence[str], windows: Sequence[tuple[float, float]]
) -> list[np.ndarray]:
    """Each cut in (y, x, rgb): channels in their colours, added; grey where there is only one."""
    tints = [tuple(bytes.fromhex(text)) for text in colours[: len(channels)]]
    if len(tints) != len(channels) or len(channels) == 1:
        tints = [(255, 255, 255)] * len(channels)
    if tuple(tints[:3]) == RGB and len(tints) == 4:
        channels = channels[:3]  # the fourth is opacity
    panels = [np.zeros((*cut.shape, 3), np.uint32) for cut in channels[0]]
    for cuts, tint, window in zip(channels, tints, windows, strict=False):
        for panel, cut in zip(panels, cuts, strict=True):
            panel += _apply_window(cut, window)[..., None] * np.array(tint, np.uint32) // 255
    return [np.minimum(panel, 255).astype(np.uint8) for panel in panels]


def _apply_window(cut: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    low, high = window
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (cut.astype(np.float64) - low) / ((high - low) or 1.0) * 255
    return np.rint(np.nan_to_num(scaled, posinf=255.0, neginf=0.0).clip(0, 255)).astype(np.uint32)


def _overlay_ids(panel: np.ndarray, ids: np.ndarray) -> None:
    """A third of each labelled pixel is a colour that follows from its id."""
    with np.errstate(over="ignore"):
        mixed = (ids.astype(np.uint64) * np.uint64(_HASH)) >> np.uint64(32)
    tints = np.stack([64 + (mixed >> np.uint64(shift)) % np.uint64(192) for shift in (0, 10, 20)], axis=-1)
    blended = ((2 * panel.astype(np.uint16) + tints.astype(np.uint16)) // 3).astype(np.uint8)
    panel[...] = np.where((ids != 0)[..., None], blended, panel)


def _arrange_panels(panels: Sequence[np.ndarray]) -> np.ndarray:
    """The plane at the upper left, the cut along y right of it, that along x below."""
    if len(panels) == 1:
        return panels[0]
    plane, side, below = panels
    whole = np.full((plane.shape[0] + GAP + below.shape[0], plane.shape[1] + GAP + side.shape[1], 3), 255, np.uint8)
    whole[: plane.shape[0], : plane.shape[1]] = plane
    whole[: plane.shape[0], -side.shape[1] :] = side
    whole[-below.shape[0] :, : plane.shape[1]] = below
    return whole


def encode_png(picture: np.ndarray) -> bytes:
    """A picture (y, x, rgb) of bytes as PNG: lines as differences, packed by libdeflate, which gives the same bytes on
    every processor, as the variants of zlib do not."""
    is_grey = bool((picture == picture[..., :1]).all())
    lines = np.ascontiguousarray(picture[..., 0] if is_grey else picture).reshape(len(picture), -1)
    above = np.zeros_like(lines)
    above[1:] = lines[:-1]
    filtered = np.full((len(lines), lines.shape[1] + 1), 2, np.uint8)  # "Up"
    filtered[:, 1:] = lines - above
    header = struct.pack(">IIBBBBB", picture.shape[1], picture.shape[0], 8, 0 if is_grey else 2, 0, 0, 0)
    packed = bytes(imagecodecs.deflate_encode(filtered.tobytes(), level=_DEFLATE_LEVEL))
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")):
        parts += [struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(kind + data))]
    return b"".join(parts)
