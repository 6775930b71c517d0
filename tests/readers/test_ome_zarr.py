"""OME-Zarr and plain Zarr as raw data: equal to what zarr-python reads, whatever wrote them; damage is a finding."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
from campaigns import campaign, spoil
from hypothesis import given, settings
from hypothesis import strategies as st

from neuropress.cli.main import main
from neuropress.model.content import Image
from neuropress.model.finding import Problem
from neuropress.model.source import Source
from neuropress.readers import raw
from neuropress.storage.roots import Folder

DTYPES = ("bool", "uint8", "int16", ">u2", "uint32", "int64", ">f4", "float64")
COMPRESSORS: tuple[Any, ...] = (
    None, numcodecs.Blosc("zstd", 3, numcodecs.Blosc.SHUFFLE), numcodecs.Blosc("lz4", 1, numcodecs.Blosc.BITSHUFFLE),
    numcodecs.Zlib(1), numcodecs.GZip(1), numcodecs.Zstd(1), numcodecs.LZ4(), numcodecs.BZ2(1), numcodecs.LZMA(),
)  # fmt: skip
AXES = [{"name": "t", "type": "time", "unit": "second"}, {"name": "c", "type": "channel"}] + [
    {"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"
]


def read(folder: Path, **options: Any) -> tuple[Image, ...]:
    contents = raw.read(Source(folder.name, Folder(folder.parent)), options)
    assert all(isinstance(content, Image) for content in contents)
    return contents  # type: ignore[return-value]


def read_pixels(image: Image) -> np.ndarray:
    pixels = image.arrays["pixels"]
    try:
        return pixels.read(tuple(slice(0, n) for n in pixels.shape))
    finally:
        image.close()


def make_pixels(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 2 if dtype == "bool" else 250, shape)
    return values.astype(dtype)


@settings(max_examples=campaign(16, 300), deadline=None)
@given(
    st.lists(st.integers(1, 7), min_size=2, max_size=3),
    st.lists(st.integers(2, 5), min_size=3, max_size=3),
    st.sampled_from(DTYPES),
    st.sampled_from(range(len(COMPRESSORS))),
    st.sampled_from("CF"),
    st.sampled_from("./"),
    st.randoms(use_true_random=False),
)
def test_zarr_2_of_any_form_is_read_as_it_is(
    tmp_path_factory: pytest.TempPathFactory,
    shape: list[int],
    chunk: list[int],
    dtype: str,
    number: int,
    order: Any,
    separator: Any,
    chance: Any,
) -> None:
    folder = tmp_path_factory.mktemp("v2") / "a.zarr"
    array = zarr.create_array(
        folder, shape=shape, chunks=tuple(chunk[: len(shape)]), dtype=dtype, zarr_format=2, order=order, fill_value=0,
        compressors=COMPRESSORS[number], chunk_key_encoding={"name": "v2", "separator": separator},
    )  # fmt: skip
    array[:] = make_pixels(tuple(shape), dtype)
    chunks = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if len(chunks) > 1:  # a chunk that was never written is zeros
        chance.choice(chunks).unlink()
    (image,) = read(folder, axes="tzyx"[-len(shape) :])
    pixels = read_pixels(image)
    assert pixels.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(pixels, zarr.open_array(folder, mode="r")[:])  # type: ignore[arg-type]


@settings(max_examples=campaign(16, 300), deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=2, max_size=4),
    st.lists(st.integers(1, 4), min_size=4, max_size=4),
    st.integers(0, 2),
    st.sampled_from([dtype for dtype in DTYPES if ">" not in dtype]),
    st.sampled_from(["start", "end"]),
    st.sampled_from(["little", "big"]),
)
def test_zarr_3_of_any_form_is_read_as_it_is(
    tmp_path_factory: pytest.TempPathFactory,
    shape: list[int],
    chunk: list[int],
    shards: int,
    dtype: str,
    index: Any,
    endian: Any,
) -> None:
    folder = tmp_path_factory.mktemp("v3") / "a.zarr"
    inner = tuple(chunk[: len(shape)])
    codecs = zarr.codecs
    plain = [
        codecs.TransposeCodec(order=tuple(reversed(range(len(shape))))), codecs.BytesCodec(endian=endian),
        codecs.ZstdCodec(level=1), codecs.Crc32cCodec(),
    ]  # fmt: skip
    if shards:
        outer = tuple(n * shards for n in inner)
        sharding = codecs.ShardingCodec(chunk_shape=inner, codecs=plain, index_location=index)
        array = zarr.create(store=folder, shape=shape, chunks=outer, codecs=[sharding], dtype=dtype, zarr_format=3)
    else:
        array = zarr.create(store=folder, shape=shape, chunks=inner, codecs=plain, dtype=dtype, zarr_format=3)
    array[:] = make_pixels(tuple(shape), dtype)
    (image,) = read(folder, axes="tzyx"[-len(shape) :])
    assert np.array_equal(read_pixels(image), zarr.open_array(folder, mode="r")[:])  # type: ignore[arg-type]


@pytest.mark.parametrize("codec", ["BZ2", "LZ4", "LZMA", "Zlib", "Zstd", "GZip", "Blosc"])
@pytest.mark.filterwarnings("ignore:Numcodecs codecs")
def test_codecs_of_zarr_2_in_zarr_3(tmp_path: Path, codec: str) -> None:
    """zarr-python writes them under their package's name."""
    from zarr.codecs import numcodecs

    pixels = make_pixels((5, 7, 9), "uint16")
    compressor = getattr(numcodecs, codec)()
    array = zarr.create_array(tmp_path / "a.zarr", shape=pixels.shape, chunks=(2, 4, 4), dtype="uint16",
                              compressors=[compressor])  # fmt: skip
    array[:] = pixels
    assert np.array_equal(read_pixels(read(tmp_path / "a.zarr", axes="zyx")[0]), pixels)


