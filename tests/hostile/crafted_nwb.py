"""NWB results as somebody would craft them who wants a program to do what it should not."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from neuropress.model.columns_reader import decode

CASES: dict[str, Callable[[Path, Path], None]] = {}
"""Name -> what makes a good result a bad one, given its path and that of a file that is none of its business."""

TEXTS = h5py.string_dtype()
SECTIONS = ("about", "records", "fields", "headers", "receipt")
OURS = "/general/neuropress"


def add_case(name: str):  # type: ignore[no-untyped-def]
    def add(make: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        CASES[name] = make
        return make

    return add


def add_edit_case(name: str):  # type: ignore[no-untyped-def]
    """A case that changes the open file."""

    def add(make: Callable[[h5py.File, Path], None]) -> None:
        def change(path: Path, secret: Path) -> None:
            with h5py.File(path, "r+") as file:
                make(file, secret)

        CASES[name] = change

    return add


@add_edit_case("external-link")
def _(file: h5py.File, secret: Path) -> None:
    file["/acquisition/other"] = h5py.ExternalLink(str(secret), "/data")


@add_edit_case("external-link-provenance")
def _(file: h5py.File, secret: Path) -> None:
    del file[f"{OURS}/about_json"]
    file[f"{OURS}/about_json"] = h5py.ExternalLink(str(secret), "/data")


@add_edit_case("external-link-on-the-way")
def _(file: h5py.File, secret: Path) -> None:
    del file["/general"]
    file["/general"] = h5py.ExternalLink(str(secret), "/data")


@add_edit_case("external-link-specification")
def _(file: h5py.File, secret: Path) -> None:
    file["/specifications/more"] = h5py.ExternalLink(str(secret), "/data")


@add_case("user-defined-link")
def _(path: Path, secret: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["/acquisition/zzlinkzz"] = h5py.ExternalLink(str(secret), "/data")
    content = bytearray(path.read_bytes())
    at = content.index(b"zzlinkzz")
    kind = next(i for i in range(at - 1, at - 12, -1) if content[i] == 64)
    content[kind] = 77
    path.write_bytes(content)


@add_edit_case("external-storage")
def _(file: h5py.File, secret: Path) -> None:
    group = file["/acquisition"].create_group("other")
    group.create_dataset("data", (64,), "u1", external=[(str(secret), 0, 64)])


@add_edit_case("external-storage-provenance")
def _(file: h5py.File, secret: Path) -> None:
    del file[f"{OURS}/fields_json"]
    file[OURS].create_dataset("fields_json", (), "S64", external=[(str(secret), 0, 64)])


def make_virtual_dataset(target: str, maxshape: tuple[int | None, ...]) -> Callable[[h5py.File, Path], None]:
    def make(file: h5py.File, secret: Path) -> None:
        layout = h5py.VirtualLayout((64,), "u1", maxshape=maxshape)
        source = h5py.VirtualSource(target or str(secret), "/data", (64,), "u1", maxshape=maxshape)
        layout[: h5py.h5s.UNLIMITED if maxshape == (None,) else 64] = source[
            : h5py.h5s.UNLIMITED if maxshape == (None,) else 64
        ]
        file["/acquisition"].create_group("other").create_virtual_dataset("data", layout)

    return make


add_edit_case("virtual")(make_virtual_dataset("", (64,)))
add_edit_case("virtual-unlimited")(make_virtual_dataset("", (None,)))
add_edit_case("virtual-itself")(make_virtual_dataset(".", (64,)))


@add_edit_case("filter-plugin")
def _(file: h5py.File, secret: Path) -> None:
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((64,))
    made.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (1,))
    group = file["/acquisition"].create_group("other")
    space = h5py.h5s.create_simple((64,))
    dataset = h5py.h5d.create(group.id, b"data", h5py.h5t.STD_U8LE, space, made)
    dataset.write_direct_chunk((0,), b"x" * 30)


def add_bomb_case(name: str, shape: tuple[int, ...], dtype: object, **storage: object) -> None:
    @add_edit_case(name)
    def _(file: h5py.File, secret: Path) -> None:
        group = file["/acquisition"].create_group("other")
        group.attrs["neurodata_type"] = "TimeSeries"
        group.create_dataset("data", shape, dtype, **storage)


add_bomb_case("zeros-terabyte", (2**40,), "u1", chunks=(2**20,), compression="gzip")
add_bomb_case("zeros-contiguous", (2**37,), "u1")
add_bomb_case("chunk-gigabytes", (2**31,), "u1", chunks=(2**31,), compression="gzip")
add_bomb_case("texts-many", (5_000_000,), TEXTS, chunks=(5_000_000,), compression="gzip")
add_bomb_case("texts-fixed", (), "S1000000000")
add_bomb_case("rank-32", (1,) * 32, "u1")
add_bomb_case("compound", (3,), np.dtype([("a", "<i4"), ("b", "S9")]))


@add_edit_case("texts-all-one")
def _(file: h5py.File, secret: Path) -> None:
    count = 200_000
    dataset = file["/acquisition"].create_dataset("other", (count,), TEXTS, chunks=(count,))
    dataset[0] = "x" * 2_000_000
    file.flush()
    _, chunk = dataset.id.read_direct_chunk((0,))
    dataset.id.write_direct_chunk((0,), chunk[:16] * count)


@add_edit_case("groups-deep")
def _(file: h5py.File, secret: Path) -> None:
    group = file["/acquisition"]
    for _level in range(10_000):
        group = group.create_group("g")


@add_edit_case("hard-link-circle")
def _(file: h5py.File, secret: Path) -> None:
    file["/acquisition/round"] = file["/acquisition"]


@add_edit_case("hard-link-root")
def _(file: h5py.File, secret: Path) -> None:
    file["/acquisition/round"] = file["/"]


@add_edit_case("hard-link-diamonds")
def _(file: h5py.File, secret: Path) -> None:
    group = file["/acquisition"]
    for _level in range(40):
        below = group.create_group("a")
        group["b"] = below
        group = below


@add_edit_case("soft-link-circle")
def _(file: h5py.File, secret: Path) -> None:
    file["/acquisition/round"] = h5py.SoftLink("/acquisition")


@add_edit_case("soft-link-nowhere")
def _(file: h5py.File, secret: Path) -> None:
    file["/acquisition/nowhere"] = h5py.SoftLink("/not/there")


@add_edit_case("attributes-many")
def _(file: h5py.File, secret: Path) -> None:
    group = file.create_group("/acquisition/other", track_order=True)
    for i in range(20_000):
        group.attrs[f"a{i}"] = i


@add_edit_case("attribute-reference")
def _(file: h5py.File, secret: Path) -> None:
    file["/acquisition"].attrs["x"] = h5py.Reference()
    file["/acquisition"].attrs["y"] = h5py.Empty("f4")


SHAPES = (
    b"",
    b"[",
    b"null",
    b"[]",
    b"{}",
    b"[" * 100_000,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b"9" * 5000,
    b"\xff\xfe",
    b'"x"',
    b"[[[1]]]",
)
for _section in SECTIONS:
    for _number, _text in enumerate(SHAPES):

        @add_edit_case(f"{_section}-text-{_number}")
        def _(file: h5py.File, secret: Path, section: str = _section, text: bytes = _text) -> None:
            del file[f"{OURS}/{section}_json"]
            file[OURS].create_dataset(f"{section}_json", data=text, dtype=TEXTS)


@add_edit_case("provenance-of-numbers")
def _(file: h5py.File, secret: Path) -> None:
    del file[f"{OURS}/receipt_json"]
    file[f"{OURS}/receipt_json"] = np.arange(5)


@add_edit_case("provenance-group")
def _(file: h5py.File, secret: Path) -> None:
    del file[f"{OURS}/receipt_json"]
    file.create_group(f"{OURS}/receipt_json")


@add_edit_case("provenance-huge-text")
def _(file: h5py.File, secret: Path) -> None:
    del file[f"{OURS}/receipt_json"]
    file.create_dataset(f"{OURS}/receipt_json", (), "S2000000000")


def add_receipt_case(name: str, change: Callable[[dict], object]) -> None:  # type: ignore[type-arg]
    """A case with another receipt."""

    @add_edit_case(f"receipt-{name}")
    def _(file: h5py.File, secret: Path) -> None:
        place = file[f"{OURS}/receipt_json"]
        document = decode(json.loads(place[()]))
        change(document)
        place[()] = json.dumps(document)


def get_first_array(document: dict) -> dict:  # type: ignore[type-arg]
    return next(iter(document["arrays"].values()))  # type: ignore[no-any-return]


for _block in ([1], [0], [-1], [1, 1, 1], [], ["1"], [10**30], [1.5], None, {"a": 1}, [True]):
    add_receipt_case(f"block-{_block}", lambda document, block=_block: get_first_array(document).update(block=block))  # type: ignore[misc]
for _source in ("../../secret", "/etc/passwd", "", "a/../../b", "x\0y", "C:\\x", 5, None):
    add_receipt_case(
        f"source-{_source!r}", lambda document, source=_source: get_first_array(document)["spec"].update(source=source)
    )  # type: ignore[misc]
for _dtype in ("O", "V999999999", "(1000000,)f8", "i4,i4", "M8[s]", "", "x" * 10_000, 5, "U9"):
    add_receipt_case(
        f"dtype-{str(_dtype)[:20]}",
        lambda document, dtype=_dtype: get_first_array(document)["spec"].update(dtype=dtype),
    )  # type: ignore[misc]
for _shape in ([], [-5], [2**62, 2**62], [1] * 100, "x", [None]):
    add_receipt_case(
        f"shape-{str(_shape)[:30]}",
        lambda document, shape=_shape: get_first_array(document)["spec"].update(shape=shape),
    )  # type: ignore[misc]
for _format in ("os", "../x", "abf;", 5, "slices", "tiff"):
    add_receipt_case(
        f"format-{_format}", lambda document, format=_format: get_first_array(document)["spec"].update(format=format)
    )  # type: ignore[misc]
for _order in ([], [5], [0, 0], ["0"], [-1]):
    add_receipt_case(
        f"order-{_order}", lambda document, order=_order: get_first_array(document)["spec"]["index"].update(order=order)
    )  # type: ignore[misc]
for _select in ([], [[0, 10**12]], [[5, 1]], [[0]], [-1], [{"a": 1}], [None], [[0, 1, 2]]):
    add_receipt_case(
        f"select-{_select}",
        lambda document, select=_select: get_first_array(document)["spec"]["index"].update(select=select),
    )  # type: ignore[misc]
add_receipt_case("no-arrays", lambda document: document.update(arrays={}))
add_receipt_case("one-array-less", lambda document: document["arrays"].pop(next(iter(document["arrays"]))))
add_receipt_case("other-digest", lambda document: get_first_array(document).update(sha256="0" * 64))
add_receipt_case("digest-of-no-text", lambda document: get_first_array(document).update(sha256=[]))
add_receipt_case("no-derived", lambda document: document.update(derived={}))
add_receipt_case("derived-list", lambda document: document.update(derived=[]))
add_receipt_case("derived-less", lambda document: document["derived"].pop("/general/subject"))
add_receipt_case("inputs-list", lambda document: document.update(inputs=[1]))
add_receipt_case("inputs-outside", lambda document: document["inputs"].update({"../../x": {"size": 1, "sha256": "x"}}))
add_receipt_case("input-size-text", lambda document: next(iter(document["inputs"].values())).update(size="x"))
for _name, _bomb in {
    "rows": {"~rows": 10**12, "~names": {"~text": ["/", [1, {"~range": [0, 1]}]]}, "~each": "ab"},
    "text": {"~rows": 10**6, "~names": {"~text": ["/" * 10**5, [1, {"~range": [0, 1]}]]}, "~each": "ab"},
    "range": {"~rows": 3, "~names": {"~text": ["/", [1, {"~ranges": [[0, 1, 10**12]]}]]}, "~each": "ab"},
    "column": {"~rows": 3, "~names": {"~column": "1"}, "~each": "ab"},
}.items():
    for _part in ("arrays", "inputs", "derived"):
        add_receipt_case(
            f"bomb-{_name}-{_part}",
            lambda document, part=_part, bomb=_bomb: document.update({part: {"~groups": [bomb]}}),
        )  # type: ignore[misc]
add_receipt_case("revisions-list", lambda document: document.update(revisions=[]))


@add_case("truncated")
def _(path: Path, secret: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


for _seed in range(20):

    @add_case(f"bytes-{_seed}")
    def _(path: Path, secret: Path, seed: int = _seed) -> None:
        choose, content = random.Random(seed), bytearray(path.read_bytes())
        for _byte in range(40):
            content[choose.randrange(512, len(content))] = choose.randrange(256)
        path.write_bytes(content)
