"""Labels of a volume in a bucket: the same objects as the files of a folder, before and after a corrected cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from bucket_results import VOLUME, files, fill, point_to, read_volume, run
from builder import DATE
from servers import Target

MASK = f"lichtman/{DATE}/cell_detection_dataset/raw/m.tif"
LABELS = f'\n[labels.JL_SD_0001.cells]\npath = "{MASK}"\n'

pytestmark = [pytest.mark.s3, pytest.mark.usefixtures("impatient")]


def test_labels_lie_in_the_bucket_as_they_would_in_a_folder(
    bucket: Target, tmp_path: Path, small: None, capsys: pytest.CaptureFixture[str]
) -> None:
    build = fill(tmp_path / "ds", tmp_path)
    shape = (9, 17, 24)
    tifffile.imwrite(tmp_path / "m.tif", (np.indices(shape).sum(0) // 7).astype("u2"), metadata=None)
    build.put(MASK, tmp_path / "m.tif")
    settings = build.root / "neuropress.toml"
    settings.write_text(settings.read_text() + LABELS)
    assert run(capsys, "convert", str(build.root), "--object", "JL_SD_0001")[0] == 0
    local = files(build.root / "output" / VOLUME)
    assert "labels/cells/zarr.json" in local
    point_to(build.root, bucket)
    settings.write_text(settings.read_text() + LABELS)
    for resolution in ("4", "5"):
        build.change("sem_dataset", 0, resolution=resolution)
        status, said = run(capsys, "convert", str(build.root), "--object", "JL_SD_0001")
        assert status == 0, said
        now = read_volume(bucket)
        changed = {name for name in local if now[name] != local[name]}
        assert now.keys() == local.keys()
        metadata = {"zarr.json", "labels/cells/zarr.json", "OME/METADATA.ome.xml"}
        assert changed == (metadata if resolution == "5" else set())
    for verb in ("verify", "validate"):
        status, said = run(capsys, verb, str(build.root), "--object", "JL_SD_0001")
        assert (status, "2 arrays" in said or verb == "validate") == (0, True), said


def test_points_lie_in_the_bucket_as_they_would_in_a_folder(
    bucket: Target, tmp_path: Path, small: None, capsys: pytest.CaptureFixture[str]
) -> None:
    build = fill(tmp_path / "ds", tmp_path)
    table = MASK.replace("m.tif", "p.csv")
    build.put(table, b"x,y,z,class\n1,2,3,soma\n4,5,6,glia\n")
    options = f'[options."{table}"]\nunit = "pixel"\nfirst = "0"\n'
    points = f'\n[points.JL_SD_0001.cells]\npath = "{table}"\n{options}'
    settings = build.root / "neuropress.toml"
    bare = settings.read_text()
    settings.write_text(bare + points)
    assert run(capsys, "convert", str(build.root), "--object", "JL_SD_0001")[0] == 0
    local = files(build.root / "output" / VOLUME)
    point_to(build.root, bucket)
    bare = settings.read_text().replace(points, "")
    for text, has_table in ((bare + points, True), (bare, False), (bare + points, True)):
        settings.write_text(text)
        status, said = run(capsys, "convert", str(build.root), "--object", "JL_SD_0001")
        assert status == 0, said
        now = read_volume(bucket)
        assert now == local if has_table else not any(name.startswith("tables/") for name in now)
    assert run(capsys, "verify", str(build.root), "--object", "JL_SD_0001")[0] == 0
