"""suite2p folders of our own, as NumPy saves them, and pickles that would run something if they were loaded."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

MASKS = [
    [(2, 3, 0.5), (3, 3, 1.5)],
    [(7, 1, 1.0)],
    [(0, 0, 0.25), (0, 1, 0.25), (15, 19, 3.0)],
]
"""(x, y, weight) of each region's pixels, on an image of 16x20."""


def make_region(mask: list[tuple[int, int, float]], **more: Any) -> dict[str, Any]:
    """An entry of stat.npy with what suite2p 0.9 writes."""
    x, y, weight = (np.array(part) for part in zip(*mask, strict=True))
    return {
        "ypix": y.astype("i8"),
        "xpix": x.astype("i8"),
        "lam": weight.astype("f4"),
        "med": [int(np.median(y)), int(np.median(x))],
        "footprint": np.float64(1.5),
        "npix": len(x),
        "npix_norm": np.float32(len(x) / 2),
        "overlap": np.arange(len(x)) % 2 == 1,
        "skew": np.float32(0.5),
        **more,
    }


def make_objects(value: Any, protocol: int = 4) -> bytes:
    """An NPY file of objects."""
    array = np.asanyarray(value, dtype=object)
    return wrap_pickle(pickle.dumps(array, protocol), array.shape)


def wrap_pickle(data: bytes, shape: tuple[int, ...] = ()) -> bytes:
    """A pickle behind the header of an NPY file of objects."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": shape})
    return file.getvalue() + data


def make_npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def make_plane(frames: int = 12, protocol: int = 4, ops: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    """Files of one plane with three regions."""
    rng = np.random.default_rng(frames)
    traces = {name: rng.normal(size=(len(MASKS), frames)).astype("f4") for name in ("F", "Fneu", "spks")}
    stat = np.empty(len(MASKS), object)
    stat[:] = [make_region(mask) for mask in MASKS]
    files = {f"{name}.npy": make_npy(data) for name, data in traces.items()}
    files["stat.npy"] = make_objects(stat, protocol)
    files["iscell.npy"] = make_npy(np.array([[1, 0.9], [0, 0.2], [1, 0.7]]))
    if ops is not None:
        files["ops.npy"] = make_objects(np.array(ops, object), protocol)
    return files


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


class Calls:
    """What pickles itself as a call of something."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.parts = function, arguments

    def __reduce__(self) -> Any:
        return self.parts


def list_hostile(marker: Path) -> dict[str, bytes]:
    """Pickles, bare, each of which would make `marker`, take all memory or never end if `pickle` loaded it."""
    touch = f"touch {marker}"
    code = f"open({str(marker)!r}, 'w')"
    shell = np.array({"a": Calls(os.system, touch)}, object)
    inner = np.empty(1, object)
    inner[0] = np.array([Calls(eval, code)], object)
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    return {
        "a call of the shell": pickle.dumps(shell, 4),
        "an evaluation, arrays deep": pickle.dumps(inner, 4),
        "an evaluation, protocol 2": pickle.dumps([Calls(eval, code)], 2),
        "an evaluation, protocol 0": pickle.dumps([Calls(eval, code)], 0),
        "a global by two texts": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.",
        "an instance of old": b"\x80\x02(S'true'\nios\nsystem\n.",
        "an object of old": b"\x80\x02(cos\nsystem\nX\x01\x00\x00\x00ao.",
        "a new object": b"\x80\x02cnumpy\nndarray\nK\x03\x85\x81.",
        "a call of ndarray": b"\x80\x02cnumpy\nndarray\nK\x03\x85R.",
        "a type of its own": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nmatrix\nK\x00\x85C\x01b\x87R.",
        "the state of a text": b"\x80\x02X\x01\x00\x00\x00a}b.",
        "the state of a dict": b"\x80\x02}X\x01\x00\x00\x00a\x86b.",
        "the state of a list": b"\x80\x02]}b.",
        "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0ecore.os.system\x93.",
        "an extension": b"\x80\x02\x82\x01.",
        "a persistent name": b"\x80\x02Pname\n.",
        "a buffer from outside": b"\x80\x05\x97.",
        "an array of records": b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00V8\x89\x88\x87R.",
        "an array larger than its bytes": b"\x80\x03" + array + b"(K\x01J\xff\xff\xff\x7f\x85cnumpy\ndtype\n"
        b"X\x02\x00\x00\x00f8\x89\x88\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89C\x00tb.",
        "a type of a gigabyte": b"\x80\x02cnumpy\ndtype\nX\x0b\x00\x00\x00U1000000000\x89\x88\x87R.",
        "a text of 2**60 bytes": b"\x80\x04\x8d" + (2**60).to_bytes(8, "little") + b".",
        "an integer of 2 GiB": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "a list of lists of lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "tuples in tuples": b"\x80\x02)" + b"\x85" * 1_000_000 + b".",
        "a key of tuples": b"\x80\x02})" + b"\x85" * 50 + b"K\x01s.",
        "a memo that doubles": b"\x80\x02]q\x00" + b"".join(b"](h\x00h\x00eq\x00" for _ in range(100)) + b".",
        "a list in itself": b"\x80\x02]q\x00h\x00a.",
        "marks without end": b"\x80\x02" + b"(" * 2_000_000,
        "steps without end": b"\x80\x02" + b"N0" * 8_000_000 + b"N.",
        "a slot that is not there": b"\x80\x02h\x07.",
        "nothing on the stack": b"\x80\x020.",
        "a frame beyond the end": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.",
        "another protocol": b"\x80\x09N.",
        "bytes behind the end": b"\x80\x02N.N.",
        "no end": b"\x80\x02N",
        "nothing": b"",
    }
