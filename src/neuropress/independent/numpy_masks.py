"""Label images and planes of masks in NPY files by NumPy's own loader, which is told not to unpickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .reading import SecondArrays
from .regions import split_regions


def read(path: Path, content: str, options: Mapping[str, Any]) -> SecondArrays:
    """See `neuropress.independent.SecondReaderModule`."""
    image = np.asarray(np.load(path, allow_pickle=False))
    return split_regions([image] if image.ndim == 2 else list(image))
