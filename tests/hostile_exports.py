"""Exports that are damaged or mean ill, each made of a good one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

POSES = "processing/behavior/LabPose"


def edit(change: Callable[[h5py.Group], None]) -> Callable[[Path], None]:
    """Change the group of poses, which is taken over."""

    def make(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file[POSES])

    return make


def add_external_storage(group: h5py.Group) -> None:
    group.create_dataset("more", (10,), "u1", external=[("/etc/passwd", 0, 10)])


def add_virtual(group: h5py.Group) -> None:
    layout = h5py.VirtualLayout((10,), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (10,))
    group.create_virtual_dataset("more", layout)


def add_huge(group: h5py.Group) -> None:
    group.create_dataset("more", (2**40,), "f8", chunks=(2**20,), compression="gzip")


def add_huge_chunk(group: h5py.Group) -> None:
    group.create_dataset("more", (2**28,), "f8", chunks=(2**28,))


def add_filter(group: h5py.Group) -> None:
    made = h5p.create(h5p.DATASET_CREATE)
    made.set_chunk((10,))
    made.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, ())
    h5d.create(group.id, b"more", h5t.STD_U8LE, h5s.create_simple((10,)), made)


def nest(group: h5py.Group) -> None:
    for _ in range(200):
        group = group.create_group("x")


def link_twice(group: h5py.Group) -> None:
    group["more"] = group


def link_in_a_circle(group: h5py.Group) -> None:
    group["a"] = h5py.SoftLink("b")
    group["b"] = h5py.SoftLink("a")


def refer_to_a_region(group: h5py.Group) -> None:
    group.attrs["more"] = group["nose/data"].regionref[0:2]


def refer_to_a_specification(group: h5py.Group) -> None:
    group.attrs["more"] = group.file["specifications/ndx-lab"].ref


def add_many_members(group: h5py.Group) -> None:
    for i in range(400):
        group.create_dataset(f"more{i}", (), "f8")


def spoil_specification(group: h5py.Group) -> None:
    group.file["specifications/ndx-lab/0.3.0/namespace"][()] = "{" * 300


def remove_base(group: h5py.Group) -> None:
    folder = group.file["specifications/ndx-lab/0.3.0"]
    name = next(name for name in folder if name != "namespace")
    folder[name][()] = '{"groups": [{"neurodata_type_def": "LabPose", "neurodata_type_inc": "LabPose"}]}'


def copy_specification(group: h5py.Group) -> None:
    folder = group.file["specifications/ndx-lab"]
    folder.copy("0.3.0", "0.4.0")


def remove_version(group: h5py.Group) -> None:
    del group.file.attrs["nwb_version"]


def set_type(value: object) -> Callable[[h5py.Group], None]:
    def change(group: h5py.Group) -> None:
        group.attrs["neurodata_type"] = value

    return change


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def spoil_chunk(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        data = file[f"{POSES}/nose/data"][()]
        del file[f"{POSES}/nose/data"]
        made = file[f"{POSES}/nose"].create_dataset("data", data=data, chunks=data.shape, compression="gzip")
        made.id.write_direct_chunk((0, 0), b"no deflate stream")


def spoil_text(group: h5py.Group) -> None:
    group.create_dataset("more", data=np.array([b"\xff\xfe"], "S2"))


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "external link": (edit(lambda g: g.__setitem__("more", h5py.ExternalLink("/etc/passwd", "/"))), "fragment.unsafe"),
    "external storage": (edit(add_external_storage), "fragment.unsafe"),
    "virtual": (edit(add_virtual), "fragment.unsafe"),
    "filter": (edit(add_filter), "fragment.unsafe"),
    "hard link": (edit(link_twice), "fragment.unsafe"),
    "huge": (edit(add_huge), "fragment.unreadable"),
    "huge chunk": (edit(add_huge_chunk), "fragment.unreadable"),
    "nested": (edit(nest), "fragment.unreadable"),
    "cut": (cut, "fragment.unreadable"),
    "text only": (lambda path: path.write_text("no HDF5"), "fragment.unreadable"),
    "spoilt chunk": (spoil_chunk, "fragment.unreadable"),
    "spoilt text": (edit(spoil_text), "fragment.unreadable"),
    "spoilt attribute": (edit(lambda g: g.attrs.__setitem__("more", np.bytes_(b"\xff"))), "fragment.unreadable"),
    "no NWB": (edit(remove_version), "fragment.unreadable"),
    "type is a number": (edit(set_type(3)), "fragment.unreadable"),
    "type that no extension has": (edit(set_type("Nothing")), "plan.invalid"),
    "type is a path": (edit(set_type("../x")), "plan.invalid"),
    "circle of links": (edit(link_in_a_circle), "fragment.reference"),
    "link to nothing": (edit(lambda g: g.__setitem__("more", h5py.SoftLink("/nothing"))), "fragment.reference"),
    "link to a specification": (edit(lambda g: g.__setitem__("more", h5py.SoftLink("/specifications"))), "fragment.reference"),
    "reference to a specification": (edit(refer_to_a_specification), "fragment.reference"),
    "region": (edit(refer_to_a_region), "fragment.unsupported"),
    "named type": (edit(lambda g: g.__setitem__("more", np.dtype("f8"))), "fragment.unsupported"),
    "opaque": (edit(lambda g: g.create_dataset("more", data=np.array([b"ab"], "V2"))), "fragment.unsupported"),
    "records of texts": (
        edit(lambda g: g.create_dataset("more", (3,), [("a", "f8"), ("b", h5py.string_dtype())])), "fragment.unsupported",
    ),
    "ragged": (edit(lambda g: g.create_dataset("more", (3,), h5py.vlen_dtype("f8"))), "fragment.unsupported"),
    "spoilt specification": (edit(spoil_specification), "fragment.schema"),
    "two versions": (edit(copy_specification), "fragment.schema"),
    "no specification": (edit(lambda g: g.file.__delitem__("specifications/ndx-lab")), "fragment.schema"),
    "no base": (edit(remove_base), "fragment.schema"),
    "many members": (edit(add_many_members), "fragment.unreadable"),
}  # fmt: skip
