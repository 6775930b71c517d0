"""Files by the layouts that their programs publish: nobody's data."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(-500, 500, shape).astype("<i2")


def write_edf(folder: Path) -> Path:
    """EDF: two channels of 200 Hz, ten records of a second."""
    fixed = [
        ("0", 8),
        ("X", 80),
        ("Y", 80),
        ("20.06.25", 8),
        ("10.00.00", 8),
        ("768", 8),
        ("", 44),
        ("10", 8),
        ("1", 8),
    ]
    signal = [
        ("ch", 16),
        ("", 80),
        ("uV", 8),
        ("-3000", 8),
        ("3000", 8),
        ("-32768", 8),
        ("32767", 8),
        ("", 80),
        ("200", 8),
        ("", 32),
    ]
    text = "".join(word.ljust(width) for word, width in [*fixed, ("2", 4)])
    text += "".join(
        (f"{word}{number}" if word == "ch" else word).ljust(width) for word, width in signal for number in (1, 2)
    )
    path = folder / "rec.edf"
    path.write_bytes(text.encode("ascii") + _noise(10, 2, 200).tobytes())
    return path


def write_suite2p(folder: Path) -> Path:
    """suite2p: three regions; its options and regions are pickled."""
    plane = folder / "suite2p" / "plane0"
    plane.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for name in ("F", "Fneu", "spks"):
        np.save(plane / f"{name}.npy", rng.random((3, 50), dtype="f4"))
    np.save(plane / "iscell.npy", np.array([[1, 0.9], [1, 0.8], [0, 0.1]]))
    regions = [
        {
            "ypix": np.array([1, 2, n]),
            "xpix": np.array([n, 1, 1]),
            "lam": np.array([0.5, 0.5, 1]),
            "med": [1, 1],
            "npix": 3,
        }
        for n in range(3)
    ]
    np.save(plane / "stat.npy", np.array(regions, dtype=object))
    picture = rng.random((20, 24))
    options = {
        "Ly": 20,
        "Lx": 24,
        "fs": 30.0,
        "nframes": 50,
        "nchannels": 1,
        "nplanes": 1,
        "yrange": [0, 20],
        "xrange": [0, 24],
        "meanImg": picture,
        "Vcorr": picture,
        "max_proj": picture,
        "functional_chan": 1,
    }
    np.save(plane / "ops.npy", np.array(options, dtype=object), allow_pickle=True)
    return folder / "suite2p"
