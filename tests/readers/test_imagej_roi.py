"""ImageJ's regions: masks of every kind written down by hand, polygons against a brute force, and damage."""

import json
import random
import struct
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import roi_files as rf
from campaigns import campaign
from hypothesis import given
from hypothesis import strategies as st

from neuropress.model import budget
from neuropress.model.content import DataTable
from neuropress.model.finding import Finding, Problem
from neuropress.model.source import Source
from neuropress.readers.imagej_roi import read as reader
from neuropress.readers.imagej_roi.fill import clip_runs, count_pixels, fill_roi, list_pixels
from neuropress.readers.imagej_roi.parse import parse_roi
from neuropress.readers.imagej_roi.read import read
from neuropress.readers.raw import choose_format
from neuropress.storage.roots import Folder

SQUARE = [(1, 1), (4, 1), (4, 4), (1, 4)]


def draw(data: bytes) -> list[str]:
    """The mask of one ROI as rows of text, from (0, 0) on."""
    runs = fill_roi(parse_roi(data, 10_000), 10_000, 100_000)
    return draw_pixels(*list_pixels(runs, 0, count_pixels(runs)))


def draw_pixels(x: np.ndarray, y: np.ndarray) -> list[str]:
    assert len(x), "no pixel"
    mask = np.zeros((y.max() + 1, x.max() + 1), int)
    np.add.at(mask, (y, x), 1)
    assert mask.max() == 1, "a pixel twice"
    return ["".join(".#"[cell] for cell in row).rstrip(".") for row in mask]


def open_file(path: Path, data: bytes | None = None, **options: Any) -> DataTable:
    if data is not None:
        path.write_bytes(data)
    (table,) = read(Source(path.name, Folder(path.parent)), options)
    json.dumps(table.header)
    return table


def read_column(table: DataTable, name: str) -> Any:
    array = table.arrays[name]
    column = array.read((slice(0, array.shape[0]),))
    assert (column.shape, column.dtype) == (array.shape, array.dtype)
    return column


def read_masks(table: DataTable) -> list[set[tuple[int, int]]]:
    pixels = read_column(table, "pixels")
    assert set(pixels["weight"].tolist()) == {1.0}
    parts = np.split(pixels, read_column(table, "ends")[:-1])
    return [{(int(x), int(y)) for x, y, _ in part} for part in parts]


def expect_finding(path: Path, data: bytes | None = None, **options: Any) -> Finding:
    with pytest.raises(Problem) as caught:
        open_file(path, data, **options)
    assert path.name in caught.value.finding.message
    return caught.value.finding


