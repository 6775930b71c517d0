"""A recording of 500 sweeps, 100 MB of ABF, to NWB: the whole `neuropress convert` beside neuroconv and a plain copy.

    python benchmarks/recording.py --neuroconv PYTHON [--sweeps 500] [--rounds 3] [--code OTHER/src] [--folder KEEP]

PYTHON is an interpreter of an environment with `neuroconv[abf]==0.10.2`. Each candidate runs in a process of its own, in
turn, `--rounds` times; printed are the medians of wall and CPU seconds (user and system, of the whole process tree), the
largest peak of memory, the size of the output, and ratios to neuroconv's `AbfInterface`, which writes a series a sweep as
we do; its `AxonIntracellularInterface` writes one series in all. Two files, one channel of 100,000 int16 samples a sweep:

`ABF 2`  with the epochs of a command, which both rebuild: 1000 series. From the writer of our tests.
`ABF 1`  without any command: 500 series. From pyABF's writer, which writes no date; neuroconv needs one, so it is added.
"""

from __future__ import annotations

import argparse
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests"), str(ROOT / "src")]

from side_by_side import MEASURED, Run, compare, make_copy, make_peer, run_process, write_program  # noqa: E402

SAMPLES = 100_000
RATE = 20_000
STARTED = 20250620, 9 * 3600 + 600
"""Date and seconds of the day of ABF 1."""

SWEEPWISE = """
import sys, warnings
from datetime import datetime, timezone
warnings.simplefilter("ignore")
from neuroconv.datainterfaces import AbfInterface
interface = AbfInterface(file_paths=[sys.argv[1]])
metadata = interface.get_metadata()
metadata["Icephys"]["Sessions"][0]["icephys_experiment_type"] = "voltage_clamp"
metadata["NWBFile"].update(session_start_time=datetime(2025, 6, 20, 9, tzinfo=timezone.utc))
interface.run_conversion(nwbfile_path=sys.argv[2], metadata=metadata, overwrite=True)
"""
CONTINUOUS = """
import sys, warnings
from datetime import datetime, timezone
warnings.simplefilter("ignore")
from neuroconv.datainterfaces import AxonIntracellularInterface as Axon
name = Axon.get_channel_names(sys.argv[1])[0]
command = Axon.get_command_names(sys.argv[1])[0]
interface = Axon(
    file_path=sys.argv[1], response_channel_name=name, mode="voltage_clamp", stimulus_command=command
)
metadata = interface.get_metadata()
metadata["NWBFile"].update(session_start_time=datetime(2025, 6, 20, 9, tzinfo=timezone.utc))
interface.run_conversion(nwbfile_path=sys.argv[2], metadata=metadata, overwrite=True)
"""


def make_sweeps(count: int) -> list[np.ndarray]:
    """A baseline that wanders, and noise."""
    numbers = np.random.default_rng(0)
    drift = (numbers.normal(0, 300, (SAMPLES, 1)).cumsum(0) % 20_000 - 10_000 for _ in range(count))
    return [(wander + numbers.normal(0, 20, (SAMPLES, 1))).astype("<i2") for wander in drift]


def write_abf2_file(path: Path, sweeps: list[np.ndarray]) -> None:
    """One channel, and a step of its command."""
    from abf_files import make_epoch, write_abf2

    write_abf2(
        path, sweeps, units=[b"pA"], commands=[b"mV"],
        dac=[{"nWaveformEnable": 1, "nWaveformSource": 1, "fDACHoldingLevel": -70.0}],
        epochs=[make_epoch(0, 1, -60.0, SAMPLES // 10, nDACNum=0)],
        protocol={"fADCSequenceInterval": 1e6 / RATE, "lNumSamplesPerEpisode": SAMPLES},
    )  # fmt: skip


def write_abf1_file(path: Path, sweeps: list[np.ndarray]) -> None:
    """pyABF's file, with a date and time, and a unit for its commands, in the places of the header."""
    from pyabf.abfWriter import writeABF1

    writeABF1(np.concatenate(sweeps, axis=1).T / 32768 * 100, str(path), RATE, units="pA")
    with path.open("r+b") as file:
        file.seek(20)  # lFileStartDate, lFileStartTime
        file.write(struct.pack("<ii", *STARTED))
        file.seek(1346)  # sDACChannelUnits
        file.write(b"mV      " * 4)


def list_candidates(
    folder: Path, recording: Path, neuroconv: str, codes: list[Path], dataset: Path
) -> dict[str, Callable[[], Run]]:
    """Name -> what runs it from nothing."""
    measured = folder / "measured.py"
    measured.write_text(MEASURED)

    def make_ours(number: int, code: Path) -> Callable[[], Run]:
        program = folder / f"program{number}.py"
        write_program(program, code)

        def convert() -> Run:
            for name in ("output", ".neuropress"):
                shutil.rmtree(dataset / name, ignore_errors=True)
            (dataset / "output").mkdir()
            command = [sys.executable, str(measured), str(program), "convert", str(dataset), "-q"]
            return run_process(command, lambda: next(dataset.rglob("*.nwb")).stat().st_size)

        return convert

    peers = {"AbfInterface": SWEEPWISE}
    if recording.name == "abf2.abf":  # of ABF 1 it refuses to make anything
        peers["AxonIntracellular"] = CONTINUOUS
    found = (
        {name: make_peer(recording, folder, neuroconv, name, text) for name, text in peers.items()} if neuroconv else {}
    )
    ours = {f"neuropress{'' if code == codes[0] else f' {code}'}": make_ours(n, code) for n, code in enumerate(codes)}
    return {**found, "copy": make_copy(recording, folder), **ours}


def measure(recording: Path, args: argparse.Namespace, folder: Path) -> None:
    """Run all candidates on one file, in turn, and print a line for each."""
    from builder import Builder

    dataset = folder / f"ds_{recording.stem}"
    if not dataset.exists():
        build = Builder(dataset)
        build.session(1)
        build.ephys(recording, str(RATE))
    candidates = list_candidates(folder, recording, args.neuroconv, [ROOT / "src", *args.code], dataset)
    compare(recording.name, candidates, args.rounds, "AbfInterface", "neuropress")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--neuroconv", default="", help="python of an environment that has it")
    parser.add_argument("--sweeps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--code", action="append", type=Path, default=[], help="source folder of another checkout")
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, write in (("abf2.abf", write_abf2_file), ("abf1.abf", write_abf1_file)):
            if not (folder / name).exists():
                write(folder / name, make_sweeps(args.sweeps))
            measure(folder / name, args, folder)


if __name__ == "__main__":
    main()
