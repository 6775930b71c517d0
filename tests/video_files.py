"""Small videos for tests, made with PyAV."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CONTAINERS = {".avi": "avi", ".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}


def write_video(
    path: Path, rate: Fraction | int = 25, count: int = 12, codec: str = "mjpeg", times_ms: list[int] | None = None
) -> Path:
    """Frames of 32 x 24 pixels, at a rate, or at times in milliseconds."""
    with av.open(str(path), "w", format=CONTAINERS[path.suffix]) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if times_ms:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(len(times_ms or range(count))):
            frame = av.VideoFrame.from_ndarray(np.full((24, 32, 3), number * 9 % 256, np.uint8), format="rgb24")
            if times_ms:
                frame.pts, frame.time_base = times_ms[number], Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path