HAND: dict[str, tuple[bytes, list[str]]] = {
    "rectangle": (rf.make_roi(rf.RECT, (1, 1, 4, 3)), ["", ".###", ".###"]),
    "sub-pixel rectangle": (
        rf.make_roi(rf.RECT, floats=(1.6, 0.4, 2.2, 1.0), options=rf.SUB_PIXEL), [".###"]),
    "rounded rectangle": (
        rf.make_roi(rf.RECT, (0, 0, 6, 4), arc=4), [".####", "######", "######", ".####"]),
    "oval": (rf.make_roi(rf.OVAL, (0, 0, 5, 4)), [".###", "#####", "#####", ".###"]),
    "oval of one pixel": (rf.make_roi(rf.OVAL, (2, 0, 3, 1)), ["..#"]),
    "polygon": (rf.make_polygon(SQUARE), ["", ".###", ".###", ".###"]),
    "triangle": (rf.make_polygon([(0, 0), (4, 0), (0, 4)]), ["####", "###", "##", "#"]),
    "triangle the other way": (rf.make_polygon([(4, 0), (4, 4), (0, 4)]), ["", "...#", "..##", ".###"]),
    "polygon that crosses itself": (
        rf.make_polygon([(0, 0), (6, 0), (6, 4), (2, 4), (2, 2), (4, 2), (4, 6), (0, 6)]),
        ["######", "######", "##..##", "##..##", "####", "####"]),
    "sub-pixel polygon": (
        rf.make_polygon([(0.4, 0.6), (3.6, 0.6), (3.6, 2.4), (0.4, 2.4)], sub_pixel=True), ["", "####"]),
    "edges on middles": (  # the left and the upper are outside, the right and the lower inside
        rf.make_polygon([(0.5, 0.5), (2.5, 0.5), (2.5, 2.5), (0.5, 2.5)], sub_pixel=True), ["", ".##", ".##"]),
    "freehand": (rf.make_polygon(SQUARE, rf.FREEHAND), ["", ".###", ".###", ".###"]),
    "traced": (
        rf.make_polygon([(1, 0), (2, 0), (2, 1), (3, 1), (3, 3), (0, 3), (0, 1), (1, 1)], rf.TRACED),
        [".#", "###", "###"]),
    "ellipse": (
        rf.make_polygon(SQUARE, rf.FREEHAND, subtype=rf.ELLIPSE, floats=(0, 2, 6, 2), parameter=0.5),
        ["", "######", "######"]),
    "rotated rectangle": (
        rf.make_polygon(SQUARE, rf.FREEHAND, subtype=rf.ROTATED, floats=(1, 2, 5, 2), parameter=2.0),
        ["", ".####", ".####"]),
    "composite with a hole": (
        rf.make_composite(rf.make_ring([(0, 0), (4, 0), (4, 4), (0, 4)]) + rf.make_ring([(1, 1), (3, 1), (3, 3), (1, 3)])),
        ["####", "#..#", "#..#", "####"]),
    "composite of a curve": (
        rf.make_composite([[rf.MOVE, 0, 0], [rf.TO, 6, 0], [rf.QUADRATIC, 3, 8, 0, 0], [rf.CLOSE]]),
        ["######", ".####", ".####", "..##"]),
    "point": (rf.make_polygon([(2, 1)], rf.POINT), ["", "..#"]),
    "points": (rf.make_polygon([(2.5, 1.0), (0.4, 0.0), (0.0, 0.2)], rf.POINT, sub_pixel=True), ["#", "...#"]),
    "line": (rf.make_roi(rf.LINE, floats=(0, 0, 3, 3)), ["#", ".#", "..#", "...#"]),
    "line of one place": (rf.make_roi(rf.LINE, floats=(2, 0, 2, 0)), ["..#"]),
    "arrow": (rf.make_roi(rf.LINE, floats=(0, 0, 2, 0), subtype=rf.ARROW), ["###"]),
    "polyline": (rf.make_polygon([(0, 0), (3, 0), (3, 2)], rf.POLYLINE), ["####", "...#", "...#"]),
    "freeline": (rf.make_polygon([(0, 0), (0, 1), (1, 1)], rf.FREELINE), ["#", "##"]),
    "angle": (rf.make_polygon([(2, 0), (0, 0), (0, 2)], rf.ANGLE), ["###", "#", "#"]),
}  # fmt: skip


@pytest.mark.parametrize("name", HAND)
def test_masks_are_those_written_down_by_hand(name: str) -> None:
    data, rows = HAND[name]
    assert draw(data) == rows


def fill_by_force(points: list[tuple[int, int]], scale: int) -> set[tuple[int, int]]:
    """Pixels whose middle has an odd number of edges to its left, in exact arithmetic."""
    inside = set()
    half = Fraction(1, 2)
    corners = [(Fraction(x, scale), Fraction(y, scale)) for x, y in points]
    edges = list(zip(corners, corners[1:] + corners[:1], strict=True))
    for column in range(9):
        for row in range(9):
            left = 0
            for (x1, y1), (x2, y2) in edges:
                if min(y1, y2) < row + half <= max(y1, y2):
                    left += x1 + (row + half - y1) * (x2 - x1) / (y2 - y1) < column + half
            if left % 2:
                inside.add((column, row))
    return inside


@given(st.lists(st.tuples(st.integers(0, 32), st.integers(0, 32)), min_size=3, max_size=9), st.booleans())
def test_polygons_are_filled_as_by_force(points: list[tuple[int, int]], whole: bool) -> None:
    scale = 4  # quarters are exact in float32, so that edges meet middles
    if whole:
        points, scale = [(x // 4, y // 4) for x, y in points], 1
    data = rf.make_polygon([(x / scale, y / scale) for x, y in points], sub_pixel=not whole)
    runs = fill_roi(parse_roi(data, 100), 1000, 1000)
    x, y = list_pixels(runs, 0, count_pixels(runs))
    assert list(zip(y.tolist(), x.tolist(), strict=True)) == sorted((y, x) for x, y in fill_by_force(points, scale))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(1, 4)), min_size=1, max_size=8), st.data())
