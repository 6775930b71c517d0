"""Files by the layouts that their programs publish: nobody's data."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import h5py
import numpy as np

RATE = 30_000
SAMPLES = 1500


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(-500, 500, shape).astype("<i2")


def write_edf(folder: Path) -> Path:
    """EDF: two channels of 200 Hz, ten records of a second."""
    fixed = [
        ("0", 8),
        ("X", 80),
        ("Y", 80),
        ("20.06.25", 8),
        ("10.00.00", 8),
        ("768", 8),
        ("", 44),
        ("10", 8),
        ("1", 8),
    ]
    signal = [
        ("ch", 16),
        ("", 80),
        ("uV", 8),
        ("-3000", 8),
        ("3000", 8),
        ("-32768", 8),
        ("32767", 8),
        ("", 80),
        ("200", 8),
        ("", 32),
    ]
    text = "".join(word.ljust(width) for word, width in [*fixed, ("2", 4)])
    text += "".join(
        (f"{word}{number}" if word == "ch" else word).ljust(width) for word, width in signal for number in (1, 2)
    )
    path = folder / "rec.edf"
    path.write_bytes(text.encode("ascii") + _noise(10, 2, 200).tobytes())
    return path


def write_suite2p(folder: Path) -> Path:
    """suite2p: three regions; its options and regions are pickled."""
    plane = folder / "suite2p" / "plane0"
    plane.mkdir(parents=True)
    rng = np.random.default_rng(1)
    for name in ("F", "Fneu", "spks"):
        np.save(plane / f"{name}.npy", rng.random((3, 50), dtype="f4"))
    np.save(plane / "iscell.npy", np.array([[1, 0.9], [1, 0.8], [0, 0.1]]))
    regions = [
        {
            "ypix": np.array([1, 2, n]),
            "xpix": np.array([n, 1, 1]),
            "lam": np.array([0.5, 0.5, 1]),
            "med": [1, 1],
            "npix": 3,
        }
        for n in range(3)
    ]
    np.save(plane / "stat.npy", np.array(regions, dtype=object))
    picture = rng.random((20, 24))
    options = {
        "Ly": 20,
        "Lx": 24,
        "fs": 30.0,
        "nframes": 50,
        "nchannels": 1,
        "nplanes": 1,
        "yrange": [0, 20],
        "xrange": [0, 24],
        "meanImg": picture,
        "Vcorr": picture,
        "max_proj": picture,
        "functional_chan": 1,
    }
    np.save(plane / "ops.npy", np.array(options, dtype=object), allow_pickle=True)
    return folder / "suite2p"


def write_spikeglx(folder: Path) -> Path:
    """SpikeGLX: the spike band of a Neuropixels 1.0 probe, 384 channels and the sync word."""
    run = folder / "run_g0"
    run.mkdir()
    samples = _noise(SAMPLES, 385)
    samples[:, -1] = 0
    samples.tofile(run / "run_g0_t0.imec0.ap.bin")
    stated = {
        "acqApLfSy": "384,384,1", "fileCreateTime": "2025-06-20T10:00:00", "fileName": "run_g0_t0.imec0.ap.bin", "fileSizeBytes": samples.nbytes,
        "fileTimeSecs": SAMPLES / RATE, "firstSample": 0, "imAiRangeMax": 0.6, "imAiRangeMin": -0.6, "imDatPrb_pn": "NP1000",
        "imDatPrb_port": 1, "imDatPrb_slot": 2, "imDatPrb_sn": 1, "imDatPrb_type": 0, "imMaxInt": 512, "imSampRate": RATE,
        "nSavedChans": 385, "snsApLfSy": "384,0,1", "snsSaveChanSubset": "all", "typeThis": "imec",
        "~imroTbl": "(0,384)" + "".join(f"({n} 0 0 500 250 1)" for n in range(384)),
        "~snsChanMap": "(384,0,1)" + "".join(f"(AP{n};{n}:{n})" for n in range(384)) + "(SY0;768:384)",
        "~snsGeomMap": "(NP1000,1,0,70)" + "".join(f"(0:{(27, 59, 11, 43)[n % 4]}:{n // 2 * 20}:1)" for n in range(384)),
    }  # fmt: skip
    meta = "".join(f"{name}={value}\n" for name, value in stated.items())
    (run / "run_g0_t0.imec0.ap.meta").write_text(meta, "ascii")
    return run


def write_neuralynx(folder: Path) -> Path:
    """Neuralynx: two continuous channels, ten records of 512 samples each."""
    run = folder / "nlx"
    run.mkdir()
    for channel in (1, 2):
        lines = [
            "######## Neuralynx Data File Header", f"## File Name C:\\CSC{channel}.ncs",
            "## Time Opened (m/d/y): 6/20/2025  (h:m:s.ms) 10:0:0.0", "-CheetahRev 5.6.3", f"-AcqEntName CSC{channel}",
            "-FileType CSC", "-RecordSize 1044", "-HardwareSubSystemName AcqSystem1",
            "-HardwareSubSystemType DigitalLynx", "-SamplingFrequency 32000", "-ADMaxValue 32767",
            "-ADBitVolts 0.0000000366", "-NumADChannels 1", f"-ADChannel {channel}", "-InputRange 1200",
            "-InputInverted False", "-DSPLowCutFilterEnabled False", "-DspDelayCompensation Disabled", "",
        ]  # fmt: skip
        data = "\r\n".join(lines).encode("ascii").ljust(16384, b"\0")
        for record in range(10):
            data += struct.pack("<QIII", 1_000_000 + record * 16_000, channel, 32_000, 512) + _noise(512).tobytes()
        (run / f"CSC{channel}.ncs").write_bytes(data)
    return run


def write_intan(folder: Path) -> Path:
    """Intan RHD2000, version 1.5: two amplifier channels, twenty blocks of 60 samples."""

    def text(words: str) -> bytes:
        return struct.pack("<I", 2 * len(words)) + words.encode("utf-16-le")

    data = struct.pack("<Ihh", 0xC6912702, 1, 5) + struct.pack("<fh6f", 20_000, 1, 1, 0.1, 7500, 1, 0.1, 7500)
    data += struct.pack("<hff", 0, 1000, 1000) + text("") * 3 + struct.pack("<hhh", 0, 0, 1)
    data += text("Port A") + text("A") + struct.pack("<hhh", 1, 2, 2)
    for channel in range(2):
        data += text(f"A-{channel:03}") * 2 + struct.pack("<10h", channel, channel, 0, 1, channel, 0, 0, 0, 0, 0)
        data += struct.pack("<ff", 1000, 0)
    for block in range(20):
        data += np.arange(60 * block, 60 * block + 60, dtype="<i4").tobytes()
        data += (_noise(2, 60).astype("<i4") + 32768).astype("<u2").tobytes()
    path = folder / "rec.rhd"
    path.write_bytes(data)
    return path


def write_open_ephys(folder: Path) -> Path:
    """Open Ephys, binary: four channels of one stream."""
    node = folder / "oe" / "Record Node 101"
    recording = node / "experiment1/recording1"
    stream = recording / "continuous/Rhythm-100.0"
    stream.mkdir(parents=True)
    _noise(SAMPLES, 4).tofile(stream / "continuous.dat")
    np.save(stream / "sample_numbers.npy", np.arange(SAMPLES))
    np.save(stream / "timestamps.npy", np.arange(SAMPLES) / RATE)
    channels = [
        {
            "channel_name": f"CH{n}",
            "bit_volts": 0.195,
            "units": "uV",
            "history": "",
            "description": "",
            "identifier": "",
            "source_processor_index": n,
            "recorded_processor_index": n,
        }
        for n in range(1, 5)
    ]
    about = {
        "folder_name": "Rhythm-100.0/",
        "sample_rate": RATE,
        "source_processor_name": "Rhythm",
        "source_processor_id": 100,
        "stream_name": "Rhythm-100.0",
        "recorded_processor": "Record Node",
        "recorded_processor_id": 101,
        "num_channels": 4,
        "channels": channels,
    }
    structure = {"GUI version": "0.6.0", "continuous": [about], "events": [], "spikes": []}
    (recording / "structure.oebin").write_text(json.dumps(structure), "utf-8")
    settings = (
        "<SETTINGS><INFO><VERSION>0.6.0</VERSION><DATE>20 Jun 2025 10:00:00</DATE></INFO><SIGNALCHAIN/></SETTINGS>"
    )
    (node / "settings.xml").write_text(settings, "utf-8")
    return folder / "oe"


def write_sleap_project(folder: Path) -> Path:
    """SLEAP's project: one track of two nodes in twenty frames, as predicted; its video is not there."""
    project = {
        "version": "2.0.0",
        "skeletons": [
            {
                "directed": True,
                "graph": {"name": "animal", "num_edges_inserted": 1},
                "links": [
                    {
                        "edge_insert_idx": 0,
                        "key": 0,
                        "source": 0,
                        "target": 1,
                        "type": {"py/reduce": [{"py/type": "sleap.skeleton.EdgeType"}, {"py/tuple": [1]}]},
                    }
                ],
                "multigraph": True,
                "nodes": [{"id": 0}, {"id": 1}],
            }
        ],
        "nodes": [{"name": "nose", "weight": 1.0}, {"name": "tail", "weight": 1.0}],
        "videos": [], "tracks": [], "suggestions": [], "negative_anchors": {}, "provenance": {},
    }  # fmt: skip
    video = {"filename": "cam.mp4", "backend": {"type": "MediaVideo", "filename": "cam.mp4", "shape": [20, 48, 64, 1]}}
    # fmt: off
    frame = [("frame_id", "u8"), ("video", "u4"), ("frame_idx", "u8"), ("instance_id_start", "u8"), ("instance_id_end", "u8")]
    instance = [
        ("instance_id", "i8"), ("instance_type", "u1"), ("frame_id", "u8"), ("skeleton", "u4"), ("track", "i4"),
        ("from_predicted", "i8"), ("score", "f4"), ("point_id_start", "u8"), ("point_id_end", "u8"), ("tracking_score", "f4"),
    ]
    point = [("x", "f8"), ("y", "f8"), ("visible", "?"), ("complete", "?")]
    # fmt: on
    places = np.random.default_rng(1).uniform(0, 48, (40, 2))
    path = folder / "pose.slp"
    with h5py.File(path, "w") as file:
        file["frames"] = np.array([(n, 0, n, n, n + 1) for n in range(20)], frame)
        file["instances"] = np.array([(n, 1, n, 0, 0, -1, 0.9, 2 * n, 2 * n + 2, 0.5) for n in range(20)], instance)
        file["points"] = np.empty(0, point)
        file["pred_points"] = np.array([(x, y, True, False, 0.75) for x, y in places], [*point, ("score", "f8")])
        for name, texts in {"videos": [json.dumps(video)], "tracks": ['[0, "one"]'], "suggestions": []}.items():
            file.create_dataset(f"{name}_json", (len(texts),), h5py.string_dtype("ascii"), data=texts)
        about = file.create_group("metadata")
        about.attrs.update(format_id=1.2, json=np.bytes_(json.dumps(project)))
    return path


def write_mda(folder: Path) -> Path:
    """MountainSort's firings: channel, sample and unit of each spike, of three units."""
    rng = np.random.default_rng(1)
    spikes = np.stack([rng.integers(1, 5, 60), np.sort(rng.choice(SAMPLES, 60, replace=False)), np.arange(60) % 3 + 1])
    path = folder / "firings.mda"
    path.write_bytes(struct.pack("<5i", -7, 8, 2, *spikes.shape) + spikes.astype("<f8").tobytes("F"))
    return path
