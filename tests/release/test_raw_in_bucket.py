"""Raw files in a bucket, through the command line: the same results as from a folder, and every fault named."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rgw
import tifffile
from builder import DATE, Builder, abf, movie, slices
from proxy import Proxy, Request

from neuropress.cli.main import main
from neuropress.model.finding import Problem
from neuropress.model.source import SourceRoots
from neuropress.storage.roots import Bucket

pytestmark = pytest.mark.s3

CELL = f"yuste/{DATE}/ephys/raw/e1.abf"
MOVIE = f"yuste/{DATE}/image/raw/m1.tif"
SLICE = f"lichtman/{DATE}/sem_dataset/raw/v1/s_3.tif"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuropress.storage.store.CLIENT", {"timeout": "20s", "read_timeout": "2s"})
    monkeypatch.setattr("neuropress.storage.store.PAUSES", (0.02,) * 3)
    monkeypatch.setattr("neuropress.storage.store.RETRY", {"max_retries": 0})


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Any:
    """A bucket of Ceph RGW; of moto on a machine that has no Ceph."""
    return request.getfixturevalue("true_bucket")


def fill(root: Path, scratch: Path) -> Builder:
    """A recording, a plain movie, a packed one, and a folder of slices."""
    build = Builder(root)
    build.session(1)
    build.ephys(abf(scratch / "e.abf"), "20000")
    build.movie(movie(scratch / "m.tif"), (12, 20, 16))
    build.movie(movie(scratch / "p.tif", compression="zlib"), (12, 20, 16), number=2)
    build.sem(slices(scratch / "v"))
    return build


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def point_to(root: Path, place: str, endpoint: str | None) -> None:
    """Name a bucket as the dataset's only source root."""
    settings = f'profile = "dendritic-consortium"\n[source]\nroots = ["{place}"]\n' + (
        f'endpoint = "{endpoint}"\n' if endpoint else ""
    )
    (root / "neuropress.toml").write_text(settings, encoding="utf-8")


@pytest.fixture
def twins(server: Any, tmp_path: Path) -> tuple[Builder, Path, Any]:
    """A dataset with its raw files in a folder, the same one with them in a bucket, and that bucket."""
    build = fill(tmp_path / "ds", tmp_path)
    for key, data in files(build.root / "source").items():
        server.overwrite(key, data)
    other = tmp_path / "remote"
    shutil.copytree(build.root, other, ignore=shutil.ignore_patterns("source"))
    point_to(other, server.url, server.endpoint)
    return build, other, server


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    status = main(list(arguments))
    done = capsys.readouterr()
    assert "Traceback" not in done.out + done.err
    return status, done.out + done.err


