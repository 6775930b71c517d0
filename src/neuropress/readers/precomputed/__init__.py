"""Neuroglancer's precomputed volumes, images and segmentations, in files of one chunk or sharded."""

from __future__ import annotations

from ..format import Format, Option
from ..images import IMAGE_FACTS

SCALE = Option("scale", "Key of the scale to read, as `info` names it; the one of the finest resolution without.")

FORMAT = Format(
    name="precomputed",
    title="neuroglancer precomputed (CloudVolume, Igneous, tensorstore): images and segmentations at full resolution",
    module="neuropress.readers.precomputed.read",
    is_folder=True,
    # A file called info alone may be anybody's.
    members=("*/*-*_*-*_*-*", "*/*.shard"),
    is_container=True,
    options=(SCALE,),
    facts=tuple(fact for fact in IMAGE_FACTS if fact.name in ("x", "y", "z", "pixel_size")),
    findings=("precomputed.damaged", "precomputed.unsupported"),
)
