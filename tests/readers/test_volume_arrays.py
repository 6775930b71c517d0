"""Volumes in files of named arrays: what ilastik, Data Exchange, Fiji and a person say of their axes and distances."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import h5py
import numpy as np
import pytest
from array_files import make_hdf5, make_npy, make_npz
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_reading import check_blocks, close_volumes, find_problem, open_contents, open_image, read_pixels

__all__ = ["close_volumes"]

VOLUME = np.arange(2 * 3 * 4, dtype="u2").reshape(2, 3, 4)


def tag(letters: str) -> str:
    return json.dumps({"axes": [{"key": letter, "typeFlags": 2, "resolution": 0} for letter in letters]})


def write(path: Path, **datasets: object) -> Path:
    path.write_bytes(make_hdf5({name.replace("__", "/"): value for name, value in datasets.items()}))
    return path


def test_ilastik_says_its_axes(tmp_path: Path) -> None:
    pixels = VOLUME[..., None]
    image = open_image(write(tmp_path / "a.h5", volume__data=(pixels, {"axistags": tag("zyxc")}), other=np.arange(9)))
    assert (image.name, image.arrays["pixels"].axes) == ("", ("z", "y", "x", "c"))
    assert image.header["pixels"] == "volume/data"
    check_blocks(image, pixels)
    image = open_image(tmp_path / "a.h5", pixel_size="0.5", z_spacing="2")
    assert dict(image.spacing) == {"x": Decimal("0.5"), "y": Decimal("0.5"), "z": Decimal(2)}
    for bad in ("{", '{"axes": 3}', '{"axes": [{"key": "z"}]}', tag("zyyc"), tag("zyxq"), "[" * 3000):
        (content,) = open_contents(write(tmp_path / "a.h5", v=(pixels, {"axistags": bad})))
        assert "undeclared" in content.header


def test_data_exchange_is_projections(tmp_path: Path) -> None:
    theta = (np.array([0.0, 90.0]), {"units": "degrees"})
    for attributes in ({}, {"axes": "theta:y:x"}):
        path = write(tmp_path / "a.h5", exchange__data=(VOLUME, attributes), exchange__theta=theta)
        image = open_image(path)
        assert image.arrays["pixels"].axes == ("t", "y", "x")
        assert image.header["theta"] == {"unit": "degrees", "values": [0.0, 90.0]}
        assert "no volume" in image.warnings[0]
        assert open_image(path, pixels="/exchange/data", axes="tyx").warnings == image.warnings
        check_blocks(image, VOLUME)
    sinograms = write(tmp_path / "a.h5", exchange__data=(VOLUME, {"axes": "y:theta:x"}), exchange__theta=np.arange(3.0))
    assert open_image(sinograms).arrays["pixels"].axes == ("y", "t", "x")
    volume = open_image(write(tmp_path / "a.h5", exchange__data=(VOLUME, {"axes": "z:y:x"})))
    assert (volume.arrays["pixels"].axes, volume.warnings) == (("z", "y", "x"), ())
    (unknown,) = open_contents(write(tmp_path / "a.h5", exchange__data=VOLUME, exchange__theta=np.arange(9.0)))
    assert "undeclared" in unknown.header


def test_distances_name_the_axes_of_a_volume(tmp_path: Path) -> None:
    sizes = {"element_size_um": np.array([0.235, 0.15, 0.15])}
    path = write(tmp_path / "a.h5", raw=(VOLUME, sizes), label=(VOLUME + 1, sizes))
    raw, label = sorted(open_contents(path), key=lambda content: -len(content.name))
    assert (raw.name, label.name) == ("label", "raw")
    raw.close()  # the other one stays readable
    assert read_pixels(label).tolist() == VOLUME.tolist()
    label.close()
    image = open_image(path, pixels="raw", axes="tyx")  # a person knows better
    assert image.arrays["pixels"].axes == ("t", "y", "x")
    assert open_image(path, image="label").name == "label"
    assert find_problem(path, axes="zyx").id == "arrays.declaration"


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(["u1", "<i2", ">u4", "<f4", "?", "<u8", "<f2"]),
    st.lists(st.integers(1, 9), min_size=2, max_size=5),
    st.integers(0, 99),
)
def test_any_type_and_shape(tmp_path_factory: pytest.TempPathFactory, kind: str, shape: list[int], seed: int) -> None:
    folder = tmp_path_factory.getbasetemp()
    data = np.random.default_rng(seed).integers(0, 2, shape).astype(kind)
    axes = "tczyx"[-len(shape) :]
    files = {
        "a.npy": make_npy(np.asfortranarray(data) if seed % 2 else data),
        "a.npz": make_npz(volume=data),
        "a.h5": make_hdf5({"volume": data}, chunks=True, compression="gzip"),
    }
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
        check_blocks(open_image(folder / name, axes=axes), data, seed, 3)


def test_what_a_person_says_of_distances(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(make_npy(VOLUME))
    assert open_image(path, axes="zyx", z_spacing="2").spacing == {"z": 2}
    assert "none of its axes is z" in open_image(path, axes="tyx", z_spacing="2").warnings[0]
    assert find_problem(path, axes="zyx", z_spacing="0").id == "reader.option"
    sizes = {"element_size_um": np.array([3.0, 1.0, 1.0])}
    image = open_image(write(tmp_path / "a.h5", raw=(VOLUME, sizes)), z_spacing="2")
    assert (image.spacing["z"], len(image.warnings)) == (3, 1)


@pytest.mark.corpus
def test_the_corpus_by_itself(corpus: Path) -> None:
    for name, dataset in (
        ("hdf5/losonczylab__sima/example-volume.h5", "imaging"),
        ("microct/tomopy__tomopy/tooth.h5", "exchange/data"),
        ("hdf5/hci-unihd__plant-seg/sample_ovule.h5", "raw"),
        ("hdf5/hci-unihd__plant-seg/sample_ovule.h5", "label"),
    ):
        options = {"image": dataset} if "ovule" in name else {}
        with h5py.File(corpus / name) as file:
            check_blocks(open_image(corpus / name, **options), file[dataset][()], count=2)
