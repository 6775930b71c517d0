"""Where results lie in a dandiset: sessions as ``dandi organize`` names them, volumes in the layout of BIDS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from ...archive.dandiset import check_path
from ...archive.digests import check_size
from ...model.dandi_names import find_session_in_name, make_bids_label, make_volume_path
from ...model.finding import Finding, Problem, finding
from ...model.plan import SourceRow
from ...model.profile import Profile
from ...model.provenance import Provenance
from ...release import Asset
from ...results import KINDS, load_kind
from ...storage.remote import BucketPath, ResultPath

if TYPE_CHECKING:
    from ...results.nwb.external import ExternalSeries

NWB, VOLUME = "nwb", "ome-zarr"
KINDS_SENT = (NWB, VOLUME)
RAW = "raw"
"""Of videos, which sessions name."""
_ANIMALS = ("mouse", "subject")
_SUFFIXES: Mapping[str, str] = {"sem_dataset": "SEM", "micro_ct_dataset": "uCT"}
"""Table -> what the name says of how a volume was imaged. For images, the lab's modality says it."""
MODALITIES: Mapping[str, str] = {
    "brightfield": "BF",
    "confocal": "CONF",
    "light-sheet": "SPIM",
    "multiphoton": "MPE",
    "one-photon": "FLUO",
    "two-photon": "2PE",
    "widefield": "FLUO",
}
_UNITS = {"nanometer": "nm", "micrometer": "um", "millimeter": "mm"}

type Place = Mapping[str, Any]
"""Where the row of a result stands: table, line and key, for findings."""


@dataclass(frozen=True, slots=True)
class Animal:
    """The animal of a volume; texts are empty where nobody says."""

    id: str
    species: str = ""
    strain: str = ""
    sex: str = ""

    @property
    def label(self) -> str:
        """Its id as it stands in names of BIDS."""
        return make_bids_label(self.id)


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """What describes a volume beside it: animal, key of its row, pixel size in x, y and maybe z, institution."""

    animal: Animal
    key: str
    pixel_size: tuple[float, ...]
    unit: str
    institution: str = ""

    @property
    def sample(self) -> str:
        """Its key as it stands in names of BIDS."""
        return make_bids_label(self.key)


@dataclass(frozen=True, slots=True)
class PlacedResult:
    """A result and its path in the dandiset.

    Attributes
    ----------
    subject
        Id of the animal; empty for what is of none or of many.
    row
        Its row, for findings.
    volume
        Of volumes only.
    series
        Of a session: those whose frames lie in videos.
    renamed
        Of a session with videos: dataset of its file -> the paths that stand there in the copy that is sent.
    proven
        SHA-256 of the result, where `asset` is a copy of it.
    """

    path: str
    asset: Asset
    subject: str = ""
    row: Place = field(default_factory=dict)
    volume: VolumeFacts | None = None
    series: tuple[ExternalSeries, ...] = ()
    renamed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    proven: str = ""


@dataclass(slots=True)
class Tree:
    """Results that have a place, and what stands in the way of others."""

    placed: list[PlacedResult] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def place_results(assets: Iterable[tuple[Asset, Place]], profile: Profile) -> Tree:
    """Find the place of each result; two at one place, and what DANDI refuses, are findings.

    Parameters
    ----------
    assets
        Results whose bytes were proven, each with the place of its row.
    """
    tree = Tree()
    taken: dict[str, str] = {}
    for asset, row in assets:
        try:
            found = _place_session(asset, row, tree) if asset.kind == NWB else _place_volume(asset, row, tree, profile)
            if found:
                check_path(found.path)
            for file in asset.files or ():
                check_size(f"{asset.name}/{file.path}".rstrip("/"), file.size, is_member=asset.kind == VOLUME)
        except Problem as bad:
            tree.findings.append(bad.finding.at(**row))
            continue
        if found is None:
            continue
        owners = {name: (taken.setdefault(name.casefold(), owner), owner) for name, owner in _list_names(found)}
        same = {name: pair for name, pair in owners.items() if pair[0] != pair[1]}
        for name, (other, own) in same.items():
            message = f"{other} and {own} would both be {name}"
            tree.findings.append(finding("dandi.same_name", message, file=asset.name, value=name, **row))
        if not same:
            tree.placed.append(found)
    return tree


def _list_names(one: PlacedResult) -> Iterator[tuple[str, str]]:
    """Names that nothing else may have, and whose they are: of the file, of the animal's folder, of a sample."""
    yield one.path, one.asset.name
    yield one.path[: one.path.index("/", one.path.index("sub-"))], one.subject
    if one.volume:
        yield f"sample-{one.volume.sample}", one.volume.key


def locate(asset: Asset) -> ResultPath:
    """Where a result lies, as what looks at results wants it."""
    if isinstance(asset.content, Path):
        return asset.content
    source = asset.content
    return BucketPath(source.root, source.key, KINDS[asset.kind].last_files)  # type: ignore[union-attr,arg-type]


