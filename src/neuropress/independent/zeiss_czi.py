"""CZI by Zeiss' own library, scene by scene; mosaics as it lays their tiles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from pylibCZIrw import czi

from .reading import CannotRead, SecondImage

LEADING = "TCZ"
SCENE = re.compile(r"scene([0-9]+)")


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondImage:
    """See `neuropress.independent.SecondReaderModule`."""
    with czi.open_czi(str(path)) as file:
        box, scenes = file.total_bounding_box, file.scenes_bounding_rectangle
    match = SCENE.fullmatch(content)
    if content and not match:
        raise CannotRead(f"the library does not tell the image {content[:80]!r} from others of the file")
    scene = int(match[1]) - 1 if match else None
    if others := [name for name in box if name not in ("T", "C", "Z", "X", "Y") and box[name][1] - box[name][0] > 1]:
        raise CannotRead(f"how its dimension {others[0]} makes images is not compared")
    if scene is None and len(scenes) > 1:
        raise CannotRead("the library finds several scenes, of which one image is made")
    names = [name for name in LEADING if name in box and box[name][1] - box[name][0] > 1]
    shape = tuple(box[name][1] - box[name][0] for name in names)

    def read_page(number: int) -> np.ndarray:
        place = dict(zip(names, np.unravel_index(number, shape), strict=True)) if names else {}
        plane = {name: box[name][0] + int(place.get(name, 0)) for name in LEADING if name in box}
        with czi.open_czi(str(path)) as file:
            pixels = np.asarray(file.read(plane=plane, scene=scene))
        return pixels[..., ::-1] if pixels.shape[-1] == 3 else pixels[..., 0]  # it gives blue, green, red

    page = read_page(0) if prod(shape) else np.empty((0, 0))
    return SecondImage(
        (*(name.lower() for name in names), *("y", "x", "s")[: page.ndim]), (*shape, *page.shape), page.dtype, read_page
    )
