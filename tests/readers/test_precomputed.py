"""Neuroglancer's precomputed volumes: equal to what tensorstore, which wrote them, reads; damage is a finding."""

from __future__ import annotations

import gzip
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import volume_reading
from campaigns import campaign, spoil
from chunk_files import SHARDED, write_precomputed
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_reading import check_blocks, find_problem, open_image, read_pixels, try_pixels

from neuropress.readers.precomputed.shards import number_chunk

SHAPE = (37, 29, 23)
FORMS = [
    *(("raw", dtype) for dtype in ("uint8", "int16", "uint32", "uint64", "float32")), ("jpeg", "uint8"),
    ("png", "uint8"), ("png", "uint16"), ("compressed_segmentation", "uint32"), ("compressed_segmentation", "uint64"),
]  # fmt: skip
BLOCKS = {"compressed_segmentation_block_size": [8, 4, 3]}


@pytest.fixture(autouse=True)
def close(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(volume_reading, "FINDINGS", (*volume_reading.FINDINGS, "precomputed.", "path.unsafe"))
    yield from volume_reading.close_volumes.__wrapped__()  # type: ignore[attr-defined]


def make_values(dtype: str, channels: int = 1, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> np.ndarray:
    """Few different values, as ids of a segmentation are, up to the largest of the type."""
    chance = np.random.default_rng(seed)
    most = 2**24 if dtype == "float32" else np.iinfo(dtype).max
    values = chance.integers(0, most, 300, dtype="u8", endpoint=True)
    values[:2] = 0, most
    return chance.choice(values, (*shape, channels)).astype(dtype)


@pytest.mark.parametrize(("encoding", "dtype"), FORMS)
@pytest.mark.parametrize("sharding", [None, SHARDED], ids=["files", "shards"])
def test_chunks_of_each_encoding_are_read_as_tensorstore_reads_them(
    tmp_path: Path, encoding: str, dtype: str, sharding: Any
) -> None:
    channels = 3 if sharding else 1
    stated = BLOCKS if encoding.startswith("compressed") else {}
    more = {"sharding": sharding} if sharding else {}
    written = write_precomputed(tmp_path / "v", make_values(dtype, channels), encoding=encoding, **stated, **more)
    check_blocks(open_image(tmp_path / "v"), written)


@settings(max_examples=campaign(12, 200), deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=3, max_size=3),
    st.lists(st.integers(1, 5), min_size=3, max_size=3),
    st.lists(st.integers(1, 6), min_size=3, max_size=3),
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 9)),
    st.sampled_from(["identity", "murmurhash3_x86_128"]),
    st.integers(1, 3),
)
def test_shards_and_blocks_of_any_form(
    tmp_path_factory: pytest.TempPathFactory,
    shape: list[int],
    chunk: list[int],
    block: list[int],
    bits: tuple[int, int, int],
    hash: str,
    channels: int,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    names = ("preshift_bits", "minishard_bits", "shard_bits")
    sharding = {**SHARDED, **dict(zip(names, bits, strict=True)), "hash": hash, "minishard_index_encoding": "raw"}
    values = make_values("uint64", channels, tuple(shape), seed=sum(shape))
    values[: chunk[0]] = 0  # tensorstore leaves out chunks of nothing but 0
    values[-1, -1, -1] = 7
    stated = {"chunk_size": chunk, "compressed_segmentation_block_size": block, "sharding": sharding}
    written = write_precomputed(folder, values, "segmentation", encoding="compressed_segmentation", **stated)
    check_blocks(open_image(folder, reader="precomputed"), written)


def test_the_number_of_a_chunk_has_no_bits_that_its_grid_never_needs() -> None:
    assert number_chunk((5, 1, 2), (8, 2, 4)) == 0b110011  # x 101, y 1, z 10: of y one bit, of z two
    assert number_chunk((3, 0, 0), (4, 1, 1)) == 3


def test_the_finest_scale_is_read_and_the_others_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    values = make_values("uint16")
    coarse = write_precomputed(folder, values[::2, ::2], resolution=[8, 8, 40])
    fine = write_precomputed(folder, values)
    change(folder, mesh="mesh")
    image = open_image(folder)
    assert image.spacing == {"x": Decimal("0.004"), "y": Decimal("0.004"), "z": Decimal("0.04")}
    assert image.facts == {"x": "37", "y": "29", "z": "23", "pixel_size": "0.004"}
    assert image.warnings == (
        "its coarser scales are not read: 8_8_40",
        "what else `info` names stays in the folder: mesh (mesh)",
    )
    assert np.array_equal(read_pixels(image), fine)
    assert np.array_equal(read_pixels(open_image(folder, scale="8_8_40")), coarse)
    shutil.rmtree(folder / "4_4_40")
    assert 'state scale = "KEY" of 8_8_40' in find_problem(folder).hint
    assert "has no scale '16_16_40' (option scale); it has" in find_problem(folder, scale="16_16_40").message


def test_a_chunk_that_was_never_written_is_0_and_told(tmp_path: Path) -> None:
    written = write_precomputed(tmp_path / "v", make_values("uint8")).copy()
    (tmp_path / "v/4_4_40/21-37_-3-5_110-120").unlink()
    written[:, 10:20, :8, 16:32] = 0
    image = open_image(tmp_path / "v")
    assert image.warnings == ("1 of its 36 chunks have no file: their voxels are 0, as the format has it",)
    assert np.array_equal(read_pixels(image), written)


@pytest.mark.parametrize(
    ("end", "pack"),
    [
        (".gz", gzip.compress),
        ("", gzip.compress),
        (".br", imagecodecs.brotli_encode),
        (".zstd", imagecodecs.zstd_encode),
    ],
)
def test_chunks_that_cloudvolume_packs(tmp_path: Path, end: str, pack: Any) -> None:
    written = write_precomputed(tmp_path / "v", make_values("uint16"))
    for path in list((tmp_path / "v/4_4_40").iterdir()):
        data = path.read_bytes()
        path.unlink()
        path.with_name(path.name + end).write_bytes(pack(data))
    assert np.array_equal(read_pixels(open_image(tmp_path / "v")), written)


def change(folder: Path, **entries: Any) -> None:
    """Change entries of `info`; those of the scale by ``scale``."""
    info = json.loads((folder / "info").read_text())
    info["scales"][0] |= entries.pop("scale", {})
    (folder / "info").write_text(json.dumps(info | entries))


@pytest.mark.parametrize(
    ("entries", "id", "words"),
    [
        ({"scale": {"encoding": "compresso"}}, "precomputed.unsupported", "read are raw, jpeg, png"),
        ({"data_type": "float64"}, "precomputed.unsupported", "float64"),
        ({"scale": {"encoding": "jpeg"}}, "precomputed.unsupported", "uint16"),
        ({"@type": "neuroglancer_annotations_v1"}, "precomputed.unsupported", "no volume"),
        ({"scale": {"chunk_sizes": [[2**14, 2**14, 2]]}}, "precomputed.unsupported", "1073741824 bytes"),
        (
            {
                "data_type": "uint32",
                "scale": {"encoding": "compressed_segmentation", "compressed_segmentation_block_size": [2**10] * 3},
            },
            "precomputed.unsupported",
            "1073741824 voxels",
        ),
        ({"scale": {"key": "../4_4_40"}}, "path.unsafe", ".."),
        ({"scale": {"key": "/etc"}}, "path.unsafe", "absolute"),
        ({"scale": {"size": [2**60, 1, 1]}}, "precomputed.damaged", "extents"),
        ({"scale": {"resolution": [4, 0, 40]}}, "precomputed.damaged", "resolution"),
        ({"num_channels": 0}, "precomputed.damaged", "extents"),
        ({"num_channels": 2}, "precomputed.damaged", "where 5120 are right"),
        ({"scale": {"sharding": {**SHARDED, "hash": "md5"}}}, "precomputed.damaged", "md5"),
        ({"scales": []}, "precomputed.damaged", ""),
        ({"scales": 7}, "precomputed.damaged", ""),
    ],
)
def test_an_info_that_is_not_read_says_why(tmp_path: Path, entries: dict[str, Any], id: str, words: str) -> None:
    write_precomputed(tmp_path / "v", make_values("uint16"))
    change(tmp_path / "v", **entries)
    found = find_problem(tmp_path / "v")
    assert found.id == id
    assert words in found.message


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    write_precomputed(tmp_path / "in/v", make_values("uint8"))
    chunk = tmp_path / "in/v/4_4_40/5-21_-3-5_100-110"
    chunk.replace(tmp_path / "secret")
    chunk.symlink_to(tmp_path / "secret")
    assert find_problem(tmp_path / "in/v").id == "path.outside"


@pytest.mark.parametrize(("encoding", "dtype"), [*FORMS[:1], *FORMS[5:]])
def test_cut_and_spoilt_files_end_in_a_finding_or_in_pixels(tmp_path: Path, encoding: str, dtype: str) -> None:
    folder = tmp_path / "v"
    sharding = {"sharding": {**SHARDED, "shard_bits": 0, "data_encoding": "raw"}} if dtype != "uint16" else {}
    values = make_values(dtype, shape=(9, 8, 7))
    stated = BLOCKS if encoding.startswith("compressed") else {}
    write_precomputed(folder, values, encoding=encoding, **stated, **sharding)
    before = try_pixels(folder)
    assert isinstance(before, list)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        for data in spoil(whole, 3):
            path.write_bytes(data)
            after = try_pixels(folder)  # any exception but a finding goes on
            if isinstance(after, list) and len(data) < len(whole):
                assert np.array_equal(after, before), f"{path.name} cut at {len(data)} of {len(whole)}"
        path.write_bytes(whole)
