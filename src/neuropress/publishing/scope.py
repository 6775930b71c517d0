"""Which part of a dataset a release brings anew; everything else is inherited from the release before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..model.profile import Profile
from ..model.record import Record
from ..planning.targets import Wanted
from ..release.manifest import AssetEntry
from .parts import FOLDER, KIND, NOBODY, lab_of


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

    def takes_lab(self, lab: str) -> bool:
        """Whether rows of a lab may be selected."""
        return not self.labs or lab in self.labs

    def takes_kind(self, kind: str) -> bool:
        """Whether data of this kind is selected."""
        return not self.kinds or kind in self.kinds

    def takes_row(self, record: Record, profile: Profile) -> bool:
        """Whether a row is selected: by its lab, and by the session that it is or belongs to."""
        return self.takes_lab(lab_of(record.key, profile)) and (
            not self.sessions or session_of(record) in self.sessions
        )

    def takes_target(self, wanted: Wanted, profile: Profile) -> bool:
        """Whether a result is selected."""
        return self.takes_row(wanted.record, profile)

    def takes_entry(self, name: str, entry: AssetEntry) -> bool:
        """Whether an asset of the parent release is among what is selected, so that its absence is a loss."""
        if entry.kind == KIND:
            lab = name.removeprefix(f"{FOLDER}/")
            return self.takes_lab(lab) and not (self.labs and lab == NOBODY)
        owners: Mapping[str, Any] = entry.provenance
        return (
            self.takes_kind(entry.kind)
            and (not self.labs or bool(set(self.labs) & set(owners.get("labs", ()))))
            and (not self.sessions or bool(set(self.sessions) & set(owners.get("sessions", ()))))
        )

    def to_json(self) -> dict[str, list[str]]:
        """What was selected, for the release's notes."""
        chosen = {"lab": self.labs, "session": self.sessions, "only": self.kinds}
        return {name: list(values) for name, values in chosen.items() if values}


def session_of(record: Record) -> str:
    """Key of the session that a row is or belongs to; empty for a row of none."""
    if record.table == "session":
        return record.key
    session = record.related("session")
    return session.key if session else ""


def provenance_of(records: list[Record], profile: Profile) -> dict[str, list[str]]:
    """Whose an asset is: labs and sessions of the rows that name it or that it was made from."""
    labs = sorted({lab_of(record.key, profile) for record in records})
    sessions = sorted({key for record in records if (key := session_of(record))})
    return {"labs": labs, **({"sessions": sessions} if sessions else {})}
