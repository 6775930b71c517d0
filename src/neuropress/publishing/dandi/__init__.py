"""Proven results become files of a dandiset, from the working copy or from a release.

=================  ==================================================================
module             what it holds
=================  ==================================================================
:mod:`.sources`    what is sent: results that passed the gate, or assets of a release
:mod:`.tree`       where each lies in the dandiset, and what DANDI would refuse of it
:mod:`.videos`     videos of sessions, and the copies that name them where these lie
:mod:`.bids`       the files that describe volumes as a dataset of BIDS
:mod:`.opinion`    what the program ``dandi`` says of them
:mod:`.sending`    what is there already, and what is sent
:mod:`.recording`  the records of what lies where
:mod:`.upload`     `publish_to_dandi`: all of it, in order
=================  ==================================================================

Everything that can be known without the archive is said before it is asked, and everything that it would refuse before
anything is sent.
"""

from .recording import find_dandisets, list_dandisets
from .upload import DandiRequest, publish_to_dandi

__all__ = ["DandiRequest", "find_dandisets", "list_dandisets", "publish_to_dandi"]
