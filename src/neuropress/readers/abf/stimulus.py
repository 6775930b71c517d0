"""The command that a DAC played, where the header determines it; never zeros for "unknown".

The first 1/64 of a sweep is at the holding level (or at the level that the sweep before
ended with), then the epochs follow; a command file is played from the first sample on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from pathlib import PureWindowsPath

import numpy as np

from ...model.finding import Problem
from ...model.source import Source
from ..atf.columns import arrange_columns
from ..atf.header import read_header
from ..atf.rows import Rows
from .header import Epoch, Header, UserList, Waveform

OFF, STEP, RAMP, PULSE, TRIANGLE, COSINE, BIPHASIC = 0, 1, 2, 3, 4, 5, 7
TRAINS = (PULSE, TRIANGLE, COSINE, BIPHASIC)
HOLDING_FRACTION = 64
LARGEST_LEVEL = 1e6
FIRST_EPOCH_PARAMETER = 11
EPOCHS_PER_BLOCK = (50, 10)
"""User lists number their parameters in blocks of one entry an epoch: 50 epochs since
pCLAMP 10.3, 10 before. The second block is levels, the third durations (both checked on
recorded commands); other blocks do not occur in the files we know."""

type Render = Callable[[int], np.ndarray]
"""Sweep -> the command of every sample, float64, in the DAC's unit."""


class UndeterminedCommand(Exception):
    """The header does not determine the command; the text says why."""


@dataclass(frozen=True, slots=True)
class Command:
    """One DAC's command: for which sweeps it is known, how it was rebuilt, how it is made."""

    dac: int
    how: str
    sweeps: range
    render: Render


def rebuild_commands(
    header: Header, source: Source, read_abf: Callable[[Source, str], list[Render]]
) -> tuple[list[Command], list[str]]:
    """Every command that the header determines, and a sentence for each that it does not.

    `read_abf` gives the sweeps of a command file that is an ABF itself (first channel, in
    its unit).
    """
    rebuilt: list[Command] = []
    warnings: list[str] = []
    for wave in header.waveforms:
        try:
            if header.mode == 5 and wave.source in (1, 2):
                rebuilt.append(_rebuild_command(wave, header, source, read_abf))
        except UndeterminedCommand as reason:
            warnings.append(f"the command of DAC {wave.dac} is left out: {reason}")
    return rebuilt, warnings


def _rebuild_command(
    wave: Waveform, header: Header, source: Source, read_abf: Callable[[Source, str], list[Render]]
) -> Command:
    if wave.undetermined:
        raise UndeterminedCommand(wave.undetermined)
    if len({length for _, length in header.sweeps}) > 1:
        raise UndeterminedCommand("sweeps differ in length")
    length = header.sweeps[0][1]
    if wave.source == 2:
        return _rebuild_from_file(wave, header, source, read_abf, length)
    check_epochs(wave, len(header.sweeps), length)
    return Command(wave.dac, "epoch table", range(len(header.sweeps)), partial(render_epochs, wave, length))


def check_epochs(wave: Waveform, sweeps: int, length: int) -> None:
    """Raise `UndeterminedCommand` for a table that cannot be meant or that leaves a sample undetermined."""
    for number in range(sweeps):
        epochs = compute_epochs(wave, number)
        if not all(isfinite(v) and abs(v) < LARGEST_LEVEL for v in (wave.holding, *(e.level for e in epochs))):
            raise UndeterminedCommand("the epoch table holds impossible levels")
        used = length // HOLDING_FRACTION + sum(e.duration for e in epochs)
        if used > length or any(e.duration < 0 for e in epochs):
            raise UndeterminedCommand(
                f"the epochs of sweep {number} last longer than the sweep ({used} of {length} samples)"
            )
        for before, epoch in zip([None, *epochs], epochs, strict=False):
            _check_epoch(before, epoch)
        if wave.keep_last and epochs and epochs[-1].type in TRAINS:
            raise UndeterminedCommand("a sweep ends with a pulse train and its last level is kept")


def _check_epoch(before: Epoch | None, epoch: Epoch) -> None:
    if epoch.type not in (STEP, RAMP, *TRAINS):
        raise UndeterminedCommand(f"epoch {format_epoch_letter(epoch.number)} is of the unknown type {epoch.type}")
    if epoch.type in TRAINS:
        if not 0 < epoch.period <= max(epoch.duration, 1) or not 0 <= epoch.width <= epoch.period:
            raise UndeterminedCommand(
                f"epoch {format_epoch_letter(epoch.number)} has pulses of {epoch.width} samples every {epoch.period}"
            )
        if epoch.duration % epoch.period:
            raise UndeterminedCommand(f"epoch {format_epoch_letter(epoch.number)} ends within a pulse period")
    if before and before.type in TRAINS and epoch.type != STEP:
        raise UndeterminedCommand(f"epoch {format_epoch_letter(epoch.number)} starts from the end of a pulse train")


def format_epoch_letter(number: int) -> str:
    """0 -> A, as in the waveform editor."""
    return chr(65 + number) if 0 <= number < 26 else str(number)


def compute_epochs(wave: Waveform, sweep: int) -> list[Epoch]:
    """The epochs that are on, with the levels and durations of one sweep; user lists replace both."""
    epochs = {
        e.number: replace(e, level=e.level + e.level_step * sweep, duration=e.duration + e.duration_step * sweep)
        for e in wave.epochs
        if e.type != OFF
    }
    for user in wave.lists:
        number, name = resolve_user_list(user, wave)
        value = get_list_value(user, sweep)
        if name == "level":
            epochs[number] = replace(epochs[number], level=value)
        else:
            epochs[number] = replace(epochs[number], duration=int(value))
    return [e for e in epochs.values() if e.duration or e.type not in TRAINS]


