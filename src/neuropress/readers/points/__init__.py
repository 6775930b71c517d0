"""Points and boxes in an image: detected cells as CellCounter XML, CSV, TSV or an array of NumPy."""

from __future__ import annotations

from ..format import Claim, Fact, Format, Option
from .columns import check_columns, check_first

MARKERS = b"<CellCounter_Marker_File"
NPY = b"\x93NUMPY"
SUFFIXES = (".csv", ".tsv", ".txt", ".xml", ".npy")


def probe(head: bytes, name: str) -> Claim | None:
    """Any table and any array of NumPy: that it holds places in an image, only the setting says that names it."""
    if MARKERS in head:
        return Claim("points", "its markers of CellCounter")
    if head.startswith(NPY):
        return Claim("points", "begins like an NPY file")
    is_text = name.lower().endswith((".csv", ".tsv", ".txt"))
    return Claim("points", "its name ends in .csv, .tsv or .txt", strength=1) if is_text else None


FORMAT = Format(
    name="points",
    title="points and boxes in an image: CellCounter and cellfinder XML, CSV and TSV (napari's, too), NPY",
    module="neuropress.readers.points.read",
    suffixes=SUFFIXES,
    purpose="points",
    probe=probe,
    options=(
        Option(
            "columns",
            'What columns are: "px = x; py = y; slice = z; kind = class; p = score". Boxes have x_min and x_max, or '
            "x_min and x_size; object numbers the shape of which a row is a corner. Columns of an NPY are called 0, 1, "
            "2. Columns that are not named are kept, too.",
            check=check_columns,
        ),
        Option("header", 'Names of the columns, where a text has none: "z,y,x,score".'),
        Option(
            "unit",
            "What places are counted in: pixels of the image, or micrometres from the middle of its first pixel.",
            "choice",
            ("pixel", "micrometer"),
        ),
        Option(
            "first", 'The number of the first pixel: "0" or "1"; or of each axis: "z 1, y 0, x 0".', check=check_first
        ),
        Option(
            "box_ends",
            "Whether the pixel that x_max names belongs to the box, of boxes in pixels.",
            "choice",
            ("included", "excluded"),
        ),
    ),
    facts=(Fact("rows", "points, boxes or corners"),),
    findings=("points.damaged",),
)
