"""Labels and points of a volume: what a person states of a mask or of a table of detections, and their classes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .content import Content
from .finding import problem
from .key_patterns import matches_key
from .record import CellRef
from .serial import SPARSE

if TYPE_CHECKING:
    import numpy as np

LABEL_TYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
LABELS, POINTS = "labels", "points"
ENTRIES: Mapping[str, tuple[str, ...]] = {
    LABELS: ("path", "column", "classes", "dtype", "spacing"),
    POINTS: ("path", "column", "classes", "spacing"),
}
"""What stands beside a volume, by the table of ``neuropress.toml`` that names it -> what may be said of each."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A mask that a person names as labels of a volume, or a table of points or boxes in it.

    Attributes
    ----------
    name
        Of the labels, or of the table, in the result.
    path, column
        Where the file lies, as tables write paths, or the column of the volume's row that says so.
    classes
        Where the table or ontology of its classes lies; empty for none.
    dtype
        The integer type of ids that are stored as floats.
    spacing
        um a voxel along z, y and x (or y and x), where the file does not tell; of points, of the image that their
        pixels were counted in, where that is not the volume.
    is_points
        Whether it is a table of points, which ``[points]`` names.
    is_ours
        Whether that is a table of another volume of ours, whose columns of places in the volume are made anew.
    """

    name: str
    path: str = ""
    column: str = field(default="", metadata=SPARSE)
    classes: str = field(default="", metadata=SPARSE)
    dtype: str = field(default="", metadata=SPARSE)
    spacing: tuple[str, ...] = field(default=(), metadata=SPARSE)
    is_points: bool = field(default=False, metadata=SPARSE)
    is_ours: bool = field(default=False, metadata=SPARSE)

    @property
    def section(self) -> str:
        """The table of ``neuropress.toml`` that names it."""
        return POINTS if self.is_points else LABELS

    def make_entry(self) -> dict[str, Any]:
        """As ``neuropress.toml`` says it."""
        known = (name for name in ENTRIES[self.section] if name != "spacing")
        texts = {name: getattr(self, name) for name in known if getattr(self, name)}
        return texts | ({"spacing": [float(n) for n in self.spacing]} if self.spacing else {})


@dataclass(frozen=True, slots=True)
class LabelClass:
    """What an id stands for; `color` is red, green, blue and alpha, `parent` the id above it in an ontology."""

    value: int
    name: str = ""
    acronym: str = ""
    color: tuple[int, int, int, int] | None = None
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels or points of a volume with their file open: what was stated, and what the files hold.

    `source` and `classes_source` are the keys of the files; `rows` has the cells of each row of a table that names it.
    """

    file: LabelFile
    source: str
    contents: tuple[Content, ...]
    classes: tuple[LabelClass, ...] = ()
    classes_source: str = ""
    rows: tuple[tuple[CellRef, ...], ...] = ()

    def describe_rows(self) -> tuple[list[dict[str, str]], tuple[CellRef, ...]]:
        """What tables say of the file, an object a row, with the cells that it is from."""
        described = [{"table": row[0].table, **{ref.column: ref.text for ref in row}} for row in self.rows]
        return described, tuple(ref for row in self.rows for ref in row)


def parse_label_files(settings: Mapping[str, Any]) -> dict[str, tuple[LabelFile, ...]]:
    """``[labels.VOLUME.NAME]`` and ``[points.VOLUME.NAME]``: key of a volume, or pattern of keys -> what it has.

    Parameters
    ----------
    settings
        All of ``neuropress.toml``.

    Raises
    ------
    ValueError
        An entry is none that there is, or of the wrong kind.
    """
    parsed: dict[str, tuple[LabelFile, ...]] = {}
    for section in ENTRIES:
        for volume, entries in settings.get(section, {}).items():
            place = f"{section}.{volume}"
            if not isinstance(entries, dict):
                raise ValueError(f"[{place}] must hold a table for each of its {section}, as [{place}.nuclei]")
            files = (_parse_entry(section, f"[{place}.{name}]", name, one) for name, one in entries.items())
            parsed[volume] = (*parsed.get(volume, ()), *files)
    return parsed


def _parse_entry(section: str, place: str, name: str, entry: Any) -> LabelFile:
    check_label_name(name)
    if not isinstance(entry, dict) or set(entry) - set(ENTRIES[section]):
        raise ValueError(f"{place} must be a table of {', '.join(ENTRIES[section])}")
    texts = {key: value for key, value in entry.items() if key != "spacing"}
    wrong = next((key for key, value in texts.items() if not isinstance(value, str) or not value), None)
    if wrong:
        raise ValueError(f"{place} {wrong} must be a text, not {texts[wrong]!r}")
    if ("path" in entry) == ("column" in entry):
        raise ValueError(f"{place} needs either path, the file's, or column, of the volume's row that names it")
    if entry.get("dtype", LABEL_TYPES[0]) not in LABEL_TYPES:
        raise ValueError(f"{place} dtype {entry['dtype'][:40]!r} is none of {', '.join(LABEL_TYPES)}")
    spacing = entry.get("spacing", [])
    is_numbers = isinstance(spacing, list) and all(type(n) in (int, float) and 0 < n < 1e9 for n in spacing)
    if not is_numbers or len(spacing) not in (0, 2, 3):
        raise ValueError(f"{place} spacing must be numbers above 0, um a voxel along z, y and x")
    return LabelFile(name, **texts, spacing=tuple(str(Decimal(repr(n))) for n in spacing), is_points=section == POINTS)


def check_label_name(name: str) -> None:
    """Refuse names that no folder of every system has. Raises `ValueError`."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:80]!r}: a name has letters, digits, _ and -, at most 64")


def find_label_files(stated: Mapping[str, tuple[LabelFile, ...]], key: str) -> dict[str, LabelFile]:
    """The masks and points of a volume by their place; what its own key states holds over what a pattern does.

    A mask has the place ``nuclei``, points ``points/nuclei``.
    """
    found: dict[str, LabelFile] = {}
    for pattern, files in stated.items():
        if matches_key(pattern, key):
            found |= {_name_place(one): one for one in files}
    return found | {_name_place(one): one for one in stated.get(key, ())}


def _name_place(one: LabelFile) -> str:
    return f"{POINTS}/{one.name}" if one.is_points else one.name


def convert_whole_numbers(block: np.ndarray, dtype: np.dtype[Any], source: str) -> np.ndarray:
    """Ids that are stored as floats, as integers.

    Raises
    ------
    Problem
        ``labels.fraction``: one is no whole number, or beyond the type.
    """
    import numpy as np

    limits = np.iinfo(dtype)
    # The upper limit itself is rounded up to a power of two as a float: compared exclusively it is exact.
    with np.errstate(invalid="ignore"):
        sound = (block == np.rint(block)) & (block >= float(limits.min)) & (block < 2.0 ** int(limits.max).bit_length())
    if not sound.all():
        at = np.unravel_index(int((~sound).argmax()), block.shape)
        message = f"{source} holds {block[at]}, which is no whole number that {dtype.name} can hold"
        raise problem("labels.fraction", message, file=source, value=str(block[at]), expected=dtype.name)
    converted: np.ndarray = block.astype(dtype)
    return converted