def resolve_user_list(user: UserList, wave: Waveform) -> tuple[int, str]:
    """Which epoch and which of its values a user list replaces.

    Raises
    ------
    UndeterminedCommand
        The parameter does not name exactly one epoch that is on.
    """
    active = {e.number for e in wave.epochs if e.type != OFF}
    meanings = set()
    for size in EPOCHS_PER_BLOCK:
        block, number = divmod(user.parameter - FIRST_EPOCH_PARAMETER, size)
        if number in active and block in (1, 2):
            meanings.add((number, "level" if block == 1 else "duration"))
    if len(meanings) != 1 or not user.values:
        raise UndeterminedCommand(
            f"its user list varies parameter {user.parameter}, whose meaning is not known for this table"
        )
    return meanings.pop()


def get_list_value(user: UserList, sweep: int) -> float:
    """The list's value for a sweep; behind its end it starts anew or keeps its last value."""
    if sweep < len(user.values):
        return user.values[sweep]
    return user.values[sweep % len(user.values)] if user.repeat else user.values[-1]


def render_epochs(wave: Waveform, length: int, sweep: int) -> np.ndarray:
    """The command of one sweep from the epoch table, `length` samples, float64."""
    resting = wave.holding
    if wave.keep_last and sweep > 0 and (previous := compute_epochs(wave, sweep - 1)):
        resting = previous[-1].level
    command = np.full(length, resting)
    position, before = length // HOLDING_FRACTION, resting
    epochs = compute_epochs(wave, sweep)
    for epoch in epochs:
        command[position : position + epoch.duration] = render_epoch(epoch, before)
        position, before = position + epoch.duration, epoch.level
    command[position:] = before if wave.keep_last else wave.holding
    return command


def render_epoch(epoch: Epoch, before: float) -> np.ndarray:
    """One epoch's samples; trains swing between the level `before` and the epoch's own."""
    if epoch.type == STEP:
        return np.full(epoch.duration, epoch.level)
    if epoch.type == RAMP:
        return np.linspace(before, epoch.level, epoch.duration)
    swing = epoch.level - before
    phase = np.arange(epoch.period)
    if epoch.type == PULSE:
        period = np.where(phase < epoch.width, epoch.level, before)
    elif epoch.type == TRIANGLE:
        rise = np.linspace(before, epoch.level, epoch.width)
        period = np.concatenate([rise, np.linspace(epoch.level, before, epoch.period - epoch.width)])
    elif epoch.type == COSINE:
        period = before + swing / 2 * (1 - np.cos(2 * np.pi * phase / epoch.period))
    else:
        period = before + swing * np.select([phase < epoch.width // 2, phase < epoch.width], [1.0, -1.0], 0.0)
    return np.tile(period, epoch.duration // epoch.period)


def _rebuild_from_file(
    wave: Waveform, header: Header, source: Source, read_abf: Callable[[Source, str], list[Render]], length: int
) -> Command:
    """A command file beside the recording, times its scale plus its offset."""
    name = PureWindowsPath(wave.path).name
    key = source.sibling(name) if name else None
    if key is None:
        raise UndeterminedCommand(f"its command file {name or '(unnamed)'} does not lie beside the recording")
    if not (isfinite(wave.scale) and isfinite(wave.offset) and wave.scale):
        raise UndeterminedCommand(f"its command file's scale {wave.scale} and offset {wave.offset} are impossible")
    try:
        sweeps = read_abf(source, key) if source.head(key, 4)[:3] == b"ABF" else read_atf(source, key)
        known = len(header.sweeps) if len(sweeps) == 1 else min(len(sweeps), len(header.sweeps))
        if len(sweeps) > 1 and wave.episode:
            raise UndeterminedCommand(
                f"it played sweep {wave.episode} of the command file {name}, which holds {len(sweeps)}"
            )
        shortest = min(len(render(0)) for render in sweeps)
    except Problem as error:
        raise UndeterminedCommand(f"its command file cannot be read ({error})") from error
    if shortest < length:
        raise UndeterminedCommand(f"its command file {name} has {shortest} samples, the sweep {length}")

    def render(sweep: int) -> np.ndarray:
        return np.asarray(sweeps[sweep % len(sweeps)](0)[:length] * wave.scale + wave.offset)

    return Command(wave.dac, f"file {name}", range(known), render)


def read_atf(source: Source, key: str) -> list[Render]:
    """The sweeps of an Axon text file: one column each behind the time column.

    Raises
    ------
    UndeterminedCommand
        It holds several signals.
    Problem
        ``atf.*``: it is no such file, or damaged.
    """
    with source.open(key) as file:
        header = read_header(file, key)
        layout = arrange_columns(header)
        if len(layout.names) != 1:
            raise UndeterminedCommand(f"the command file {key} holds {len(layout.names)} signals")
        blocks = [block.values for block in Rows(header).read_blocks(file)]
    if not blocks:
        raise UndeterminedCommand(f"the command file {key} holds no rows")
    values = np.concatenate(blocks, axis=1)
    return [lambda _, column=values[number]: column for (number,) in layout.sweeps]  # type: ignore[misc]
