"""Rows whose file holds several images: one that is chosen, or a volume of each that ``[images]`` names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from builder import Builder

from neuropress.cli.main import main

SMALL, LARGE = np.arange(3 * 8 * 9, dtype=np.uint8).reshape(3, 8, 9), np.arange(2 * 20 * 30, dtype=np.uint16)


@pytest.fixture
def lab(tmp_path: Path) -> Builder:
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(SMALL, metadata={"axes": "ZYX", "Name": "overview scan"})
        writer.write(LARGE.reshape(2, 20, 30), metadata={"axes": "ZYX", "Name": "detail"})
    ds = Builder(tmp_path / "ds")
    ds.sem(path)
    return ds


def state(ds: Builder, text: str) -> None:
    settings = ds.root / "neuropress.toml"
    before = settings.read_text().partition("[images]")[0]
    settings.write_text(f"{before}\n[images]\n{text}\n" if text else before)


def read_volume(ds: Builder, name: str) -> np.ndarray:
    path = ds.output(f"{name}.ome.zarr")
    assert path is not None, sorted(p.name for p in (ds.root / "output").rglob("*.zarr"))
    return np.asarray(zarr.open_array(path / "0", mode="r")[...])


def test_the_finding_says_what_to_type(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(lab.root)]) == 1
    told = capsys.readouterr().out
    assert '[images] JL_SD_0001 = "1" takes one, JL_SD_0001 = ["1", "2"] makes a volume of each' in told
    assert "'detail'" in told


def test_one_image_is_chosen_by_its_name(lab: Builder) -> None:
    state(lab, 'JL_SD_0001 = "detail"')
    assert main(["run", str(lab.root)]) == 0
    np.testing.assert_array_equal(read_volume(lab, "JL_SD_0001"), LARGE.reshape(2, 20, 30))


def test_two_rows_take_an_image_each_of_one_file(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    lab.row("sem_dataset", **{**lab.rows["sem_dataset"][0], "sem_dataset_id": "JL_SD_0002"})
    state(lab, 'JL_SD_0001 = "2"\nJL_SD_0002 = "2"')
    assert main(["check", str(lab.root)]) == 1
    assert "path.twice" in capsys.readouterr().out
    state(lab, 'JL_SD_0001 = "overview scan"\nJL_SD_0002 = "2"')
    assert main(["run", str(lab.root)]) == 0
    np.testing.assert_array_equal(read_volume(lab, "JL_SD_0001"), SMALL)
    np.testing.assert_array_equal(read_volume(lab, "JL_SD_0002"), LARGE.reshape(2, 20, 30))


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]])
def test_a_volume_of_each_image(lab: Builder, capsys: pytest.CaptureFixture[str], workers: list[str]) -> None:
    state(lab, '"JL_SD_*" = ["overview scan", "2"]')
    assert main(["convert", str(lab.root), *workers]) == 0
    assert main(["run", str(lab.root)]) == 0
    np.testing.assert_array_equal(read_volume(lab, "JL_SD_0001_overview-scan"), SMALL)
    np.testing.assert_array_equal(read_volume(lab, "JL_SD_0001_2"), LARGE.reshape(2, 20, 30))
    assert main(["verify", str(lab.root), "--independent"]) == 0
    assert main(["coverage", str(lab.root)]) == 0
    capsys.readouterr()
    assert main(["convert", str(lab.root)]) == 0
    assert "2 up to date" in capsys.readouterr().out
    assert main(["explain", str(next((lab.root / "output").rglob("*_2.ome.zarr")))]) == 0
    assert "image" in capsys.readouterr().out


def test_a_changed_list_is_noticed(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    state(lab, 'JL_SD_0001 = ["1", "2"]')
    assert main(["convert", str(lab.root)]) == 0
    state(lab, 'JL_SD_0001 = ["2"]')
    capsys.readouterr()
    assert main(["status", str(lab.root)]) == 0
    told = capsys.readouterr().out
    assert "result.stray" in told
    assert "JL_SD_0001_1.ome.zarr" in told


def test_a_changed_cell_writes_no_voxel(lab: Builder) -> None:
    state(lab, 'JL_SD_0001 = ["1", "2"]')
    assert main(["convert", str(lab.root)]) == 0
    levels = sorted((lab.root / "output").rglob("0/zarr.json"))
    before = [level.stat().st_ino for level in levels]
    lab.change("sem_dataset", resolution="5")
    assert main(["run", str(lab.root)]) == 0
    assert [level.stat().st_ino for level in levels] == before
    assert len(levels) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('JL_SD_0001 = ["1", "nothing"]', "image.choice"),
        ('JL_SD_0001 = ["a b", "a-b"]', "result.same_path"),
        ("JL_SD_0001 = 2", "must name images by number or name"),
        ('JL_SD_0001 = ["1", "1"]', "each once"),
        ("JL_SD_0001 = []", "must name images by number or name"),
    ],
)
def test_what_is_no_choice_is_refused(lab: Builder, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    state(lab, text)
    assert main(["check", str(lab.root)]) in (1, 2)
    told = capsys.readouterr()
    assert words in told.out + told.err
    assert "JL_SD_0001" in told.out + told.err


def test_entries_that_nobody_takes_are_told(lab: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    state(lab, 'JL_SD_0001 = "1"\nJL_SD_0009 = "1"')
    assert main(["check", str(lab.root)]) == 0
    assert "no volume's row is JL_SD_0009" in capsys.readouterr().out


def test_a_release_makes_the_same_volumes_again(lab: Builder, tmp_path: Path) -> None:
    state(lab, 'JL_SD_0001 = ["1", "2"]')
    assert main(["run", str(lab.root)]) == 0
    store = str(tmp_path / "store")
    settings = lab.root / "neuropress.toml"
    settings.write_text(f'{settings.read_text()}\n[dataset]\nlicense = "CC0-1.0"\n')
    assert main(["publish", str(lab.root), "--to", store, "--release", "1.0.0"]) == 0
    assert main(["releases", "rebuild", store]) == 0
