"""Which library packs the chunks of an NWB file, and that any HDF5 opens them."""

from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from builder import Builder
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from neuropress import open as open_dataset
from neuropress.results.nwb import codecs
from neuropress.results.nwb.file import read_provenance
from neuropress.verbs.rebuild import rebuild_release


@given(
    chunk=arrays.arrays(
        st.sampled_from(["u1", "<i2", "<f4", "<f8", "<c16", [("x", "<u2"), ("w", "<f4")]]),
        arrays.array_shapes(max_dims=3, max_side=20),
    )
)
def test_every_codec_gives_what_hdf5_reads(chunk: np.ndarray) -> None:
    for codec in codecs.list_codecs():
        with h5py.File.in_memory() as file:
            options = {"chunks": chunk.shape, "compression": "gzip", "shuffle": True}
            dataset = file.create_dataset("data", chunk.shape, chunk.dtype, **options)
            dataset.id.write_direct_chunk((0,) * chunk.ndim, codecs.pack_chunk(chunk, codec))
            assert dataset[()].tobytes() == chunk.tobytes(), codec.name


def test_the_fast_codec_is_taken_where_it_costs_little() -> None:
    numbers, fast = np.random.default_rng(1), "ISA-L 2"
    noise = numbers.poisson(800, (64, 64, 64)).astype("<u2")
    steps = np.repeat(numbers.integers(0, 50, 2000), 131).astype("<u2")
    assert codecs.choose_codec(codecs.SAMPLED, iter([noise])).name == fast
    assert codecs.choose_codec(codecs.SAMPLED, iter([steps])).name == "libdeflate 4"
    assert codecs.choose_codec(codecs.SAMPLED, iter([noise, steps, steps])).name == fast, "by the bytes of all samples"


def test_small_arrays_are_not_sampled() -> None:
    def refuse() -> np.ndarray:
        raise AssertionError("a sample was read")

    assert codecs.choose_codec(codecs.SAMPLED - 1, (refuse() for _ in range(1))).name == "libdeflate 4"


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with a movie of 34 MB."""
    build = Builder(tmp_path_factory.mktemp("codecs") / "ds")
    build.session(1)
    path = build.root.parent / "m.tif"
    frames = np.random.default_rng(2).poisson(500, (65, 512, 512)).astype("<u2")
    tifffile.imwrite(path, frames, metadata=None)
    build.movie(path, frames.shape)
    return build.root


def _find_codec(dataset: Path) -> str:
    (path,) = (dataset / "output").rglob("*.nwb")
    (found,) = [array.codec for name, array in read_provenance(path).receipt.arrays.items() if name.endswith("/data")]
    return found


def test_the_receipt_names_the_codec_and_another_machine_may_lack_it(
    movie: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_dataset(movie).run().ok
    assert _find_codec(movie) == "ISA-L 2"
    published = open_dataset(movie).publish(str(tmp_path / "release"), "1.0.0")
    assert published.ok, published.findings
    codecs.list_codecs.cache_clear()
    monkeypatch.setattr(codecs.imagecodecs, "ISAL", type("ISAL", (), {"available": False}))
    try:
        assert [codec.name for codec in codecs.list_codecs()] == ["libdeflate 4", "zlib 4"]
        report = rebuild_release(str(tmp_path / "release"), "1.0.0")
    finally:
        codecs.list_codecs.cache_clear()
    assert report.ok, report
    assert {"rebuild.decoded"} == {one.id for one in report.findings}
    assert any("equal when decoded" in outcome.done for outcome in report.outcomes)


def test_zlib_is_left_where_there_is_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = type("Lacking", (), {"available": False})
    monkeypatch.setattr(codecs.imagecodecs, "ISAL", lacking)
    monkeypatch.setattr(codecs.imagecodecs, "DEFLATE", lacking)
    codecs.list_codecs.cache_clear()
    try:
        codec = codecs.choose_codec(codecs.SAMPLED, iter(()))
    finally:
        codecs.list_codecs.cache_clear()
    data = np.arange(1000, dtype="<u2")
    assert codec.name == "zlib 4"
    assert zlib.decompress(codecs.pack_chunk(data, codec)) == data.view("u1").reshape(-1, 2).T.tobytes()
