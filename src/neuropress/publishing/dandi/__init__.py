"""Proven results become files of a dandiset, from the working copy or from a release.

================  ==================================================================
module            what it holds
================  ==================================================================
:mod:`.sources`   what is sent: results that passed the gate, or assets of a release
:mod:`.tree`      where each lies in the dandiset, and what DANDI would refuse of it
:mod:`.bids`      the files that describe volumes as a dataset of BIDS
:mod:`.opinion`   what the program ``dandi`` says of them
:mod:`.sending`   what is there already, and what is sent
:mod:`.upload`    `publish_to_dandi`: all of it, in order
================  ==================================================================

Everything that can be known without the archive is said before it is asked, and everything that it would refuse before
anything is sent.
"""

from .upload import DandiRequest, publish_to_dandi

__all__ = ["DandiRequest", "publish_to_dandi"]
