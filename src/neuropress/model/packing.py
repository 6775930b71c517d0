"""How volumes are stored: version of OME-Zarr, chunks, shards, and how hard they are packed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

VERSIONS = ("0.5", "0.4")
"""Of OME-Zarr, the usual one first."""
ZSTD_LEVELS = range(1, 10)
CHUNK_EXTENTS = range(2, 1025, 2)
SHARD_CHUNKS = 16
"""Of one shard along each axis, at most, where a person states shards."""


@dataclass(frozen=True, slots=True)
class Packing:
    """What a dataset says of its volumes.

    Attributes
    ----------
    ome_zarr
        Version of OME-Zarr: 0.5 is Zarr 3 with shards, 0.4 is Zarr 2 with one file a chunk.
    zstd_level
        Level 3 makes stacks of images 3 % smaller at most, some larger, for up to ten times the time of packing.
    chunks, shards
        Voxels along z, y and x; empty where they follow from the volume. Shards that are as large as the chunks are
        none: each chunk is a file.
    """

    ome_zarr: str = VERSIONS[0]
    zstd_level: int = 1
    chunks: tuple[int, ...] = ()
    shards: tuple[int, ...] = ()

    @classmethod
    def parse(cls, stated: Mapping[str, Any]) -> Packing:
        """What settings state of it; other entries are passed over. Raises `ValueError`."""
        known = {one.name: stated[one.name] for one in fields(cls) if one.name in stated}
        known |= {name: tuple(known[name]) for name in ("chunks", "shards") if isinstance(known.get(name), list)}
        made = cls(**known)
        made.check()
        return made

    def list_stated(self) -> dict[str, Any]:
        """What is not as usual."""
        usual = Packing()
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        changed = {name: value for name, value in values.items() if value != getattr(usual, name)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in changed.items()}

    def check(self) -> None:
        """Refuse what no volume can be. Raises `ValueError`."""
        if self.ome_zarr not in VERSIONS:
            raise ValueError(f"ome_zarr: {str(self.ome_zarr)[:40]!r} is none of {', '.join(sorted(VERSIONS))}")
        level = self.zstd_level
        if not isinstance(level, int) or isinstance(level, bool) or level not in ZSTD_LEVELS:
            most = ZSTD_LEVELS.stop - 1
            raise ValueError(f"zstd_level: {str(level)[:40]!r} is no whole number from {ZSTD_LEVELS.start} to {most}")
        for name, extents in (("chunks", self.chunks), ("shards", self.shards)):
            whole = isinstance(extents, tuple) and all(type(n) is int for n in extents)
            if not whole or len(extents) not in (0, 3):
                raise ValueError(f"{name}: {str(extents)[:80]} are not three whole numbers, voxels along z, y and x")
        if any(n not in CHUNK_EXTENTS for n in self.chunks):
            least, most = CHUNK_EXTENTS[0], CHUNK_EXTENTS[-1]
            raise ValueError(f"chunks: {list(self.chunks)} are not even numbers from {least} to {most}")
        if self.shards and self.ome_zarr == "0.4":
            raise ValueError("shards: OME-Zarr 0.4 has none; leave them out, or write 0.5")
        if self.shards and not self.chunks:
            raise ValueError("shards: state chunks, too, which they are multiples of")
        ratios = [n / c for n, c in zip(self.shards, self.chunks, strict=False)]
        if any(ratio not in (1, 2, 4, 8, SHARD_CHUNKS) for ratio in ratios):
            message = f"{list(self.shards)} are not 1, 2, 4, 8 or {SHARD_CHUNKS} times the chunks {list(self.chunks)}"
            raise ValueError(f"shards: {message}")


PACKING = tuple(entry.name for entry in fields(Packing))
"""What ``[output]`` of ``neuropress.toml`` may say of volumes."""