def test_any_part_of_the_pixels_is_listed(runs: list[tuple[int, int, int]], data: st.DataObject) -> None:
    array = np.array([(row, start, start + length) for row, start, length in runs], "i4")
    every = [(x, row) for row, start, length in runs for x in range(start, start + length)]
    start = data.draw(st.integers(0, len(every) - 1))
    stop = data.draw(st.integers(start + 1, len(every)))
    x, y = list_pixels(array, start, stop)
    assert list(zip(x.tolist(), y.tolist(), strict=True)) == every[start:stop]
    clipped = clip_runs(array, 7, 3)
    x, y = list_pixels(clipped, 0, count_pixels(clipped)) if len(clipped) else ((), ())
    assert list(zip(x, y, strict=True)) == [(x, y) for x, y in every if x < 7 and y < 3]


def test_a_set_keeps_order_names_and_positions(tmp_path: Path) -> None:
    more = {"second": {4: 2, 8: 3, 12: 7, 28: 5 << 8}, "position": 9, "name": "soma \u00b5"}
    members = {
        "rois/0002-b.roi": rf.make_polygon(SQUARE, **more),
        "a.roi": rf.make_roi(rf.OVAL, (0, 0, 2, 2), version=229, second={52: 300 << 16}),
        "__MACOSX/._a.roi": b"\0\5\x16\7",
        "notes.txt": b"x",
        "text.roi": rf.make_roi(rf.RECT, (0, 0, 2, 2), subtype=rf.TEXT),
        "line.ROI": rf.make_polygon([(0, 0), (4, 0)], rf.POLYLINE, stroke=3),
    }
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        path = tmp_path / "RoiSet.zip"
        table = open_file(path, rf.make_set(members, method))
        assert choose_format(Source(path.name, Folder(tmp_path))).format == table.format == "imagej_roi"
        assert read_column(table, "name").tolist() == ["soma \u00b5", "a", "line"]
        assert read_column(table, "kind").tolist() == ["polygon", "oval", "polyline"]
        places = [read_column(table, name).tolist() for name in ("position", "channel", "slice", "frame", "group")]
        assert places == [[9, 0, 0], [2, 0, 0], [3, 0, 0], [7, 0, 0], [5, 300, 0]]
        assert read_column(table, "ends").tolist() == [9, 13, 18]
        assert read_masks(table)[1] == {(0, 0), (1, 0), (0, 1), (1, 1)}
        assert table.facts == {"rois": "3"}
        assert table.header["rois"][2] == {
            "name": "line", "kind": "polyline", "pixels": 5, "bounds": [0, 0, 5, 1], "stroke_width": 3.0,
        }  # fmt: skip
        assert [warning.split(": ")[1].split("(")[0] for warning in table.warnings] == [
            "1 of 6 regions are lines or points without an area",
            "1 of 6 regions are lines drawn wider than a pixel",
            "1 of 6 are annotations that lie over the image, and are left out ",
            "2 of 6 members of the zip are no .roi, and are left out ",
        ]


def test_what_lies_beyond_an_image_is_cut_where_its_size_is_stated(tmp_path: Path) -> None:
    path, data = tmp_path / "a.roi", rf.make_roi(rf.RECT, (-2, 1, 3, 4))
    table = open_file(path, data)
    assert table.header["rois"][0]["bounds"] == [-2, 1, 3, 4]
    assert read_masks(table) == [{(x, y) for x in range(3) for y in (1, 2, 3)}]
    table = open_file(path, data, image_size="2x3")
    assert table.header["rois"][0]["bounds"] == [0, 1, 2, 3]
    assert read_masks(table) == [{(0, 1), (1, 1), (0, 2), (1, 2)}]
    assert expect_finding(path, image_size="2x1").id == "imagej_roi.empty"


