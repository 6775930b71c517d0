"""A change of metadata alone: packed chunks are copied as they are, and no sample is read or packed again."""

from pathlib import Path

import h5py
import pytest
from builder import Builder, movie

from neuropress.cli.main import main
from neuropress.readers.raw import RawArrays
from neuropress.results.nwb import storage

SHAPE = (12, 100, 80)


def read_chunks(path: Path) -> list[tuple[tuple[int, ...], bytes]]:
    with h5py.File(path) as file:
        stored = file["acquisition/RY_IMG_0001/data"].id
        places = [stored.get_chunk_info(number).chunk_offset for number in range(stored.get_num_chunks())]
        return [(place, stored.read_direct_chunk(place)[1]) for place in places]


def refuse(*_: object) -> None:
    raise AssertionError("samples are read or packed again")


def test_chunks_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    build = Builder(tmp_path / "ds")
    build.session()
    key = build.movie(movie(tmp_path / "m.tif", SHAPE), SHAPE)
    root = str(build.root)
    assert main(["convert", root]) == 0, capsys.readouterr().out
    path = build.output("RY_S_0001.nwb")
    assert path
    before, whole = read_chunks(path), path.read_bytes()
    assert before
    build.change("image", notes="said later")
    with monkeypatch.context() as patched:
        patched.setattr(storage, "_pack_block", refuse)
        patched.setattr(RawArrays, "read", refuse)
        assert main(["convert", root]) == 0, capsys.readouterr().out
    assert path.read_bytes() != whole
    assert read_chunks(path) == before
    assert main(["verify", root]) == 0, capsys.readouterr().out
    # The same row with other pixels is packed anew.
    build.put(key, movie(tmp_path / "n.tif", SHAPE, compression="zlib"))
    with monkeypatch.context() as patched:
        patched.setattr(storage, "_pack_block", refuse)
        assert main(["convert", root]) != 0
    assert "read or packed again" in capsys.readouterr().out
