"""A release of results that are named as by ``dandi organize``: ``+`` in keys, and the setting travels."""

from __future__ import annotations

from pathlib import Path

from bucket_results import run
from builder import Builder, abf, movie
from servers import Target

NAME = "sub-RY-M-0001/sub-RY-M-0001_ses-RY-S-0001_icephys+ophys.nwb"


def test_published_verified_fetched_and_rebuilt_under_these_names(target: Target, tmp_path: Path, capsys) -> None:
    ds = Builder(tmp_path / "ds")
    settings = ds.root / "neuropress.toml"
    plain = 'profile = "dendritic-consortium"\n'
    settings.write_text(f'{plain}[output]\nnames = "dandi"\n', encoding="utf-8")
    ds.session(1)
    ds.ephys(abf(tmp_path / "e.abf"), "20000")
    ds.movie(movie(tmp_path / "m.tif"), (12, 20, 16), laser_line="920")
    where = ("--endpoint", target.endpoint) if target.endpoint else ()
    assert run(capsys, "run", str(ds.root))[0] == 0
    written = (ds.root / "output" / NAME).read_bytes()
    status, text = run(capsys, "publish", str(ds.root), "--to", target.url, "--release", "1.0.0", *where)
    assert status == 0, text
    assert target.data()[NAME] == written
    status, text = run(capsys, "releases", "verify", target.url, *where)
    assert status == 0, text
    status, text = run(capsys, "releases", "rebuild", target.url, *where)
    assert (status, "rebuilt" in text) == (0, True), text
    # Under another name it is another asset: the parent's is named before it is lost.
    settings.write_text(plain, encoding="utf-8")
    assert run(capsys, "run", str(ds.root))[0] == 0
    publish = ("publish", str(ds.root), "--to", target.url, "--release", "1.1.0", *where)
    status, text = run(capsys, *publish)
    assert (status, "publish.loss" in text, NAME in text) == (1, True, True), text
    status, text = run(capsys, *publish, "--accept-loss", NAME)
    assert status == 0, text
