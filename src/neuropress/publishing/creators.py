"""Who recorded what is published, in the form that DataCite has for creators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..model.people import ORCID_URL, Person, find_person, is_orcid
from ..model.profile import Profile
from ..model.record import Record

COLUMN = "experimenter"


def list_creators(
    sessions: Iterable[Record], profile: Profile, published: Sequence[Mapping[str, Any]] = ()
) -> list[Mapping[str, Any]]:
    """The experimenters of some sessions, and those whom the release before named, sorted by name.

    Somebody whom the list of people does not know has the name that the table has, and no identifier.
    """
    if COLUMN in profile.tables["session"].private:
        return list(published)
    creators = {str(creator.get("name")): creator for creator in published}
    creators |= {person.name: format_creator(person) for person in list_experimenters(sessions, profile)}
    return [creators[name] for name in sorted(creators)]


def list_experimenters(sessions: Iterable[Record], profile: Profile) -> list[Person]:
    """The experimenters of some sessions, each once, by name; none where the column never leaves the house."""
    if COLUMN in profile.tables["session"].private:
        return []
    typed = {str(session.values[COLUMN]) for session in sessions if session.values.get(COLUMN) is not None}
    people = {find_person(profile.people, text) or Person(text) for text in typed}
    return sorted(people, key=lambda person: person.name)


def format_creator(person: Person) -> dict[str, Any]:
    """One person as DataCite 4 writes a creator; an ORCID with a wrong check digit is left out."""
    creator: dict[str, Any] = {"name": person.name, "nameType": "Personal"}
    family, comma, given = person.name.partition(",")
    if comma:
        creator |= {"familyName": family.strip(), "givenName": given.strip()}
    if is_orcid(person.orcid):
        identifier = f"{ORCID_URL}{person.orcid}"
        scheme = {"nameIdentifierScheme": "ORCID", "schemeUri": ORCID_URL.rstrip("/")}
        creator["nameIdentifiers"] = [{"nameIdentifier": identifier, **scheme}]
    return creator
