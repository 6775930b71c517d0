"""The child process in which libav parses a container: ``python -m neuropress.readers.video.worker``.

libav is C and the file may be hostile, so it runs with limits of memory and time, and is given an open file: it opens
none by name. A request comes on standard input as a line of JSON; a line of JSON goes out, then each frame's time as
int64 in the machine's byte order. Whatever libav prints goes nowhere.
"""

from __future__ import annotations

import json
import os
import sys
from array import array
from contextlib import suppress
from typing import Any, BinaryIO

SHOWN = 300


def main() -> None:
    """Answer one request."""
    out = os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    request = json.loads(sys.stdin.readline())
    _limit(int(request["memory"]), int(request["seconds"]))
    times = array("q")
    try:
        with open(request["path"], "rb") as file:
            answer, times = read_container(file, request["container"], int(request["frames"]))
    except Exception as error:  # noqa: BLE001 - anything may happen in code of others
        answer = {"failed": f"{type(error).__name__}: {str(error)[:SHOWN]}"}
    out.write(json.dumps(answer).encode() + b"\n")
    out.write(times.tobytes())
    out.flush()


def _limit(nbytes: int, seconds: int) -> None:
    with suppress(ImportError, ValueError, OSError):  # no such limits on Windows; lower ones may be set already
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (nbytes, nbytes))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def read_container(file: BinaryIO, container: str, most: int) -> tuple[dict[str, Any], array[int]]:
    """What the container says of its first video stream, and the time of each frame in the order of display.

    The container's format is given and not guessed: among those that libav guesses are lists of other files.
    """
    import av

    with av.open(file, "r", format=container, options={"protocol_whitelist": ""}) as opened:
        videos = list(opened.streams.video)
        if not videos:
            return {"failed": "it has no video stream"}, array("q")
        stream = videos[0]
        context = stream.codec_context
        times, hidden, untimed = _list_times(opened.demux(stream), most)
        rate, base = stream.average_rate, stream.time_base
        answer = {
            "codec": context.name,
            "width": context.width,
            "height": context.height,
            "stated_frames": stream.frames,
            "stated_rate": f"{rate.numerator}/{rate.denominator}" if rate else "",
            "time_base": f"{base.numerator}/{base.denominator}" if base else "",
            "hidden": hidden,
            "untimed": untimed,
            "videos": len(videos),
            "others": sorted({other.type for other in opened.streams if other.type != "video"}),
            "created": str(opened.metadata.get("creation_time", ""))[:SHOWN],
        }
    return answer, times


def _list_times(packets: Any, most: int) -> tuple[array[int], int, int]:
    """Times of the frames that are shown; how many are hidden by an edit list, and how many have no time."""
    times, hidden, untimed = array("q"), 0, 0
    for packet in packets:
        if not packet.size:
            continue  # the end; and what an AVI has in place of a frame that was dropped
        if packet.is_discard:
            hidden += 1
            continue
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None:
            untimed += 1
            continue
        times.append(time)
        if len(times) > most:
            raise ValueError(f"it has more than {most} frames")
    return array("q", sorted(times)), hidden, untimed


if __name__ == "__main__":
    main()
