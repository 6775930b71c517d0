"""The program dandi itself looks at what is sent: the demonstration's session and volume, to an archive in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from dandi_archive import KEY, serve
from results import has_dandi, make_demo

from neuropress.cli.main import main


@pytest.mark.skipif(not has_dandi(), reason="dandi is not installed (neuropress tools install dandi)")
def test_dandi_has_no_error_and_all_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = make_demo(tmp_path)[0]
    while not (dataset / "neuropress.toml").is_file():
        dataset = dataset.parent
    monkeypatch.setenv("DANDI_API_KEY", KEY)
    with serve() as fake:
        order = ["publish", str(dataset), "--dandi", "000123", "--dandi-instance", f"{fake.url}/api"]
        assert main(order) == 0, capsys.readouterr().out
        (volume,) = fake.zarrs.values()
        assert volume.status == "Complete"
        (session,) = (asset for path, asset in fake.assets.items() if path.endswith(".nwb"))
        assert session["sent"]["wasAttributedTo"][0]["identifier"] == "RY_M_0001"
        assert "dandi:" not in capsys.readouterr().out.replace("tool dandi:", "")
        sent = len(fake.seen)
        assert main(order) == 0
        assert all(method == "GET" for method, *_ in fake.seen[sent:])
