"""Points and boxes of volumes, from neuropress.toml to the table, the annotations and their proof."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from annotation_reading import read_annotations
from builder import DATE, Builder

import neuropress
from neuropress.cli.main import main
from neuropress.config import load_config
from neuropress.model.points import PointAxis
from neuropress.publishing.parts import make_parts
from neuropress.publishing.restore import restore_dataset
from neuropress.results.omezarr import volume as omezarr
from neuropress.results.omezarr.staging import Staging
from neuropress.tables import read_tables
from neuropress.verbs.view import open_viewer
from neuropress.workspace import Workspace

SHAPE = (6, 20, 24)
FOLDER = f"lichtman/{DATE}/cell_detection_dataset/raw"
CSV = f"{FOLDER}/cells.csv"
TABLE = 'x,y,z,kind,p,note\n1,2,3,soma,0.50,"a, b"\n23,19,5,glia,,NA\n0,0,0,soma,1e-3,\n'
COLUMNS = 'columns = "x = x; y = y; z = z; kind = class; p = score"'
PIXELS = 'unit = "pixel"\nfirst = "0"'
POINTS = f'[points.JL_SD_0001.cells]\npath = "{CSV}"\n'


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = main([*map(str, arguments)])
    said = capsys.readouterr()
    return status, " ".join((said.out + said.err).split())


def write_stack(path: Path) -> Path:
    """Voxels of 0.0005 um along z; the row says 4 nm of y and x."""
    data = np.random.default_rng(1).integers(0, 255, SHAPE).astype("u1")
    tifffile.imwrite(path, data, imagej=True, metadata={"spacing": 0.03, "unit": "um", "axes": "ZYX"})
    return path


@pytest.fixture
def made(tmp_path: Path) -> Builder:
    builder = Builder(tmp_path / "ds")
    builder.sem(write_stack(tmp_path / "stack.tif"))
    builder.put(CSV, TABLE.encode())
    return builder


def state(made: Builder, text: str, options: str = f"{PIXELS}\n{COLUMNS}") -> None:
    place = made.root / "neuropress.toml"
    before = place.read_text().partition("\n# TEST\n")[0]
    place.write_text(f'{before}\n# TEST\n{text}\n[options."{FOLDER}/*"]\n{options}\n')


def find_volume(made: Builder) -> Path:
    volume = made.output("JL_SD_0001.ome.zarr")
    assert volume is not None
    return volume


def read_table(volume: Path, name: str = "cells") -> list[list[str]]:
    with (volume / f"tables/{name}/table.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_what_a_row_says_of_the_detections_travels_with_them(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    mask = f"lichtman/{DATE}/cell_detection_dataset/processed/mask.tif"
    tifffile.imwrite(made.put(mask, b""), np.ones(SHAPE, "u1"), photometric="minisblack")
    said_of = {"start_date": DATE, "mouse_id": "RY_M_0001", "file_path_local": "/secret/place"}
    made.row("cell_detection_dataset", cell_dataset_id="JL_CD_0001", tool="cellfinder 1.3", file_path=CSV, **said_of)
    made.row("cell_detection_dataset", cell_dataset_id="JL_CD_0002", tool="cellpose 3.0", file_path=mask, **said_of)
    state(made, f'{POINTS}\n[labels.JL_SD_0001.nuclei]\npath = "{mask}"')
    status, said = run(capsys, "run", made.root)
    assert status == 0, said
    volume = find_volume(made)
    root = zarr.open_group(volume, mode="r")
    (row,) = root["tables/cells"].attrs["points"]["rows"]
    assert (row["table"], row["cell_dataset_id"]) == ("cell_detection_dataset", "JL_CD_0001")
    assert (row["tool"], row["start_date"], "file_path_local" in row) == ("cellfinder 1.3", DATE, False)
    (mask_row,) = root.attrs["neuropress"]["label_rows"]
    assert (mask_row["labels"], mask_row["tool"]) == ("nuclei", "cellpose 3.0")
    assert all(b"secret" not in file.read_bytes() for file in volume.rglob("*") if file.is_file())
    rows = {(one.table, one.key) for one in omezarr.read_provenance(volume).records}
    assert rows >= {("cell_detection_dataset", "JL_CD_0001"), ("mouse", "RY_M_0001")}
    status, said = run(capsys, "explain", volume, "/tables/cells/points/rows")
    assert "cell_detection_dataset" in said, said
    status, said = run(capsys, "explain", made.root, "--cell", "cell_detection_dataset.JL_CD_0001.tool")
    assert (status, "tables/cells/points/rows" in said) == (0, True), said
    assert run(capsys, "coverage", made.root)[0] == 0
    shards = {p: p.stat().st_mtime_ns for p in volume.glob("0/c/**/*") if p.is_file()}
    made.change("cell_detection_dataset", tool="cellfinder 1.4")
    status, said = run(capsys, "run", made.root)
    assert status == 0, said
    assert zarr.open_group(volume, mode="r")["tables/cells"].attrs["points"]["rows"][0]["tool"] == "cellfinder 1.4"
    assert shards == {p: p.stat().st_mtime_ns for p in volume.glob("0/c/**/*") if p.is_file()}


def test_points_become_a_table_and_annotations_that_verify(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    state(made, POINTS)
    status, said = run(capsys, "run", made.root)
    assert status == 0, said
    volume = find_volume(made)
    rows = read_table(volume)
    assert [row[:6] for row in rows] == list(csv.reader(TABLE.splitlines()))
    assert rows[0][6:] == ["volume_z_nanometer", "volume_y_nanometer", "volume_x_nanometer"]
    assert [row[6:] for row in rows[1:]] == [["90", "8", "4"], ["150", "76", "92"], ["0", "0", "0"]]
    group = zarr.open_group(volume, mode="r")["tables/cells"]
    assert {name: group.attrs[name] for name in ("type", "backend")} == {"type": "generic_table", "backend": "csv"}
    assert zarr.open_group(volume / "tables", mode="r").attrs["tables"] == ["cells"]
    info, drawn, _ = read_annotations(volume / "tables/cells/annotations")
    assert info["dimensions"] == {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [3e-8, "m"]}
    assert (info["annotation_type"], info["properties"][1]["enum_labels"]) == ("point", ["glia", "soma"])
    assert [np.asarray(drawn[id][0]).tolist() for id in range(3)] == [[1, 2, 3], [23, 19, 5], [0, 0, 0]]
    assert [drawn[id][2] for id in range(3)] == [1, 0, 1]
    assert np.isnan(drawn[1][1])
    assert run(capsys, "convert", made.root)[1].startswith("up to date")
    said = run(capsys, "explain", volume, "tables/cells/points/axes/2/columns")[1]
    assert CSV in said


def test_boxes_by_the_ends_that_are_stated(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    made.put(f"{FOLDER}/b.csv", b"x_min,x_max,y_min,y_max,z\n1,3,2,2,4\n")
    made.put(f"{FOLDER}/s.csv", b"x_min,x_size,y_min,y_size,z\n2,2,3,1,5\n")
    entries = "".join(f'[points.JL_SD_0001.{name}]\npath = "{FOLDER}/{name}.csv"\n' for name in "bs")
    for ends, x_max in (("included", "14"), ("excluded", "10")):
        state(made, entries, f'unit = "pixel"\nfirst = "0"\nbox_ends = "{ends}"')
        assert run(capsys, "convert", made.root)[0] == 0
        assert read_table(find_volume(made), "b")[1][5:] == [
            "105",
            "135",
            "6",
            "10" if ends == "included" else "6",
            "2",
            x_max,
        ]
        info, drawn, _ = read_annotations(find_volume(made) / "tables/b/annotations")
        assert info["annotation_type"] == "axis_aligned_bounding_box"
        assert np.asarray(drawn[0][0]).tolist() == [
            0.5,
            1.5,
            3.5,
            float(Fraction(x_max) / 4),
            2.5 if ends == "included" else 1.5,
            4.5,
        ]
    assert read_table(find_volume(made), "s")[1][5:] == ["135", "165", "10", "14", "6", "14"]


def test_micrometres_first_pixels_and_another_resolution(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    made.put(CSV, b"x,y,z\n0.02,0.004,0.06\n")
    state(made, POINTS, 'unit = "micrometer"')
    assert run(capsys, "convert", made.root)[0] == 0
    assert read_table(find_volume(made))[1][3:] == ["60", "4", "20"]
    made.put(CSV, b"x,y,z\n2,1,1\n")  # counted from 1, in pixels of twice the size: both begin at one corner
    state(made, f"{POINTS}spacing = [0.03, 0.008, 0.008]", 'unit = "pixel"\nfirst = "1"')
    assert run(capsys, "convert", made.root)[0] == 0
    assert read_table(find_volume(made))[1][3:] == ["0", "2", "10"]


def test_napari_shapes_are_boxes_around_their_corners(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    corners = "".join(
        f"{n},rectangle,{v},1,{y},{x}\n" for n in (7, 3) for v, (y, x) in enumerate(((n, 2), (n, 5), (9, 5)))
    )
    made.put(CSV, f"index,shape-type,vertex-index,axis-0,axis-1,axis-2\n{corners}".encode())
    state(made, POINTS, "")
    assert run(capsys, "convert", made.root)[0] == 0
    assert len(read_table(find_volume(made))) == 7
    _, drawn, _ = read_annotations(find_volume(made) / "tables/cells/annotations")
    assert [np.asarray(drawn[id][0]).tolist() for id in range(2)] == [[2, 7, 1, 5, 9, 1], [2, 3, 1, 5, 9, 1]]


def test_only_tables_are_written_anew(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    state(made, POINTS)
    assert run(capsys, "convert", made.root)[0] == 0
    volume = find_volume(made)
    shards = {path: path.stat().st_mtime_ns for path in (volume / "0").rglob("*") if path.is_file()}
    made.put(CSV, TABLE.replace("soma", "axon").encode())
    assert run(capsys, "convert", made.root)[0] == 0
    assert read_table(volume)[1][3] == "axon"
    made.change("sem_dataset", resolution="8")
    assert run(capsys, "convert", made.root)[0] == 0
    assert read_table(volume)[1][6:] == ["90", "16", "8"]
    state(made, POINTS.replace("0001.cells", "0001.others"))
    assert run(capsys, "convert", made.root)[0] == 0
    assert [path.name for path in sorted((volume / "tables").iterdir())] == ["others", "zarr.json"]
    state(made, "")
    assert run(capsys, "convert", made.root)[0] == 0
    assert not (volume / "tables").exists()
    state(made, POINTS)
    assert run(capsys, "convert", made.root, "--part", "1/1")[0] == 0
    assert run(capsys, "verify", made.root)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in shards} == shards


def test_equal_bytes_however_it_came_about(made: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state(made, POINTS)
    assert run(capsys, "convert", made.root)[0] == 0
    volume = find_volume(made)
    first = {path: path.read_bytes() for path in volume.rglob("*") if path.is_file()}
    state(made, "")
    assert run(capsys, "convert", made.root)[0] == 0
    state(made, POINTS)
    assert run(capsys, "convert", made.root)[0] == 0
    assert {path: path.read_bytes() for path in volume.rglob("*") if path.is_file()} == first


def test_a_run_that_is_killed_while_tables_are_written_goes_on(
    made: Builder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state(made, POINTS)
    with monkeypatch.context() as patch:
        patch.setattr(Staging, "close", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            made.dataset.convert()
    assert made.output("JL_SD_0001.ome.zarr") is None
    made.put(CSV, b"x,y,z\n1,2,3\n")
    state(made, POINTS, PIXELS)
    assert run(capsys, "convert", made.root)[0] == 0
    assert len(read_table(find_volume(made))) == 2
    assert run(capsys, "verify", made.root)[0] == 0


def test_damage_is_found(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    state(made, POINTS)
    assert run(capsys, "convert", made.root)[0] == 0
    volume = find_volume(made)
    tables = volume / "tables/cells"
    for name, old, new, said in (
        ("table.csv", b"0.50", b"0.51", "is 0.51, but"),
        ("table.csv", b"150,76", b"150,77", "table.csv is not as it was written"),
        ("table.csv", b"x,y", b"y,x", "does not name the columns"),
        ("annotations/info", b"soma", b"sema", "annotations/info is not as it was written"),
        ("zarr.json", b'"pixel"', b'"micrometer"', "verify.field"),
        ("../zarr.json", b'"cells"', b'"../.."', "result.unsafe"),
    ):
        whole = (tables / name).read_bytes()
        (tables / name).write_bytes(whole.replace(old, new))
        status, found = run(capsys, "verify", made.root)
        assert status == 1
        assert said in found, name
        (tables / name).write_bytes(whole)
    (tables / "more.csv").write_bytes(b"a\n")
    assert "verify.stray_file" in run(capsys, "verify", made.root)[1]
    (tables / "more.csv").unlink()
    (tables / "annotations/by_id/0.shard").unlink()
    assert "0.shard" in run(capsys, "verify", made.root)[1]


def test_places_outside_are_counted_and_the_first_is_named(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    made.put(CSV, b"x,y,z\n23.5,2,3\n24,2,3\n1,-0.6,3\n")
    state(made, POINTS, PIXELS)
    _, said = run(capsys, "check", made.root)
    assert "points.outside" in said
    assert "2 of 3 lie outside the volume of 6 x 20 x 24 voxels (z y x); the first is line 3: z 3, y 2, x 24" in said


@pytest.mark.parametrize(
    ("table", "options", "id"),
    [
        (TABLE, "", "points.undeclared"),
        ("x,y\n1,2\n", PIXELS, "points.axes"),
        ("x,y,z,volume_x\n1,2,3,4\n", PIXELS, "points.columns"),
        ("x,y,z\n1,2,b\n", PIXELS, "points.damaged"),
        (None, PIXELS, "file.missing"),
    ],
)
def test_what_does_not_fit_withholds_the_volume(
    made: Builder, capsys: pytest.CaptureFixture[str], table: str | None, options: str, id: str
) -> None:
    made.raw(CSV).unlink()
    if table is not None:
        made.put(CSV, table.encode())
    state(made, POINTS, options)
    status, said = run(capsys, "convert", made.root)
    assert (status, id in said, "points cells" in said) == (1, True, True), said
    assert made.output("JL_SD_0001.ome.zarr") is None


def test_what_is_stated_of_no_volume_or_wrongly(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    state(made, POINTS.replace("0001", "0009"), "")
    assert "labels.unused" in run(capsys, "check", made.root)[1]
    for bad in ('path = "a"\ndtype = "uint8"', "path = 1", 'spacing = [1]\npath = "a"'):
        state(made, f"[points.JL_SD_0001.cells]\n{bad}", "")
        assert "[points.JL_SD_0001.cells]" in run(capsys, "check", made.root)[1]


def test_another_library_reads_the_same(made: Builder, tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.array([[1.1, 2, 3], [0.1, 0.2, 0.3]], "f4"))
    made.put(f"{FOLDER}/p.npy", (tmp_path / "p.npy").read_bytes())
    marker = "<Marker><MarkerX>1</MarkerX><MarkerY>2</MarkerY><MarkerZ>3</MarkerZ></Marker>"
    typed = f"<Marker_Data><Marker_Type><Type>2</Type>{marker}</Marker_Type></Marker_Data>"
    made.put(f"{FOLDER}/m.xml", f"<CellCounter_Marker_File>{typed}</CellCounter_Marker_File>".encode())
    names = {"cells": "cells.csv", "p": "p.npy", "m": "m.xml"}
    entries = "".join(f'[points.JL_SD_0001.{name}]\npath = "{FOLDER}/{file}"\n' for name, file in names.items())
    own = f'[options."{FOLDER}/p.npy"]\nunit = "pixel"\nfirst = "0"\ncolumns = "0 = z; 1 = y; 2 = x"\n'
    state(made, f'{entries}{own}[options."{FOLDER}/m.xml"]\nfirst = "0"', f"{PIXELS}\n{COLUMNS}")
    text = (made.root / "neuropress.toml").read_text().replace(f'[options."{FOLDER}/*"]', f'[options."{CSV}"]')
    (made.root / "neuropress.toml").write_text(text)
    dataset = neuropress.open(made.root)
    assert dataset.convert().ok
    report = dataset.verify(independent=True)
    verdicts = {r["source"]: r["verdict"] for one in report.outcomes for r in one.facts["independent"]}
    assert {Path(key).name: verdict for key, verdict in verdicts.items() if FOLDER in key} == dict.fromkeys(
        names.values(), "agrees"
    )


def test_one_file_with_its_points_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stack, table, out = write_stack(tmp_path / "v.tif"), tmp_path / "cells.csv", tmp_path / "v.ome.zarr"
    table.write_text(TABLE)
    labels, classes = tmp_path / "mask.tif", tmp_path / "classes.csv"
    tifffile.imwrite(labels, np.ones(SHAPE, "u1"), photometric="minisblack")
    classes.write_text("id,name,colour\n0,,\n1,soma,#FF8000\n")
    single = ("convert", stack, "--to", out, "--points", table, "--labels", f"cells={labels}", "--classes", classes)
    status, said = run(capsys, *single)
    assert (status, "--points-option" in said) == (1, True)
    stated = [
        f"--points-option={text}" for text in ("unit=pixel", "first=0", "columns=x = x; y = y; z = z; kind = class")
    ]
    status, said = run(capsys, *single, *stated)
    assert status == 0, said
    assert run(capsys, "verify", out, "--source", tmp_path)[0] == 0
    with open_viewer([out]) as server:
        shown = server.events[1]["s"]
    image, segments, points = shown["layers"]
    assert (image["type"], segments["segmentColors"]) == ("image", {"1": "#ff8000"})
    assert points["source"].endswith("v.ome.zarr/tables/cells/annotations/|neuroglancer-precomputed:")
    assert "prop_class()" in points["shader"]
    assert json.dumps(shown["dimensions"]["z"]) == '[3e-08, "m"]'


def test_a_release_has_the_settings_and_what_is_restored_too(made: Builder, tmp_path: Path) -> None:
    state(made, f"{POINTS}spacing = [0.03, 0.008, 0.008]")
    workspace = Workspace(load_config(made.root))
    parts = make_parts(workspace.config, read_tables(workspace.config.tables, workspace.profile), workspace.waivers)
    restore_dataset(parts, tmp_path / "again", "JL")
    again = load_config(tmp_path / "again")
    assert again.profile.labels == workspace.profile.labels
    assert again.find_options(CSV) == workspace.config.find_options(CSV) != {}


def test_a_plan_counts_tables_which_are_held_whole(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = []
    for rows in (1, 200_000):
        made.put(CSV, b"x,y,z\n" + b"1,2,3\n" * rows)
        state(made, POINTS, PIXELS)
        status, _ = run(capsys, "plan", made.root, "--memory", "180M")
        sizes.append(status)
    assert sizes == [0, 1]


def test_edges_of_a_pixel_are_where_its_corners_are() -> None:
    axis = PointAxis("x", ("a", "b"), ends="included", spacing="2", scale="1")
    assert axis.find_edges(Fraction(0), Fraction(0), Fraction, is_box=True) == (Fraction(-1, 2), Fraction(3, 2))
