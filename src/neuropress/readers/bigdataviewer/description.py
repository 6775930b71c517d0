"""What the XML of BigDataViewer says: where the pixels lie, and the setups with their names and distances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from xml.etree import ElementTree

from ...model import budget
from ...model.finding import Problem, problem
from ...model.parsing import parse_xml
from ...model.source import Source
from ..images.calibration import get_um_per_unit, parse_decimal

_SEQUENCE = "SequenceDescription"


@dataclass(frozen=True, slots=True)
class Setup:
    """A setup: its name, extents and um a voxel along x, y and z; empty where the XML does not say."""

    name: str = ""
    size: tuple[int, ...] = ()
    steps: tuple[Decimal, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """The XML: key of the HDF5 file, setups by their numbers, and the text itself."""

    key: str
    setups: Mapping[int, Setup] = field(default_factory=dict)
    text: str = ""


def read_description(source: Source) -> Description:
    """The XML of a data set. Raises `Problem` (``bigdataviewer.damaged``, ``bigdataviewer.unsupported``)."""
    size = source.size()
    if size > budget.XML_BYTES:
        raise make_damaged(source.key, f"it has {size} bytes, more than {budget.XML_BYTES}")
    text = source.read().decode("utf-8", "replace")
    try:
        root = parse_xml(text)
    except (budget.OverBudget, ElementTree.ParseError) as error:
        raise make_damaged(source.key, f"it is no XML that is read ({error})") from error
    loader = root.find(f"{_SEQUENCE}/ImageLoader")
    kind = loader.get("format", "nothing") if loader is not None else "nothing"
    if kind != "bdv.hdf5":
        hint = "Of bdv.n5 and bdv.zarr name the folder itself; resave others as HDF5 (Fiji: BigDataViewer > Export)."
        message = f"{source.key}: its pixels are stored as {kind[:40]!r}; read is bdv.hdf5"
        raise problem("bigdataviewer.unsupported", message, hint=hint, file=source.key)
    setups = {}
    for element in root.iterfind(f"{_SEQUENCE}/ViewSetups/ViewSetup"):
        number = element.findtext("id", "").strip()
        if not number.isascii() or not number.isdigit() or len(number) > 6:
            raise make_damaged(source.key, f"a setup of it has the id {number[:40]!r}")
        setups[int(number)] = _parse_setup(element)
    return Description(_find_file(source, root.findtext(f"{_SEQUENCE}/ImageLoader/hdf5", "").strip()), setups, text)


def _find_file(source: Source, written: str) -> str:
    """The key of the HDF5 file, which only ever lies beside the XML."""
    name = written.removeprefix("./")
    key = source.sibling(name) if name and "/" not in name and "\\" not in name else None
    if key is None or key == source.key:
        message = f"{source.key} names {written[:80]!r} as the file of its pixels, which does not lie beside it"
        raise problem("bigdataviewer.damaged", message, file=source.key, value=written[:80])
    return key


def _parse_setup(element: ElementTree.Element) -> Setup:
    size = element.findtext("size", "").split()
    steps = [parse_decimal(word) for word in element.findtext("voxelSize/size", "").split()]
    um = get_um_per_unit(element.findtext("voxelSize/unit", ""))
    known = tuple(step * um for step in steps if um is not None and step is not None and step > 0)
    is_whole = len(size) == 3 and all(word.isascii() and word.isdigit() and len(word) < 16 for word in size)
    return Setup(
        element.findtext("name", "").strip(),
        tuple(map(int, size)) if is_whole else (),
        known if len(known) == len(steps) == 3 else (),
    )


def make_damaged(key: str, what: str) -> Problem:
    """The finding of a data set that contradicts itself."""
    return problem("bigdataviewer.damaged", f"{key}: {what}", file=key)
