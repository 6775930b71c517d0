"""Which part of a dataset a release brings anew; everything else is inherited from the release before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..model.profile import Profile
from ..model.record import Record
from ..planning.targets import Wanted
from ..release.manifest import AssetEntry
from .parts import FOLDER, KIND, NOBODY, find_lab_initials


@dataclass(frozen=True, slots=True)
class Scope:
    """What was selected: nothing given selects everything.

    Attributes
    ----------
    labs, sessions
        Initials, and keys of sessions.
    kinds
        Of data: ``raw``, ``nwb``, ``ome-zarr``. The metadata of the selected rows is always among it.
    """

    labs: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.labs or self.sessions or self.kinds)

    def includes_lab(self, lab: str) -> bool:
        """Whether rows of a lab may be selected."""
        return not self.labs or lab in self.labs

    def includes_kind(self, kind: str) -> bool:
        """Whether data of this kind is selected."""
        return not self.kinds or kind in self.kinds

    def includes_row(self, record: Record, profile: Profile) -> bool:
        """Whether a row is selected: by its lab, and by the session that it is or belongs to."""
        return self.includes_lab(find_lab_initials(record.key, profile)) and (
            not self.sessions or get_session_key(record) in self.sessions
        )

    def includes_target(self, wanted: Wanted, profile: Profile) -> bool:
        """Whether a result is selected."""
        return self.includes_row(wanted.record, profile)

    def includes_entry(self, name: str, entry: AssetEntry) -> bool:
        """Whether an asset of the parent release is among what is selected, so that its absence is a loss."""
        if entry.kind == KIND:
            lab = name.removeprefix(f"{FOLDER}/")
            return self.includes_lab(lab) and not (self.labs and lab == NOBODY)
        owners: Mapping[str, Any] = entry.provenance
        return (
            self.includes_kind(entry.kind)
            and (not self.labs or bool(set(self.labs) & set(owners.get("labs", ()))))
            and (not self.sessions or bool(set(self.sessions) & set(owners.get("sessions", ()))))
        )

    def to_json(self) -> dict[str, list[str]]:
        """What was selected, for the release's notes."""
        chosen = {"lab": self.labs, "session": self.sessions, "only": self.kinds}
        return {name: list(values) for name, values in chosen.items() if values}


def get_session_key(record: Record) -> str:
    """Key of the session that a row is or belongs to; empty for a row of none."""
    if record.table == "session":
        return record.key
    session = record.related("session")
    return session.key if session else ""


def make_provenance(records: list[Record], profile: Profile) -> dict[str, list[str]]:
    """Whose an asset is: labs and sessions of the rows that name it or that it was made from."""
    labs = sorted({find_lab_initials(record.key, profile) for record in records})
    sessions = sorted({get_session_key(record) for record in records} - {""})
    return {"labs": labs, "sessions": sessions} if sessions else {"labs": labs}