@pytest.mark.parametrize(
    ("data", "id", "fact"),
    [
        (b"Iou", "imagej_roi.damaged", "begins with"),
        (b"Iout" + bytes(20), "imagej_roi.damaged", "24 bytes"),
        (rf.make_polygon(SQUARE)[:70], "imagej_roi.damaged", "4 coordinates take 80"),
        (rf.make_polygon(SQUARE, sub_pixel=True)[:100], "imagej_roi.damaged", "4 coordinates take 112"),
        (rf.make_polygon(SQUARE)[:90], "imagej_roi.damaged", "second header begins at byte 80"),
        (rf.make_polygon(SQUARE, name="name")[:-1], "imagej_roi.damaged", "its name of 4 characters"),
        (rf.make_roi(rf.POLYGON), "imagej_roi.damaged", "no coordinates"),
        (rf.make_roi(rf.NO_ROI), "imagej_roi.damaged", "its type is 6"),
        (rf.make_roi(77), "imagej_roi.damaged", "its type is 77"),
        (rf.make_roi(rf.LINE, floats=(0, float("nan"), 1, 1)), "imagej_roi.damaged", "no number"),
        (rf.make_roi(rf.LINE, floats=(0, float("inf"), 1, 1)), "imagej_roi.damaged", "no number"),
        (rf.make_roi(rf.OVAL, floats=(0, 0, 1e30, 1), options=rf.SUB_PIXEL), "imagej_roi.damaged", "no number"),
        (rf.make_polygon(SQUARE, rf.FREEHAND, subtype=rf.ELLIPSE, floats=(0, 0, 1, 1e9)), "imagej_roi.damaged", "beyond"),
        (rf.make_composite([[rf.TO, 1, 1]]), "imagej_roi.damaged", "does not begin with a place"),
        (rf.make_composite([[rf.MOVE, 1, 1], [9]]), "imagej_roi.damaged", "segment 9"),
        (rf.make_composite([[rf.MOVE, 1, 1], [rf.CUBIC, 1]]), "imagej_roi.damaged", "ends within a segment"),
        (rf.make_composite([[rf.MOVE, float("nan"), 1]]), "imagej_roi.damaged", "no number"),
        (rf.make_roi(rf.OVAL, composite=1, body=bytes(4)), "imagej_roi.damaged", "composite of the type 2"),
        (rf.make_roi(rf.RECT, composite=2**30), "imagej_roi.damaged", "its path takes"),
        (rf.make_roi(rf.OVAL, (0, 0, 60000, 60000)), "imagej_roi.limit", "pixels"),
        (rf.make_roi(rf.RECT, (0, 0, 30000, 30000)), "imagej_roi.limit", "pixels"),
        (rf.make_polygon(SQUARE, options=rf.SPLINE), "imagej_roi.unsupported", "spline"),
        (rf.make_polygon([(0, 0), (5, 5)]), "imagej_roi.empty", "1 regions have no pixel"),
        (rf.make_roi(rf.RECT, (0, 0, 2, 2), subtype=rf.IMAGE), "imagej_roi.empty", "holds no region"),
        (rf.make_set({"a.tif": b"II"}), "imagej_roi.empty", "holds no region"),
        (rf.make_set({"a.roi": b"Iout"}), "imagej_roi.damaged", "a.roi"),
        (rf.make_set({"a.roi": rf.make_polygon(SQUARE)}, zipfile.ZIP_BZIP2), "imagej_roi.unsupported", "method 12"),
        (rf.make_set({"a.roi": bytes(budget.ROI_MEMBER_BYTES + 1)}), "imagej_roi.limit", "unpacks"),
        (rf.make_set({"a.roi": rf.make_polygon(SQUARE)})[:-10], "imagej_roi.damaged", "no whole zip"),
    ],
)  # fmt: skip
def test_damage_is_a_finding(tmp_path: Path, data: bytes, id: str, fact: str) -> None:
    found = expect_finding(tmp_path / "RoiSet.zip", data)
    assert found.id == id
    assert fact in found.message


def test_limits_hold_for_all_regions_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    square = rf.make_polygon(SQUARE)
    data = rf.make_set({f"{number}.roi": square for number in range(4)})
    assert len(read_masks(open_file(tmp_path / "RoiSet.zip", data))) == 4
    from neuropress.readers.imagej_roi import members

    for module, name, most in (
        (reader, "ROI_PIXELS", 35), (reader, "ROI_RUNS", 11), (members, "ROI_MEMBERS", 3), (members, "ROI_BYTES", 100),
        (members, "ROI_UNPACKED", 4 * len(square) - 1),
    ):  # fmt: skip
        with monkeypatch.context() as patched:
            patched.setattr(module, name, most)
            assert expect_finding(tmp_path / "RoiSet.zip").id == "imagej_roi.limit"
    curve = rf.make_composite([[rf.MOVE, 0, 0], [rf.CUBIC, 0, 900, 900, 900, 900, 0], [rf.CLOSE]])
    monkeypatch.setattr(reader, "ROI_VERTICES", 20)
    assert "vertices" in expect_finding(tmp_path / "a.roi", curve).message


