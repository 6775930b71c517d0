"""Label images and planes of masks by Pillow: which pixels have which value, region by region."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .reading import CannotRead, SecondArrays
from .regions import split_regions


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    return split_regions(_read_planes(path))


def _read_planes(path: Path) -> list[np.ndarray]:
    Image.MAX_IMAGE_PIXELS = None  # what a page may claim, the limit of the process says
    with Image.open(path, formats=("TIFF", "PNG")) as image:
        planes = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            if image.mode in ("P", "PA", "RGB", "RGBA", "LA"):
                raise CannotRead(f"Pillow reads colours ({image.mode}), not labels")
            if image.format == "PNG" and image.mode == "L":
                _check_depth(path)
            planes.append(np.array(image))
        return planes


def _check_depth(path: Path) -> None:
    """Pillow spreads samples of 2 and 4 bits over 0 to 255. Raises `CannotRead`."""
    with path.open("rb") as file:
        bits = file.read(25)[24]
    if bits != 8:
        raise CannotRead(f"Pillow spreads samples of {bits} bits over 0 to 255")
