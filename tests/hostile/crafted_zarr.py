"""OME-Zarr results as somebody would craft them who wants a program to do what it should not."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

CASES: dict[str, Callable[[Path, Path], None]] = {}
"""Name -> what makes a good result a bad one, given its path and that of a file that is none of its business."""


def case(name: str):  # type: ignore[no-untyped-def]
    def add(make: Callable[[Path, Path], None]) -> None:
        CASES[name] = make

    return add


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def plant_pickle(level: Path, secret: Path) -> None:
    """A Zarr v2 array of which a filter unpickles, as a folder `secret` with ``.ran`` would show."""
    shape = json.loads((level / "zarr.json").read_text())["shape"]
    about = {
        "zarr_format": 2, "shape": shape, "chunks": shape, "dtype": "|O", "fill_value": None, "order": "C",
        "compressor": None, "filters": [{"id": "vlen-utf8"}, {"id": "pickle", "protocol": 5}], "dimension_separator": ".",
    }  # fmt: skip
    (level / ".zarray").write_text(json.dumps(about))
    (level / ".".join("0" * len(shape))).write_bytes(pickle.dumps(Payload(secret.with_suffix(".ran"))))


@case("pickle-beside")
def _(path: Path, secret: Path) -> None:
    plant_pickle(path / "0", secret)


@case("pickle-instead")
def _(path: Path, secret: Path) -> None:
    plant_pickle(path / "0", secret)
    (path / "0/zarr.json").unlink()


@case("pickle-above")
def _(path: Path, secret: Path) -> None:
    plant_pickle(path / "1", secret)
    (path / "1/zarr.json").unlink()
    (path / "1/.zattrs").write_text("{}")


def move(path: Path, secret: Path, name: str) -> None:
    """Put a link to the outside where a file or folder of the result was."""
    outside = secret.parent / f"{secret.stem}-outside"
    shutil.move(path / name, outside)
    (path / name).symlink_to(outside)


for _name in ("0", "0/c", "0/c/0", "0/c/0/0/0", "0/zarr.json", "zarr.json", "1"):

    @case(f"link-{_name.replace('/', '-')}")
    def _(path: Path, secret: Path, name: str = _name) -> None:
        move(path, secret, name)


@case("link-round")
def _(path: Path, secret: Path) -> None:
    (path / "0/again").symlink_to(path)


if hasattr(os, "mkfifo"):
    for _name in ("0/c/0/0/0", "0/zarr.json", "zarr.json"):

        @case(f"pipe-{_name.replace('/', '-')}")
        def _(path: Path, secret: Path, name: str = _name) -> None:
            (path / name).unlink()
            os.mkfifo(path / name)


def node(name: str, place: str, change: Callable[[dict[str, Any]], object]) -> None:
    """A case with another ``zarr.json``."""

    @case(name)
    def _(path: Path, secret: Path) -> None:
        told = json.loads((path / place).read_text())
        change(told)
        (path / place).write_text(json.dumps(told))


def level(name: str, change: Callable[[dict[str, Any]], object]) -> None:
    node(f"level-{name}", "0/zarr.json", change)


def shard(told: dict[str, Any]) -> dict[str, Any]:
    return told["codecs"][0]["configuration"]  # type: ignore[no-any-return]


for _shape in ([2**40] * 3, [0, 0, 0], [-1, 5, 5], [9], [2**70] * 3, "x", [1.5] * 3, None, [9, 33, 2**20]):
    level(f"shape-{_shape}", lambda told, shape=_shape: told.update(shape=shape))  # type: ignore[misc]
for _chunk in ([0, 0, 0], [1, 1, 1], [7, 7, 7], [2**20] * 3, [1], [], "x", [-4, 64, 64]):
    level(f"chunk-{_chunk}", lambda told, chunk=_chunk: shard(told).update(chunk_shape=chunk))  # type: ignore[misc]
    level(f"grid-{_chunk}", lambda told, chunk=_chunk: told["chunk_grid"]["configuration"].update(chunk_shape=chunk))  # type: ignore[misc]
for _codec in ("pickle", "numcodecs.pickle", "numcodecs.zlib", "vlen-utf8", "os.system", 5, {}, ""):
    level(f"codec-{_codec}", lambda told, codec=_codec: shard(told)["codecs"].insert(1, {"name": codec}))  # type: ignore[misc]
    level(f"outer-codec-{_codec}", lambda told, codec=_codec: told.update(codecs=[{"name": "bytes"}, {"name": codec}]))  # type: ignore[misc]
for _setting in ({"level": "x"}, {"level": 10**30}, {"evil": 1}, [], "x"):
    level(f"setting-{_setting}", lambda told, s=_setting: shard(told)["codecs"][1].update(configuration=s))  # type: ignore[misc]
for _key, _value in (
    ("data_type", "object"), ("data_type", {"name": "numpy.datetime64", "configuration": {}}), ("data_type", "r99999999"),
    ("data_type", None), ("fill_value", [1]), ("fill_value", "x"), ("fill_value", {}), ("codecs", []), ("codecs", "x"),
    ("chunk_grid", {"name": "rectilinear"}), ("chunk_key_encoding", {"name": "evil"}), ("zarr_format", 2),
    ("storage_transformers", [{"name": "evil"}]), ("node_type", "evil"), ("dimension_names", 5), ("attributes", []),
):  # fmt: skip
    level(f"{_key}-{str(_value)[:12]}", lambda told, key=_key, value=_value: told.update({key: value}))  # type: ignore[misc]
level("gzip", lambda told: shard(told)["codecs"].__setitem__(1, {"name": "gzip", "configuration": {"level": 1}}))


def root(name: str, change: Callable[[dict[str, Any]], object]) -> None:
    node(f"root-{name}", "zarr.json", lambda told: change(told["attributes"]))


def image(told: dict[str, Any]) -> dict[str, Any]:
    return told["ome"]["multiscales"][0]  # type: ignore[no-any-return]


for _path in ("/etc", "../../outside", "..", "", "a/../../b", 5, None, "0\0", "0/../0"):
    root(f"path-{_path!r}", lambda told, path=_path: image(told)["datasets"][0].update(path=path))  # type: ignore[misc]
for _value in (None, [], {}, "x", 5):
    root(f"ome-{_value}", lambda told, value=_value: told.update(ome=value))  # type: ignore[misc]
    root(f"multiscales-{_value}", lambda told, value=_value: told["ome"].update(multiscales=value))  # type: ignore[misc]
    root(f"datasets-{_value}", lambda told, value=_value: image(told).update(datasets=value))  # type: ignore[misc]
    root(f"axes-{_value}", lambda told, value=_value: image(told).update(axes=value))  # type: ignore[misc]
    root(f"ours-{_value}", lambda told, value=_value: told.update(neuropress=value))  # type: ignore[misc]
    for _section in ("about", "records", "fields", "headers", "receipt"):
        root(f"{_section}-{_value}", lambda told, s=_section, value=_value: told["neuropress"].update({s: value}))  # type: ignore[misc]
root("no-arrays", lambda told: told["neuropress"]["receipt"].update(arrays={}))
root("no-derived", lambda told: told["neuropress"]["receipt"].update(derived={}))
root("block-1", lambda told: told["neuropress"]["receipt"]["arrays"]["/0"].update(block=[1, 1, 1]))
root("scale-0", lambda told: image(told)["datasets"][0]["coordinateTransformations"][0].update(scale=[0, 0, 0]))
root("levels-many", lambda told: image(told).update(datasets=[image(told)["datasets"][1]] * 5000))


@case("json-deep")
def _(path: Path, secret: Path) -> None:
    (path / "zarr.json").write_text('{"attributes": ' + "[" * 100_000 + "]" * 100_000 + "}")


@case("json-deep-level")
def _(path: Path, secret: Path) -> None:
    (path / "1/zarr.json").write_text('{"zarr_format": 3, "a": ' + '{"a":' * 9000 + "1" + "}" * 9001)


@case("folders-deep")
def _(path: Path, secret: Path) -> None:
    place = path
    for _level in range(200):
        place = place / "d"
    place.mkdir(parents=True)


@case("consolidated")
def _(path: Path, secret: Path) -> None:
    told = json.loads((path / "zarr.json").read_text())
    inner = json.loads((path / "0/zarr.json").read_text())
    shard(inner)["codecs"].append({"name": "numcodecs.pickle"})
    told["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": {"0": inner}}
    (path / "zarr.json").write_text(json.dumps(told))


@case("labels-link")
def _(path: Path, secret: Path) -> None:
    (path / "labels").mkdir()
    (path / "labels/zarr.json").write_text(
        '{"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"labels": ["a"]}}}'
    )
    (path / "labels/a").symlink_to(secret.parent)


@case("file-added")
def _(path: Path, secret: Path) -> None:
    (path / "0/notes.txt").write_text("x")


@case("array-added")
def _(path: Path, secret: Path) -> None:
    shutil.copytree(path / "0", path / "7")


def shard_bytes(name: str, change: Callable[[bytearray], object]) -> None:
    @case(f"shard-{name}")
    def _(path: Path, secret: Path) -> None:
        content = bytearray((path / "0/c/0/0/0").read_bytes())
        change(content)
        (path / "0/c/0/0/0").write_bytes(content)


shard_bytes("bomb", lambda c: c.__setitem__(slice(0, 14), b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 2**40) + b"\0"))
shard_bytes("bomb-unknown", lambda c: c.__setitem__(slice(0, 6), b"\x28\xb5\x2f\xfd\x00\x58"))
shard_bytes("empty", lambda c: c.clear())
shard_bytes("cut", lambda c: c.__delitem__(slice(10, None)))
shard_bytes("index", lambda c: c.__setitem__(slice(-20, -4), struct.pack("<QQ", 2**60, 2**60)))
shard_bytes("zeros", lambda c: c.__setitem__(slice(None), bytes(len(c))))


@case("shard-missing")
def _(path: Path, secret: Path) -> None:
    (path / "0/c/0/0/0").unlink()
