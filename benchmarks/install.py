"""Installing: megabytes and packages of `pip install neuropress` and of its extras, and seconds to start.

    python benchmarks/install.py [EXTRA ...] [--weights]

Installs the wheel of this checkout, with the versions of constraints.txt, into an environment of its own for each
extra (by default all that users have), and prints

- sizes: megabytes (10^6 bytes) of the files of all packages but pip, with the byte code that pip compiles, as the
  lengths of the files and as the blocks that they take; the byte code's share; the packages;
- times: wall and CPU seconds of commands and imports, medians of five runs in processes of their own, after one that
  warms the caches. Tables are the demo's.

`--weights` prints each package of the base install, too.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
RUNS = 5
DEVELOPERS = ("docs", "test")
"""Extras that nobody needs for work on data."""
BASE_IMPORTS = ("neuropress", "pynwb", "zarr", "tifffile", "imagecodecs", "nwbinspector", "ome_zarr_models", "obstore")
EXTRA_IMPORTS = {
    "aws": ("botocore.session",),
    "independent": ("neo", "pyabf", "PIL.Image"),
    "microscopes": ("czifile", "liffile", "nd2", "oiffile"),
    "postgres": ("psycopg",),
    "xlsx": ("openpyxl",),
}
# pip lists the byte code that it compiled among the files of a package.
WEIGH = """
import json, os
from importlib.metadata import distributions
weights = {}
for package in distributions():
    lengths = blocks = compiled = 0
    for file in package.files or ():
        if os.path.isfile(path := file.locate()):
            state = os.stat(path)
            lengths += state.st_size
            blocks += state.st_blocks * 512
            compiled += state.st_size * (path.suffix == ".pyc")
    weights[package.name] = lengths, blocks, compiled
weights.pop("pip", None)
print(json.dumps(weights))
"""


@dataclass(frozen=True, slots=True)
class Install:
    """An environment: its programs, and of each package the bytes as lengths, in blocks, and of byte code."""

    programs: Path
    weights: dict[str, tuple[int, int, int]]

    def sum_megabytes(self) -> tuple[float, float, float]:
        """Lengths, blocks and byte code of all packages."""
        lengths, blocks, compiled = zip(*self.weights.values(), strict=True)
        return sum(lengths) / 1e6, sum(blocks) / 1e6, sum(compiled) / 1e6


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout, built from a copy: building leaves folders in the tree."""
    ignore = shutil.ignore_patterns(".git", ".venv*", "*.egg-info", "build", "dist", "__pycache__", ".*_cache")
    tree = shutil.copytree(ROOT, folder / "tree", symlinks=True, ignore=ignore)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", str(folder), str(tree)]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, extra: str, folder: Path) -> Install:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    command = [programs / "python", "-m", "pip", "install", "-q", "--compile", "-c", ROOT / "constraints.txt", wanted]
    subprocess.run(command, check=True)
    done = subprocess.run([programs / "python", "-c", WEIGH], check=True, capture_output=True, text=True)
    return Install(programs, json.loads(done.stdout))


def measure(*command: str | Path) -> tuple[float, float]:
    """Wall and CPU seconds of a command."""
    samples = []
    for _ in range(RUNS + 1):
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds, after = perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        samples.append((seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    wall, cpu = zip(*samples[1:], strict=True)
    return median(wall), median(cpu)


def print_times(base: Install, extras: dict[str, Install], folder: Path) -> None:
    demo = folder / "demo"
    program = base.programs / "neuropress"
    subprocess.run([program, "demo", demo], check=True, stdout=subprocess.DEVNULL)
    commands: dict[str, tuple[str | Path, ...]] = {
        "python -c pass": (base.programs / "python", "-c", "pass"),
        "neuropress --help": (program, "--help"),
        "neuropress check --tables-only": (program, "check", "--tables-only", demo),
    }
    for module in BASE_IMPORTS:
        commands[f"import {module}"] = base.programs / "python", "-c", f"import {module}"
    for extra, installed in extras.items():
        for module in EXTRA_IMPORTS.get(extra, ()):
            commands[f"import {module} ({extra})"] = installed.programs / "python", "-c", f"import {module}"
    print("\n| | wall s | CPU s |\n|---|---|---|")
    for name, command in commands.items():
        wall, cpu = measure(*command)
        print(f"| `{name}` | {wall:.2f} | {cpu:.2f} |", flush=True)


def main() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        known = tomllib.load(file)["project"]["optional-dependencies"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extras", nargs="*", metavar="EXTRA")
    parser.add_argument("--weights", action="store_true")
    args = parser.parse_args()
    if unknown := set(args.extras) - set(known):
        parser.error(f"no extra is called {min(unknown)}; there are {', '.join(known)}")
    wanted = args.extras or [extra for extra in known if extra not in DEVELOPERS]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        wheel = build_wheel(folder)
        print("| | MB | in blocks | of it byte code | packages |\n|---|---|---|---|---|")
        installs = {}
        for extra in ("", *wanted):
            installed = installs[extra] = install(wheel, extra, folder / f"with-{extra or 'nothing'}")
            name = f"neuropress[{extra}]" if extra else "neuropress"
            lengths, blocks, compiled = installed.sum_megabytes()
            row = f"| `{name}` | {lengths:.0f} | {blocks:.0f} | {compiled:.0f} | {len(installed.weights)} |"
            print(row, flush=True)
        base = installs.pop("")
        print_times(base, installs, folder)
    if args.weights:
        print("\n| package | MB | in blocks | of it byte code |\n|---|---|---|---|")
        for package, weight in sorted(base.weights.items(), key=lambda item: -item[1][0]):
            lengths, blocks, compiled = (size / 1e6 for size in weight)
            print(f"| {package} | {lengths:.1f} | {blocks:.1f} | {compiled:.1f} |")


if __name__ == "__main__":
    main()
