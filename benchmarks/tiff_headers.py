"""CPU seconds of the header pass over a TIFF of 40,000 pages, beside tifffile's own iteration over its pages.

Run: ``python benchmarks/tiff_headers.py [pages]``. Files are made in a temporary folder.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

from neuropress.model.source import Source
from neuropress.readers.tiff import read as tiff
from neuropress.storage.roots import Folder

FRAME = np.arange(256, dtype=np.uint16).reshape(16, 16)


def write_pages(path: Path, pages: int, text: bool) -> None:
    """Pages of their own, with a text each as ScanImage writes it."""
    with tifffile.TiffWriter(path) as out:
        for number in range(pages):
            about = f"frameNumbers = {number}\nframeTimestamps_sec = {number / 30:.9f}" if text else None
            out.write(FRAME, contiguous=False, metadata=None, description=about)


def write_stack(path: Path, pages: int, kind: str) -> None:
    """A stack as ImageJ or OME declares it."""
    stack = np.broadcast_to(FRAME, (pages, *FRAME.shape))
    tifffile.imwrite(path, stack, **{kind: True}, metadata={"axes": "TYX"}, photometric="minisblack")


def seconds(run: Callable[[], object], rounds: int = 3) -> float:
    """CPU seconds of the quickest round."""
    found = []
    for _ in range(rounds):
        before = time.process_time()
        run()
        found.append(time.process_time() - before)
    return min(found)


def iterate(path: Path) -> int:
    """What tifffile takes for all pages."""
    with tifffile.TiffFile(path) as tif:
        return sum(1 for _ in tif.pages)


def read_headers(path: Path) -> None:
    """What the reader takes until planning has all that it needs."""
    for image in tiff.read(Source(path.name, Folder(path.parent)), {}):
        image.close()


def main() -> None:
    """Print one line for each sort of file."""
    pages = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
    kinds: dict[str, Callable[[Path], None]] = {
        "plain": lambda p: write_pages(p, pages, text=False),
        "a text a page": lambda p: write_pages(p, pages, text=True),
        "ImageJ": lambda p: write_stack(p, pages, "imagej"),
        "OME": lambda p: write_stack(p, pages, "ome"),
    }
    print(f"{'':15}{'tifffile':>10}{'neuropress':>12}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name, write in kinds.items():
            path = Path(folder) / "movie.tif"
            write(path)
            theirs, ours = seconds(lambda p=path: iterate(p)), seconds(lambda p=path: read_headers(p))  # type: ignore[misc]
            print(f"{name:15}{theirs:10.2f}{ours:12.2f}{ours / theirs:8.2f}")


if __name__ == "__main__":
    main()