def test_one_of_several_arrays_is_named(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    for name in ("raw", "mask"):
        group.create_array(name, shape=(4, 5), dtype="uint8")
    with pytest.raises(Problem) as bad:
        read(tmp_path / "a.zarr")
    assert "a.zarr/mask" in bad.value.finding.hint


def make_ome(folder: Path, pixels: np.ndarray, version: str = "0.4") -> Path:
    """An image as other programs write it: Zarr 2, a scale for the image beside that of the level."""
    group = zarr.open_group(folder, mode="w", zarr_format=2)
    array = group.create_array("s0", shape=pixels.shape, chunks=(1, 1, 4, 16, 16), dtype=pixels.dtype)
    array[:] = pixels
    scale = [{"type": "scale", "scale": [1, 1, 2.0, 0.5, 0.5]}]
    image = {
        "version": version, "name": "cells", "axes": AXES, "datasets": [{"path": "s0", "coordinateTransformations": scale}],
        "coordinateTransformations": [{"type": "scale", "scale": [0.25, 1, 1, 1, 1]}],
    }  # fmt: skip
    group.attrs["multiscales"] = [image]
    group.attrs["omero"] = {"channels": [{"label": "GFP"}, {"label": "RFP"}]}
    return folder


def test_an_image_of_ome_zarr_0_4_has_its_scale_channels_and_frames(tmp_path: Path) -> None:
    pixels = make_pixels((3, 2, 5, 20, 30), "uint16")
    (image,) = read(make_ome(tmp_path / "a.ome.zarr", pixels))
    assert image.spacing == {"z": Decimal(2), "y": Decimal("0.5"), "x": Decimal("0.5")}
    assert image.channels == ("GFP", "RFP")
    assert (image.facts["pixel_size"], image.facts["frame_rate"]) == ("0.5", "4")
    assert image.arrays["pixels"].axes == tuple("tczyx")
    assert np.array_equal(read_pixels(image), pixels)


def test_series_of_bioformats2raw_are_images_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "a.zarr"
    zarr.open_group(folder, mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    for name in ("0", "1"):
        make_ome(folder / name, make_pixels((1, 2, 3, 10, 10), "uint8", int(name)))
    images = read(folder)
    assert [image.name for image in images] == ["0", "1"]
    assert [np.array_equal(read_pixels(i), make_pixels((1, 2, 3, 10, 10), "uint8", n)) for n, i in enumerate(images)]


def test_a_volume_of_another_program_becomes_one_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels = make_pixels((1, 2, 5, 20, 30), "uint16")
    folder = make_ome(tmp_path / "a.ome.zarr", pixels)
    assert main(["convert", str(folder), "--to", str(tmp_path / "b.ome.zarr")]) == 0, capsys.readouterr().out
    made = zarr.open_group(tmp_path / "b.ome.zarr", mode="r")
    assert np.array_equal(made["0"][:], pixels[0])  # type: ignore[index]
    ome: Any = made.attrs["ome"]
    assert ome["multiscales"][0]["datasets"][0]["coordinateTransformations"][0]["scale"] == [1.0, 2.0, 0.5, 0.5]
    assert main(["verify", str(tmp_path / "b.ome.zarr"), "--source", str(tmp_path)]) == 0


def change(folder: Path, name: str, **entries: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.mark.parametrize(
    ("name", "entries", "id"),
    [
        ("s0/.zarray", {"filters": [{"id": "pickle"}]}, "zarr.unsupported"),
        ("s0/.zarray", {"compressor": {"id": "pickle"}}, "zarr.unsupported"),
        ("s0/.zarray", {"dtype": "|O"}, "zarr.unsupported"),
        ("s0/.zarray", {"dtype": "<c8"}, "zarr.unsupported"),
        ("s0/.zarray", {"chunks": [1, 1, 4, 2**14, 2**15]}, "zarr.unsupported"),
        ("s0/.zarray", {"shape": [1, 2]}, "zarr.damaged"),
        ("s0/.zarray", {"shape": [1, 2, -3, 4, 5]}, "zarr.damaged"),
        (".zattrs", {"multiscales": [{"datasets": [{"path": "../../x"}]}]}, "path.unsafe"),
        (".zattrs", {"multiscales": [{"datasets": []}]}, "zarr.damaged"),
        (".zattrs", {"multiscales": 7}, "zarr.damaged"),
        (".zattrs", {"plate": {}}, "zarr.unsupported"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, name: str, entries: dict[str, Any], id: str) -> None:
    folder = make_ome(tmp_path / "a.zarr", make_pixels((1, 2, 5, 20, 30), "uint8"))
    change(folder, name, **entries)
    with pytest.raises(Problem) as bad:
        read(folder)
    assert bad.value.finding.id == id


def test_cut_and_spoilt_files_end_in_a_finding_or_in_pixels(tmp_path: Path) -> None:
    pixels = make_pixels((1, 2, 4, 16, 16), "uint16")
    whole = make_ome(tmp_path / "a.zarr", pixels)
    for file in (whole / ".zattrs", whole / "s0/.zarray", whole / "s0/0.0.0.0.0"):
        for number, data in enumerate(spoil(file.read_bytes(), 5)):
            copy = tmp_path / f"{file.name.strip('.')}-{number}" / "a.zarr"
            shutil.copytree(whole, copy)
            (copy / file.relative_to(whole)).write_bytes(data)
            with suppress(Problem):  # anything else is a defect
                for image in read(copy):
                    read_pixels(image)
            shutil.rmtree(copy)
