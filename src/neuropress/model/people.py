"""Who somebody is: how a name that is typed in tables is written in standards, and the ORCID."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from .finding import Finding, finding
from .serial import SPARSE

_ORCID = re.compile(r"[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]")
ORCID_URL = "https://orcid.org/"


@dataclass(frozen=True, slots=True)
class Person:
    """One entry ``[[people]]`` of a profile or of ``neuropress.toml``.

    Attributes
    ----------
    name
        As NWB, DANDI and DataCite want it: ``Family, Given``; a single word for somebody with one name.
    typed
        How the tables name the person, in every spelling that occurs.
    orcid
        ``0000-0002-1825-0097``; empty where it is not known.
    email
        By which a reader of the data may ask; an archive shows it to anybody. Stated for the contact of a dataset.
    """

    name: str
    typed: tuple[str, ...] = ()
    orcid: str = ""
    email: str = field(default="", metadata=SPARSE)


def normalize_name(text: str) -> str:
    """A name as it is compared: composed characters, single blanks."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def find_person(people: Iterable[Person], typed: str) -> Person | None:
    """The person whom a typed name means; None for a name that the list does not know.

    The standard form is known as well as the spellings that the entry lists.
    """
    wanted = normalize_name(typed)
    for person in people:
        if wanted in {normalize_name(text) for text in (person.name, *person.typed)}:
            return person
    return None


def is_orcid(text: str) -> bool:
    """Whether it has the form of an ORCID and its last character is the check digit (ISO 7064 MOD 11-2)."""
    if not _ORCID.fullmatch(text):
        return False
    digits = text.replace("-", "")
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    rest = (12 - total % 11) % 11
    return digits[-1] == ("X" if rest == 10 else str(rest))


def merge_people(own: Iterable[Person], below: Iterable[Person]) -> tuple[Person, ...]:
    """Two lists as one: `own` first, and in place of those of the same name."""
    first = tuple(own)
    names = {person.name for person in first}
    return (*first, *(person for person in below if person.name not in names))


def check_people(people: Sequence[Person], file: str) -> Iterator[Finding]:
    """What is wrong with a list: ORCIDs that are none, spellings that mean two people, names in the wrong order.

    Parameters
    ----------
    file
        Where the list stands, for messages.
    """
    known: dict[str, str] = {}
    orcids: dict[str, str] = {}
    for person in people:
        if person.orcid and not is_orcid(person.orcid):
            message = f"the ORCID of {person.name} is {person.orcid!r}, whose check digit or form is wrong"
            yield finding("people.orcid", message, value=person.orcid, file=file)
        elif person.orcid and orcids.setdefault(person.orcid, person.name) != person.name:
            message = f"{orcids[person.orcid]} and {person.name} have the same ORCID {person.orcid}"
            yield finding("people.orcid", message, value=person.orcid, file=file)
        family, comma, given = person.name.partition(",")
        is_formal = family.strip() and given.strip() if comma else len(person.name.split()) == 1
        if not is_formal:
            message = f"the name {person.name!r} is not written as 'Family, Given', nor a single word"
            yield finding("people.name", message, value=person.name, file=file)
        for text in (person.name, *person.typed):
            if known.setdefault(normalize_name(text), person.name) != person.name:
                message = f"{text!r} stands for {known[normalize_name(text)]} and for {person.name}"
                yield finding("people.name", message, value=text, file=file)
