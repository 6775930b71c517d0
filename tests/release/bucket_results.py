"""Datasets whose volumes go into a bucket, for tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from builder import DATE, Builder, abf, slices
from servers import Target

from neuropress.cli.main import main

VOLUME = f"lichtman/{DATE}/sem_dataset/ome-zarr/JL_SD_0001.ome.zarr"


def fill(root: Path, scratch: Path, shape: tuple[int, int, int] = (9, 17, 24)) -> Builder:
    """A session and a volume of slices."""
    build = Builder(root)
    build.session(1)
    build.ephys(abf(scratch / "e.abf"), "20000")
    build.sem(slices(scratch / "v", shape))
    return build


def point_to(root: Path, server: Target, endpoint: str | None = None) -> None:
    """Have the volumes go into the bucket."""
    settings = f'profile = "dendritic-consortium"\n[output]\nvolume = "{server.url}"\nendpoint = "{endpoint or server.endpoint}"\n'
    (root / "neuropress.toml").write_text(settings, encoding="utf-8")


def make_twin(build: Builder, folder: Path, server: Target) -> Path:
    """The same dataset with its volumes in a bucket."""
    shutil.copytree(build.root, folder, ignore=shutil.ignore_patterns("output", ".neuropress*"))
    point_to(folder, server)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def read_volume(server: Target) -> dict[str, bytes]:
    """The volume's objects, by their paths in it."""
    prefix = f"{VOLUME}/"
    return {key.removeprefix(prefix): data for key, data in server.objects().items() if key.startswith(prefix)}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    status = main(list(arguments))
    done = capsys.readouterr()
    assert "Traceback" not in done.out + done.err
    return status, done.out + done.err
