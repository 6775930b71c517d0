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


def case(name: str):  # type: ignore[no-untyped-def]
    def add(make: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        CASES[name] = make
        return make

    return add


def edit(name: str):  # type: ignore[no-untyped-def]
    """A case that changes the open file."""

    def add(make: Callable[[h5py.File, Path], None]) -> None:
        def change(path: Path, secret: Path) -> None:
            with h5py.File(path, "r+") as file:
                make(file, secret)

        CASES[name] = change

    return add


@edit("external-link")
def _(file: h5py.File, secret: Path) -> None:
    file["/acquisition/other"] = h5py.ExternalLink(str(secret), "/data")


@edit("external-link-provenance")
def _(file: h5py.File, secret: Path) -> None:
    del file[f"{OURS}/about_json"]
    file[f"{OURS}/about_json"] = h5py.ExternalLink(str(secret), "/data")


@edit("external-link-on-the-way")
def _(file: h5py.File, secret: Path) -> None:
    del file["/general"]
    file["/general"] = h5py.ExternalLink(str(secret), "/data")


@edit("external-link-specification")
def _(file: h5py.File, secret: Path) -> None:
    file["/specifications/more"] = h5py.ExternalLink(str(secret), "/data")


@case("user-defined-link")
def _(path: Path, secret: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["/acquisition/zzlinkzz"] = h5py.ExternalLink(str(secret), "/data")
    content = bytearray(path.read_bytes())
    at = content.index(b"zzlinkzz")
    kind = next(i for i in range(at - 1, at - 12, -1) if content[i] == 64)
    content[kind] = 77
    path.write_bytes(content)


@edit("external-storage")
def _(file: h5py.File, secret: Path) -> None:
    group = file["/acquisition"].create_group("other")
    group.create_dataset("data", (64,), "u1", external=[(str(secret), 0, 64)])


@edit("external-storage-provenance")
def _(file: h5py.File, secret: Path) -> None:
    del file[f"{OURS}/fields_json"]
    file[OURS].create_dataset("fields_json", (), "S64", external=[(str(secret), 0, 64)])


def virtual(target: str, maxshape: tuple[int | None, ...]) -> Callable[[h5py.File, Path], None]:
    def make(file: h5py.File, secret: Path) -> None:
        layout = h5py.VirtualLayout((64,), "u1", maxshape=maxshape)
        source = h5py.VirtualSource(target or str(secret), "/data", (64,), "u1", maxshape=maxshape)
        layout[: h5py.h5s.UNLIMITED if maxshape == (None,) else 64] = source[
            : h5py.h5s.UNLIMITED if maxshape == (None,) else 64
        ]
        file["/acquisition"].create_group("other").create_virtual_dataset("data", layout)

    return make


edit("virtual")(virtual("", (64,)))
edit("virtual-unlimited")(virtual("", (None,)))
edit("virtual-itself")(virtual(".", (64,)))


@edit("filter-plugin")
def _(file: h5py.File, secret: Path) -> None:
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((64,))
    made.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (1,))
    group = file["/acquisition"].create_group("other")
    space = h5py.h5s.create_simple((64,))
    dataset = h5py.h5d.create(group.id, b"data", h5py.h5t.STD_U8LE, space, made)
    dataset.write_direct_chunk((0,), b"x" * 30)


def bomb(name: str, shape: tuple[int, ...], dtype: object, **storage: object) -> None:
    @edit(name)
    def _(file: h5py.File, secret: Path) -> None:
        group = file["/acquisition"].create_group("other")
        group.attrs["neurodata_type"] = "TimeSeries"
        group.create_dataset("data", shape, dtype, **storage)


bomb("zeros-terabyte", (2**40,), "u1", chunks=(2**20,), compression="gzip")
bomb("zeros-contiguous", (2**37,), "u1")
bomb("chunk-gigabytes", (2**31,), "u1", chunks=(2**31,), compression="gzip")
bomb("texts-many", (5_000_000,), TEXTS, chunks=(5_000_000,), compression="gzip")
bomb("texts-fixed", (), "S1000000000")
bomb("rank-32", (1,) * 32, "u1")
bomb("compound", (3,), np.dtype([("a", "<i4"), ("b", "S9")]))


@edit("texts-all-one")
def _(file: h5py.File, secret: Path) -> None:
    count = 200_000
    dataset = file["/acquisition"].create_dataset("other", (count,), TEXTS, chunks=(count,))
    dataset[0] = "x" * 2_000_000
    file.flush()
    _, chunk = dataset.id.read_direct_chunk((0,))
    dataset.id.write_direct_chunk((0,), chunk[:16] * count)


@edit("groups-deep")
def _(file: h5py.File, secret: Path) -> None:
    group = file["/acquisition"]
    for _level in range(10_000):
        group = group.create_group("g")


@edit("hard-link-circle")
def _(file: h5py.File, secret: Path) -> None:
    file["/acquisition/round"] = file["/acquisition"]


@edit("hard-link-root")
def _(file: h5py.File, secret: Path) -> None:
    file["/acquisition/round"] = file["/"]


@edit("hard-link-diamonds")
def _(file: h5py.File, secret: Path) -> None:
    group = file["/acquisition"]
    for _level in range(40):
        below = group.create_group("a")
        group["b"] = below
        group = below


@edit("soft-link-circle")
def _(file: h5py.File, secret: Path) -> None:
    file["/acquisition/round"] = h5py.SoftLink("/acquisition")


@edit("soft-link-nowhere")
def _(file: h5py.File, secret: Path) -> None:
    file["/acquisition/nowhere"] = h5py.SoftLink("/not/there")


@edit("attributes-many")
def _(file: h5py.File, secret: Path) -> None:
    group = file.create_group("/acquisition/other", track_order=True)
    for i in range(20_000):
        group.attrs[f"a{i}"] = i


@edit("attribute-reference")
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

        @edit(f"{_section}-text-{_number}")
        def _(file: h5py.File, secret: Path, section: str = _section, text: bytes = _text) -> None:
            del file[f"{OURS}/{section}_json"]
            file[OURS].create_dataset(f"{section}_json", data=text, dtype=TEXTS)


@edit("provenance-of-numbers")
def _(file: h5py.File, secret: Path) -> None:
    del file[f"{OURS}/receipt_json"]
    file[f"{OURS}/receipt_json"] = np.arange(5)


@edit("provenance-group")
def _(file: h5py.File, secret: Path) -> None:
    del file[f"{OURS}/receipt_json"]
    file.create_group(f"{OURS}/receipt_json")


@edit("provenance-huge-text")
def _(file: h5py.File, secret: Path) -> None:
    del file[f"{OURS}/receipt_json"]
    file.create_dataset(f"{OURS}/receipt_json", (), "S2000000000")


def receipt(name: str, change: Callable[[dict], object]) -> None:  # type: ignore[type-arg]
    """A case with another receipt."""

    @edit(f"receipt-{name}")
    def _(file: h5py.File, secret: Path) -> None:
        place = file[f"{OURS}/receipt_json"]
        told = decode(json.loads(place[()]))
        change(told)
        place[()] = json.dumps(told)


def first(told: dict) -> dict:  # type: ignore[type-arg]
    return next(iter(told["arrays"].values()))  # type: ignore[no-any-return]


for _block in ([1], [0], [-1], [1, 1, 1], [], ["1"], [10**30], [1.5], None, {"a": 1}, [True]):
    receipt(f"block-{_block}", lambda told, block=_block: first(told).update(block=block))  # type: ignore[misc]
for _source in ("../../secret", "/etc/passwd", "", "a/../../b", "x\0y", "C:\\x", 5, None):
    receipt(f"source-{_source!r}", lambda told, source=_source: first(told)["spec"].update(source=source))  # type: ignore[misc]
for _dtype in ("O", "V999999999", "(1000000,)f8", "i4,i4", "M8[s]", "", "x" * 10_000, 5, "U9"):
    receipt(f"dtype-{str(_dtype)[:20]}", lambda told, dtype=_dtype: first(told)["spec"].update(dtype=dtype))  # type: ignore[misc]
for _shape in ([], [-5], [2**62, 2**62], [1] * 100, "x", [None]):
    receipt(f"shape-{str(_shape)[:30]}", lambda told, shape=_shape: first(told)["spec"].update(shape=shape))  # type: ignore[misc]
for _format in ("os", "../x", "abf;", 5, "slices", "tiff"):
    receipt(f"format-{_format}", lambda told, format=_format: first(told)["spec"].update(format=format))  # type: ignore[misc]
for _order in ([], [5], [0, 0], ["0"], [-1]):
    receipt(f"order-{_order}", lambda told, order=_order: first(told)["spec"]["index"].update(order=order))  # type: ignore[misc]
for _select in ([], [[0, 10**12]], [[5, 1]], [[0]], [-1], [{"a": 1}], [None], [[0, 1, 2]]):
    receipt(f"select-{_select}", lambda told, select=_select: first(told)["spec"]["index"].update(select=select))  # type: ignore[misc]
receipt("no-arrays", lambda told: told.update(arrays={}))
receipt("one-array-less", lambda told: told["arrays"].pop(next(iter(told["arrays"]))))
receipt("other-digest", lambda told: first(told).update(sha256="0" * 64))
receipt("digest-of-no-text", lambda told: first(told).update(sha256=[]))
receipt("no-derived", lambda told: told.update(derived={}))
receipt("derived-list", lambda told: told.update(derived=[]))
receipt("derived-less", lambda told: told["derived"].pop("/general/subject"))
receipt("inputs-list", lambda told: told.update(inputs=[1]))
receipt("inputs-outside", lambda told: told["inputs"].update({"../../x": {"size": 1, "sha256": "x"}}))
receipt("input-size-text", lambda told: next(iter(told["inputs"].values())).update(size="x"))
for _name, _bomb in {
    "rows": {"~rows": 10**12, "~names": {"~text": ["/", [1, {"~range": [0, 1]}]]}, "~each": "ab"},
    "text": {"~rows": 10**6, "~names": {"~text": ["/" * 10**5, [1, {"~range": [0, 1]}]]}, "~each": "ab"},
    "range": {"~rows": 3, "~names": {"~text": ["/", [1, {"~ranges": [[0, 1, 10**12]]}]]}, "~each": "ab"},
    "column": {"~rows": 3, "~names": {"~column": "1"}, "~each": "ab"},
}.items():
    for _part in ("arrays", "inputs", "derived"):
        receipt(f"bomb-{_name}-{_part}", lambda told, part=_part, bomb=_bomb: told.update({part: {"~groups": [bomb]}}))  # type: ignore[misc]
receipt("revisions-list", lambda told: told.update(revisions=[]))


@case("truncated")
def _(path: Path, secret: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


for _seed in range(20):

    @case(f"bytes-{_seed}")
    def _(path: Path, secret: Path, seed: int = _seed) -> None:
        choose, content = random.Random(seed), bytearray(path.read_bytes())
        for _byte in range(40):
            content[choose.randrange(512, len(content))] = choose.randrange(256)
        path.write_bytes(content)
