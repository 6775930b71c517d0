"""Asset records as somebody would craft them who wants a program to do what it should not."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuropress.model.columns_reader import decode

CASES: dict[str, Callable[[Path, Path], None]] = {}
"""Name -> what makes a good result a bad one, given its path and that of a file that is none of its business."""

BEGIN = '{\n "asset": {'
"""How every record begins: what does not begin so is no record at all."""


def add_case(name: str):  # type: ignore[no-untyped-def]
    def add(make: Callable[[Path, Path], None]) -> None:
        CASES[name] = make

    return add


def add_record_case(name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """A case with another record, in the form in which neuropress writes it."""

    @add_case(name)
    def _(path: Path, secret: Path) -> None:
        record = json.loads(path.read_text("utf-8"))
        change(record)
        path.write_text(json.dumps(record, sort_keys=True, indent=1), "utf-8")


def add_receipt_case(name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """A case with another receipt, its columns written out."""

    def change_receipt(record: dict[str, Any]) -> None:
        receipt = decode(record["neuropress"]["receipt"])
        change(receipt)
        record["neuropress"]["receipt"] = receipt

    add_record_case(f"receipt-{name}", change_receipt)


def add_text_case(name: str, text: str | bytes) -> None:
    """A case whose bytes are these, after the beginning by which a record is known."""

    @add_case(name)
    def _(path: Path, secret: Path) -> None:
        path.write_bytes(BEGIN.encode() + (text.encode() if isinstance(text, str) else text))


add_text_case("json-cut", '"id": "')
add_text_case("json-deep-lists", '"id": ' + "[" * 100_000 + "]" * 100_000 + "}}")
add_text_case("json-deep-objects", '"id": ' + '{"a":' * 9000 + "1" + "}" * 9002)
add_text_case("json-after", "}}{}")
add_text_case("number-of-many-digits", '"id": ' + "9" * 100_000 + "}}")
add_text_case("no-utf-8", b'"id": "\xff\xfe"}}')
add_text_case("surrogate", '"id": "\\ud800"}, "neuropress": {}}')
add_text_case("nul", b"\0" * 100_000)
add_text_case("empty", "}}")

for _value in (10**400, -(10**400), 1e308, float("inf"), float("nan"), True, None, [1] * 100_000, {"a": {"b": 1}}, "x"):
    add_record_case(f"fact-{str(_value)[:20]}", lambda r, v=_value: r["asset"]["facts"].update(sections=v))  # type: ignore[misc]
for _value in (None, [], {}, 5, "../../x", "x" * 10_000_000, "IS_MOD_0002"):
    add_record_case(f"id-{str(_value)[:20]}", lambda r, v=_value: r["asset"].update(id=v))  # type: ignore[misc]
    add_record_case(f"facts-{str(_value)[:20]}", lambda r, v=_value: r["asset"].update(facts=v))  # type: ignore[misc]
    add_record_case(f"files-{str(_value)[:20]}", lambda r, v=_value: r["asset"].update(files=v))  # type: ignore[misc]
    add_record_case(f"ours-{str(_value)[:20]}", lambda r, v=_value: r.update(neuropress=v))  # type: ignore[misc]
    for _section in ("about", "records", "fields", "headers", "receipt"):
        add_record_case(
            f"{_section}-{str(_value)[:20]}", lambda r, s=_section, v=_value: r["neuropress"].update({s: v})
        )  # type: ignore[misc]
for _kind in ("nwb", "ome-zarr", "raw", "", "../x", 5, None, ["asset"]):
    add_record_case(f"kind-{_kind}", lambda r, v=_kind: r["neuropress"]["about"]["target"].update(kind=v))  # type: ignore[misc]
for _path in ("../../x.json", "/etc/passwd", "", 5):
    add_record_case(f"target-{_path!r}", lambda r, v=_path: r["neuropress"]["about"]["target"].update(path=v))  # type: ignore[misc]
add_record_case("asset-many", lambda r: r["asset"].update({f"a{i}": i for i in range(300_000)}))
add_record_case("member-added", lambda r: r.update(zzz={"a": 1}))
add_record_case("value-changed", lambda r: r["asset"].update(description="another cell"))
add_record_case("file-size-huge", lambda r: r["asset"]["files"][0].update(size=10**400))

for _source in ("../../foreign-secret.h5", "/etc/passwd", "", "x\0y", "C:\\x", "~root/x"):
    add_receipt_case(f"source-{_source!r}", lambda r, v=_source: r.update(sources={v: {}}))  # type: ignore[misc]
    add_receipt_case(f"input-{_source!r}", lambda r, v=_source: r.update(inputs={v: {"size": 1, "sha256": "x"}}))  # type: ignore[misc]
for _options in ({"module": "os"}, {"a": {"b": 1}}, [], "x", {"format": "../x"}, {"x": 10**400}):
    add_receipt_case(f"options-{_options}", lambda r, v=_options: r.update(sources=dict.fromkeys(r["sources"], v)))  # type: ignore[misc]
for _size in (10**400, -1, "x", None, [], 1.5):
    add_receipt_case(f"size-{str(_size)[:20]}", lambda r, v=_size: next(iter(r["inputs"].values())).update(size=v))  # type: ignore[misc]
for _arrays in (
    {"/0": {"spec": {}, "block": [1], "sha256": "x"}}, [], "x", {"~groups": [{"~rows": 10**12, "~names": {
        "~text": ["/", [1, {"~range": [0, 1]}]]}, "~each": "ab"}]},
):  # fmt: skip
    add_receipt_case(f"arrays-{str(_arrays)[:20]}", lambda r, v=_arrays: r.update(arrays=v))  # type: ignore[misc]
add_receipt_case("no-inputs", lambda r: r.update(inputs={}))
add_receipt_case("no-sources", lambda r: r.update(sources={}))
add_receipt_case("no-derived", lambda r: r.update(derived={}))
add_receipt_case("other-digest", lambda r: r["derived"].update({"/asset": "0" * 64}))
add_receipt_case("derived-more", lambda r: r["derived"].update({"/zzz": "0" * 64}))


@add_case("link")
def _(path: Path, secret: Path) -> None:
    """The record itself, elsewhere."""
    outside = secret.with_name(f"{secret.stem}-record.json")
    path.rename(outside)
    path.symlink_to(outside)


@add_case("link-nowhere")
def _(path: Path, secret: Path) -> None:
    path.unlink()
    path.symlink_to(secret.with_name("nothing"))


@add_case("link-itself")
def _(path: Path, secret: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@add_case("folder")
def _(path: Path, secret: Path) -> None:
    path.unlink()
    path.mkdir()


@add_case("hdf5")
def _(path: Path, secret: Path) -> None:
    """A file of another kind under this name."""
    path.write_bytes(secret.read_bytes())


if hasattr(os, "mkfifo"):

    @add_case("pipe")
    def _(path: Path, secret: Path) -> None:
        path.unlink()
        os.mkfifo(path)


for _seed in range(10):

    @add_case(f"bytes-{_seed}")
    def _(path: Path, secret: Path, seed: int = _seed) -> None:
        choose, content = random.Random(seed), bytearray(path.read_bytes())
        for _byte in range(20):
            content[choose.randrange(len(BEGIN), len(content))] = choose.randrange(256)
        path.write_bytes(content)
