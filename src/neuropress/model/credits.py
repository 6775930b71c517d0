"""Who paid for a dataset, and what it is related to: what an archive shows beside the people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .finding import Finding, finding
from .people import Person
from .serial import from_json

RELATIONS = (
    "IsCitedBy", "Cites", "IsSupplementTo", "IsSupplementedBy", "IsContinuedBy", "Continues", "Describes",
    "IsDescribedBy", "HasMetadata", "IsMetadataFor", "HasVersion", "IsVersionOf", "IsNewVersionOf",
    "IsPreviousVersionOf", "IsPartOf", "HasPart", "IsReferencedBy", "References", "IsDocumentedBy", "Documents",
    "IsCompiledBy", "Compiles", "IsVariantFormOf", "IsOriginalFormOf", "IsIdenticalTo", "IsReviewedBy", "Reviews",
    "IsDerivedFrom", "IsSourceOf", "IsRequiredBy", "Requires", "Obsoletes", "IsObsoletedBy", "IsPublishedIn",
)  # fmt: skip
"""What the dataset may be to a resource, by DataCite: the dataset ``IsDescribedBy`` its paper."""
_ROR = re.compile(r"https://ror\.org/[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Funding:
    """One entry ``[[funding]]``: who paid, the number of the award, and the organisation's ROR as a link."""

    name: str
    award: str = ""
    ror: str = ""


@dataclass(frozen=True, slots=True)
class Related:
    """One entry ``[[related]]``: what the dataset is (`relation`) to a paper, protocol, code or other data.

    Attributes
    ----------
    relation
        One of `RELATIONS`.
    url, identifier
        Of the resource, one of them at least: a link, or ``doi:10.1000/1``.
    """

    relation: str
    url: str = ""
    identifier: str = ""
    name: str = ""


def check_credits(funding: Iterable[Funding], related: Iterable[Related], file: str) -> Iterator[Finding]:
    """What is wrong with these entries, or would be refused by an archive; `file` is where they stand."""
    for one in funding:
        if one.ror and not _ROR.fullmatch(one.ror):
            message = f"[[funding]] {one.name}: {one.ror!r} is no link as https://ror.org/01cwqze88"
            yield finding("dataset.credits", message, value=one.ror, file=file)
        if not one.name.strip():
            yield finding("dataset.credits", "[[funding]] has an entry without a name", file=file)
    for other in related:
        if other.relation not in RELATIONS:
            message = f"[[related]] relation {other.relation!r} is none of {', '.join(RELATIONS)}"
            yield finding("dataset.credits", message, value=other.relation, file=file)
        if not (other.url or other.identifier):
            message = f"[[related]] {other.name or other.relation} has neither url nor identifier"
            yield finding("dataset.credits", message, file=file)
        if other.url and not other.url.startswith(("https://", "http://")):
            message = f"[[related]] url {other.url!r} does not begin with https://"
            yield finding("dataset.credits", message, value=other.url, file=file)


def parse_credits(data: Mapping[str, Any]) -> dict[str, Any]:
    """The entries ``[[people]]``, ``[[funding]]`` and ``[[related]]`` of settings that have any. Raises `TypeError`."""
    found: dict[str, Any] = {}
    for name, kind in (("people", Person), ("funding", Funding), ("related", Related)):
        try:
            entries = tuple(from_json(kind, entry) for entry in data.get(name, []))
        except TypeError as error:
            raise TypeError(f"[[{name}]]: {error}") from error
        if entries:
            found[name] = entries
    return found
