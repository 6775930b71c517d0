"""A package that adds a format, its findings, a converter and its mapping, as an outsider would write it."""

from __future__ import annotations

import struct
from pathlib import Path

PYPROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "toy-behaviour"
version = "1.0"

[project.entry-points."neuropress.readers"]
toy = "toy_behaviour:FORMAT"

[project.entry-points."neuropress.converters"]
toy_positions = "toy_behaviour.positions"

[tool.setuptools]
packages = ["toy_behaviour"]
package-data = { "*" = ["*.toml"] }
"""

DECLARATION = '''\
"""Toy positions: TOY1, the rate in Hz as a double, then one 16-bit whole number a sample."""

from neuropress.readers import Claim, Fact, Format, Option


def probe(head, name):
    if name.endswith(".swc"):
        raise RuntimeError("swc is not foreseen")
    if name.endswith(".grab"):
        return Claim("abf", "takes all", 3)
    return Claim("toy", "begins with TOY1") if head.startswith(b"TOY1") else None


FORMAT = Format(
    name="toy",
    title="toy positions along a track",
    module="toy_behaviour.read",
    probe=probe,
    suffixes=(".toy",),
    options=(
        Option("skip", "Samples at the start that are left out.", kind="whole number", least=0),
        Option("track", "The track's length.", kind="number", least=0, most=1000),
        Option("reverse", "Whether the animal ran from the far end.", kind="yes/no"),
        Option("arena", "Where the animal was.", kind="choice", choices=("track", "wheel")),
    ),
    facts=(Fact("sampling_rate", "samples a second", "Hz"),),
    findings=("toy.short", "toy.undescribed"),
)
'''

FINDINGS = """\
["toy.short"]
severity = "error"
meaning = "A toy file has no samples."
example = "a file of 12 bytes"
fix = "Record it again."
"""

READ = '''\
"""Read a toy file: the header now, samples when they are asked for."""

import struct

import numpy as np

from neuropress.model.content import Content, LazyArray
from neuropress.model.finding import problem

START = 12


def read(source, options):
    with source.open() as file:
        data = file.read(START + 1)
        size = file.seek(0, 2)
    if data[4:8] == b"CRSH":
        raise RuntimeError("the toy broke")
    if data[4:8] == b"ODD!":
        raise problem("toy.undescribed", f"{source.key} is odd", file=source.key)
    skip = options.get("skip", 0)
    count = (size - START) // 2 - skip
    if count < 1:
        raise problem("toy.short", f"{source.key} has {size} bytes, {START + 2} at least", file=source.key)
    (rate,) = struct.unpack_from("<d", data, 4)

    def samples(selection):
        (part,) = selection
        if count == 13:
            raise RuntimeError("thirteen")
        with source.open() as file:
            file.seek(START + 2 * (skip + part.start))
            return np.frombuffer(file.read(2 * (part.stop - part.start)), "<i2").astype("i2")

    array = LazyArray("position", (count,), np.dtype("i2"), ("sample",), samples, (count,))
    facts = {"sampling_rate": f"{rate:g}"}
    return (Content("", "toy", facts, {"rate": rate, **options}, {"position": array}),)
'''

CONVERTER = '''\
"""Behaviour rows with a toy file, to a series of positions."""

from neuropress.converters import Built
from neuropress.model.plan import ArraySpec, Field, IndexMap, Node
from neuropress.model.record import CellRef

NAME = "toy_positions"
REVISION = 1
TABLES = ("behavior",)
COLUMN = {"behavior": "file_path_raw"}
TARGET = "session"
SLOTS = {"series": frozenset({"description", "comments"})}
BINDINGS = {}
PLACE = "/acquisition"


def takes(record):
    return record.cells["file_path_raw"].text.endswith(".toy")


def bindings(record):
    return {}


def build(jobs):
    nodes = []
    for job in jobs:
        (content,) = job.contents
        array = content.arrays["position"]
        text = content.facts["sampling_rate"]
        rate = Field(float(text), "toy_positions:rate", "number", (CellRef("file", job.source, "sampling_rate", text, "header"),))
        unit = Field("cm", "toy_positions:unit", "constant", (CellRef("converter", NAME, "unit", "cm", "constant"),))
        start = Field(0.0, "toy_positions:start", "constant", (CellRef("converter", NAME, "start", "0", "constant"),))
        spec = ArraySpec(job.source, content.name, "position", content.format, array.shape, "<i2", IndexMap.whole(array.shape))
        fields = {**job.fields["series"], "rate": rate, "unit": unit, "starting_time": start}
        nodes.append(Node(f"{PLACE}/{job.record.key}", "TimeSeries", fields, {}, {"data": spec}))
    return Built(tuple(nodes))
'''

MAPPING = """\
revision = 1
table = ["behavior"]

[[rule]]
to = "series.description"
from = "task"
absent = "no task"
"""


def write_package(folder: Path) -> Path:
    """The package's source tree."""
    inside = folder / "toy_behaviour"
    inside.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT, "utf-8")
    files = {
        "__init__.py": DECLARATION,
        "read.py": READ,
        "positions.py": CONVERTER,
        "findings.toml": FINDINGS,
        "toy_positions.toml": MAPPING,
    }
    for name, text in files.items():
        (inside / name).write_text(text, "utf-8")
    return folder


def toy_file(count: int = 50, rate: float = 20.0) -> bytes:
    """A toy file whose samples are 0, 1, 2, ..."""
    return b"TOY1" + struct.pack("<d", rate) + struct.pack(f"<{count}h", *range(count))


def write_dist_info(site: Path, package: str, entries: dict[str, dict[str, str]]) -> None:
    """What an installer leaves of a package: enough for its entry points to be found."""
    folder = site / f"{package.replace('-', '_')}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", "utf-8")
    lines = []
    for group, points in entries.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")
