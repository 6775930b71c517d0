"""Tables of points and boxes in a volume: ``tables/<name>``, a CSV that any program opens, beside annotations.

The group's attributes say what the columns are, by the rules of tables in OME-Zarr that ngio and Fractal follow
(``generic_table``, backend ``csv``). ``table.csv`` has the raw file's columns with their texts as they stand there, and
columns that begin with ``volume_``: places in the volume's coordinates, exact.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal, localcontext
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from ...model.finding import Problem
from ...model.plan import ArraySpec, Node, Plan
from ...model.points import CLASS, OBJECT, SCORE, PointAxis, format_exact
from ...model.receipt import HASH, ArrayReceipt, Receipt, block_digest, blocks, root_digest
from ...model.serial import from_json
from ...readers.raw import RawArrays
from ...storage.remote import BucketPath, ResultPath
from .. import Seal, durable
from ..sections import parse_provenance
from . import guard, metadata, nodes
from .annotations import SHARD, Annotations, name_level, number_classes
from .spatial import MOST, MOST_LEVELS

TABLES = "tables"
TABLE = "table.csv"
ANNOTATIONS = "annotations"
OLD_CELLS = ("spatial0/0_0_0", "spatial0/0_0")
"""All annotations in one cell, as they were written before there were levels."""
PREFIX = "volume_"
ROWS = 65_536
"""Rows of a block, over which digests are taken."""
MOST_BYTES = 2**30
MOST_TABLES = 1000
DIGITS = 1200
"""Digits of a place: more than any number of a cell has, from its first to its last, so that nothing is rounded."""
TEXT = np.dtypes.StringDType()
BLANK = {"", "na", "n/a", "nan"}

type Read = Callable[[ArraySpec], Sequence[str]]


def is_table(node: Node) -> bool:
    """Whether a node of a plan is a table, and no image."""
    return node.path.startswith(f"/{TABLES}/")


def get_images(nodes: Sequence[Node]) -> list[Node]:
    """The image of a plan and its labels."""
    return [node for node in nodes if not is_table(node)]


def get_tables(nodes: Sequence[Node]) -> list[Node]:
    """The tables of a plan."""
    return [node for node in nodes if is_table(node)]


def list_own_inputs(plan: Plan) -> set[str]:
    """Keys of raw files that tables alone are made of: no voxel changes with them."""
    images = {spec.source for node in get_images(plan.nodes) for spec in node.arrays.values()}
    own = {spec.source for node in get_tables(plan.nodes) for spec in node.arrays.values()}
    for node in get_tables(plan.nodes):
        classes = node.fields.get("points/classes")
        own |= {source.key for source in classes.sources} if classes else set()
    of_labels = {ref.key for node in get_images(plan.nodes) for field in node.fields.values() for ref in field.sources}
    return own - images - of_labels


def make_attributes(node: Node) -> dict[str, Any]:
    """The attributes of a table's group."""
    made: dict[str, Any] = metadata.expand_paths({name: field.value for name, field in node.fields.items()})
    return made


def check_node(node: Node) -> None:
    """Refuse a table that cannot be written. Raises `ValueError` and its like."""
    about = _About.of(make_attributes(node))
    for name in [str(number) for number in range(len(about.columns))]:
        if node.arrays[name].dtype != "text":
            raise ValueError(f"column {name} of {node.path} is {node.arrays[name].dtype}, no text")


