"""NRRD as an image: the fastest axis of the file is the last of the array, and no value is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...model.content import Image
from ...model.finding import Problem, problem
from ...model.source import Source
from ..images.calibration import ImageMetadata
from ..images.pixels import apply_declared_axes
from ..microscopes.facts import set_sizes
from ..voxels.packed import make_damaged
from ..voxels.stretch import Stretch, build_image, check_sizes, open_voxels
from . import FORMAT
from .axes import apply_spacing, find_directions, is_oblique, name_axes
from .header import NrrdHeader, read_header

_CODECS = {"raw": "", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
_SAVE = "Save it as one file with raw or gzip voxels: unu save -f nrrd -e gzip -i IN -o OUT."
_TWO = "A picture needs two axes at least, a volume three; a list of numbers is no image."
_LINE = 2**16


def read(source: Source, options: Mapping[str, Any]) -> tuple[Image, ...]:
    """One image.

    Raises
    ------
    Problem
        ``voxels.damaged``, ``voxels.detached``, ``voxels.hostile``, ``voxels.truncated``, ``voxels.unsupported``,
        ``image.axes``.
    """
    with source.open() as file:
        header = read_header(file, source.key)
    stretch = _find_stretch(source, header)
    meta = ImageMetadata()
    directions = find_directions(header, len(stretch.sizes), meta.warnings)
    names = name_axes(header, directions)
    if not {"x", "y"} <= set(names):
        raise _make_unsupported(
            source.key, f"its {len(names)} axes hold no picture", "A volume needs two axes at least."
        )
    axes = apply_declared_axes(names[::-1], options, source.key)
    if not {"x", "y"} <= set(axes):
        raise problem(
            "image.axes", f"{source.key}: the option axes = {''.join(axes)!r} has no y and x", file=source.key
        )
    apply_spacing(meta, header, axes[::-1], directions, options.get("unit", ""))
    set_sizes(meta, axes, stretch.shape)
    _apply_space(meta, header, is_oblique(directions))
    voxels = open_voxels(source, stretch, axes)
    described = _describe_header(header, stretch)
    return (build_image(FORMAT.name, meta, described, voxels),)


def _find_stretch(source: Source, header: NrrdHeader) -> Stretch:
    """Where the voxels lie: behind the header, or in a file beside it."""
    encoding = header.require_field("encoding").lower()
    if encoding not in _CODECS:  # first: text needs no byte order
        raise _make_unsupported(source.key, f"its voxels are encoded as {encoding[:40]!r}", _SAVE)
    sizes, stored = header.parse_sizes(), header.parse_dtype()
    if stored is None:
        raise _make_unsupported(source.key, f"its voxels are of the type {header.fields['type'][:40]!r}", _SAVE)
    if len(sizes) < 2:
        raise _make_unsupported(source.key, "it has one axis", _TWO)
    check_sizes(source.key, sizes)
    codec = _CODECS[encoding]
    key, start = source.key, header.end
    if "datafile" in header.fields:
        key, start = _find_data_file(source, header.fields["datafile"]), 0
    start = _skip_lines(source, key, start, header.parse_whole_number("lineskip", 0))
    skip = header.parse_whole_number("byteskip", 0)
    stretch = Stretch(key, start, sizes, stored, codec)
    if skip == -1 and not codec:  # the voxels are the last bytes of the file, whatever stands before them
        return Stretch(key, max(start, source.size(key) - stretch.nbytes), sizes, stored)
    if skip < 0:
        raise _make_unsupported(key, f"it states byte skip: {skip} with {encoding} voxels", _SAVE)
    if codec:
        return Stretch(key, start, sizes, stored, codec, skip)
    return Stretch(key, start + skip, sizes, stored)


def _find_data_file(source: Source, written: str) -> str:
    """The key of a detached file of voxels, which only ever lies beside its header."""
    if written.startswith("LIST") or "%" in written:
        raise _make_unsupported(source.key, f"its voxels lie in several files ({written[:80]!r})", _SAVE)
    name = written.removeprefix("./")
    if not name or "/" in name or "\\" in name or name in (".", "..") or ":" in name:
        message = f"{source.key} names {written[:80]!r} as the file of its voxels, which is no name in its own folder"
        raise problem("voxels.detached", message, file=source.key, value=written[:80])
    key = source.sibling(name)
    if key is None or key == source.key:
        message = f"{source.key} names {written[:80]!r} as the file of its voxels, which does not lie beside it"
        raise problem("voxels.detached", message, file=source.key, value=written[:80])
    return key


def _skip_lines(source: Source, key: str, start: int, count: int) -> int:
    """The byte behind so many lines."""
    if not 0 <= count <= _LINE:
        raise make_damaged(source.key, f"it states line skip: {count}")
    if not count:
        return start
    with source.open(key) as file:
        file.seek(start)
        for _ in range(count):
            if not file.readline(_LINE).endswith(b"\n"):
                raise make_damaged(source.key, f"it states line skip: {count}, {key} has fewer lines")
        return file.tell()


def _apply_space(meta: ImageMetadata, header: NrrdHeader, oblique: bool) -> None:
    for fact, name in (("space", "space"), ("space_directions", "spacedirections"), ("space_origin", "spaceorigin")):
        if header.fields.get(name):
            meta.facts[fact] = header.fields[name]
    if oblique:
        meta.warnings.append(
            "its axes lie aslant in its space: spacing is the length of each step, and the directions are kept with "
            "the header alone"
        )


def _describe_header(header: NrrdHeader, stretch: Stretch) -> dict[str, Any]:
    """All that the header says, as it says it."""
    described: dict[str, Any] = {"fields": dict(header.fields), "index_order": "sizes name the fastest axis first"}
    if header.pairs:
        described["pairs"] = dict(header.pairs)
    if header.comments:
        described["comments"] = list(header.comments)
    if stretch.key != header.key:
        described["data_file"] = stretch.key
    return described


def _make_unsupported(key: str, what: str, hint: str) -> Problem:
    return problem("voxels.unsupported", f"{key}: {what}", hint=hint, file=key)