def test_every_verb_gives_the_same_as_from_a_folder(
    twins: tuple[Builder, Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build, remote, server = twins
    raw = server.objects()
    for root in (build.root, remote):
        assert main(["check", str(root)]) == 0
        assert main(["convert", str(root), *(["--workers", "2"] if root == remote else [])]) == 0
    assert files(remote / "output") == files(build.root / "output")
    assert "up to date" in run(capsys, "plan", str(remote))[1]
    assert run(capsys, "verify", str(remote))[0] == 0
    assert run(capsys, "status", str(remote))[0] == 0
    published = {}
    for root in (build.root, remote):
        place = tmp_path / f"release of {root.name}"
        assert main(["publish", str(root), "--to", str(place), "--release", "1.0.0"]) == 0
        published[root] = {key: data for key, data in files(place).items() if not key.startswith("releases/")}
    assert published[remote] == published[build.root]
    assert published[remote].keys() >= raw.keys()
    assert server.objects() == raw  # nothing was written among the raw files


def test_a_changed_object_is_noticed_without_reading_the_others(
    twins: tuple[Builder, Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, remote, server = twins
    assert main(["convert", str(remote)]) == 0
    with Proxy(server.endpoint, lambda request, _: None) as proxy:
        point_to(remote, server.url, proxy.endpoint)
        assert "raw data changed" not in run(capsys, "status", str(remote))[1]
    assert not [request for request in proxy.requests if request.startswith("GET") and "list-type" not in request]
    point_to(remote, server.url, server.endpoint)
    for key in (MOVIE, SLICE):
        server.overwrite(key, changed(server.objects()[key]))
        status, text = run(capsys, "status", str(remote))
        assert "raw data changed" in text
        assert key in text
        assert run(capsys, "verify", str(remote))[0] == 1
        assert main(["convert", str(remote)]) == 0
        assert main(["verify", str(remote)]) == 0
    server.overwrite(SLICE, None)
    status, text = run(capsys, "check", str(remote))
    assert (status, "slices.missing" in text) == (1, True)


def changed(data: bytes) -> bytes:
    """The same TIFF with a bit of its last pixel flipped: of equal size."""
    with tifffile.TiffFile(io.BytesIO(data)) as tif:
        at = tif.pages[0].dataoffsets[0] + 3  # type: ignore[union-attr]
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_network_that_fails_while_converting_leaves_nothing_half_written(
    twins: tuple[Builder, Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    build, remote, server = twins
    assert main(["convert", str(build.root)]) == 0
    ended: Counter[int] = Counter()
    for after in (0, 3, 8, 16, 24, 32, 40):  # from the n-th request on there is no network any more

        def choose(request: Request, _: int, after: int = after) -> str | None:
            return "reset before" if len(proxy.requests) > after else None

        shutil.rmtree(remote / "output", ignore_errors=True)
        with Proxy(server.endpoint, choose) as proxy:
            point_to(remote, server.url, proxy.endpoint)
            status, text = run(capsys, "convert", str(remote))
        ended[status] += 1
        assert (status == 3) is (proxy.caused.total() > 0)
        assert status == 0 or server.url in text
        whole = files(build.root / "output")
        for name, data in files(remote / "output").items():
            assert ".partial" in name or "records.jsonl" in name or data == whole[name], name
    assert ended[3] >= 5
    point_to(remote, server.url, server.endpoint)
    assert main(["convert", str(remote)]) == 0
    assert files(remote / "output") == files(build.root / "output")


@pytest.mark.parametrize("fault", ["reset before", "truncated answer", "slow down", "dropped answer"])
def test_a_passing_fault_changes_nothing(twins: tuple[Builder, Path, Any], fault: str) -> None:
    """Of every fifth request; what a library could take for a missing tag too."""
    build, remote, server = twins
    assert main(["convert", str(build.root)]) == 0

    def choose(request: Request, nth: int) -> str | None:
        return fault if nth == 0 and len(proxy.requests) % 5 == 0 else None

    with Proxy(server.endpoint, choose) as proxy:
        point_to(remote, server.url, proxy.endpoint)
        assert main(["convert", str(remote)]) == 0
    assert proxy.caused.total() > 3
    assert files(remote / "output") == files(build.root / "output")


def test_an_object_that_is_replaced_while_it_is_read_is_never_half_of_each(
    twins: tuple[Builder, Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    _, remote, server = twins
    new = changed(server.objects()[MOVIE])
    seen: list[str] = []

    def choose(request: Request, _: int) -> str | None:
        if request.method == "GET" and request.target.split("?")[0].endswith("m1.tif"):
            seen.append(request.target)
            if len(seen) == 3:
                server.overwrite(MOVIE, new)
        return None

    with Proxy(server.endpoint, choose) as proxy:
        point_to(remote, server.url, proxy.endpoint)
        status, text = run(capsys, "convert", str(remote))
    assert (status, "file.changed" in text) == (1, True)
    assert not [name for name in files(remote / "output") if name.endswith("RY_S_0001.nwb")]
    point_to(remote, server.url, server.endpoint)
    assert main(["convert", str(remote)]) == 0
    assert main(["verify", str(remote)]) == 0


def test_what_a_bucket_refuses_is_named_with_the_root(
    twins: tuple[Builder, Path, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, remote, server = twins
    assert main(["convert", str(remote)]) == 0
    before = files(remote / "output")
    nowhere = "s3://no-such-bucket-of-mine/raw"
    point_to(remote, nowhere, server.endpoint)
    for verb in ("check", "plan", "convert", "status"):
        status, text = run(capsys, verb, str(remote))
        assert (status, "storage.bucket" in text, nowhere in text) == (1, True, True), verb
        assert "raw data changed" not in text
    point_to(remote, server.url, "http://127.0.0.1:9")
    for verb in ("check", "plan", "convert", "status", "verify"):
        status, text = run(capsys, verb, str(remote))
        assert (status, server.url in text) == (3, True), verb
    if not rgw.missing_programs():
        point_to(remote, server.url, server.endpoint)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        status, text = run(capsys, "convert", str(remote))
        assert (status, "storage.denied" in text, server.url in text) == (1, True, True)
        monkeypatch.undo()
    assert files(remote / "output") == before


@pytest.mark.parametrize(
    ("roots", "endpoint"),
    [
        ('["s3://UPPER/x"]', ""),
        ('["s3://key:secret@bucket/x"]', ""),
        ('["https://example.org/x"]', ""),
        ('["s3://bucket/a/../b"]', ""),
        ('["s3://bucket/x"]', "http://s3.example.org"),
        ('["s3://bucket/x"]', "https://user:password@s3.example.org"),
    ],
)
def test_addresses_that_are_none_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], roots: str, endpoint: str
) -> None:
    build = Builder(tmp_path / "ds")
    more = f'endpoint = "{endpoint}"\n' if endpoint else ""
    settings = f'profile = "dendritic-consortium"\n[source]\nroots = {roots}\n{more}'
    (build.root / "neuropress.toml").write_text(settings, encoding="utf-8")
    status, text = run(capsys, "check", str(build.root))
    assert (status, "[source]" in text) == (2, True)
    assert "password@" not in text
    assert "secret" not in text


def test_keys_that_lead_elsewhere_are_refused(server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = Builder(tmp_path / "ds")
    build.session(1)
    build.ephys(abf(tmp_path / "e.abf"), "20000", file_path_raw="yuste/../../secret.abf")
    server.overwrite("yuste/x", b"x")
    point_to(build.root, server.url, server.endpoint)
    status, text = run(capsys, "check", str(build.root))
    assert (status, "path.unsafe" in text) == (1, True)


def test_a_target_among_the_raw_files_is_refused(
    twins: tuple[Builder, Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    _, remote, server = twins
    raw = server.objects()
    assert main(["convert", str(remote)]) == 0
    for place in (server.url, f"{server.url}/deeper", server.url.rsplit("/", 1)[0]):
        order = ["publish", str(remote), "--to", place, "--endpoint", server.endpoint, "--release", "1.0.0"]
        status, text = run(capsys, *order)
        assert (status, "release.target" in text) == (1, True)
    assert server.objects() == raw


def test_the_folder_before_the_bucket_is_looked_into_first(twins: tuple[Builder, Path, Any], tmp_path: Path) -> None:
    build, remote, server = twins
    server.overwrite(CELL, None)
    shutil.copytree(build.root / "source" / "yuste", remote / "near" / "yuste")
    settings = f'profile = "dendritic-consortium"\n[source]\nroots = ["near", "{server.url}"]\nendpoint = "{server.endpoint}"\n'
    (remote / "neuropress.toml").write_text(settings, encoding="utf-8")
    assert main(["convert", str(build.root)]) == 0
    assert main(["convert", str(remote)]) == 0
    assert files(remote / "output") == files(build.root / "output")


def test_requests_for_a_movie_of_many_pages_are_few(server: Any, tmp_path: Path) -> None:
    """100 pages of 128 kB, each with its directory behind it: neither a request a page nor one a tag."""
    build = Builder(tmp_path / "ds")
    pixels = np.random.default_rng(1).integers(0, 60000, (100, 256, 256)).astype(np.uint16)
    with tifffile.TiffWriter(tmp_path / "m.tif") as writer:
        for page in pixels:
            writer.write(page, photometric="minisblack", metadata=None, contiguous=False)
    build.session(1)
    build.movie(tmp_path / "m.tif", pixels.shape)
    for key, data in files(build.root / "source").items():
        server.overwrite(key, data)
    with Proxy(server.endpoint, lambda request, _: None) as proxy:
        point_to(build.root, server.url, proxy.endpoint)
        assert main(["convert", str(build.root)]) == 0
    asked = Counter(request.split(" ")[0] for request in proxy.requests)
    assert asked["GET"] <= 40
    assert asked["HEAD"] <= 8


def test_requests_for_a_folder_of_slices_are_a_few_each(server: Any, tmp_path: Path) -> None:
    build = Builder(tmp_path / "ds")
    build.sem(slices(tmp_path / "v", (60, 33, 40)))
    for key, data in files(build.root / "source").items():
        server.overwrite(key, data)
    with Proxy(server.endpoint, lambda request, _: None) as proxy:
        point_to(build.root, server.url, proxy.endpoint)
        assert main(["convert", str(build.root)]) == 0
    asked = Counter(request.split(" ")[0] for request in proxy.requests)
    assert asked["HEAD"] <= 8
    assert asked["GET"] <= 60 * 4 + 20


def test_files_are_added_to_a_folder_never_to_a_bucket(
    server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = Builder(tmp_path / "ds")
    build.session(1)
    point_to(build.root, server.url, server.endpoint)
    order = ["add", str(abf(tmp_path / "e.abf")), "--lab", "RY", "--session", "RY_S_0001", "--dataset", str(build.root)]
    status, text = run(capsys, *order)
    assert (status, "add.occasion" in text) == (1, True)
    assert server.objects() == {}


def test_what_lies_in_a_bucket_is_a_file_a_folder_or_nothing(server: Any) -> None:
    for key in ("day/v/s_1.tif", "day/v/s_0.tif", "day/v/.hidden", "day/v/deep/s.tif", "day/v/", "day/e µ#1%.abf"):
        server.overwrite(key, b"bytes" if not key.endswith("/") else b"")
    roots = SourceRoots((Bucket(server.url, server.endpoint),))
    folder = roots.locate("day/v/")
    assert folder.is_folder
    assert folder.members() == ("day/v/s_0.tif", "day/v/s_1.tif")
    assert folder.files() == (".hidden", "deep/s.tif", "s_0.tif", "s_1.tif")
    cell = roots.locate("day/e µ#1%.abf")
    assert not cell.is_folder
    assert (cell.read(), cell.size(), cell.head(size=2)) == (b"bytes", 5, b"by")
    assert cell.sibling("E µ#1%.ABF") == cell.key
    assert [touched.key for touched in cell.inputs] == [cell.key]
    for key, id in (("day/none", "file.missing"), ("day/e", "file.missing"), ("day/../x", "path.unsafe")):
        with pytest.raises(Problem) as caught:
            roots.locate(key)
        assert caught.value.finding.id == id
    with pytest.raises(Problem) as caught:
        cell.path()
    assert caught.value.finding.id == "file.remote"
    with pytest.raises(Problem) as caught:
        folder.open()
    assert caught.value.finding.id == "file.special"
