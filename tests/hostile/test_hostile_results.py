"""Results that strangers crafted: every verb refuses them in seconds and bounded memory, and opens nothing else."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import crafted_nwb
import crafted_zarr
import h5py
import numpy as np
import pytest
from builder import Builder, abf, movie, slices
from campaigns import campaign

from neuropress.cli.main import main

SECONDS = 300
ALL = [("nwb", name) for name in crafted_nwb.CASES] + [("zarr", name) for name in crafted_zarr.CASES]
HARMLESS = {"headers-text-4", "fields-text-4", "records-text-3", "root-headers-{}", "root-fields-{}", "root-records-[]"}
"""Records of where values came from that are empty: they are read as such, and what they do not say proves nothing."""

UNSAFE = [
    ("nwb", name) for name in (
        "external-link", "external-link-provenance", "external-link-on-the-way", "external-link-specification",
        "user-defined-link", "external-storage", "virtual", "virtual-unlimited", "virtual-itself", "filter-plugin",
        "hard-link-circle", "hard-link-root", "hard-link-diamonds",
    )
] + [
    ("zarr", name) for name in (
        "pickle-beside", "pickle-instead", "pickle-above", "link-0", "link-0-c", "link-0-c-0-0-0", "link-0-zarr.json",
        "link-zarr.json", "link-1", "link-round", "labels-link", "consolidated", "level-codec-pickle",
        "level-codec-numcodecs.pickle", "level-outer-codec-pickle", "root-path-'/etc'", "root-path-'../../outside'",
    )
]  # fmt: skip
FOUND = {
    ("nwb", "receipt-other-digest"): "verify.digest",
    ("nwb", "receipt-no-arrays"): "verify.unproven",
    ("nwb", "receipt-one-array-less"): "verify.unproven",
    ("nwb", "receipt-no-derived"): "verify.derived",
    ("nwb", "receipt-derived-less"): "verify.derived",
    ("nwb", "receipt-format-slices"): "file.changed",
    ("zarr", "root-no-arrays"): "verify.unproven",
    ("zarr", "root-no-derived"): "verify.derived",
    ("zarr", "file-added"): "verify.stray_file",
    ("zarr", "array-added"): "verify.stray_file",
    ("zarr", "root-block-1"): "result.unreadable",
    ("zarr", "shard-bomb"): "result.unreadable",
    ("zarr", "shard-index"): "result.unreadable",
    ("zarr", "shard-missing"): "result.unreadable",
    ("nwb", "zeros-terabyte"): "result.unreadable",
    ("nwb", "chunk-gigabytes"): "result.unreadable",
    ("nwb", "texts-all-one"): "result.unreadable",
    ("nwb", "attributes-many"): "result.unreadable",
    **dict.fromkeys(UNSAFE, "result.unsafe"),
}
"""What `verify` says of some of them."""

DRIVER = """
import contextlib, io, json, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_DATA, (2 * 2**30, 2 * 2**30))
except ImportError:
    pass
from neuropress.cli.main import main
result, dataset, to = sys.argv[1:]
told = {}
for verb, *arguments in (
    ["explain", result], ["verify", dataset], ["validate", dataset], ["coverage", dataset],
    ["export-tables", dataset, "--to", to], ["validate", result], ["verify", result],
):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        status = main([verb, *arguments])
    told.setdefault(verb, []).append([status, said.getvalue()[:20000]])
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    folder = tmp_path_factory.mktemp("hostile")
    build = Builder(folder / "ds")
    build.session(1)
    build.ephys(abf(folder / "e.abf", points=40_000), "20000")
    build.movie(movie(folder / "m.tif"), (12, 20, 16))
    build.sem(slices(folder / "v", (9, 300, 560)))
    assert build.dataset.convert().ok
    return build


def craft(good: Builder, kind: str, name: str, folder: Path) -> tuple[Path, Path, Path]:
    """A copy of the dataset with one bad result: its folder, the result, and a file that is none of its business."""
    shutil.copytree(good.root, folder / "ds")
    secret = folder / "foreign-secret.h5"
    with h5py.File(secret, "w") as file:
        file["data"] = np.frombuffer(b"SECRETSECRETSECRET" * 8, "u1")
    pattern = "*.nwb" if kind == "nwb" else "*.ome.zarr"
    (result,) = (folder / "ds/output").rglob(pattern)
    {"nwb": crafted_nwb, "zarr": crafted_zarr}[kind].CASES[name](result, secret)
    return folder / "ds", result, secret


