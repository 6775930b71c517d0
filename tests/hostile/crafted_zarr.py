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


def add_case(name: str):  # type: ignore[no-untyped-def]
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


@add_case("pickle-beside")
def _(path: Path, secret: Path) -> None:
    plant_pickle(path / "0", secret)


@add_case("pickle-instead")
def _(path: Path, secret: Path) -> None:
    plant_pickle(path / "0", secret)
    (path / "0/zarr.json").unlink()


@add_case("pickle-above")
def _(path: Path, secret: Path) -> None:
    plant_pickle(path / "1", secret)
    (path / "1/zarr.json").unlink()
    (path / "1/.zattrs").write_text("{}")


def replace_by_link(path: Path, secret: Path, name: str) -> None:
    """Put a link to the outside where a file or folder of the result was."""
    outside = secret.parent / f"{secret.stem}-outside"
    shutil.move(path / name, outside)
    (path / name).symlink_to(outside)


for _name in ("0", "0/c", "0/c/0", "0/c/0/0/0", "0/zarr.json", "zarr.json", "1"):

    @add_case(f"link-{_name.replace('/', '-')}")
    def _(path: Path, secret: Path, name: str = _name) -> None:
        replace_by_link(path, secret, name)


@add_case("link-round")
def _(path: Path, secret: Path) -> None:
    (path / "0/again").symlink_to(path)


if hasattr(os, "mkfifo"):
    for _name in ("0/c/0/0/0", "0/zarr.json", "zarr.json"):

        @add_case(f"pipe-{_name.replace('/', '-')}")
        def _(path: Path, secret: Path, name: str = _name) -> None:
            (path / name).unlink()
            os.mkfifo(path / name)


def add_node_case(name: str, place: str, change: Callable[[dict[str, Any]], object]) -> None:
    """A case with another ``zarr.json``."""

    @add_case(name)
    def _(path: Path, secret: Path) -> None:
        document = json.loads((path / place).read_text())
        change(document)
        (path / place).write_text(json.dumps(document))


def add_level_case(name: str, change: Callable[[dict[str, Any]], object]) -> None:
    add_node_case(f"level-{name}", "0/zarr.json", change)


def get_sharding(document: dict[str, Any]) -> dict[str, Any]:
    return document["codecs"][0]["configuration"]  # type: ignore[no-any-return]


for _shape in ([2**40] * 3, [0, 0, 0], [-1, 5, 5], [9], [2**70] * 3, "x", [1.5] * 3, None, [9, 33, 2**20]):
    add_level_case(f"shape-{_shape}", lambda document, shape=_shape: document.update(shape=shape))  # type: ignore[misc]
for _chunk in ([0, 0, 0], [1, 1, 1], [7, 7, 7], [2**20] * 3, [1], [], "x", [-4, 64, 64]):
    add_level_case(f"chunk-{_chunk}", lambda document, chunk=_chunk: get_sharding(document).update(chunk_shape=chunk))  # type: ignore[misc]
    add_level_case(
        f"grid-{_chunk}",
        lambda document, chunk=_chunk: document["chunk_grid"]["configuration"].update(chunk_shape=chunk),
    )  # type: ignore[misc]
for _codec in ("pickle", "numcodecs.pickle", "numcodecs.zlib", "vlen-utf8", "os.system", 5, {}, ""):
    add_level_case(
        f"codec-{_codec}", lambda document, codec=_codec: get_sharding(document)["codecs"].insert(1, {"name": codec})
    )  # type: ignore[misc]
    add_level_case(
        f"outer-codec-{_codec}",
        lambda document, codec=_codec: document.update(codecs=[{"name": "bytes"}, {"name": codec}]),
    )  # type: ignore[misc]
for _setting in ({"level": "x"}, {"level": 10**30}, {"evil": 1}, [], "x"):
    add_level_case(
        f"setting-{_setting}", lambda document, s=_setting: get_sharding(document)["codecs"][1].update(configuration=s)
    )  # type: ignore[misc]
for _key, _value in (
    ("data_type", "object"), ("data_type", {"name": "numpy.datetime64", "configuration": {}}), ("data_type", "r99999999"),
    ("data_type", None), ("fill_value", [1]), ("fill_value", "x"), ("fill_value", {}), ("codecs", []), ("codecs", "x"),
    ("chunk_grid", {"name": "rectilinear"}), ("chunk_key_encoding", {"name": "evil"}), ("zarr_format", 2),
    ("storage_transformers", [{"name": "evil"}]), ("node_type", "evil"), ("dimension_names", 5), ("attributes", []),
):  # fmt: skip
    add_level_case(f"{_key}-{str(_value)[:12]}", lambda document, key=_key, value=_value: document.update({key: value}))  # type: ignore[misc]
add_level_case(
    "gzip",
    lambda document: get_sharding(document)["codecs"].__setitem__(1, {"name": "gzip", "configuration": {"level": 1}}),
)


