"""Microscopes' files of our own, in the layouts that the vendors' programs write: no library writes these formats.

CZI files of tests are written by Zeiss' own library.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

# ND2


def _encode_value(name: str, value: Any) -> bytes:
    """A value in the binary form of headers: type, length of the name, name, value."""
    text = (name + "\0").encode("utf-16-le")
    head = lambda kind: struct.pack("<BB", kind, len(text) // 2) + text  # noqa: E731
    if isinstance(value, Mapping):
        inner = b"".join(_encode_value(key, one) for key, one in value.items())
        start = head(11)
        length = len(start) + 12 + len(inner)
        return start + struct.pack("<IQ", len(value), length) + inner + bytes(8 * len(value))
    if isinstance(value, bool):
        return head(1) + struct.pack("<B", value)
    if isinstance(value, int):
        return head(3) + struct.pack("<I", value)
    if isinstance(value, float):
        return head(6) + struct.pack("<d", value)
    return head(8) + (value + "\0").encode("utf-16-le")


def _make_loops(loops: Sequence[tuple[str, int]], names: Sequence[str]) -> dict[str, Any]:
    """The nested description of loops, the slowest one outside."""
    inner: dict[str, Any] = {}
    for axis, count in reversed(loops):
        pars: dict[str, Any] = {"uiCount": count}
        if axis == "t":
            pars |= {"dStart": 0.0, "dPeriod": 0.0, "dDuration": 1.0}
        elif axis == "p":
            pars["Points"] = {f"p{i}": {"dPosX": 1.0 * i, "dPosName": names[i]} for i in range(count)}
        else:
            pars |= {"dZLow": 0.0, "dZHigh": 2.0, "dZStep": 0.75, "dZHome": 0.0}
        level: dict[str, Any] = {"eType": {"t": 1, "p": 2, "z": 4}[axis], "uLoopPars": pars}
        if inner:
            level["ppNextLevelEx"] = {"n0": inner}
        inner = level
    return inner


def _make_headers(frames: np.ndarray, channels: Sequence[str], padding: int, deflate: bool) -> dict[bytes, Any]:
    """What is said of frames and channels."""
    count, height, width, components = frames.shape
    item = frames.dtype.itemsize
    planes = {
        f"a{i}": {
            "uiCompCount": components // len(channels),
            "uiSampleIndex": 0,
            "pFluorescentProbe": {"m_ExcitationSpectrum": {"uiCount": 0}, "m_EmissionSpectrum": {"uiCount": 0}},
            "sDescription": name,
        }
        for i, name in enumerate(channels)
    }
    return {
        b"ImageAttributesLV!": {
            "SLxImageAttributes": {
                "uiWidth": width, "uiWidthBytes": width * components * item + padding, "uiHeight": height,
                "uiComp": components, "uiBpcInMemory": item * 8, "uiBpcSignificant": item * 8,
                "uiSequenceCount": count, "eCompression": 0 if deflate else 2,
            }
        },
        b"ImageMetadataSeqLV|0!": {
            "SLxPictureMetadata": {
                "dTimeMSec": 0.0, "dTimeAbsolute": 2460847.0625, "bCalibrated": True, "dCalibration": 0.25,
                "dObjectiveMag": 40.0, "dObjectiveNA": 1.15,
                "sPicturePlanes": {"uiCount": len(channels), "uiCompCount": components, "sPlaneNew": planes},
            }
        },
    }  # fmt: skip


def write_nd2(
    path: Path,
    frames: np.ndarray,
    loops: Sequence[tuple[str, int]],
    *,
    times: Sequence[float] = (),
    channels: Sequence[str] = ("GFP",),
    names: Sequence[str] = ("", "left", "right"),
    padding: int = 0,
    deflate: bool = False,
    absent: Sequence[int] = (),
) -> Path:
    """An ND2 of version 3.

    Parameters
    ----------
    frames
        (frame, y, x, component), the components of a channel one after the other.
    loops
        Axis and planned extent of each loop, slowest first.
    times
        ms of each frame.
    padding
        Bytes behind each row.
    absent
        Numbers of frames that are left out.
    """
    headers = _make_headers(frames, channels, padding, deflate)
    if loops:
        headers[b"ImageMetadataLV!"] = {"SLxExperiment": _make_loops(loops, names)}
    chunks = {name: _encode_value(*next(iter(value.items()))) for name, value in headers.items()}
    for number in range(len(frames)):
        if number in absent:
            continue
        rows = (
            np.ascontiguousarray(frames[number])
            .reshape(frames.shape[1], -1)
            .view(np.uint8)
            .reshape(frames.shape[1], -1)
        )
        data = np.pad(rows, ((0, 0), (0, padding))).tobytes()
        chunks[b"ImageDataSeq|%d!" % number] = struct.pack("<d", 0.0) + (zlib.compress(data) if deflate else data)
    if len(times):
        chunks[b"CustomData|AcqTimesCache!"] = np.asarray(times, "<f8").tobytes()
    out = io.BytesIO()
    _write_chunk(out, b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0".ljust(64, b"\0"), 32)
    table = b""
    for name, data in chunks.items():
        table += name + struct.pack("<QQ", out.tell(), len(data))
        _write_chunk(out, name, data, 4072)
    at = out.tell()
    end = b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", at)
    _write_chunk(out, b"ND2 FILEMAP SIGNATURE NAME 0001!", table + end, 4072)
    path.write_bytes(out.getvalue())
    return path


def _write_chunk(out: io.BytesIO, name: bytes, data: bytes, room: int) -> None:
    out.write(b"\xda\xce\xbe\x0a" + struct.pack("<IQ", room, len(data)) + name.ljust(room, b"\0") + data)


# LIF


def write_lif(
    path: Path,
    images: Sequence[tuple[str, np.ndarray, Sequence[tuple[int, int, str]]]],
    *,
    channels: int = 1,
    channel_step: int = 0,
    tags: Sequence[int] = (),
    stamps: Sequence[int] = (),
    cut: int = 0,
) -> Path:
    """A LIF of version 2.

    Parameters
    ----------
    images
        Name, bytes in their order, and number, extent and length (with its unit) of each dimension, fastest first;
        bytes from element to element follow, the channels between columns and rows where `channel_step` says so.
    channels, channel_step
        Number of channels and bytes from one to the next; 0: behind each other, slowest.
    """
    elements, blocks = "", b""
    for number, (name, data, dimensions) in enumerate(images):
        item = data.dtype.itemsize
        step = item * (channels if 0 < channel_step < item * 2 else 1)
        described = ""
        for dimension, count, length in dimensions:
            size, unit = length.split()
            described += (
                f'<DimensionDescription DimID="{dimension}" NumberOfElements="{count}" Origin="0" '
                f'Length="{size}" Unit="{unit}" BitInc="0" BytesInc="{step}"/>'
            )
            step *= count
            if channel_step and channel_step == step and dimension == 2:
                step *= channels
        between = channel_step or step
        named = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="{tags[c] if tags else 0}" Resolution="{8 * item}" '
            f'NameOfMeasuredQuantity="" Min="0" Max="255" Unit="" LUTName="Green" IsLUTInverted="0" '
            f'BytesInc="{c * between}" BitInc="0"/>'
            for c in range(channels)
        )
        listed = " ".join(f"{stamp:x}" for stamp in stamps)
        times = f'<TimeStampList NumberOfTimeStamps="{len(stamps)}">{listed}</TimeStampList>' if stamps else ""
        raw = data.tobytes()
        elements += (
            f'<Element Name="{name}" UniqueID="{number}"><Data><Image><ImageDescription><Channels>{named}</Channels>'
            f"<Dimensions>{described}</Dimensions></ImageDescription>{times}"
            '<Attachment Name="HardwareSetting"><ATLConfocalSettingDefinition NumericalAperture="1.3" '
            'Magnification="63"/></Attachment></Image></Data>'
            f'<Memory Size="{len(raw)}" MemoryBlockID="MemBlock_{number}"/></Element>'
        )
        id = f"MemBlock_{number}".encode("utf-16-le")
        blocks += struct.pack("<IIBQBI", 0x70, 0, 0x2A, len(raw), 0x2A, len(id) // 2) + id + raw
    xml = (
        f'<LMSDataContainerHeader Version="2"><Element Name="project"><Children>{elements}</Children></Element>'
        "</LMSDataContainerHeader>"
    ).encode("utf-16-le")
    whole = struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2) + xml + blocks
    path.write_bytes(whole[: len(whole) - cut])
    return path


# OIF and OIB


def make_oif_members(planes: np.ndarray, *, absent: Sequence[int] = ()) -> dict[str, bytes]:
    """Main file and planes of a movie (t, c, z, y, x) as FluoView has them, with what it writes beside them."""
    t, c, z, height, width = planes.shape
    axes = [("X", width, "um"), ("Y", height, "um"), ("C", c, "nm"), ("Z", z, "nm"), ("T", t, "ms")]
    axes += [("A", 1, "deg"), ("L", 1, "nm"), ("P", 1, "nm")]
    lines = ["[ProfileSaveInfo]", 'Name="OibSaveInfo"', 'Version="2.0.0.0"', "[Axis Parameter Common]"]
    lines += ["AxisCount=5", 'AxisOrder="XYCZT"']
    for number, (code, size, unit) in enumerate(axes):
        lines += [
            f"[Axis {number} Parameters Common]", f'AxisCode="{code}"', f"MaxSize={size}", f'UnitName="{unit}"',
            "StartPosition=0", f"EndPosition={(size - 1) * 500}",
        ]  # fmt: skip
    lines += ["[Reference Image Parameter]", "WidthConvertValue=0.207", 'WidthUnit="um"']
    lines += ["HeightConvertValue=0.207", 'HeightUnit="um"', "ValidBitCounts=12"]
    lines += ["[Acquisition Parameters Common]", "ImageCaputreDate='2025-06-20 09:10:00'"]
    for number, dye in enumerate(("Alexa 488", "Cy3")[:c], 1):
        lines += [f"[Channel {number} Parameters]", f'DyeName="{dye}"', f"ExcitationWavelength={400 + 80 * number}"]
    members = {"": "\ufeff".encode("utf-16-le") + "\r\n".join([*lines, ""]).encode("utf-16-le")}
    for number in range(t * c * z):
        i, j, k = np.unravel_index(number, (t, c, z))
        out = io.BytesIO()
        tifffile.imwrite(out, planes[i, j, k], metadata=None, photometric="minisblack", byteorder="<")
        if number not in absent:
            members[f"s_C{j + 1:03d}Z{k + 1:03d}T{i + 1:03d}.tif"] = out.getvalue()
    members["s_Thumb.bmp"] = b"BM"
    members["s-R001_C001.tif"] = members["s_C001Z001T001.tif"]
    return members


def write_oif(path: Path, members: Mapping[str, bytes]) -> Path:
    """The main file, and the others in the folder beside it."""
    path.write_bytes(members[""])
    folder = path.with_name(f"{path.name}.files")
    folder.mkdir()
    for name, data in members.items():
        if name:
            (folder / name).write_bytes(data)
    return path


def write_oib(path: Path, members: Mapping[str, bytes]) -> Path:
    """All in one OLE file, as streams with names of their own that ``OibInfo.txt`` explains."""
    named = {f"Stream{number:05d}": (name or "main.oif", data) for number, (name, data) in enumerate(members.items())}
    lines = ["[OibSaveInfo]", 'Name="OibSaveInfo"', 'Version="2.0.0.0"', "MainFileName=Stream00000"]
    lines += [f"{stream}={name}" for stream, (name, _) in named.items()]
    info = "\ufeff".encode("utf-16-le") + "\r\n".join([*lines, ""]).encode("utf-16-le")
    path.write_bytes(_make_ole({"OibInfo.txt": info} | {stream: data for stream, (_, data) in named.items()}))
    return path


def _make_ole(streams: Mapping[str, bytes]) -> bytes:
    """An OLE file of version 3 without short streams: header, data, directory, allocation table."""
    sector, free, last = 512, 0xFFFFFFFF, 0xFFFFFFFE
    fat: list[int] = []
    data = b""

    def append(content: bytes) -> int:
        nonlocal data
        start, count = len(fat), max(-(-len(content) // sector), 1)
        fat.extend([*range(start + 1, start + count), last])
        data += content.ljust(count * sector, b"\0")
        return start

    starts = {name: append(content) for name, content in streams.items()}
    names = list(streams)
    entries = _make_entry("Root Entry", 5, free, 1, last, 0)
    for number, name in enumerate(names, 1):
        right = number + 1 if number < len(names) else free
        entries += _make_entry(name, 2, right, free, starts[name], len(streams[name]))
    directory = append(entries)
    tables = 1
    while len(fat) + tables > tables * (sector // 4):
        tables += 1
    first = len(fat)
    fat += [0xFFFFFFFD] * tables
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(tables * sector, b"\xff")
    difat = [*range(first, first + tables)] + [free] * (109 - tables)
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    head += struct.pack("<HHHHHHIIIIIIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, 0, 0, tables, directory, 0, 0, last, 0, last, 0)
    return head + struct.pack("<109I", *difat) + data + table


def _make_entry(name: str, kind: int, right: int, child: int, start: int, size: int) -> bytes:
    text = (name + "\0").encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16sIQQIQ", text, len(text), kind, 1, 0xFFFFFFFF, right, child, bytes(16), 0, 0, 0, start, size
    )
