"""What differs between the versions of NGFF that are written: the files of Zarr, and where metadata lie in them.

Plans state metadata as version 0.5 has them; `Version.arrange` makes of them what a version writes. Another version is
another entry of `VERSIONS`, with a function for what it calls axes and transformations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

type Ome = dict[str, Any]


def _arrange_05(ome: Mapping[str, Any]) -> Ome:
    return {"version": "0.5", **ome}


def _arrange_04(ome: Mapping[str, Any]) -> Ome:
    """The version stands in each image and beside its channels; a list of labels has none."""
    made = dict(ome)
    if "multiscales" in made:
        made["multiscales"] = [{"version": "0.4", **image} for image in made["multiscales"]]
    if "omero" in made:
        made["omero"] = {"version": "0.4", **made["omero"]}
    return made


@dataclass(frozen=True, slots=True)
class Version:
    """A version of NGFF.

    Attributes
    ----------
    name
        As its metadata state it (``0.5``).
    zarr_format
        Of Zarr: 2 or 3.
    array_file
        What describes an array.
    group_files
        What describes a group; the last one, which has the attributes, is written last.
    chunk_folder
        Of an array, that its chunks or shards lie in; empty where they lie beside `array_file`.
    arrange
        Makes of the metadata that a plan states those of this version.
    """

    name: str
    zarr_format: int
    array_file: str
    group_files: tuple[str, ...]
    chunk_folder: str
    arrange: Callable[[Mapping[str, Any]], Ome]

    def make_group(self, attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What the files of a group hold, in the order of `group_files`."""
        if self.zarr_format == 2:
            return [{"zarr_format": 2}, dict(attributes)]
        return [{"zarr_format": 3, "node_type": "group", "attributes": dict(attributes)}]

    @property
    def root_file(self) -> str:
        """The file of the root that is written last: with it the volume is there."""
        return self.group_files[-1]


VERSIONS: Mapping[str, Version] = {
    one.name: one
    for one in (
        Version("0.5", 3, "zarr.json", ("zarr.json",), "c", _arrange_05),
        Version("0.4", 2, ".zarray", (".zgroup", ".zattrs"), "", _arrange_04),
    )
}
ROOT_FILES = tuple(version.root_file for version in VERSIONS.values())