def add_root_case(name: str, change: Callable[[dict[str, Any]], object]) -> None:
    add_node_case(f"root-{name}", "zarr.json", lambda document: change(document["attributes"]))


def get_image(document: dict[str, Any]) -> dict[str, Any]:
    return document["ome"]["multiscales"][0]  # type: ignore[no-any-return]


for _path in ("/etc", "../../outside", "..", "", "a/../../b", 5, None, "0\0", "0/../0"):
    add_root_case(f"path-{_path!r}", lambda document, path=_path: get_image(document)["datasets"][0].update(path=path))  # type: ignore[misc]
for _value in (None, [], {}, "x", 5):
    add_root_case(f"ome-{_value}", lambda document, value=_value: document.update(ome=value))  # type: ignore[misc]
    add_root_case(f"multiscales-{_value}", lambda document, value=_value: document["ome"].update(multiscales=value))  # type: ignore[misc]
    add_root_case(f"datasets-{_value}", lambda document, value=_value: get_image(document).update(datasets=value))  # type: ignore[misc]
    add_root_case(f"axes-{_value}", lambda document, value=_value: get_image(document).update(axes=value))  # type: ignore[misc]
    add_root_case(f"ours-{_value}", lambda document, value=_value: document.update(neuropress=value))  # type: ignore[misc]
    for _section in ("about", "records", "fields", "headers", "receipt"):
        add_root_case(
            f"{_section}-{_value}", lambda document, s=_section, value=_value: document["neuropress"].update({s: value})
        )  # type: ignore[misc]
add_root_case("no-arrays", lambda document: document["neuropress"]["receipt"].update(arrays={}))
add_root_case("no-derived", lambda document: document["neuropress"]["receipt"].update(derived={}))
add_root_case("block-1", lambda document: document["neuropress"]["receipt"]["arrays"]["/0"].update(block=[1, 1, 1]))
add_root_case(
    "scale-0",
    lambda document: get_image(document)["datasets"][0]["coordinateTransformations"][0].update(scale=[0, 0, 0]),
)
add_root_case(
    "levels-many", lambda document: get_image(document).update(datasets=[get_image(document)["datasets"][1]] * 5000)
)


@add_case("json-deep")
def _(path: Path, secret: Path) -> None:
    (path / "zarr.json").write_text('{"attributes": ' + "[" * 100_000 + "]" * 100_000 + "}")


@add_case("json-deep-level")
def _(path: Path, secret: Path) -> None:
    (path / "1/zarr.json").write_text('{"zarr_format": 3, "a": ' + '{"a":' * 9000 + "1" + "}" * 9001)


@add_case("folders-deep")
def _(path: Path, secret: Path) -> None:
    place = path
    for _level in range(200):
        place = place / "d"
    place.mkdir(parents=True)


@add_case("consolidated")
def _(path: Path, secret: Path) -> None:
    document = json.loads((path / "zarr.json").read_text())
    inner = json.loads((path / "0/zarr.json").read_text())
    get_sharding(inner)["codecs"].append({"name": "numcodecs.pickle"})
    document["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": {"0": inner}}
    (path / "zarr.json").write_text(json.dumps(document))


@add_case("labels-link")
def _(path: Path, secret: Path) -> None:
    (path / "labels").mkdir()
    (path / "labels/zarr.json").write_text(
        '{"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"labels": ["a"]}}}'
    )
    (path / "labels/a").symlink_to(secret.parent)


@add_case("file-added")
def _(path: Path, secret: Path) -> None:
    (path / "0/notes.txt").write_text("x")


@add_case("array-added")
def _(path: Path, secret: Path) -> None:
    shutil.copytree(path / "0", path / "7")


def add_shard_case(name: str, change: Callable[[bytearray], object]) -> None:
    @add_case(f"shard-{name}")
    def _(path: Path, secret: Path) -> None:
        content = bytearray((path / "0/c/0/0/0").read_bytes())
        change(content)
        (path / "0/c/0/0/0").write_bytes(content)


add_shard_case(
    "bomb", lambda c: c.__setitem__(slice(0, 14), b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 2**40) + b"\0")
)
add_shard_case("bomb-unknown", lambda c: c.__setitem__(slice(0, 6), b"\x28\xb5\x2f\xfd\x00\x58"))
add_shard_case("empty", lambda c: c.clear())
add_shard_case("cut", lambda c: c.__delitem__(slice(10, None)))
add_shard_case("index", lambda c: c.__setitem__(slice(-20, -4), struct.pack("<QQ", 2**60, 2**60)))
add_shard_case("zeros", lambda c: c.__setitem__(slice(None), bytes(len(c))))


@add_case("shard-missing")
def _(path: Path, secret: Path) -> None:
    (path / "0/c/0/0/0").unlink()
