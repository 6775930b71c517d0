"""What a person sees at a terminal of 80 columns: when the line of progress comes, and how long it stands still.

    python benchmarks/terminal.py [MEGABYTES] [--code OTHER/src]

Makes a session with one movie of 500 MB (random noise over tissue, as a camera has it), and takes it through `run`
(check, convert, verify, validate), `publish` and `releases verify`, `get` and `rebuild`, each in a pseudo-terminal.
Of each command are printed its seconds and CPU seconds, when anything was first seen, the longest time without a
change of what is seen, the time from the last output to the command's end, and the widest line of progress, in
characters.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import resource
import struct
import subprocess
import sys
import tempfile
import termios
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import tifffile
from writing import ROOT, page

COLUMNS = 80
SIDE = 512
CLEAR = b"\r\x1b[K"
"""What every line of progress begins with."""


def make_dataset(folder: Path, megabytes: int) -> Path:
    """A session with one movie."""
    from builder import Builder

    build = Builder(folder / "ds")
    build.session(1)
    movie = folder / "m.tif"
    frames = megabytes * 10**6 // (SIDE * SIDE * 2)
    with tifffile.TiffWriter(movie, bigtiff=True) as out:
        for number in range(frames):
            out.write(page(SIDE, number, "<u2"), contiguous=True, metadata=None, photometric="minisblack")
    build.movie(movie, (frames, SIDE, SIDE))
    movie.unlink()
    return build.root


def watch(command: list[str], environment: dict[str, str]) -> tuple[int, list[tuple[float, bytes]]]:
    """Run a command in a terminal; its exit status, and what it wrote with the seconds since its start, last its end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    begun, seen = perf_counter(), []
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as running:
        os.close(theirs)
        try:
            while piece := os.read(ours, 65536):
                seen.append((perf_counter() - begun, piece))
        except OSError:  # the other side is closed
            pass
    os.close(ours)
    return running.returncode, [*seen, (perf_counter() - begun, b"")]


def summarize(seen: list[tuple[float, bytes]]) -> tuple[float, float, float, bytes, int]:
    """Seconds to the first sight, the longest time without change, when it began, after what, and the widest line."""
    times, shown = [seen[0][0]], [seen[0][1]]
    for seconds, piece in seen[1:-1]:
        if piece not in (shown[-1], CLEAR):  # the same line drawn again is no news
            times.append(seconds)
            shown.append(piece)
    lines = [line.split(b"\r")[0].split(b"\n")[0] for _, piece in seen for line in piece.split(CLEAR)[1:]]
    gap, since, before = max(
        (later - time, time, text) for (time, later), text in zip(pairwise(times), shown[:-1], strict=True)
    )
    return times[0], gap, since, before, max((len(line.decode()) for line in lines), default=0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("megabytes", nargs="?", type=int, default=500)
    parser.add_argument("--code", type=Path, default=ROOT / "src")
    args = parser.parse_args()
    environment = {**os.environ, "PYTHONPATH": str(args.code), "TERM": "xterm"}
    for name in ("COLUMNS", "PYTHONDONTWRITEBYTECODE"):
        environment.pop(name, None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        environment["PYTHONPYCACHEPREFIX"] = str(folder / "code")
        # Byte code as pip makes it, and pages of the libraries as a second run finds them.
        subprocess.run(
            [sys.executable, "-m", "neuropress", "demo", folder / "demo"], env=environment, capture_output=True
        )
        dataset, release = str(make_dataset(folder, args.megabytes)), str(folder / "release")
        commands = (
            ["run", dataset],
            ["publish", dataset, "--to", release, "--release", "1.0.0"],
            ["releases", "verify", release, "--deep"],
            ["releases", "get", release, str(folder / "got")],
            ["releases", "rebuild", release],
        )
        print("| command | s | CPU s | first seen, s | longest without change, s | end, s | widest line |")
        print("|---|---|---|---|---|---|---|")
        for arguments in commands:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            status, seen = watch([sys.executable, "-m", "neuropress", *arguments], environment)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            first, gap, since, text, widest = summarize(seen)
            name = " ".join(word for word in arguments if "/" not in word)
            end = seen[-1][0] - seen[-2][0]
            row = f"{seen[-1][0]:.1f} | {cpu:.1f} | {first:.2f} | {gap:.2f} | {end:.2f} | {widest}"
            print(f"| `{name}` | {row} |", flush=True)
            if status:
                sys.exit(b"".join(piece for _, piece in seen).decode())
            print(f"  longest at {since:.1f} s, after {text[-100:]!r}", file=sys.stderr)


if __name__ == "__main__":
    main()