def _place_session(asset: Asset, row: Place, tree: Tree) -> PlacedResult | None:
    import h5py

    from ...results.nwb.external import list_external_series
    from ...results.nwb.naming import read_facts

    path = locate(asset)
    with h5py.File(path, "r") as file:
        facts, series = read_facts(file), tuple(list_external_series(file))
    missing = [name for name in ("species", "sex") if not getattr(facts, name)]
    missing += [] if facts.born else ["age or date of birth"]
    if facts.subject and missing:
        message = f"{asset.name}: subject {facts.subject} has no {', no '.join(missing)}"
        tree.findings.append(finding("dandi.subject", message, file=asset.name, **row))
    folder, name = asset.name.split("/")[-2:] if "/" in asset.name else ("", asset.name)
    is_named = find_session_in_name(name) and name.startswith(f"{folder}_")
    wanted = f"{folder}/{name}" if is_named else facts.path
    if not (facts.subject and facts.session and wanted):
        message = f"{asset.name} has no name at DANDI: subject {facts.subject!r}, session {facts.session!r}"
        tree.findings.append(finding("dandi.session", message, file=asset.name, **row))
        return None
    return PlacedResult(wanted, asset, facts.subject, row, series=series)


def _place_volume(asset: Asset, row: Place, tree: Tree, profile: Profile) -> PlacedResult | None:
    path = locate(asset)
    provenance = load_kind(VOLUME).read_provenance(path)
    rows = {(record.table, record.key): record for record in provenance.records}
    own = next((r for r in provenance.records if r.key == provenance.target.id), None)
    animal = _find_animal(own, rows, profile)
    problems = []
    if animal is None or not animal.species:
        lacks = f"the species of {animal.id}" if animal else "the animal"
        problems.append(finding("dandi.subject", f"{asset.name}: nobody states {lacks}", file=asset.name, **row))
    suffix, why = _find_suffix(own, profile)
    if not suffix:
        problems.append(finding("dandi.modality", f"{asset.name}: {why}", file=asset.name, **row))
    sizes, unit = _read_pixel_size(path)
    if not unit:
        message = f"{asset.name}: the size of its pixels in x and y is not known"
        problems.append(finding("dandi.pixel_size", message, file=asset.name, **row))
    tree.findings += problems
    if problems or animal is None:
        return None
    name = _name_sample(provenance)
    wanted = make_volume_path(animal.id, name, suffix)
    if wanted is None:
        message = f"{asset.name}: the ids {animal.id} and {name} make no name"
        tree.findings.append(finding("dandi.session", message, file=asset.name, **row))
        return None
    lab = profile.lab_of(provenance.target.id)
    volume = VolumeFacts(animal, name, sizes, unit, lab.institution if lab else "")
    return PlacedResult(wanted, asset, animal.id, row, volume)


def _name_sample(provenance: Provenance) -> str:
    """The row's id; of one of several images of its file, with what tells them apart in their files' names."""
    target = provenance.target
    stem = PurePosixPath(target.path).name.partition(".")[0]
    return stem if stem.startswith(f"{target.id}_") else target.id


def _find_animal(own: SourceRow | None, rows: Mapping[tuple[str, str], SourceRow], profile: Profile) -> Animal | None:
    """The animal that the volume's row names, or its session's, by the rows that travel in the volume."""
    session = rows.get(("session", _read_cell(own, "session_id"))) if own else None
    for table, row in ((table, row) for row in (own, session) if row for table in _ANIMALS):
        key = _read_cell(row, f"{table}_id")
        if record := rows.get((table, key)):
            species = _read_cell(record, "species") or profile.default("species", profile.lab_of(key)) or ""
            return Animal(key, species, _read_cell(record, "strain"), _read_cell(record, "sex"))
    return None


def _read_cell(row: SourceRow, column: str) -> str:
    """A cell's text, as a person corrected it."""
    fix = row.fixes.get(column)
    return fix.text if fix else row.cells.get(column, "")


def _find_suffix(own: SourceRow | None, profile: Profile) -> tuple[str, str]:
    """What the name says of how a volume was imaged; empty, and why, where nobody stated it."""
    if own is None:
        return "", "its row is not in it"
    if own.table in _SUFFIXES:
        return _SUFFIXES[own.table], ""
    name = f"modality_{_read_cell(own, 'image_type')}"
    stated = profile.default(name, profile.lab_of(own.key)) or ""
    return MODALITIES.get(stated, ""), f"{name} is {stated!r}" if stated else f"{name} is not stated"


def _read_pixel_size(path: ResultPath) -> tuple[tuple[float, ...], str]:
    """Size of a pixel in x, y and z, and its unit for BIDS, which is empty where it is not known; z may be missing."""
    from ...results.omezarr.nodes import read_attributes

    image = read_attributes(path)["ome"]["multiscales"][0]
    transforms = image["datasets"][0]["coordinateTransformations"]
    scale = next(entry["scale"] for entry in transforms if entry["type"] == "scale")
    known = {axis["name"]: (float(s), axis.get("unit")) for axis, s in zip(image["axes"], scale, strict=True)}
    sizes = [known[name] for name in ("x", "y", "z") if name in known]
    unit = sizes[0][1]
    if unit not in _UNITS or sizes[1][1] != unit:
        return (), ""
    return tuple(size for size, stated in sizes if stated == unit), _UNITS[unit]
