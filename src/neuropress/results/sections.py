"""The provenance of results that are JSON: the member ``neuropress``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..model.finding import problem
from ..model.provenance import Provenance

if TYPE_CHECKING:
    from ..storage.remote import ResultPath

NAME = "neuropress"


def parse_provenance(content: Mapping[str, Any], path: ResultPath) -> Provenance:
    """What a result says about itself.

    Parameters
    ----------
    content
        The object that has it as a member.
    path
        The result, for messages.

    Raises
    ------
    Problem
        ``result.foreign``: there is none; ``result.unreadable``: it is none that this version reads.
    """
    if NAME not in content:
        raise problem("result.foreign", f"{path.name} was not written by neuropress", file=str(path))
    try:
        return Provenance.from_sections(content[NAME])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = str(error) if isinstance(error, ValueError) else repr(error)  # the text of a KeyError is a bare name
        message = f"{path.name} has a record of where it came from that cannot be read: {why[:500]}"
        raise problem("result.unreadable", message, file=str(path)) from error