def run(dataset: Path, result: Path, to: Path, prefix: tuple[str, ...] = (), **environment: str) -> dict:  # type: ignore[type-arg]
    """Statuses and outputs of all verbs that read results, in a process of bounded memory and time."""
    quiet = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment}
    command = [*prefix, sys.executable, "-c", DRIVER, str(result), str(dataset), str(to)]
    done = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", timeout=SECONDS, env={**os.environ, **quiet}
    )
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def check(told: dict, kind: str, name: str) -> None:  # type: ignore[type-arg]
    for verb, runs in told.items():
        for status, said in runs:
            assert status in (0, 1, 2), (verb, said)
            assert "internal.error" not in said, (verb, said)
            assert "Traceback" not in said, (verb, said)
            assert "SECRET" not in said, (verb, said)
    for status, said in told["verify"] if name not in HARMLESS else ():
        assert status in (1, 2), said
        assert any(word in said for word in ("result.", "verify.", "path.", "format.", "file.")), said


def chosen(rounds: int) -> list[tuple[str, str]]:
    cases = random.Random(1).sample(ALL, len(ALL))
    return cases[: min(rounds, len(cases))]


@pytest.mark.parametrize(("kind", "name"), chosen(campaign(5)), ids=lambda text: str(text))
def test_every_verb_refuses_what_is_crafted(good: Builder, kind: str, name: str, tmp_path: Path) -> None:
    dataset, result, _ = craft(good, kind, name, tmp_path)
    check(run(dataset, result, tmp_path / "tables"), kind, name)
    assert not list(tmp_path.glob("*.ran"))


@pytest.mark.parametrize(("kind", "name"), FOUND, ids=str)
def test_what_verify_says(
    good: Builder, kind: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, result, _ = craft(good, kind, name, tmp_path)
    capsys.readouterr()
    assert main(["verify", str(result), "--source", str(good.root / "source")]) == 1
    assert f"{FOUND[kind, name]}:" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "name"), UNSAFE, ids=str)
def test_what_is_unsafe_is_refused_before_a_library_opens_it(
    good: Builder, kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, result, _ = craft(good, kind, name, tmp_path)
    asked: list[str] = []
    for place in ("zarr.open_array", "zarr.open_group", "zarr.open", "neuropress.validate.nwb.inspect_nwbfile"):
        monkeypatch.setattr(place, lambda *_, place=place, **__: asked.append(place))
    assert main(["validate", str(result)]) == 1
    assert main(["verify", str(result), "--source", str(good.root / "source")]) == 1
    assert main(["explain", str(result)]) in (0, 1)
    assert asked == []
    assert not list(tmp_path.glob("*.ran"))


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace here")
@pytest.mark.parametrize(("kind", "name"), random.Random(2).sample(UNSAFE, min(campaign(2), len(UNSAFE))), ids=str)
def test_no_other_file_is_opened(good: Builder, kind: str, name: str, tmp_path: Path) -> None:
    dataset, result, secret = craft(good, kind, name, tmp_path)
    plugins = secret.with_name(f"{secret.stem}-plugins")
    plugins.mkdir()
    (plugins / "libh5evil.so").write_bytes(b"\x7fELF")
    trace = tmp_path / "trace"
    prefix = ("strace", "-f", "-qq", "-e", "trace=open,openat,openat2,creat,execve", "-o", str(trace))
    check(run(dataset, result, tmp_path / "tables", prefix, HDF5_PLUGIN_PATH=str(plugins)), kind, name)
    lines = trace.read_text("utf-8", "replace").splitlines()
    assert [line for line in lines if str(result.name) in line]  # the trace is of this very run
    assert not [line for line in lines if secret.stem in line]


def test_what_leads_outside_is_told_by_its_name(
    good: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, result, secret = craft(good, "nwb", "external-link", tmp_path)
    assert main(["validate", str(result)]) == 1
    said = capsys.readouterr().out
    assert "/acquisition/other is a link into another file" in said
    assert "SECRET" not in said
    assert secret.name not in said
