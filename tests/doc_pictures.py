"""``python tests/doc_pictures.py``: docs/pictures, what neuropress draws of the pages' raw files."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from doc_pages import DOCS, Page, make_raw_files, run_command

DRAWN = {"recording.png": "cell1.abf", "frame.png": "movie.tif"}
"""Picture -> the raw file that ``neuropress inspect --png`` draws."""
PLOTTED = "sweeps.png"
"""What the first cells of start/programmer.md plot."""


def draw_raw_files(folder: Path) -> None:
    """Write the pictures of `DRAWN` into `folder`; the raw files lie in the current one."""
    for picture, raw in DRAWN.items():
        status, printed = run_command(f"neuropress inspect {raw} --png {folder / picture}")
        assert status == 0, printed


def main() -> None:
    """Write all pictures anew."""
    os.environ["MPLBACKEND"] = "agg"
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        make_raw_files(Path(scratch))
        draw_raw_files(DOCS / "pictures")
        page = Page("start/programmer.md", Path(scratch))
        page.blocks = [block for block in page.blocks if block.start < page.text.splitlines().index("With pynwb:")]
        page.run()
        shutil.copyfile(PLOTTED, DOCS / "pictures" / PLOTTED)


if __name__ == "__main__":
    main()
