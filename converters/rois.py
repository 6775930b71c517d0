"""Regions of interest: ``file_path_roi`` of movies, to a PlaneSegmentation and its traces in the module "ophys"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from neuropress.mapping.rules import Slots
from neuropress.model.content import Content
from neuropress.model.plan import Node
from neuropress.model.record import Record

from . import Built, Job, _segmentation, imaging

NAME = "rois"
REVISION = 2
TABLES = ("image",)
COLUMN: Mapping[str, str] = {"image": "file_path_roi"}
TARGET = "session"
SLOTS: Slots = {"segmentation": frozenset({"description"})}
BINDINGS: Mapping[str, str] = {}
NO_CLOCK = "regions and their traces have the times of the row's movie"
SUFFIXES = (".roi", ".zip", ".npy", ".tif", ".tiff", ".png", ".hdf5", ".h5", "/")
"""Names that files of regions have: ImageJ's, masks and labels, CaImAn's, and folders of suite2p."""
PURPOSES = ("masks", "regions")
WANTS = "a table of regions with their pixels"


def takes(record: Record) -> bool:
    """Rows of movies whose file of regions is called like one of a program that is read."""
    if not imaging.takes(record) or "file_path_roi" not in record.cells:
        return False
    return record.cells["file_path_roi"].text.lower().endswith(SUFFIXES)


def bindings(record: Record) -> Mapping[str, Record | None]:
    """None: the row's own parents suffice."""
    return {}


def select(record: Record, contents: Sequence[Content]) -> Sequence[Content]:
    """Tables with pixels, and traces."""
    return _segmentation.list_regions(contents)


def build(jobs: Sequence[Job]) -> Built:
    """A PlaneSegmentation for each row and plane, with the imaging plane and the series of the row's movie.

    Raises
    ------
    Problem
        ``imagej_roi.outside``, ``regions.outside``: a region reaches beyond the movie; ``regions.frames``.
    """
    nodes: list[Node] = list(_segmentation.make_module_nodes(NAME))
    nodes.append(Node(_segmentation.HOLDER, "ImageSegmentation"))
    for job in jobs:
        if movie := _segmentation.find_movie(job):
            nodes += _segmentation.build_regions(job, movie, NAME, job.record.key)
    return Built(tuple(nodes))
