"""Points and boxes as tables: every cell as it stands, what a person must state, damaged and hostile files."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuropress.model.content import Content
from neuropress.model.finding import Problem
from neuropress.model.points import Points
from neuropress.model.source import Source
from neuropress.readers.raw import choose_format, read
from neuropress.storage.roots import Folder

PIXELS = {"unit": "pixel", "first": "0"}
MARKERS = (
    '<?xml version="1.0" encoding="UTF-8"?><CellCounter_Marker_File><Image_Properties><Image_Filename>{name}'
    "</Image_Filename></Image_Properties><Marker_Data><Current_Type>1</Current_Type>{types}</Marker_Data>"
    "</CellCounter_Marker_File>"
)
MARKER = "<Marker><MarkerX>{}</MarkerX><MarkerY>{}</MarkerY><MarkerZ>{}</MarkerZ></Marker>"


def open_any(path: Path, **options: Any) -> Content:
    (content,) = read(Source(path.name, Folder(path.parent)), options, ("points",))
    return content


def open_points(path: Path, **options: Any) -> Points:
    content = open_any(path, **options)
    assert isinstance(content, Points), content.header
    return content


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def cells(points: Points, name: str) -> list[str]:
    array = points.arrays[name]
    return array.read((slice(0, array.shape[0]),)).tolist()


def make_markers(rows: list[tuple[int, int, int, int]], name: str = "placeholder.tif") -> str:
    kinds = dict.fromkeys(kind for kind, *_ in rows)
    types = "".join(
        f"<Marker_Type><Type>{kind}</Type>{''.join(MARKER.format(*place) for own, *place in rows if own == kind)}"
        "</Marker_Type>"
        for kind in kinds
    )
    return MARKERS.format(name=name, types=types)


def refuse(path: Path, **options: Any) -> str:
    with pytest.raises(Problem) as refused:
        open_any(path, **options)
    assert refused.value.finding.id == "points.damaged"
    return refused.value.finding.message


def test_cells_stay_as_they_stand(tmp_path: Path) -> None:
    text = 'x;y;z;type;note\n 1.50;2;3e0;soma;"a; ""b""\nc"\n\n4;5;6;;NA\n'
    points = open_points(write(tmp_path, "a.csv", "\ufeff" + text), **PIXELS)
    assert cells(points, "x") == [" 1.50", "4"]
    assert cells(points, "z") == ["3e0", "6"]
    assert cells(points, "note") == ['a; "b"\nc', "NA"]
    assert points.roles == {"class": "type"}
    assert [axis.name for axis in points.axes] == ["z", "y", "x"]
    assert points.lines[1] == 5


def test_what_nobody_said_is_asked_for_and_drafted(tmp_path: Path) -> None:
    path = write(tmp_path, "b.csv", "x_min,x_max,y_min,y_max,score\n1,2,3,4,0.5\n")
    content = open_any(path)
    assert not isinstance(content, Points)
    assert 'unit = "pixel or micrometer"; first = "0 or 1"; box_ends = ' in content.header["undeclared"]
    draft = content.header["draft"]
    assert draft.startswith('[options."b.csv"]\n')
    assert "x_min = x_min; x_max = x_max" in draft
    assert open_points(path, **PIXELS, box_ends="included").is_box
    assert open_points(path, unit="micrometer").axes[0].unit == "micrometer"
    assert "leave it out" in open_any(path, unit="micrometer", first="0").header["undeclared"]
    odd = write(tmp_path, "c.csv", "a,b,c\n1,2,3\n")
    assert 'columns = "a = x; b = y; c = z"' in open_any(odd).header["draft"]
    assert "'q'" in open_any(odd, columns="q = x; b = y").header["undeclared"]
    assert "none of its columns is known to be x" in open_any(odd, columns="b = y").header["undeclared"]


def test_firsts_of_each_axis_and_roles_of_odd_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "t.tsv", "px\tpy\tslice\tp\n1\t2\t3\t\n")
    stated = {"columns": "px = x; py = y; slice = z; p = score", "unit": "pixel", "first": "z 1, y 0, x 0"}
    assert [axis.first for axis in open_points(path, **stated).axes] == [1, 0, 0]
    assert "says nothing of z" in open_any(path, **{**stated, "first": "y 0, x 0"}).header["undeclared"]
    for option, bad in (("columns", "px = where"), ("columns", "px = x; py = x"), ("first", "-1"), ("first", "q 1")):
        with pytest.raises(Problem, match=r"reader\.option|must be|says|has"):
            open_any(path, **{**stated, option: bad})


def test_markers_of_cellfinder_and_of_cellcounter(tmp_path: Path) -> None:
    rows = [(1, 10, 20, 30), (1, 11, 21, 31), (4, 5, 6, 7)]
    points = open_points(write(tmp_path, "cells.xml", make_markers(rows)))
    assert [cells(points, name) for name in points.arrays] == [list(map(str, one)) for one in zip(*rows, strict=True)]
    assert (points.stated, points.roles) == ({"unit": "pixel", "first": "0"}, {"class": "Type"})
    counter = write(tmp_path, "counter.xml", make_markers(rows, "stack.tif"))
    assert "first" in open_any(counter).header["undeclared"]  # slices of ImageJ count from 1
    assert open_points(counter, first="z 1, y 0, x 0").axes[0].first == 1


def test_arrays_of_numpy_and_tables_of_napari(tmp_path: Path) -> None:
    for dtype in ("f8", "f4", "i8", "u2", ">f8"):
        data = np.array([[1.1, 2, 3], [40, 5.25, 1e-3]]).astype(dtype)
        np.save(tmp_path / "p.npy", data)
        points = open_points(tmp_path / "p.npy", **PIXELS, columns="0 = z; 1 = y; 2 = x")
        read_back = np.array([[float(cell) for cell in cells(points, str(n))] for n in range(3)]).T
        assert np.array_equal(read_back.astype(dtype), data)
    np.save(tmp_path / "o.npy", np.array([{}, None], object), allow_pickle=True)
    assert "never" in refuse(tmp_path / "o.npy") or "may run code" in refuse(tmp_path / "o.npy")
    np.save(tmp_path / "v.npy", np.zeros((2, 3, 4)))
    assert "no table of points" in refuse(tmp_path / "v.npy")
    napari = open_points(write(tmp_path, "n.csv", "index,axis-0,axis-1,axis-2\n0,1.5,2,3\n"))
    assert [axis.columns for axis in napari.axes] == [("axis-0",), ("axis-1",), ("axis-2",)]
    header = "index,shape-type,vertex-index,axis-0,axis-1\n"
    assert open_points(write(tmp_path, "s.csv", f"{header}0,rectangle,0,1,2\n")).roles == {"object": "index"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x,y\n1,2\n1,5;3\n", "line 3, column 'y': '5;3' is no number"),
        ("x,y\n1\n", "line 2: 1 cells under 2 columns"),
        ("x,y\n1,nan\n", "is no number"),
        ("x,y\n1,1e300\n", "is no number"),
        ("x,y\n1,\u0663\n", "is no number"),
        ("x,y,score\n1,2,high\n", "column 'score'"),
        ("x,x\n1,2\n", "two columns are called 'x'"),
        ('x,y\n"1,2\n', "no table of text"),
        ("x_min,x_max,y_min,y_max\n1,2,1,2\n5,4,1,2\n", "line 3, column 'x_max': the box ends before it begins"),
        (b"x,y\n\xff,2\n", "no UTF-8"),
        ("x,y\n1,\0\n", "no text"),
        ("<a/>", "not the markers"),
        ("<CellCounter_Marker_File><Marker_Type>", "cannot be read"),
        ('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><CellCounter_Marker_File>&e;</CellCounter_Marker_File>',
         "document type"),
        (make_markers([(1, 1, 2, 3)]).replace("<MarkerX>1<", "<MarkerX><"), "(row 1)"),
    ],
)  # fmt: skip
def test_damage_is_named(tmp_path: Path, text: str | bytes, said: str) -> None:
    name = "d.xml" if isinstance(text, str) and text.startswith("<") else "d.csv"
    assert said in refuse(write(tmp_path, name, text), **PIXELS, box_ends="included", reader="points")


def test_any_cut_or_flip_is_read_or_refused(tmp_path: Path) -> None:
    rng = random.Random(3)
    np.save(tmp_path / "a.npy", np.arange(60.0).reshape(20, 3))
    files = {
        "a.npy": (tmp_path / "a.npy").read_bytes(),
        "a.csv": ("x,y,z,class\n" + "1,2,3,soma\n" * 20).encode(),
        "a.xml": make_markers([(1, 10, 20, 30)] * 20).encode(),
    }
    refused = []
    for name, data in files.items():
        for _ in range(60):
            bad = bytearray(data[: rng.randrange(1, len(data))] if rng.random() < 0.5 else data)
            bad[rng.randrange(len(bad))] = rng.randrange(256)
            try:
                open_any(write(tmp_path, name, bytes(bad)), reader="points", **PIXELS)
            except Problem as problem:
                refused.append(problem.finding.id)
    assert len(refused) > 60
    assert set(refused) == {"points.damaged"}


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@given(st.lists(st.tuples(st.integers(-99, 99), st.floats(-1e6, 1e6), TEXTS), min_size=1, max_size=8))
def test_any_table_is_what_pandas_wrote(rows: list[tuple[int, float, str]]) -> None:
    table = pd.DataFrame(rows, columns=["x", "y", "note"])
    out = io.StringIO(newline="")
    table.to_csv(out, index=False, lineterminator="\n")

    class Held(Source):
        def head(self, key: str | None = None, size: int = 4096) -> bytes:
            return out.getvalue().encode()[:size]

        def read(self, key: str | None = None) -> bytes:
            return out.getvalue().encode()

        def size(self, key: str | None = None) -> int:
            return len(self.read())

    (points,) = read(Held("a.csv", Folder(Path())), {**PIXELS, "reader": "points"})
    assert isinstance(points, Points)
    assert cells(points, "note") == [note for *_, note in rows]
    assert [float(cell) for cell in cells(points, "y")] == [y for _, y, _ in rows]


def test_nothing_is_taken_that_nobody_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "b.csv", "time (s),speed (cm/s)\n0,1\n1,2\n")
    assert choose_format(Source(path.name, Folder(tmp_path))).format == "behavior_csv"


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["cells.xml", "cells_two_types.xml"])
def test_real_files_of_cellfinder(corpus: Path, name: str) -> None:
    path = corpus / "cells/brainglobe__brainglobe-utils" / name
    points = open_points(path)
    tree = ElementTree.parse(path)
    expected = [[marker.findtext(f"Marker{axis}") for axis in "XYZ"] for marker in tree.iter("Marker")]
    assert [list(row) for row in zip(*(cells(points, f"Marker{axis}") for axis in "XYZ"), strict=True)] == expected
    assert len(expected) == {"cells.xml": 65, "cells_two_types.xml": 827}[name]
