"""What was found to agree and not to agree, subject by subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..model.receipt import ArrayReceipt
from . import Verdict

if TYPE_CHECKING:
    from ..results import ArrayMeaning, StoredArray


@dataclass(frozen=True, slots=True)
class ResultArray:
    """An array of the result that its receipt leads back to the raw object: what it holds, and what it means."""

    path: str
    receipt: ArrayReceipt
    stored: StoredArray
    meaning: ArrayMeaning


@dataclass(slots=True)
class Tally:
    """Differences by subject; a subject that the library is known to be wrong about is no difference of ours.

    Attributes
    ----------
    mistakes
        Subject -> why the library is known to be wrong about it in this file.
    left_out
        What was not compared, and why.
    """

    mistakes: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    agreed: dict[str, None] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)
    different: dict[str, str] = field(default_factory=dict)

    def check(self, subject: str, agrees: bool, difference: str) -> bool:
        """Note one comparison; the first difference of a subject is kept."""
        name = subject.split()[0]
        if agrees:
            self.agreed[name] = None
        elif subject in self.mistakes:
            self.known[subject] = self.mistakes[subject]
        else:
            self.different.setdefault(subject, difference)
        return agrees

    @property
    def verdict(self) -> Verdict:
        """Worst first; who agreed in nothing did not read it."""
        if self.different:
            return "differs"
        if self.known:
            return "library wrong"
        return "agrees" if self.agreed else "cannot read"

    def list_agreed(self) -> tuple[str, ...]:
        """Subjects in which there is agreement in all of the raw object."""
        failed = {subject.split()[0] for subject in (*self.known, *self.different)}
        return tuple(sorted(self.agreed.keys() - failed))

    def list_reasons(self) -> tuple[str, ...]:
        """A sentence for each subject without agreement, or not compared; one that stands for several stands once."""
        return tuple(dict.fromkeys((*self.different.values(), *self.known.values(), *self.left_out)))