@dataclass(frozen=True, slots=True)
class _About:
    """What the attributes of a table's group say."""

    shape: str
    columns: tuple[str, ...]
    axes: tuple[PointAxis, ...]
    extents: tuple[int, ...]
    units: tuple[str, ...]
    roles: Mapping[str, str]
    classes: Mapping[str, str]

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> _About:
        """Raises `ValueError` and its like of what is no table of ours."""
        stated = attributes["points"]
        entries = [dict(entry) for entry in stated["axes"]]
        extents = tuple(int(entry.pop("extent")) for entry in entries)
        units = tuple(str(entry.pop("volume_unit", "")) for entry in entries)
        axes = tuple(from_json(PointAxis, entry) for entry in entries)
        roles = {role: stated[role] for role in (CLASS, SCORE, OBJECT) if role in stated}
        classes = {str(one["label-value"]): one.get("name", "") for one in stated.get("classes", ())}
        return cls(stated["shape"], tuple(stated["columns"]), axes, extents, units, roles, classes)

    @property
    def is_box(self) -> bool:
        return self.shape == "box"

    def name_places(self) -> list[str]:
        """The columns that are added."""
        named = [(axis.name, f"_{unit}" if unit else "") for axis, unit in zip(self.axes, self.units, strict=True)]
        return [
            f"{PREFIX}{name}{end}{unit}" for name, unit in named for end in (("_min", "_max") if self.is_box else ("",))
        ]


def make_files(node: Node, read: Read) -> dict[str, bytes]:
    """The files of one table by their path below its group, without its ``zarr.json``.

    Parameters
    ----------
    read
        Gives all texts of a column.
    """
    about = _About.of(make_attributes(node))
    cells = {name: list(read(node.arrays[str(number)])) for number, name in enumerate(about.columns)}
    with localcontext(Context(prec=DIGITS)):
        places = _place_exactly(about, cells)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*about.columns, *about.name_places()])
    writer.writerows(zip(*cells.values(), *places, strict=True))
    drawn = _draw(about, cells).make_files()
    return {TABLE: out.getvalue().encode("utf-8")} | {f"{ANNOTATIONS}/{name}": data for name, data in drawn.items()}


