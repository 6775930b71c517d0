"""What is said of a dandiset and of files in it, as dandischema has it.

What stands there already was written by a person at the archive, and stays: a draft adds what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..model.credits import Related
from ..model.people import ORCID_URL, Person, is_orcid
from ..model.profile import Profile

SCHEMA = "0.8.0"
"""Version of dandischema that the pinned dandi has."""
LICENSES: Mapping[str, str] = {"CC-BY-4.0": "spdx:CC-BY-4.0", "CC0-1.0": "spdx:CC0-1.0"}
_ENCODINGS: Mapping[str, str] = {
    ".avi": "video/x-msvideo",
    ".json": "application/json",
    ".m4v": "video/x-m4v",
    ".md": "text/x-markdown",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".tsv": "text/tab-separated-values",
    ".webm": "video/webm",
}
_LISTS = ("contributor", "relatedResource", "keywords", "license")
_SAME = ("identifier", "name", "url")


def draft_metadata(profile: Profile, creators: Sequence[Person]) -> dict[str, Any]:
    """What the profile and the rows say of a dandiset.

    Parameters
    ----------
    creators
        Who recorded what is sent.
    """
    people = list(creators)
    contact = next((p for p in profile.people if p.name == profile.contact), None)
    if contact and contact not in people:
        people.append(contact)
    draft: dict[str, Any] = {
        "name": profile.title[:150],
        "description": profile.description[:10_000],
        "license": [LICENSES[profile.license]] if profile.license in LICENSES else [],
        "contributor": [_format_person(p, is_contact=p == contact, is_author=p in creators) for p in people],
        "relatedResource": [_format_resource(entry) for entry in profile.related],
    }
    draft["contributor"] += [_format_funder(entry.name, entry.award, entry.ror) for entry in profile.funding]
    return {name: value for name, value in draft.items() if value}


def merge_metadata(there: Mapping[str, Any], draft: Mapping[str, Any]) -> dict[str, Any]:
    """What stands at the archive with what the draft has in addition; equal to `there` where that is nothing."""
    merged = dict(there)
    for name, value in draft.items():
        if name not in _LISTS:
            merged[name] = there.get(name) or value
            continue
        before = list(there.get(name) or ())
        if name == "license" and before:
            continue
        merged[name] = before + [entry for entry in value if not any(_is_same(entry, one) for one in before)]
    return merged


def find_other_license(there: Mapping[str, Any], profile: Profile) -> str:
    """The licence under which the dandiset stands where that is not ours; else empty."""
    stated = [str(entry) for entry in there.get("license") or ()]
    return "" if not stated or LICENSES.get(profile.license) in stated else ", ".join(stated)


def make_asset_metadata(
    path: str, size: int, digests: Mapping[str, str], described: Mapping[str, Any]
) -> dict[str, Any]:
    """What is said of one file or volume.

    Parameters
    ----------
    described
        What dandi read out of it; empty for files that it does not read.
    """
    suffix = f".{path.rpartition('.')[2]}"
    encoding = "application/x-zarr" if path.endswith(".zarr") else _ENCODINGS.get(suffix, "application/octet-stream")
    access = {"schemaKey": "AccessRequirements", "status": "dandi:OpenAccess"}
    own = {"schemaVersion": SCHEMA, "encodingFormat": encoding, "access": [access]}
    fixed = {"schemaKey": "Asset", "path": path, "contentSize": size, "digest": dict(digests)}
    return {**own, **described, **fixed}


def _format_person(person: Person, *, is_contact: bool, is_author: bool) -> dict[str, Any]:
    roles = ["dcite:Author", "dcite:DataCollector"] if is_author else []
    entry: dict[str, Any] = {"schemaKey": "Person", "name": person.name, "includeInCitation": is_author}
    if is_orcid(person.orcid):
        entry["identifier"] = person.orcid
    if person.email:
        entry["email"] = person.email
    # A contact without an address is refused.
    entry["roleName"] = [*roles, *(["dcite:ContactPerson"] if is_contact and person.email else [])]
    return {name: value for name, value in entry.items() if value not in ("", [])}


def _format_funder(name: str, award: str, ror: str) -> dict[str, Any]:
    entry = {
        "schemaKey": "Organization",
        "name": name,
        "roleName": ["dcite:Funder"],
        "includeInCitation": False,
        "awardNumber": award,
        "identifier": ror,
    }
    return {key: value for key, value in entry.items() if value != ""}


def _format_resource(related: Related) -> dict[str, Any]:
    texts = {"relation": f"dcite:{related.relation}", "url": related.url, "identifier": related.identifier}
    texts |= {"name": related.name}
    return {"schemaKey": "Resource", **{name: text for name, text in texts.items() if text}}


def _is_same(ours: Any, theirs: Any) -> bool:
    """Whether two entries are of the same person, organisation or resource."""
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        return bool(ours == theirs)
    if ours.get("awardNumber") != theirs.get("awardNumber") and "awardNumber" in ours:
        return False
    pairs: Iterable[tuple[Any, Any]] = ((_shorten(ours.get(name)), _shorten(theirs.get(name))) for name in _SAME)
    return any(mine and mine == other for mine, other in pairs)


def _shorten(value: Any) -> str:
    return str(value or "").removeprefix(ORCID_URL).strip().casefold()
