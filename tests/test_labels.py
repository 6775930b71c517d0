"""Labels as a person states them: in neuropress.toml and on the command line, with their classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from builder import DATE, Builder
from hypothesis import given, settings
from hypothesis import strategies as st

from neuropress.api import Dataset
from neuropress.cli.main import main
from neuropress.model.finding import Problem
from neuropress.model.labels import LabelClass
from neuropress.model.source import Source
from neuropress.readers.classes import read_classes
from neuropress.storage.roots import Folder

SHAPE = (6, 20, 24)
IDS = np.kron(np.array([[0, 1], [2, 70000]], "u4"), np.ones((10, 12), "u4"))[None].repeat(6, 0)
FOLDER = f"lichtman/{DATE}/cell_detection_dataset/raw"
TABLE = "id,name,colour,acronym\n0,background,,\n1,soma,#FF0000,S\n2,dendrite,00ff00,D\n70000,axon,0 0 255,A\n"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = main([*map(str, arguments)])
    said = capsys.readouterr()
    return status, " ".join((said.out + said.err).split())


def write_tiff(path: Path, data: np.ndarray, **metadata: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, data, imagej=bool(metadata), metadata=metadata or None, photometric="minisblack")
    return path


def make_image(path: Path) -> Path:
    return write_tiff(path, np.random.default_rng(1).integers(0, 255, SHAPE).astype("u1"))


def read_ome(path: Path) -> dict[str, Any]:
    ome: dict[str, Any] = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    return ome


@pytest.fixture
def made(tmp_path: Path) -> Builder:
    builder = Builder(tmp_path / "ds")
    builder.sem(make_image(tmp_path / "stack.tif"))
    builder.put(f"{FOLDER}/cells.tif", write_tiff(tmp_path / "cells.tif", IDS))
    builder.put(f"{FOLDER}/classes.csv", TABLE.encode())
    return builder


def state(made: Builder, text: str) -> None:
    place = made.root / "neuropress.toml"
    before = place.read_text().partition("\n# TEST\n")[0]
    place.write_text(f"{before}\n# TEST\n{text}\n")


CELLS = f'[labels.JL_SD_0001.cells]\npath = "{FOLDER}/cells.tif"'


def test_a_mask_of_a_volume_becomes_labels_that_verify_and_validate(
    made: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    state(made, f'{CELLS}\nclasses = "{FOLDER}/classes.csv"')
    status, said = run(capsys, "run", made.root)
    assert status == 0, said
    volume = made.output("JL_SD_0001.ome.zarr")
    assert volume is not None
    labels = read_ome(volume / "labels/cells")["image-label"]
    assert labels["source"] == {"image": "../../"}
    assert labels["properties"][3] == {"label-value": 70000, "name": "axon", "acronym": "A"}
    assert {one["label-value"]: one["rgba"] for one in labels["colors"]} == {
        0: [0, 0, 0, 0],
        1: [255, 0, 0, 255],
        2: [0, 255, 0, 255],
        70000: [0, 0, 255, 255],
    }
    np.testing.assert_array_equal(zarr.open_array(volume / "labels/cells/0", mode="r")[...], IDS)
    assert run(capsys, "convert", made.root)[1].startswith("up to date")
    # The class table is an input like every other: what it says now is written.
    made.put(f"{FOLDER}/classes.csv", TABLE.replace("axon", "neurite").encode())
    assert run(capsys, "convert", made.root)[0] == 0
    assert read_ome(volume / "labels/cells")["image-label"]["properties"][3]["name"] == "neurite"
    # Without the entry the volume has none; a mask that was changed afterwards is found by verify.
    state(made, "")
    assert run(capsys, "convert", made.root)[0] == 0
    assert not (volume / "labels").exists()
    state(made, CELLS)
    assert run(capsys, "convert", made.root)[0] == 0
    write_tiff(made.raw(f"{FOLDER}/cells.tif"), IDS + 1)
    status, said = run(capsys, "verify", made.root)
    assert status == 1
    assert "verify.input_changed" in said


REFUSED = {
    "labels.shape": (IDS[:5], ""),
    "labels.dtype": (IDS.astype("f4"), ""),
    "labels.fraction": (IDS.astype("f4") + np.float32(0.5), 'dtype = "uint32"'),
    "labels.axes": (IDS[:, None].repeat(3, 1), ""),
    "file.missing": (None, ""),
    "labels.classes": (IDS, f'classes = "{FOLDER}/cells.tif"'),
}


@pytest.mark.parametrize("id", REFUSED)
def test_a_mask_that_does_not_fit_withholds_the_volume(
    made: Builder, capsys: pytest.CaptureFixture[str], id: str
) -> None:
    data, more = REFUSED[id]
    made.raw(f"{FOLDER}/cells.tif").unlink()
    if data is not None:
        is_stack = data.ndim == 4
        write_tiff(
            made.raw(f"{FOLDER}/cells.tif"),
            data.astype("u2") if is_stack else data,
            **({"axes": "ZCYX"} if is_stack else {}),
        )
    state(made, f"{CELLS}\n{more}")
    status, said = run(capsys, "convert", made.root)
    assert status == 1, said
    assert id in said
    assert "cells" in said
    assert made.output("JL_SD_0001.ome.zarr") is None


def test_whole_numbers_in_floats_are_ids_where_a_person_says_their_type(
    made: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tiff(made.raw(f"{FOLDER}/cells.tif"), IDS.astype("f4"))
    state(made, f'{CELLS}\ndtype = "uint32"')
    status, said = run(capsys, "run", made.root)
    assert status == 0, said
    volume = made.output("JL_SD_0001.ome.zarr")
    assert volume is not None
    found = zarr.open_array(volume / "labels/cells/0", mode="r")
    assert found.dtype == np.uint32
    np.testing.assert_array_equal(found[...], IDS)


def test_a_mask_at_another_resolution_states_its_own_scale(made: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    made.change("sem_dataset", 0, resolution="4")
    write_tiff(made.raw(f"{FOLDER}/cells.tif"), IDS[:, ::2, ::2])
    state(made, f"{CELLS}\nspacing = [0.04, 0.008, 0.008]")
    status, said = run(capsys, "run", made.root)
    assert status == 0, said
    assert "labels.resampled" in {one.id for one in Dataset.open(made.root).check().findings}
    volume = made.output("JL_SD_0001.ome.zarr")
    assert volume is not None
    image, labels = (read_ome(place)["multiscales"][0]["datasets"] for place in (volume, volume / "labels/cells"))
    assert len(image) == len(labels)
    scale, translation = labels[0]["coordinateTransformations"]
    assert scale["scale"][1:] == [8.0, 8.0]
    assert translation["translation"] == [0.0, 2.0, 2.0]


def test_labels_that_no_volume_has_and_wrong_entries_are_told(
    made: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    state(made, CELLS.replace("0001", "0009"))
    assert "labels.unused" in run(capsys, "check", made.root)[1]
    for wrong in (
        CELLS.replace("path", "paht"),
        f"{CELLS}\ndtype = 'float32'",
        '[labels.X."a/b"]\npath = "x"',
        "[labels]\nX = 1",
    ):
        state(made, wrong)
        status, said = run(capsys, "check", made.root)
        assert (status, "labels" in said) == (2, True), said


def test_one_file_with_its_labels_and_files_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, to = make_image(tmp_path / "image/0.tif"), tmp_path / "v.ome.zarr"
    mask, table = write_tiff(tmp_path / "label/0.tif", IDS), tmp_path / "tree.json"
    leaf = {"id": 70000, "acronym": "A", "name": "axon", "color_hex_triplet": "0000FF"}
    table.write_text(json.dumps({"success": True, "msg": [{"id": 1, "name": "root", "children": [leaf]}]}))
    status, said = run(capsys, "convert", image, "--labels", f"cells={mask}", "--classes", table, "--to", to)
    assert status == 0, said
    assert read_ome(to / "labels/cells")["image-label"]["properties"][1] == {
        "label-value": 70000, "name": "axon", "acronym": "A", "parent": 1, "rgba": [0, 0, 255, 255],
    }  # fmt: skip
    np.testing.assert_array_equal(zarr.open_array(to / "labels/cells/0", mode="r")[...], IDS)
    assert run(capsys, "verify", to, "--source", tmp_path)[0] == 0
    status, said = run(capsys, "convert", image, "--labels", mask, "--to", tmp_path / "v.nwb")
    assert status == 2
    for wrong in (["--classes", table], ["--labels", mask, "--labels", mask], ["--labels", f"a/b={mask}"]):
        assert run(capsys, "convert", image, *wrong, "--to", tmp_path / "w.ome.zarr")[0] == 2


def read_text(folder: Path, data: bytes) -> tuple[LabelClass, ...]:
    (folder / "t").write_bytes(data)
    return read_classes(Source("t", Folder(folder)))


def test_tables_and_ontologies_of_classes(tmp_path: Path) -> None:
    assert read_text(tmp_path, "\ufeffLabel\tName\tR\tG\tB\n5.0\té\t1\t2\t3\n\n".encode()) == (
        LabelClass(5, "é", "", (1, 2, 3, 255)),
    )
    assert read_text(tmp_path, b'[{"id": 8, "name": "x", "rgb_triplet": [1, 2, 3]}]')[0].color == (1, 2, 3, 255)
    assert read_text(tmp_path, b"id\n18446744073709551615\n")[0].value == 2**64 - 1
    for bad in (
        b"",
        b"id,name\n",
        b"name\nx\n",
        b"id\n1.5\n",
        b"id,name\n1,a\n1,b\n",
        b"id,color\n1,red\n",
        b"[1]",
        b'{"id"',
        b"\xff",
    ):
        with pytest.raises(Problem) as caught:
            read_text(tmp_path, bad)
        assert caught.value.finding.id == "labels.classes"


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text(alphabet='id,name\n12[]{}":#F. ', max_size=60).map(str.encode)))
def test_any_bytes_are_classes_or_a_finding(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    found = ""
    try:
        read_text(tmp_path_factory.getbasetemp(), data)
    except Problem as bad:
        found = bad.finding.id
    assert found in ("", "labels.classes")


def test_a_column_of_static_images_names_their_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builder = Builder(tmp_path / "ds")
    session, folder = builder.session(), f"yuste/{DATE}/image"
    for number in (1, 2):
        builder.put(f"{folder}/raw/{number}.tif", make_image(tmp_path / f"{number}.tif"))
        known = {"image_id": f"RY_IMG_000{number}", "session_id": session, "image_type": "fluorescence"}
        known |= {"x": "24", "y": "20", "z": "6", "pixel_size": "0.5", "file_path_raw": f"{folder}/raw/{number}.tif"}
        masked = {"file_path_roi": f"{folder}/roi/m.tif", "roi_tool": "cellpose 3"} if number == 1 else {}
        builder.row("image", **known, **masked)
    builder.put(f"{folder}/roi/m.tif", write_tiff(tmp_path / "m.tif", IDS))
    state(builder, '[labels."RY_IMG_*".rois]\ncolumn = "file_path_roi"')
    status, said = run(capsys, "convert", builder.root, "--object", "RY_IMG_0001", "--object", "RY_IMG_0002")
    assert (status, "image.roi_kept" in said) == (0, False), said
    volumes = [builder.output(f"RY_IMG_000{number}.ome.zarr") for number in (1, 2)]
    assert [volume and (volume / "labels/rois/0").is_dir() for volume in volumes] == [True, False]
    # A cell that is corrected moves labels and image alike.
    builder.change("image", 0, pixel_size="0.25")
    assert run(capsys, "convert", builder.root, "--object", "RY_IMG_0001")[0] == 0
    assert volumes[0] is not None
    places = volumes[0], volumes[0] / "labels/rois"
    scales = [read_ome(p)["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] for p in places]
    assert scales[0] == scales[1] == [1.0, 0.25, 0.25]
    assert run(capsys, "verify", volumes[0], "--source", builder.root / "source")[0] == 0