def test_a_lying_zip_costs_no_more_than_it_may(tmp_path: Path) -> None:
    """The size that a member states is not believed."""
    data = bytearray(rf.make_set({"a.roi": bytes(budget.ROI_MEMBER_BYTES * 4)}))
    place = data.rindex(b"PK\1\2") + 24
    data[place : place + 4] = struct.pack("<I", 100)
    assert expect_finding(tmp_path / "RoiSet.zip", bytes(data)).id in ("imagej_roi.damaged", "imagej_roi.limit")
    data = bytearray(rf.make_set({"a.roi": rf.make_polygon(SQUARE)}))
    for start in (data.index(b"PK\3\4") + 6, data.rindex(b"PK\1\2") + 8):
        data[start] |= 1  # encrypted
    assert expect_finding(tmp_path / "RoiSet.zip", bytes(data)).id == "imagej_roi.damaged"


def test_names_and_content_choose_the_reader(tmp_path: Path) -> None:
    def claim(name: str, data: bytes) -> tuple[str, int]:
        (tmp_path / name).write_bytes(data)
        found = choose_format(Source(name, Folder(tmp_path)))
        return found.format, found.strength

    assert claim("x", rf.make_polygon(SQUARE)) == ("imagej_roi", 2)
    assert claim("cells.zip", rf.make_set({"1.roi": b"x"})) == ("imagej_roi", 2)
    assert claim("RoiSet.zip", b"no zip") == ("imagej_roi", 1)
    with pytest.raises(Problem, match="is a ZIP archive, which no reader takes"):
        claim("other.zip", rf.make_set({"1.tif": b"x"}))
    with pytest.raises(Problem, match="no reader knows"):
        claim("x.dat", b"something else")


def make_samples() -> dict[str, bytes]:
    """Every kind, alone and in sets."""
    alone = {f"{number}.roi": data for number, (data, _) in enumerate(HAND.values())}
    named = {"n.roi": rf.make_polygon(SQUARE, name="name", second={48: 64})}
    sets = {"s.zip": rf.make_set(alone), "t.zip": rf.make_set(alone, zipfile.ZIP_STORED)}
    return alone | named | sets


@pytest.mark.parametrize("kind", ["cut", "flip"])
def test_cut_and_flipped_files_are_read_or_a_finding(tmp_path: Path, kind: str) -> None:
    choose = random.Random(kind)
    samples = list(make_samples().items())
    ids = set()
    for _ in range(campaign(300, full=6000)):
        name, data = choose.choice(samples)
        damaged = bytearray(data)
        if kind == "cut":
            damaged = damaged[: choose.randrange(1, len(damaged))]
        else:
            for _ in range(choose.randint(1, 4)):
                damaged[choose.randrange(len(damaged))] ^= 1 << choose.randrange(8)
        try:
            table = open_file(tmp_path / f"x{name}", bytes(damaged))
            assert read_column(table, "pixels").size == int(read_column(table, "ends")[-1])
        except Problem as problem:
            ids.add(problem.finding.id)
    assert ids <= {f"imagej_roi.{what}" for what in ("damaged", "empty", "limit", "unsupported")}
    assert "imagej_roi.damaged" in ids


# Counted by another program: ImageJ's own outlines, filled by matplotlib and by scikit-image, which agreed.
CORPUS = {
    "composite-brush-donut.roi": [18], "composite-oval-in-rect.roi": [938], "composite-two-ellipses.roi": [1389],
    "ellipse.roi": [24], "freehand.roi": [2056], "oval.roi": [994], "polygon.roi": [7164], "rectangle.roi": [1548],
    "multipoint.roi": [14], "point.roi": [1], "line1.roi": [173], "polyline.roi": [196], "freeline.roi": [216],
    "RoiSet.zip": [166, 313], "rois.zip": [20, 35],
}  # fmt: skip


@pytest.mark.corpus
def test_real_files_have_the_pixels_that_others_count(corpus: Path) -> None:
    found = {}
    for path in sorted((corpus / "roi").glob("*/*")):
        table = open_file(path)
        found[path.name] = [len(mask) for mask in read_masks(table)]
        assert [region["pixels"] for region in table.header["rois"]] == found[path.name]
    assert found == CORPUS


def test_a_file_that_changed_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.roi"
    table = open_file(path, rf.make_polygon(SQUARE))
    path.write_bytes(rf.make_polygon([(0, 0), (4, 0), (4, 4), (0, 4)]))
    with pytest.raises(Problem) as caught:
        read_column(table, "pixels")
    assert caught.value.finding.id == "file.changed"
