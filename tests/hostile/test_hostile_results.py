"""Results that strangers crafted: every verb refuses them in seconds and bounded memory, and opens nothing else."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import crafted_asset
import crafted_nwb
import crafted_zarr
import h5py
import numpy as np
import pytest
from builder import Builder, abf, movie, slices
from campaigns import campaign
from confined import STRACE, run_verbs, trespasses

from neuropress.cli.main import main

CRAFTED = {"nwb": crafted_nwb.CASES, "zarr": crafted_zarr.CASES, "asset": crafted_asset.CASES}
RESULTS = {"nwb": "*.nwb", "zarr": "*.ome.zarr", "asset": "model/asset/*.json"}
ALL = [(kind, name) for kind, cases in CRAFTED.items() for name in cases]
HARMLESS = {"headers-text-4", "fields-text-4", "records-text-3", "root-headers-{}", "root-fields-{}", "root-records-[]"}
"""Records of where values came from that are empty: they are read as such, and what they do not say proves nothing."""

HARMLESS |= {"records-[]", "fields-{}", "link-nowhere", "link-itself"}
HARMLESS |= {name for name in crafted_asset.CASES if name.startswith(("kind-", "target-"))}
"""Of asset records also those that are not there any more, and those that name another kind or place: by neither is
anything opened or written."""

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
    ("nwb", "receipt-format-slices"): "slices.empty",
    ("nwb", "receipt-bomb-rows-arrays"): "result.unreadable",
    ("nwb", "receipt-bomb-text-derived"): "result.unreadable",
    ("nwb", "receipt-bomb-range-inputs"): "result.unreadable",
    ("nwb", "receipt-bomb-column-inputs"): "result.unreadable",
    ("zarr", "root-no-arrays"): "verify.unproven",
    ("zarr", "root-no-derived"): "verify.derived",
    ("zarr", "file-added"): "verify.stray_file",
    ("zarr", "array-added"): "verify.stray_file",
    ("zarr", "root-block-1"): "result.unreadable",
    ("zarr", "shard-bomb"): "result.unreadable",
    ("zarr", "shard-index"): "result.unreadable",
    ("zarr", "shard-missing"): "result.unreadable",
    ("asset", "value-changed"): "verify.derived",
    ("asset", "member-added"): "verify.derived",
    ("asset", "receipt-no-derived"): "verify.derived",
    ("asset", "receipt-no-inputs"): "verify.unproven",
    ("asset", "receipt-no-sources"): "verify.unproven",
    ("asset", "headers-{}"): "verify.different",
    ("asset", "receipt-source-'../../foreign-secret.h5'"): "path.unsafe",
    ("asset", "receipt-input-'/etc/passwd'"): "path.unsafe",
    ("asset", "receipt-options-{'module': 'os'}"): "reader.option",
    ("asset", "receipt-size--1"): "verify.input_changed",
    ("asset", "json-deep-lists"): "result.unreadable",
    ("asset", "number-of-many-digits"): "result.unreadable",
    ("asset", "link"): "result.unreadable",
    ("asset", "hdf5"): "result.foreign",
    ("asset", "empty"): "result.foreign",
    ("asset", "folder"): "result.none",
    ("nwb", "zeros-terabyte"): "result.unreadable",
    ("nwb", "chunk-gigabytes"): "result.unreadable",
    ("nwb", "texts-all-one"): "result.unreadable",
    ("nwb", "attributes-many"): "result.unreadable",
    **dict.fromkeys(UNSAFE, "result.unsafe"),
}
"""What `verify` says of some of them."""

MORPHOLOGY = "segev/20250801/model/model/cell.swc"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    folder = tmp_path_factory.mktemp("hostile")
    build = Builder(folder / "ds")
    build.session(1)
    build.ephys(abf(folder / "e.abf", points=40_000), "20000")
    build.movie(movie(folder / "m.tif"), (12, 20, 16))
    build.sem(slices(folder / "v", (9, 300, 560)))
    build.put(MORPHOLOGY, b"1 1 0 0 0 1 -1\n2 3 0 0 0 1 1\n3 3 0 5 0 1 2\n")
    build.row("model", model_id="IS_MOD_0001", file_path_model=MORPHOLOGY, model_type="biophysical", model_version="v1",
              description="L5 cell")  # fmt: skip
    assert build.dataset.convert().ok
    return build


def craft(good: Builder, kind: str, name: str, folder: Path) -> tuple[Path, Path, Path]:
    """A copy of the dataset with one bad result: its folder, the result, and a file that is none of its business."""
    shutil.copytree(good.root, folder / "ds")
    secret = folder / "foreign-secret.h5"
    with h5py.File(secret, "w") as file:
        file["data"] = np.frombuffer(b"SECRETSECRETSECRET" * 8, "u1")
    (result,) = (folder / "ds/output").rglob(RESULTS[kind])
    CRAFTED[kind][name](result, secret)
    return folder / "ds", result, secret


def run_all_verbs(
    dataset: Path, result: Path, trace: Path | None = None, **environment: str
) -> list[tuple[list[str], int, str]]:
    """All verbs that read results, in a process of bounded memory and time."""
    verbs = [
        ["explain", str(result)],
        *([verb, str(dataset)] for verb in ("verify", "validate", "coverage")),
        ["export-tables", str(dataset), "--to", str(dataset.parent / "tables")],
        *([verb, str(result)] for verb in ("validate", "verify")),
    ]
    return run_verbs(verbs, dataset.parent / "scratch", trace, **environment)


def check_outcomes(outcomes: list[tuple[list[str], int, str]], name: str) -> None:
    for verb, status, out in outcomes:
        assert "SECRET" not in out, (verb, out)
        if verb[0] == "verify" and name not in HARMLESS:
            assert status in (1, 2), out
            assert any(word in out for word in ("result.", "verify.", "path.", "format.", "file.", "reader.option")), (
                out
            )


def choose_cases(rounds: int) -> list[tuple[str, str]]:
    cases = random.Random(1).sample(ALL, len(ALL))
    return cases[: min(rounds, len(cases))]


@pytest.mark.parametrize(("kind", "name"), choose_cases(campaign(5, full=len(ALL))), ids=lambda text: str(text))
def test_every_verb_refuses_what_is_crafted(good: Builder, kind: str, name: str, tmp_path: Path) -> None:
    dataset, result, _ = craft(good, kind, name, tmp_path)
    trace = tmp_path / "trace" if campaign(5) > 5 and STRACE else None
    check_outcomes(run_all_verbs(dataset, result, trace), name)
    assert not list(tmp_path.glob("*.ran"))
    assert not (trace and trespasses(trace, tmp_path))


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
    for place in ("zarr.open_array", "zarr.open_group", "zarr.open", "neuropress.results.nwb.validate.inspect_nwbfile"):
        monkeypatch.setattr(place, lambda *_, place=place, **__: asked.append(place))
    assert main(["validate", str(result)]) == 1
    assert main(["verify", str(result), "--source", str(good.root / "source")]) == 1
    assert main(["explain", str(result)]) in (0, 1)
    assert asked == []
    assert not list(tmp_path.glob("*.ran"))


@pytest.mark.skipif(STRACE is None, reason="no strace here")
@pytest.mark.parametrize(("kind", "name"), random.Random(2).sample(UNSAFE, min(campaign(2), len(UNSAFE))), ids=str)
def test_no_other_file_is_opened(good: Builder, kind: str, name: str, tmp_path: Path) -> None:
    dataset, result, secret = craft(good, kind, name, tmp_path)
    plugins = secret.with_name(f"{secret.stem}-plugins")
    plugins.mkdir()
    (plugins / "libh5evil.so").write_bytes(b"\x7fELF")
    trace = tmp_path / "trace"
    check_outcomes(run_all_verbs(dataset, result, trace, HDF5_PLUGIN_PATH=str(plugins)), name)
    assert not trespasses(trace, tmp_path)
    lines = trace.read_text("utf-8", "replace").splitlines()
    assert [line for line in lines if str(result.name) in line]  # the trace is of this very run
    assert not [line for line in lines if secret.stem in line]


def test_what_leads_outside_is_told_by_its_name(
    good: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, result, secret = craft(good, "nwb", "external-link", tmp_path)
    assert main(["validate", str(result)]) == 1
    output = capsys.readouterr().out
    assert "/acquisition/other is a link into another file" in output
    assert "SECRET" not in output
    assert secret.name not in output
