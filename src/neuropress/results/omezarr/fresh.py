"""A level that was just written, read back without zarr-python, whose import takes longer than a small volume.

`verify` and `validate` read with zarr-python (`stored`); this is for the run itself: further passes and the preview.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...model.finding import Problem, problem
from ...model.source import Root, Source
from ...readers.chunked.grid import ChunkGrid
from ...readers.images.pixels import OpenFiles
from ...readers.ome_zarr.chunks import ZarrChunks
from ...readers.ome_zarr.layout import ArrayLayout, Shard
from ...storage.remote import BucketPath, ResultPath
from ...storage.roots import Folder
from .layout import Level


class FreshLevel:
    """Blocks of a level whose shards are all there; each chunk is checked by its checksum where it has one.

    Parameters
    ----------
    place
        The folder of the volume, or where it lies in a bucket.
    dtype
        Of the voxels.
    """

    def __init__(self, place: ResultPath, level: Level, dtype: np.dtype[Any]) -> None:
        self.chunks, self.dtype = level.chunk, dtype.newbyteorder("=")
        root: Root = place.root if isinstance(place, BucketPath) else Folder(place)
        folder = f"{place.key}/{level.name}/" if isinstance(place, BucketPath) else f"{level.name}/"
        self._name, self._layout, self._sizes = level.name, _describe(level, dtype), dict[str, int]()
        self._source = Source(folder, root)
        self._files = OpenFiles(self._source, "result.unreadable")
        self._load = ZarrChunks(self._files, self._sizes, folder, self._layout).load
        self._grid = ChunkGrid(level.chunk, self.dtype, self._get_chunk)

    def __getitem__(self, selection: tuple[slice, ...]) -> np.ndarray:
        return self._grid.read(selection)

    def close(self) -> None:
        """Close the shards."""
        self._files.close()

    def _get_chunk(self, place: tuple[int, ...]) -> np.ndarray:
        """A chunk. Raises `Problem` (``result.unreadable``): it is not there any more, or damaged."""
        layout = self._layout
        steps = zip(place, layout.chunk, layout.file_shape, strict=True)
        key = self._source.key + layout.name_file([i * part // whole for i, part, whole in steps])
        try:
            if key not in self._sizes:
                self._sizes[key] = self._source.size(key)
            chunk = self._load(place)
        except Problem as bad:
            raise self._make_problem(bad.finding.message) from bad
        if chunk is None:
            raise self._make_problem(f"the index of {key} lacks the chunk {'.'.join(map(str, place))}")
        return chunk

    def _make_problem(self, reason: str) -> Problem:
        return problem("result.unreadable", f"what was written cannot be read: {reason}", array=f"/{self._name}")


def _describe(level: Level, dtype: np.dtype[Any]) -> ArrayLayout:
    """The level as its metadata say it (`metadata.make_array_text`)."""
    return ArrayLayout(
        shape=level.shape,
        stored=dtype.newbyteorder("<"),
        chunk=level.chunk,
        order=tuple(range(len(level.shape))),
        codecs=("blosc",) if level.version.zarr_format == 2 else ("blosc", "crc32c"),
        fill=0,
        separator="/",
        prefix=level.version.chunk_folder,
        shard=Shard(level.shard, ("crc32c",), is_index_last=True) if level.is_sharded else None,
    )
