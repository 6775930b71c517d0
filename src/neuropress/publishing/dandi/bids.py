"""The files by which volumes are a dataset of BIDS: sidecars, animals, samples, and the whole."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ...model.dandi_names import MICROSCOPY
from ...model.people import Person
from ...model.profile import Profile
from ...release import Asset, FileDigest
from .tree import PlacedResult

VERSION = "1.10.0"
"""Of BIDS."""
PARTICIPANTS, SAMPLES = f"{MICROSCOPY}/participants.tsv", f"{MICROSCOPY}/samples.tsv"
_KEYS = {PARTICIPANTS: ("participant_id",), SAMPLES: ("sample_id", "participant_id")}
"""Tables that may have rows of other volumes, and what tells the rows apart."""
_UNKNOWN = "n/a"
_SOURCE = {"Description": "Key of the row in the tables of the dataset, from which the label was made."}
_SUFFIX = ".ome.zarr"


def list_bids_files(
    volumes: Sequence[PlacedResult], profile: Profile, people: Sequence[Person], there: Mapping[str, str]
) -> list[PlacedResult]:
    """The files that describe volumes, none where there are none.

    Parameters
    ----------
    people
        Authors.
    there
        Path -> text of the tables that the dandiset has already: rows of other volumes stay in them.
    """
    if not volumes:
        return []
    files = {
        f"{MICROSCOPY}/dataset_description.json": _format_json(_describe_dataset(profile, people)),
        f"{MICROSCOPY}/README.md": f"# {profile.title}\n\n{profile.description or 'Volumes, one a sample.'}\n",
        f"{MICROSCOPY}/participants.json": _format_json({"source_id": _SOURCE}),
        f"{MICROSCOPY}/samples.json": _format_json({"source_id": _SOURCE}),
        PARTICIPANTS: _merge_rows(PARTICIPANTS, there, [_list_animal_cells(v) for v in volumes]),
        SAMPLES: _merge_rows(SAMPLES, there, [_list_sample_cells(v) for v in volumes]),
    }
    for volume in volumes:
        files[f"{volume.path.removesuffix(_SUFFIX)}.json"] = _format_json(_describe_volume(volume))
    return [_make_file(path, text) for path, text in sorted(files.items())]


def describe_animal(placed: PlacedResult) -> dict[str, Any]:
    """What an archive says of a volume besides: whose it is. Empty for a file."""
    if placed.volume is None:
        return {}
    animal = placed.volume.animal
    found: dict[str, Any] = {"schemaKey": "Participant", "identifier": animal.id}
    for name, kind, text in (("species", "SpeciesType", animal.species), ("strain", "StrainType", animal.strain)):
        if text:
            found[name] = {"schemaKey": kind, "name": text}
    return {"wasAttributedTo": [found]}


def _describe_dataset(profile: Profile, people: Sequence[Person]) -> dict[str, Any]:
    found = {
        "Name": profile.title,
        "BIDSVersion": VERSION,
        "DatasetType": "raw",
        "License": profile.license,
        "Authors": [person.name for person in people],
        "Funding": [" ".join(filter(None, (one.name, one.award))) for one in profile.funding],
        "GeneratedBy": [{"Name": "neuropress"}],
    }
    return {name: value for name, value in found.items() if value}


def _describe_volume(placed: PlacedResult) -> dict[str, Any]:
    volume = placed.volume
    assert volume is not None
    found = {
        "PixelSize": list(volume.pixel_size),
        "PixelSizeUnits": volume.unit,
        "InstitutionName": volume.institution,
    }
    return {name: value for name, value in found.items() if value}


def _list_animal_cells(placed: PlacedResult) -> dict[str, str]:
    assert placed.volume is not None
    animal = placed.volume.animal
    cells = {"participant_id": f"sub-{animal.label}", "source_id": animal.id, "species": animal.species}
    return {**cells, "strain": animal.strain, "sex": animal.sex}


def _list_sample_cells(placed: PlacedResult) -> dict[str, str]:
    assert placed.volume is not None
    sample = {"sample_id": f"sample-{placed.volume.sample}", "participant_id": f"sub-{placed.volume.animal.label}"}
    return {**sample, "sample_type": "tissue", "source_id": placed.volume.key}


def _merge_rows(path: str, there: Mapping[str, str], rows: Sequence[Mapping[str, str]]) -> str:
    """A table with our rows, and those that it has of other volumes, and columns of others; every cell filled in."""
    before = csv.DictReader(io.StringIO(there.get(path, "")), delimiter="\t", quoting=csv.QUOTE_NONE)
    merged: dict[tuple[str, ...], Mapping[str, str]] = {}
    every: list[Mapping[str, str]] = [*before, *rows]
    for row in every:
        filled = {str(name): str(value or _UNKNOWN) for name, value in row.items() if name}
        key = tuple(filled.get(name, "") for name in _KEYS[path])
        known = {name: text for name, text in filled.items() if text != _UNKNOWN}
        merged[key] = {**filled, **merged.get(key, {}), **known}
    columns = list(dict.fromkeys([*rows[0], *(name for texts in merged.values() for name in texts)]))
    lines = ["\t".join(columns)]
    for _, texts in sorted(merged.items()):
        lines.append("\t".join(" ".join(texts.get(name, _UNKNOWN).split()) for name in columns))
    return "\n".join(lines) + "\n"


def _make_file(path: str, text: str) -> PlacedResult:
    data = text.encode("utf-8")
    digest = FileDigest("", len(data), hashlib.sha256(data).hexdigest())
    return PlacedResult(path, Asset("", "bids", data, {}, (digest,)))


def _format_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
