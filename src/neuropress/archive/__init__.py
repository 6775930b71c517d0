"""DANDI, EMBER and what else speaks their protocol: files are sent to a draft, and compared with what lies there.

===================  ==================================================================
module               what it holds
===================  ==================================================================
:mod:`.instances`    `Instance`: which archive, by name or address
:mod:`.client`       `Archive`: requests, tried again while they fail for a passing reason
:mod:`.digests`      the digests by which an archive knows files and volumes
:mod:`.dandiset`     `Dandiset`: what a draft holds
:mod:`.journal`      which parts of a file are there already
:mod:`.blobs`        files, in parts; a part that was sent is not sent again
:mod:`.zarrs`        volumes, file by file
:mod:`.metadata`     what is said of a dandiset and of its files
:mod:`.records`      `UploadRecord`: what of a release lies where, beside its manifest
===================  ==================================================================

The key of an account is in the header of requests to the archive itself, and nowhere else: addresses to which files
are put are signed by the archive, and get none.
"""

from .client import Archive
from .dandiset import Dandiset, RemoteAsset
from .instances import INSTANCES, Instance, find_instance

__all__ = ["INSTANCES", "Archive", "Dandiset", "Instance", "RemoteAsset", "find_instance"]
