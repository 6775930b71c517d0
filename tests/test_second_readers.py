"""Second readers: where they come from, what becomes of those that fail, and where what they say is kept."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint, PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from builder import Builder, movie
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from test_independent import build_movie, build_recording, build_stack
from wrong_readers import flip_rows

import neuropress
from neuropress import independent, registry
from neuropress.cli.main import main
from neuropress.independent import (
    SecondReader,
    SecondReading,
    describe_standing,
    list_verdicts,
    pillow_images,
    run,
)
from neuropress.independent.page_order import PageOrder, parse_page_order
from neuropress.independent.reading import CannotRead
from neuropress.model.source import SourceRoots
from neuropress.readers.tiff import read as tiff_reader

PACKAGE = Path(independent.__file__).parent
BROKEN = SecondReader("Broken", "pillow", ("tiff",), "broken_second_readers")


# --- what is imported ------------------------------------------------------------------------------------------------


def test_nothing_of_our_readers_is_imported() -> None:
    """Neither our readers nor the libraries that they read with."""
    ours = {"readers", "tifffile", "imagecodecs", "converters", "planning", "mapping"}
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not ours & {part for name in names for part in name.split(".")}, path


@pytest.mark.parametrize("reader", independent.BUILT_IN, ids=lambda r: r.module.rpartition(".")[2])
def test_an_adapter_loads_no_reader_of_ours(reader: SecondReader) -> None:
    if not reader.version:
        pytest.skip("a library that the extra does not bring")
    code = f"import sys, {reader.module}; print([n for n in sys.modules if n.startswith('neuropress.readers.')])"
    code += "; print([n for n in ('tifffile', 'imagecodecs') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


def test_verify_alone_imports_no_second_library(tmp_path: Path) -> None:
    build_stack(tmp_path)
    code = "import sys, neuropress; d = neuropress.open(sys.argv[1]); assert d.convert().ok and d.verify().ok"
    code += "; print([n for n in ('PIL', 'neo', 'pyabf', 'matplotlib') if n in sys.modules])"
    command = [sys.executable, "-c", code, str(tmp_path / "ds")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- what is missing, or another package's ---------------------------------------------------------------------------


def test_a_missing_library_is_one_line_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(independent, "version", refuse)
    build = build_stack(tmp_path)
    assert main(["verify", str(build.root), "--independent"]) == 1
    out = capsys.readouterr().out
    assert "independent.missing" in out
    assert "neo, pyabf, pillow" in out
    assert out.count("python -m pip install 'neuropress[independent]'") >= 1
    assert main(["verify", str(build.root)]) == 0


def test_another_package_brings_a_second_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "more_second.py"
    module.write_text(
        "from neuropress.independent import SecondReader\n"
        'again = SecondReader("again", "pillow", ("tiff",), "neuropress.independent.pillow_images")\n'
        'wrong = SecondReader("other", "pillow", ("tiff",), "x")\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    entries = [EntryPoint(name, f"more_second:{name}", independent.GROUP) for name in ("again", "wrong")]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries if group == independent.GROUP else [])
    independent._load_plugins.cache_clear()
    try:
        build = build_movie(tmp_path)
        dataset = neuropress.open(build.root)
        assert dataset.convert().ok
        report = dataset.verify(independent=True)
        assert {r["library"]: r["verdict"] for r in report.outcomes[0].facts["independent"]} == {
            "Pillow": "agrees", "again": "agrees",
        }  # fmt: skip
        assert [f.id for f in report.findings] == ["plugin.broken"]
    finally:
        monkeypatch.undo()
        independent._load_plugins.cache_clear()


def test_a_format_without_a_second_reader_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(independent, "BUILT_IN", independent.BUILT_IN[:2])
    build = build_movie(tmp_path)
    dataset = neuropress.open(build.root)
    assert dataset.convert().ok
    report = dataset.verify(independent=True)
    assert report.ok
    assert [(f.id, f.location.file) for f in report.findings] == [
        ("independent.none", "yuste/20250620/image/raw/m1.tif")
    ]


# --- libraries that fail ---------------------------------------------------------------------------------------------


def test_a_library_that_fails_in_any_way_is_a_finding_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(independent, "BUILT_IN", (BROKEN,))
    monkeypatch.setattr(run, "_allow_seconds", lambda place: 3 if place.name == "m4.tif" else 300)
    build = Builder(tmp_path / "ds")
    build.session(1)
    for number in range(1, 10):
        build.movie(movie(tmp_path / "m.tif", (3, 8, 9)), (3, 8, 9), number)
    dataset = neuropress.open(build.root)
    assert dataset.convert().ok
    capfd.readouterr()
    report = dataset.verify(independent=True)
    assert capfd.readouterr().out == ""
    assert report.ok
    readings = {Path(r["source"]).stem: r for r in report.outcomes[0].facts["independent"]}
    assert {name for name, r in readings.items() if r["verdict"] == "agrees"} == {"m1", "m9"}
    reasons = {name: r["reasons"][0] for name, r in readings.items() if r["verdict"] == "cannot read"}
    assert "signal 6" in reasons["m2"]
    assert reasons["m3"] == "its process ended with status 7 (the last words)"
    assert reasons["m4"] == "it took more than 3 s"
    assert reasons["m5"] == "LookupError: no such thing"
    assert reasons["m6"].startswith("MemoryError")
    assert reasons["m7"] == "it is too hard"
    assert reasons["m8"] == "SystemExit: enough"
    assert sorted(f.location.file or "" for f in report.findings if f.id == "independent.unreadable") == [
        f"yuste/20250620/image/raw/m{number}.tif" for number in range(2, 9)
    ]


# --- where it is kept ------------------------------------------------------------------------------------------------


def test_what_was_read_stands_in_status_explain_and_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = build_recording(tmp_path)
    dataset = neuropress.open(build.root)
    assert dataset.run().ok
    assert [o.facts["independent"] for o in dataset.status().outcomes] == ["-"]
    assert dataset.verify(independent=True).ok
    assert [o.facts["independent"] for o in dataset.status().outcomes] == ["yes"]
    assert dataset.verify().ok  # what others came to on these bytes stays
    assert [o.facts["independent"] for o in dataset.status().outcomes] == ["yes"]
    result = build.output("RY_S_0001.nwb")
    assert main(["explain", str(result), "RY_E_0001_sweep000_ch0/data"]) == 0
    out = capsys.readouterr().out
    assert "read again by neo" in out
    assert "read again by pyABF" in out
    assert dataset.publish(str(tmp_path / "r"), "1.0.0").ok
    release = json.loads((tmp_path / "r/releases/1.0.0.json").read_text())
    (entry,) = (entry for entry in release["assets"].values() if entry["kind"] == "nwb")
    assert [(r["library"], r["verdict"]) for r in entry["provenance"]["independent"]] == [
        ("neo", "agrees"), ("pyABF", "agrees"),
    ]  # fmt: skip
    assert result
    result.write_bytes(result.read_bytes() + b"\0")
    assert [o.facts["independent"] for o in dataset.status().outcomes] == ["-"]


def test_a_result_that_another_library_refutes_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = build_movie(tmp_path)
    dataset = neuropress.open(build.root)
    right = tiff_reader.read
    with monkeypatch.context() as patch:
        patch.setattr(tiff_reader, "read", lambda *given: tuple(flip_rows(image) for image in right(*given)))
        assert dataset.run().ok
        assert not dataset.verify(independent=True).ok
        assert dataset.verify().ok
        status = dataset.status().outcomes[0].facts
        assert (status["verified"], status["independent"]) == (False, "differs")
        report = dataset.publish(str(tmp_path / "r"), "1.0.0")
        assert {"independent.different", "publish.errors"} <= {f.id for f in report.findings}
        assert not (tmp_path / "r/releases").exists()
        assert dataset.publish(str(tmp_path / "r"), "1.0.0", allow_errors=True).ok
    release = json.loads((tmp_path / "r/releases/1.0.0.json").read_text())
    assert "independent.different" in [error["id"] for error in release["notes"]["errors"]]


def test_a_single_result_is_read_again_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build = build_stack(tmp_path)
    assert neuropress.open(build.root).convert().ok
    result = build.output("JL_SD_0001.ome.zarr")
    assert main(["verify", str(result), "--source", str(build.root / "source"), "--independent", "--json"]) == 0
    (line,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [(r["library"], r["verdict"]) for r in line["independent"]] == [("Pillow", "agrees")]


def test_an_object_of_a_bucket_is_copied_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = build_stack(tmp_path)
    dataset = neuropress.open(build.root)
    assert dataset.convert().ok
    result = build.output("JL_SD_0001.ome.zarr")
    assert result
    roots = dataset.config.sources()
    monkeypatch.setattr(type(roots.roots[0]), "path", lambda self, key: None)
    readings, findings = run.read_independently(result, SourceRoots(roots.roots))
    assert [(r.verdict, r.agreed) for r in readings] == [("agrees", ("axes", "samples", "shape"))]
    assert findings == ()


def make_reading(source: str, library: str, verdict: Any) -> SecondReading:
    return SecondReading(source, library, "1", verdict)


def test_standing_and_verdicts_of_several() -> None:
    agrees, wrong = make_reading("a", "neo", "agrees"), make_reading("a", "pyABF", "library wrong")
    other = make_reading("b", "neo", "cannot read")
    assert describe_standing(()) == "-"
    assert describe_standing((agrees, wrong)) == "yes"
    assert describe_standing((agrees, other)) == "partly"
    assert describe_standing((agrees, make_reading("b", "neo", "differs"))) == "differs"
    assert list_verdicts((agrees, make_reading("c", "neo", "agrees"))) == [
        {"library": "neo", "version": "1", "verdict": "agrees", "raw_objects": 2}
    ]


# --- the order of pages, and what Pillow shows in another way --------------------------------------------------------

OME = '<OME xmlns="http://x"><Image><Pixels DimensionOrder="{}" SizeX="4" SizeY="3" SizeZ="2" SizeC="1" SizeT="3">{}</Pixels></Image></OME>'


@pytest.mark.parametrize(
    ("text", "count", "axes", "shape"),
    [
        ("", 5, "q", (5,)),
        ("", 1, "", ()),
        ("ImageJ=1.5\nimages=12\nchannels=2\nslices=3\nframes=2\n", 12, "tzc", (2, 3, 2)),
        ("ImageJ=1.5\nimages=12\nslices=12\n", 12, "z", (12,)),
        ("ImageJ=1.5\nmin=0.0\n", 7, "q", (7,)),
        ('{"shape": [2, 3, 8, 9]}', 6, "qq", (2, 3)),
        ("SI.hChannels.channelSave = [1;2]\n", 8, "qc", (4, 2)),
        ("state.acq.savingChannel1=1\rstate.acq.savingChannel2=1", 8, "qc", (4, 2)),
        (OME.format("XYZCT", ""), 6, "tz", (3, 2)),
        (OME.format("XYTZC", ""), 6, "zt", (2, 3)),
    ],
)
def test_the_order_of_pages(text: str, count: int, axes: str, shape: tuple[int, ...]) -> None:
    order = parse_page_order(text, range(count), "", "a.tif")
    assert ("".join(order.axes), order.shape) == (axes, shape)
    assert list(order.pages) == [("", number) for number in range(count)]


def test_slices_with_several_numbers_have_an_axis_for_each(tmp_path: Path) -> None:
    frames = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    for time in range(2):
        for depth in range(3):
            Pillow.fromarray(frames[time, depth]).save(tmp_path / f"run1_t{time + 9}_z{depth}.png")
    second = pillow_images.read(tmp_path, "", {"axes": "tzyx"})
    assert (second.axes, second.shape) == (("t", "z", "y", "x"), frames.shape)
    for number, frame in enumerate(frames.reshape(6, 4, 5)):
        assert np.array_equal(second.read_page(number), frame)


def test_planes_of_ome_lie_where_they_are_said_to() -> None:
    data = '<TiffData FirstT="{}" IFD="{}" PlaneCount="2"><UUID FileName="{}">u</UUID></TiffData>'
    text = OME.format("XYZCT", "".join(data.format(t, ifd, f) for t, ifd, f in ((2, 0, "b"), (0, 4, "a"), (1, 2, "a"))))
    assert list(parse_page_order(text, range(6), "", "a").pages) == [
        ("", 4), ("", 5), ("", 2), ("", 3), ("b", 0), ("b", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "ImageJ=1.5\nimages=99999999999\n",
        '{"shape": [4, 8, 9]}',
        OME.format("XYZCT", "").replace('SizeT="3"', 'SizeT="999999999"'),
        OME.format("XYZCT", '<TiffData IFD="0"/>'),
    ],
)
def test_an_order_that_pages_do_not_have_is_refused(text: str) -> None:
    with pytest.raises(CannotRead):
        parse_page_order(text, range(6), "", "a.tif")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.sampled_from(["", "ImageJ=", '{"shape": ', "SI.", "<OME"]), st.integers(1, 9))
def test_any_text_is_an_order_or_refused(text: str, start: str, count: int) -> None:
    try:
        order = parse_page_order(start + text, range(count), "", "a")
    except (CannotRead, ValueError, KeyError, TypeError, SyntaxError):
        return  # whoever calls takes every exception for "cannot read"
    assert isinstance(order, PageOrder)
    assert len(order.pages) == np.prod(order.shape, dtype=int)


def convert_and_read_again(build: Builder) -> dict[str, Any]:
    dataset = neuropress.open(build.root)
    assert dataset.convert().ok
    report = dataset.verify(independent=True)
    assert report.ok, report.findings
    return dict(report.outcomes[0].facts["independent"][0])


@pytest.mark.parametrize(
    ("dtype", "more", "wrong"),
    [
        ("u1", {}, ""), ("u1", {"photometric": "miniswhite"}, "PhotometricInterpretation 0"), ("i1", {}, "type i1"),
        ("u2", {"byteorder": ">"}, ""), ("i2", {"byteorder": ">"}, ""), ("i2", {}, ""), ("u4", {}, "type u4"),
        ("i4", {}, ""), ("f4", {"byteorder": ">"}, ""), ("u2", {"compression": "lzw", "predictor": True}, ""),
        ("u2", {"compression": "zlib", "tile": (16, 16)}, ""), ("u2", {"bigtiff": True}, ""),
    ],
)  # fmt: skip
def test_pixels_of_every_type(tmp_path: Path, dtype: str, more: dict[str, Any], wrong: str) -> None:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        pixels = np.random.default_rng(1).normal(size=(3, 20, 24)).astype(dtype)
    else:
        info = np.iinfo(kind)
        pixels = np.random.default_rng(1).integers(info.min, info.max, (3, 20, 24), dtype)
    tifffile.imwrite(tmp_path / "v.tif", pixels, **({"photometric": "minisblack", "metadata": None} | more))
    build = Builder(tmp_path / "ds")
    build.sem(tmp_path / "v.tif")
    reading = convert_and_read_again(build)
    assert reading["verdict"] == ("library wrong" if wrong else "agrees"), reading
    assert wrong in "".join(reading["reasons"])
    assert reading["agreed"] == ["axes", "samples", "shape"]


def test_a_codec_that_both_read_by_one_library_is_no_second_reading(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (3, 32, 32), np.uint8)
    tifffile.imwrite(tmp_path / "v.tif", pixels, photometric="minisblack", compression="jpeg", metadata=None)
    build = Builder(tmp_path / "ds")
    build.sem(tmp_path / "v.tif")
    reading = convert_and_read_again(build)
    assert (reading["verdict"], reading["agreed"]) == ("cannot read", [])
    assert "by the library that our reader uses" in reading["reasons"][0]


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "RGB", "LA", "RGBA"])
def test_png_of_every_mode(tmp_path: Path, mode: str) -> None:
    (tmp_path / "s").mkdir()
    random = np.random.default_rng(1)
    for number in range(3):
        depth = {"LA": 2, "RGB": 3, "RGBA": 4}.get(mode, 0)
        shape = (9, 12, depth) if depth else (9, 12)
        pixels = (
            random.integers(0, 60000, shape).astype(np.uint16)
            if mode == "I;16"
            else random.integers(0, 256, shape, np.uint8)
        )
        image = Pillow.fromarray(pixels)
        (image.convert("1") if mode == "1" else image).save(tmp_path / f"s/z{number:02d}.png")
    build = Builder(tmp_path / "ds")
    build.sem(tmp_path / "s")
    assert convert_and_read_again(build)["verdict"] == "agrees"


def test_the_only_array_of_a_file_needs_no_name(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.random.default_rng(1).integers(0, 99, (3, 20, 24)))
    build = Builder(tmp_path / "ds")
    build.sem(tmp_path / "v.npy")
    with (build.root / "neuropress.toml").open("a", encoding="utf-8") as config:
        config.write('\n[options."*/v1.npy"]\naxes = "zyx"\n')
    reading = convert_and_read_again(build)
    assert (reading["verdict"], reading["agreed"]) == ("agrees", ["axes", "samples", "shape"]), reading


def test_the_worker_writes_nothing_beside_its_answers(tmp_path: Path) -> None:
    """Raw files and results are only read: their times and the folders stay as they are."""
    build = build_stack(tmp_path)
    dataset = neuropress.open(build.root)
    assert dataset.convert().ok
    before = {p: os.stat(p).st_mtime_ns for top in ("source", "output") for p in (build.root / top).rglob("*")}
    assert dataset.verify(independent=True).ok
    assert before == {p: os.stat(p).st_mtime_ns for top in ("source", "output") for p in (build.root / top).rglob("*")}


def test_pages_that_are_only_counted_are_not_called_different(tmp_path: Path) -> None:
    """ScanImage says that its pages are volumes; Pillow does not."""
    text = "SI.hChannels.channelSave = 1\nSI.hFastZ.enable = true\nSI.hStackManager.numSlices = 4\n"
    pixels = np.random.default_rng(1).integers(0, 4000, (12, 9, 11)).astype(np.int16)
    tifffile.imwrite(tmp_path / "v.tif", pixels, photometric="minisblack", description=text, metadata=None)
    build = Builder(tmp_path / "ds")
    build.sem(tmp_path / "v.tif")
    reading = convert_and_read_again(build)
    assert (reading["verdict"], reading["reasons"]) == (
        "cannot read", ["the library counts pages and does not say how they are t z"],
    )  # fmt: skip
