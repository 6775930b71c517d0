"""Videos in MP4, MOV, AVI, Matroska and WebM containers: what the container says, and when its frames are shown."""

from __future__ import annotations

from ..format import Claim, Fact, Format

_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"free")
"""How a QuickTime file may begin, behind four bytes of length; old ones have no ftyp."""


def find_container(head: bytes) -> str:
    """Libav's name of the container that a file begins as; empty for none of them."""
    if head[4:8] in _BOXES:
        return "mov"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    return "matroska" if head.startswith(b"\x1aE\xdf\xa3") else ""


def probe(head: bytes, name: str) -> Claim | None:
    """By the container's first bytes."""
    container = find_container(head)
    return Claim("video", f"it begins as a {container} container") if container else None


FORMAT = Format(
    name="video",
    title="videos: MP4, MOV, AVI, MKV, WebM; the container is read, and no frame is decoded",
    module="neuropress.readers.video.read",
    probe=probe,
    facts=(
        Fact("x", "width of a frame", "pixels"),
        Fact("y", "height of a frame", "pixels"),
        Fact("rows", "frames, one a packet"),
        Fact("frame_rate", "frames a second, where they are evenly spaced", "Hz"),
        Fact("duration", "from the first frame to the end of the last, where they are evenly spaced", "s"),
    ),
    findings=("video.damaged", "video.extra"),
)
