"""Real raw files through the whole line: equal to independent readings, no unexplained finding."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest
import tifffile
import zarr
from builder import DATE, Builder
from campaigns import campaign
from neo.rawio import AxonRawIO

import neuropress
from neuropress.cli.main import main

pytestmark = pytest.mark.corpus

ABF = {
    "05210017_vc_abf1": "20000",
    "130618-1-12": "50000",
    "16d22006_kim_gapfree": "10000",
    "171116sh_0011": "20000",
    "171116sh_0013": "20000",
    "171116sh_0014": "20000",
    "171116sh_0015-ATFwaveform": "10000",
    "171116sh_0016": "20000",
    "17o05028_ic_steps": "20000",
    "180415_aaron_temp": "100000",
    "18702001-pulseTrain": "20000",
    "18702001-ramp": "20000",
    "2018_11_16_sh_0006": "20000",
    "2018_12_09_pCLAMP11_0001": "10000",
    "DM1_0000": "20000",
    "File_axon_2": "1000",
    "File_axon_3": "20000",
    "pclamp11_4ch": "20000",
}
MOVIES = {  # path in the corpus: (frames, height, width), frame rate
    "tiff_timeseries/losonczylab__sima/example.tif": ((20, 128, 256), "30"),
    "tiff_imagej/NEUBIAS__training-resources/xyt_calibrated_16bit__golgi_bfa_sum_projection.tif": (
        (30, 137, 147),
        "0.016706",
    ),
    "tiff_scanimage/jefferis__scanimage/Blank-IPA_1s_16r_032.tif": ((30, 64, 64), ""),
    "tiff_ome/qupath__qupath/cells-2t.ome.tif": ((2, 131, 93), "10"),
    "tiff_compressed/thunder-project__thunder/dotdotdot_lzw.tif": ((3, 70, 75), "10"),
}
VOLUMES = {
    "em/NEUBIAS__training-resources/image_data/xyz_8bit__em_volume_tiff_series": "*.tif",
    "em/zhixuhao__unet/data/membrane/train/label": "*.png",
    "tiff_zseries/brainglobe__brainreg/tests/data/input/brain": "*.tif",
    "tiff_compressed/stardist__stardist/img3d.tif": "",
    "tiff_imagej/NEUBIAS__training-resources/xyzc_16bit__dna_conf_wf.tif": "",
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Builder:
    build = Builder(tmp_path_factory.mktemp("corpus") / "ds")
    folder = corpus / "abf/swharden__pyABF"
    for number, (name, rate) in enumerate(ABF.items(), 1):
        build.session(number % 14, session_id=f"RY_S_{number:04d}", end_time="")
        build.ephys(folder / f"{name}.abf", rate, number, number)
    atf = "sine sweep magnitude 20.atf"
    build.put(f"yuste/{DATE}/ephys/raw/{atf}", folder / atf)
    for number, (name, (shape, rate)) in enumerate(MOVIES.items(), 101):
        build.session(number % 14, session_id=f"RY_S_{number:04d}", end_time="")
        if "scanimage" in name:
            rate = scanimage_rate(corpus / name)
        build.movie(corpus / name, shape, number, number, frame_rate=rate)
    for number, name in enumerate(VOLUMES, 1):
        build.sem(corpus / name, number)
    return build


def scanimage_rate(path: Path) -> str:
    with tifffile.TiffFile(path) as file:
        lines = file.pages[0].description.replace("\r", "\n").splitlines()  # type: ignore[union-attr]
    return next(line.split("=")[1] for line in lines if line.startswith("state.acq.frameRate="))


@pytest.fixture(scope="module")
def converted(real: Builder) -> Builder:
    report = neuropress.open(real.root).convert(workers=2)
    assert report.ok, [f for f in report.findings if f.severity == "error"]
    return real


def test_the_run_ends_well_and_nothing_is_unexplained(converted: Builder) -> None:
    dataset = neuropress.open(converted.root)
    verified = dataset.verify()
    assert verified.ok, verified.findings
    assert len(verified.outcomes) == len(ABF) + len(MOVIES) + len(VOLUMES)
    validated = dataset.validate()
    unexplained = [f for f in validated.findings if f.severity != "info"]
    assert not unexplained, unexplained


@pytest.mark.parametrize("name", ABF)
def test_samples_equal_neo_s_raw_values(converted: Builder, corpus: Path, name: str) -> None:
    number = list(ABF).index(name) + 1
    reader = AxonRawIO(str(corpus / f"abf/swharden__pyABF/{name}.abf"))
    reader.parse_header()
    path = converted.output(f"RY_S_{number:04d}.nwb")
    assert path
    with h5py.File(path) as file:
        names = sorted(name for name in file["acquisition"] if "_sweep" in name)
        channels = sorted({int(name.split("_ch")[1]) for name in names})
        raw = [reader.get_analogsignal_chunk(0, segment, stream_index=0) for segment in range(reader.segment_count(0))]
        for position, channel in enumerate(channels):
            series = [file[f"acquisition/{n}/data"][()] for n in names if n.endswith(f"_ch{channel}")]
            assert {data.dtype for data in series} == {raw[0].dtype}
            # neo gives files without a sweep table as one segment, so all sweeps are compared in a row
            np.testing.assert_array_equal(np.concatenate(series), np.concatenate([part[:, position] for part in raw]))
    assert len(channels) == len(reader.header["signal_channels"])


@pytest.mark.parametrize("name", MOVIES)
def test_pixels_equal_tifffile_s(converted: Builder, corpus: Path, name: str) -> None:
    number = list(MOVIES).index(name) + 101
    pixels = tifffile.imread(corpus / name, is_ome=False, is_imagej=False, key=slice(None))
    path = converted.output(f"RY_S_{number:04d}.nwb")
    assert path
    with h5py.File(path) as file:
        data = file[f"acquisition/RY_IMG_{number:04d}/data"]
        assert data.dtype == pixels.dtype.newbyteorder("=")
        np.testing.assert_array_equal(data[()], pixels.transpose(0, 2, 1))


@pytest.mark.parametrize("name", VOLUMES)
def test_voxels_equal_the_slices(converted: Builder, corpus: Path, name: str) -> None:
    path = converted.output(f"JL_SD_{list(VOLUMES).index(name) + 1:04d}.ome.zarr")
    assert path
    if VOLUMES[name]:
        pages = sorted(
            (corpus / name).glob(VOLUMES[name]), key=lambda p: int("".join(c for c in p.stem if c.isdigit()) or 0)
        )
        read = tifffile.imread if pages[0].suffix == ".tif" else lambda p: imagecodecs.imread(str(p))
        pixels = np.stack([read(page) for page in pages])
    else:
        pixels = tifffile.imread(corpus / name)
        pixels = pixels.transpose(1, 0, 2, 3) if pixels.ndim == 4 else pixels  # ZCYX -> CZYX
    stored = zarr.open_group(path, mode="r")["0"]
    np.testing.assert_array_equal(stored[:], pixels)


def spoil(path: Path, choose: random.Random) -> None:
    """Change one stored value of one array."""
    if path.is_dir():
        data = zarr.open_group(path, mode="r+")["0"]
        index = tuple(choose.randrange(n) for n in data.shape)
        data[index] = data.dtype.type(int(data[index]) ^ 1)
        return
    with h5py.File(path, "r+") as file:
        names: list[str] = []
        for top in ("acquisition", "stimulus"):
            file[top].visititems(
                lambda n, d, top=top: (
                    names.append(f"{top}/{n}")
                    if isinstance(d, h5py.Dataset) and d.size and d.dtype.kind in "iuf"
                    else None
                )
            )
        data = file[choose.choice(names)]
        index = tuple(choose.randrange(n) for n in data.shape)
        value = data[index]
        data[index] = np.nextafter(value, np.inf) if data.dtype.kind == "f" else value ^ 1


@pytest.mark.parametrize("seed", range(campaign(20)))
def test_any_one_changed_value_is_found(converted: Builder, tmp_path: Path, seed: int) -> None:
    choose = random.Random(seed)
    results = sorted((converted.root / "output").rglob("*.nwb")) + sorted(
        (converted.root / "output").rglob("*.ome.zarr")
    )
    result = choose.choice(results)
    path = tmp_path / result.name
    shutil.copytree(result, path) if result.is_dir() else shutil.copy(result, path)
    spoil(path, choose)
    assert main(["verify", str(path), "--source", str(converted.root / "source")]) == 1


def test_check_compares_cells_with_headers(real: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", str(real.root), "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    agrees = {(x["location"]["table"], x["location"]["column"]) for x in lines if x.get("id") == "header.agrees"}
    assert {("ephys", "sampling_rate"), ("image", "x"), ("image", "y"), ("image", "z")} <= agrees
