"""``neuropress view``: what the server gives to a browser of this machine, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from neuropress.cli.main import main
from neuropress.verbs.view import make_page_url, open_viewer
from neuropress.viewing.server import Server, find_range


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two channels, 5 x 20 x 30."""
    folder = tmp_path_factory.mktemp("view")
    pixels = np.random.default_rng(3).integers(0, 255, (5, 2, 20, 30)).astype(np.uint8)
    tifffile.imwrite(folder / "two.tif", pixels, imagej=True, metadata={"axes": "ZCYX"})
    made = folder / "two.ome.zarr"
    assert main(["convert", str(folder / "two.tif"), "--to", str(made), "-q"]) == 0
    return made


@pytest.fixture(scope="module")
def server(volume: Path) -> Iterator[Server]:
    with serving(volume) as running:
        yield running


@contextmanager
def serving(*volumes: Path | str) -> Iterator[Server]:
    with open_viewer(volumes) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        try:
            yield running
        finally:
            running.shutdown()


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    with closing(HTTPConnection("127.0.0.1", server.server_port, timeout=20)) as connection:
        body = b"{}" if method == "POST" else None
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer, answer.read()


def below(server: Server, name: str) -> str:
    return f"/{server.secret}/{name}"


def read_events(server: Server) -> list[dict[str, object]]:
    """What a page hears first; the stream itself goes on."""
    with closing(HTTPConnection("127.0.0.1", server.server_port, timeout=20)) as connection:
        connection.request("GET", below(server, "events/1?c=a&gc=&gs="))
        answer = connection.getresponse()
        assert answer.getheader("Content-Type") == "text/event-stream"
        lines = [answer.readline() for _ in range(4)]
    return [json.loads(line.removeprefix(b"data: ")) for line in lines if line.startswith(b"data: ")]


def test_every_file_of_a_volume_is_served_as_it_is(server: Server, volume: Path) -> None:
    for file in (path for path in volume.rglob("*") if path.is_file()):
        name = below(server, f"volume0/{volume.name}/{file.relative_to(volume).as_posix()}")
        data = file.read_bytes()
        answer, body = ask(server, name)
        assert (answer.status, body) == (200, data)
        answer, body = ask(server, name, Range="bytes=-4")
        assert (answer.status, body, answer.getheader("Content-Range")) == (
            206, data[-4:], f"bytes {len(data) - 4}-{len(data) - 1}/{len(data)}",
        )  # fmt: skip
        answer, body = ask(server, name, "HEAD")
        assert (answer.status, answer.getheader("Content-Length"), body) == (200, str(len(data)), b"")
        assert ask(server, name, Range=f"bytes={len(data)}-")[0].status == 416


def test_nothing_else_is_served(server: Server, volume: Path) -> None:
    inside = f"volume0/{volume.name}"
    for path in (
        f"{inside}/../two.tif",
        f"{inside}/%2e%2e/two.tif",
        f"{inside}/0/c/9/9/9/9",
        "volume1/",
        "../",
        "",
        inside,
    ):
        assert ask(server, below(server, path))[0].status == 404, path
    assert ask(server, f"/wrong/{inside}/zarr.json")[0].status == 403
    assert ask(server, f"/{inside}/zarr.json")[0].status == 403
    name = below(server, f"{inside}/zarr.json")
    assert ask(server, name, Host=f"elsewhere.example:{server.server_port}")[0].status == 403
    assert ask(server, "/wrong/state/1", "POST")[0].status == 403
    assert ask(server, below(server, "state/1"), "POST", **{"Content-Length": str(2**20 + 1)})[0].status == 403
    assert server.server_address[0] == "127.0.0.1"


def test_a_connection_goes_on_after_a_head(server: Server, volume: Path) -> None:
    name = below(server, f"volume0/{volume.name}/zarr.json")
    with closing(HTTPConnection("127.0.0.1", server.server_port, timeout=20)) as connection:
        for method, data in (("HEAD", b""), ("GET", (volume / "zarr.json").read_bytes())):
            connection.request(method, name)
            assert connection.getresponse().read() == data


def test_the_page_shows_each_channel_in_its_colour(server: Server, volume: Path) -> None:
    page = urlsplit(make_page_url(server))
    answer, body = ask(server, page.path)
    assert (answer.status, b"<script" in body) == (200, True)
    policy = answer.getheader("Content-Security-Policy") or ""
    assert "connect-src 'self'" in policy
    assert "http" not in policy
    assert [event["k"] for event in read_events(server)] == ["c", "s"]
    state = read_events(server)[1]["s"]
    channels = json.loads((volume / "zarr.json").read_bytes())["attributes"]["ome"]["omero"]["channels"]
    assert isinstance(state, dict)
    layers = state["layers"]
    assert [layer["shaderControls"]["color"] for layer in layers] == [f"#{channel['color']}" for channel in channels]
    assert [layer["localPosition"] for layer in layers] == [[0], [1]]
    assert {layer["source"] for layer in layers} == {f"{server.url}/volume0/{volume.name}/|zarr3:"}
    assert list(state["dimensions"]) == ["x", "y", "z"]
    assert ask(server, below(server, "state/1"), "POST")[0].status == 200


def test_what_cannot_be_viewed_is_a_finding(
    volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    record = tmp_path / "a.json"
    record.write_text("{}")
    for path, id in (
        (volume.parent / "two.tif", "result.none"),
        (record, "result.none"),
        (tmp_path / "no", "result.none"),
    ):
        assert main(["view", str(path)]) == 1
        assert id in capsys.readouterr().out
    (tmp_path / "link.ome.zarr").mkdir()
    (tmp_path / "link.ome.zarr" / "zarr.json").write_bytes((volume / "zarr.json").read_bytes())
    (tmp_path / "link.ome.zarr" / "0").symlink_to(tmp_path)
    assert main(["view", str(tmp_path / "link.ome.zarr")]) == 1
    assert "result.unsafe" in capsys.readouterr().out
    monkeypatch.setattr("neuropress.viewing.neuroglancer.find_spec", lambda name: None)
    assert main(["view", str(volume)]) == 1
    said = capsys.readouterr().out
    assert "view.client" in said
    assert "neuropress[view]" in said


@given(st.integers(0, 50), st.integers(0, 60) | st.none(), st.integers(0, 60) | st.none())
def test_a_range_is_what_slicing_gives(size: int, first: int | None, last: int | None) -> None:
    data = bytes(range(size))
    found = find_range(f"bytes={'' if first is None else first}-{'' if last is None else last}", size)
    if first is None and last is None:
        wanted = data
    elif first is None:
        wanted = data[max(size - (last or 0), 0) :]
    else:
        wanted = data[first : size if last is None else last + 1]
    if size and found is None:
        assert wanted == b""
    elif found is not None:
        assert data[slice(*found)] == wanted