def _place_exactly(about: _About, cells: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Texts of the columns that are added."""
    made: list[list[str]] = []
    for axis in about.axes:
        low, high = [], []
        columns = [[Decimal(cell.strip()) for cell in cells[name]] for name in axis.columns]
        ends: Sequence[Any] = columns[1] if len(columns) > 1 else [None] * len(columns[0])
        for begin, end in zip(columns[0], ends, strict=True):
            edges = axis.find_edges(begin, end, Decimal, is_box=about.is_box)
            low.append(format_exact(edges[0]))
            if about.is_box:
                high.append(format_exact(edges[1]))
        made += [low, high] if about.is_box else [low]
    return made


def _draw(about: _About, cells: Mapping[str, Sequence[str]]) -> Annotations:
    """Annotations of the rows, or of the boxes around objects of which rows are corners."""
    count = len(next(iter(cells.values())))
    low, high = (np.empty((count, len(about.axes))) for _ in range(2))
    for number, axis in enumerate(about.axes):
        columns = [np.array(cells[name], TEXT).astype("f8") for name in axis.columns]
        edges = axis.find_edges(columns[0], [*columns, None][1], float, is_box=about.is_box)
        low[:, number], high[:, number] = (edge / float(axis.scale) for edge in edges)
    scores = [cells[about.roles[SCORE]]] if SCORE in about.roles else []
    kinds = list(cells[about.roles[CLASS]]) if CLASS in about.roles else []
    if OBJECT in about.roles and count:
        _, first, which = np.unique(np.array(cells[about.roles[OBJECT]]), return_index=True, return_inverse=True)
        order = np.argsort(np.argsort(first))[which]  # objects in the order of their first rows
        first = np.sort(first)
        boxes = [np.full((len(first), len(about.axes)), fill) for fill in (np.inf, -np.inf)]
        np.minimum.at(boxes[0], order, low)
        np.maximum.at(boxes[1], order, high)
        low, high = boxes
        scores = [[column[at] for at in first] for column in scores]
        kinds = [kinds[at] for at in first] if kinds else []
    numbered = number_classes(kinds, about.classes) if CLASS in about.roles else None
    return Annotations(
        [axis.name for axis in reversed(about.axes)],
        [Decimal(axis.scale) for axis in reversed(about.axes)],
        about.units[::-1],
        about.extents[::-1],
        low[:, ::-1],
        high[:, ::-1],
        about.shape != "point",
        np.array([_parse_score(text) for text in scores[0]], "f4") if scores else None,
        numbered[0] if numbered else None,
        numbered[1] if numbered else (),
    )


def _parse_score(text: str) -> float:
    return float("nan") if text.strip().lower() in BLANK else float(text)


@dataclass(frozen=True, slots=True)
class Made:
    """Tables as they are written.

    Attributes
    ----------
    files
        Path in the volume -> bytes, in the order in which they are written; None where they lie there already.
    arrays, derived
        What the receipt says of them.
    """

    files: Mapping[str, bytes] | None
    arrays: Mapping[str, ArrayReceipt]
    derived: Mapping[str, str]

    def complete(self, receipt: Receipt) -> Receipt:
        """The receipt of the volume with its tables."""
        derived = dict(sorted({**receipt.derived, **self.derived}.items()))
        return replace(receipt, arrays={**receipt.arrays, **self.arrays}, derived=derived)


def make_tables(plan: Plan, raw: RawArrays) -> Made:
    """All tables of a plan, from the raw files. Raises `Problem`."""
    files: dict[str, bytes] = {}
    arrays: dict[str, ArrayReceipt] = {}
    derived: dict[str, str] = {}
    for node in get_tables(plan.nodes):
        group = node.path.strip("/")

        def read(spec: ArraySpec) -> Sequence[str]:
            cells: list[str] = raw.read(spec, tuple(slice(0, n) for n in spec.shape)).tolist()
            return cells

        own = make_files(node, read)
        for name, spec in node.arrays.items():
            arrays[f"{node.path}/{name}"] = _make_receipt(spec, read(spec))
        files |= {f"{group}/{name}": data for name, data in own.items()}
        derived |= {f"/{group}/{name}": hashlib.sha256(data).hexdigest() for name, data in own.items()}
    texts = make_group_texts(plan.nodes)
    derived |= digest_groups(plan.nodes)
    return Made({**files, **{name: text.encode("ascii") for name, text in texts.items()}}, arrays, derived)


def find_made(plan: Plan, seal: Seal, place: ResultPath) -> Made | None:
    """The tables of an older result, if they are whole and what this plan would write; else None."""
    try:
        old = parse_provenance(nodes.read_attributes(place), place).receipt
        files = {name for name in guard.check_store(place) if is_of_table(name)}
    except guard.UNREACHABLE:
        raise
    except (Problem, OSError, ValueError):
        return None
    planned = {f"{node.path}/{name}": spec for node in get_tables(plan.nodes) for name, spec in node.arrays.items()}
    arrays = {name: one for name, one in old.arrays.items() if is_of_table(name)}
    derived = {name: text for name, text in old.derived.items() if is_of_table(name)}
    is_same = {name: one.spec for name, one in arrays.items()} == planned and {f"/{name}" for name in files} == {
        *derived
    }
    is_same &= all(f"{node.path}/{ANNOTATIONS}/{name_level(0)}" in derived for node in get_tables(plan.nodes))
    keys = {spec.source for spec in planned.values()}
    same_files = all(old.inputs.get(key) == seal.inputs.get(key) for key in keys)
    # The groups' attributes hold all that the other files follow from, beside the raw files.
    same_groups = digest_groups(plan.nodes).items() <= derived.items()
    return Made(None, arrays, derived) if is_same and same_files and same_groups else None


def write_tables(place: ResultPath, made: Made, write: Callable[[str, bytes], None]) -> None:
    """Write what is not there yet, then remove what is of other tables.

    Parameters
    ----------
    write
        Writes a file of the volume by its path in it, whole or not at all.
    """
    if made.files is None:
        return
    for name, data in made.files.items():
        write(name, data)
    wanted = set(made.files)
    strays = sorted(name for name in guard.check_store(place) if is_of_table(name) and name not in wanted)
    if isinstance(place, BucketPath):
        place.delete_files(strays)
        return
    for name in strays:
        durable.remove_path(place / name.rstrip("/"))
    folders = {str(parent) for name in wanted for parent in PurePosixPath(name).parents}
    for folder, _, _ in sorted((place / TABLES).walk(), reverse=True) if (place / TABLES).is_dir() else ():
        if folder.relative_to(place).as_posix() not in folders:
            folder.rmdir()


def _make_receipt(spec: ArraySpec, cells: Sequence[str]) -> ArrayReceipt:
    data = np.array(cells, TEXT)
    block = (ROWS,)
    digests = [block_digest(data[box], HASH) for box in blocks(spec.shape, block)]
    return ArrayReceipt(spec, block, root_digest(digests), hash=HASH)


def make_group_texts(nodes: Sequence[Node]) -> dict[str, str]:
    """Metadata of each table and of the group that lists them, by their files; none where there is no table."""
    listed = get_tables(nodes)
    groups: dict[str, Mapping[str, Any]] = {node.path.strip("/"): make_attributes(node) for node in listed}
    if listed:
        groups[TABLES] = {"tables": [node.path.rpartition("/")[2] for node in listed]}
    version = metadata.find_version(nodes[0].fields)
    return {
        f"{group}/{name}": json.dumps(data, indent=1) + "\n"
        for group, attributes in groups.items()
        for name, data in zip(version.group_files, version.make_group(attributes), strict=True)
    }


def digest_groups(nodes: Sequence[Node]) -> dict[str, str]:
    """Digest of the ``zarr.json`` of each table and of the list of tables, by path."""
    texts = make_group_texts(nodes)
    return {f"/{name}": hashlib.sha256(text.encode("ascii")).hexdigest() for name, text in texts.items()}


def estimate_files(nodes: Sequence[Node]) -> int:
    """How many files the tables of a plan have, about: places that lie closely have more levels."""
    rows = [node.arrays["0"].shape[0] for node in get_tables(nodes)]
    levels = [max(0, math.ceil(math.log(max(n, 1) / MOST, 8))) for n in rows]
    return sum(len(_list_files(1 + level)) for level in levels) + len(make_group_texts(nodes))


def _list_files(levels: int) -> list[str]:
    """The files of a table by their path below its group, without its ``zarr.json``."""
    drawn = ["info", f"by_id/{SHARD}", *map(name_level, range(levels))]
    return [TABLE, *(f"{ANNOTATIONS}/{name}" for name in drawn)]


def _list_stored(folder: ResultPath) -> list[str]:
    """The files of a table by their path below its group, as many levels as there are."""
    drawn = folder / ANNOTATIONS
    old = next((name for name in OLD_CELLS if (drawn / name).is_file()), "")
    if old:
        return [TABLE, *(f"{ANNOTATIONS}/{name}" for name in ("info", f"by_id/{SHARD}", old))]
    return _list_files(next(n for n in range(1, MOST_LEVELS + 1) if not (drawn / name_level(n)).is_file()))


def is_of_table(name: str) -> bool:
    """Whether a path of a receipt or of a file is of a table."""
    return name.strip("/").startswith(f"{TABLES}/")


def list_tables(path: ResultPath) -> list[str]:
    """The groups of the tables of a volume (``tables/cells``), as they are listed. Raises `Problem`."""
    if not any((path / TABLES / name).is_file() for name in (guard.NAME, guard.OLD_GROUP)):
        return []
    with guard.translate_errors(path):
        names = read_attributes(path, TABLES)["tables"]
        if not isinstance(names, list) or len(names) > MOST_TABLES or len(set(names)) < len(names):
            raise ValueError(f"{TABLES}/{guard.NAME} lists no tables, or too many, or some twice")
        return [f"{TABLES}/{guard.check_path(TABLES, name)}" for name in names]


def read_attributes(path: ResultPath, group: str) -> Mapping[str, Any]:
    """The attributes of a table's group. Raises `Problem` (``result.unreadable``)."""
    with guard.translate_errors(path, f"/{group}"):
        node = guard.read_node(path / group)
        attributes = node["attributes"] if node["zarr_format"] == 3 else node["attributes"]["ome"]
        if not isinstance(attributes, dict):
            raise ValueError(f"{group}/{guard.NAME} has attributes that are no object")
        return attributes


def find_options(path: ResultPath, group: str) -> dict[str, str]:
    """The options by which the reader of points takes a stored table as the raw file was taken.

    Raises
    ------
    Problem, ValueError
        It is no table of ours, or one whose columns no option can name.
    """
    with guard.translate_errors(path, f"/{group}"):
        about = _About.of(read_attributes(path, group))
    stated = {name: role for role, name in about.roles.items()}
    for axis in about.axes:
        parts = ("",) if len(axis.columns) == 1 else ("_min", "_size" if axis.is_size else "_max")
        stated |= {name: f"{axis.name}{end}" for name, end in zip(axis.columns, parts, strict=True)}
    if wrong := [name for name in stated if ";" in name or name != name.strip()]:
        raise ValueError(f"no option can name its column {wrong[0][:80]!r}")
    options = {"columns": "; ".join(f"{name} = {role}" for name, role in stated.items()), "unit": about.axes[0].unit}
    if about.axes[0].unit == "pixel":
        options["first"] = ", ".join(f"{axis.name} {axis.first}" for axis in about.axes)
        ends = next((axis.ends for axis in about.axes if axis.ends), "")
        options |= {"box_ends": ends} if ends else {}
    return options


class StoredTable:
    """A table of a result, read whole when the first column is asked for."""

    def __init__(self, path: ResultPath, group: str) -> None:
        self._path, self._group = path, group
        with guard.translate_errors(path, f"/{group}"):
            self.about = _About.of(read_attributes(path, group))

    def list_columns(self) -> dict[str, StoredColumn]:
        """The columns of the raw file, by their path in the result."""
        return {f"/{self._group}/{number}": StoredColumn(self, number) for number in range(len(self.about.columns))}

    @cached_property
    def columns(self) -> list[np.ndarray]:
        """Texts of every column of the raw file. Raises `Problem` (``result.unreadable``)."""
        with guard.translate_errors(self._path, f"/{self._group}"):
            file = self._path / self._group / TABLE
            with guard.open_regular_file(file) as opened:
                data = opened.read(MOST_BYTES + 1)
            if len(data) > MOST_BYTES:
                raise ValueError(f"{TABLE} has more than {MOST_BYTES} bytes")
            try:
                rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
            except csv.Error as error:
                raise ValueError(f"{TABLE} is no table of text ({error})") from error
            names = [*self.about.columns, *self.about.name_places()]
            if not rows or rows[0] != names:
                raise ValueError(f"the first line of {TABLE} does not name the columns that {guard.NAME} lists")
            wrong = next((number for number, row in enumerate(rows, 1) if len(row) != len(names)), 0)
            if wrong:
                raise ValueError(f"row {wrong} of {TABLE} has not {len(names)} cells")
            return [np.array([row[number] for row in rows[1:]], TEXT) for number in range(len(self.about.columns))]


class StoredColumn:
    """A column of a table, as an array of texts."""

    dtype: np.dtype[Any] = TEXT
    chunks: tuple[int, ...] | None = None

    def __init__(self, table: StoredTable, number: int) -> None:
        self._table, self._number = table, number

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows."""
        return (len(self._table.columns[self._number]),)

    def __getitem__(self, selection: tuple[slice, ...]) -> np.ndarray:
        return self._table.columns[self._number][selection]


def list_stored_files(path: ResultPath) -> list[str]:
    """Every file that the tables of a volume should have, by its path in it. Raises `Problem`."""
    groups = list_tables(path)
    own = guard.list_group_files(path)
    files = [f"{group}/{name}" for group in groups for name in (*_list_stored(path / group), *own)]
    return [*files, *(f"{TABLES}/{name}" for name in own if groups)]


def digest_files(path: ResultPath) -> dict[str, str]:
    """Path and SHA-256 of each file of the tables, computed anew. Raises `Problem` (``result.unreadable``)."""
    return {f"/{name}": _digest_file(path, name) for name in list_stored_files(path)}


def _digest_file(path: ResultPath, name: str) -> str:
    found = hashlib.sha256()
    with guard.translate_errors(path, f"/{name}"), guard.open_regular_file(path / name) as file:
        while piece := file.read(2**20):
            found.update(piece)
    return found.hexdigest()
