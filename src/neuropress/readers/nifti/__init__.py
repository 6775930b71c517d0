"""NIfTI-1 and NIfTI-2: one file, plain or gzipped, or a header with its voxels beside it."""

from __future__ import annotations

import zlib

from ..format import Claim, Fact, Format
from ..voxels import FACTS, FINDINGS, OPTIONS

GZIP_HEAD = b"\x1f\x8b"
SIZE_1, SIZE_2 = 348, 540
"""Bytes of a header, which it begins with."""
MAGIC_1 = {b"n+1\0": False, b"ni1\0": True}
MAGIC_2 = {b"n+2\0\r\n\x1a\n": False, b"ni2\0\r\n\x1a\n": True}
"""Magic -> whether the voxels lie in a file of their own."""


def find_version(head: bytes) -> int:
    """1 or 2 for the header of a NIfTI; 0 for anything else."""
    sizes = {int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")}
    if SIZE_1 in sizes and head[344:348] in MAGIC_1:
        return 1
    return 2 if SIZE_2 in sizes and head[4:12] in MAGIC_2 else 0


def unpack_head(head: bytes) -> bytes:
    """The first bytes, of a gzip stream those in it, as far as they can be unpacked."""
    if not head.startswith(GZIP_HEAD):
        return head
    try:
        return zlib.decompressobj(31).decompress(head, SIZE_2)
    except zlib.error:
        return b""


def probe(head: bytes, name: str) -> Claim | None:
    """By the magic, also in a gzip; the name alone still gets a damaged file its own finding."""
    if version := find_version(unpack_head(head)):
        packed = ", gzipped" if head.startswith(GZIP_HEAD) else ""
        return Claim("nifti", f"has the magic of NIfTI-{version}{packed}")
    if name.lower().endswith((".nii", ".nii.gz")):
        return Claim("nifti", "its name ends in .nii or .nii.gz", strength=1)
    return None


FORMAT = Format(
    name="nifti",
    title="NIfTI-1 and NIfTI-2: volumes, series of volumes, annotation volumes",
    module="neuropress.readers.nifti.read",
    suffixes=(".nii", ".nii.gz", ".hdr"),
    probe=probe,
    options=OPTIONS,
    facts=(
        *FACTS,
        Fact("scl_slope", "by what the values are to be multiplied; it is not applied"),
        Fact("scl_inter", "what is to be added then; it is not applied"),
        Fact("sform", "rows of the affine from voxels, fastest axis first, to the space of sform_code"),
        Fact("qform", "quaternion b c d and offset x y z of the space of qform_code"),
    ),
    findings=(*FINDINGS, "voxels.detached"),
)
