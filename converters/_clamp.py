"""Which recorded channels are clamped cells, in which mode, and which DAC commanded them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from neuropress.model.content import Channel

VOLTAGE, CURRENT = "V", "A"
_PREFIX = {"": 0, "k": 3, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15}
_UNIT = re.compile(r"([kmunpf]?)([VA])")
_COUNTS = 2**15
LARGEST_CURRENT = Decimal("1e-3")
"""A; a patch amplifier's range ends far below. A unit "A" that should be "pA" exceeds it."""
LARGEST_VOLTAGE = Decimal(100)
"""V; a digitizer's 10 V behind an amplifier of the lowest gain stay below."""
DIGITIZER_VOLTS = Decimal(1)
"""V; a channel in plain "V" of at least this range is a digitizer input without an amplifier's scale."""

SERIES = {"voltage clamp": "VoltageClampSeries", "current clamp": "CurrentClampSeries", "I=0": "IZeroClampSeries"}
_BY_UNIT = {CURRENT: "voltage clamp", VOLTAGE: "current clamp"}
_COMMAND_OF = {CURRENT: VOLTAGE, VOLTAGE: CURRENT}
_WORD = {CURRENT: "current", VOLTAGE: "voltage"}


@dataclass(frozen=True, slots=True)
class Role:
    """What a recorded channel is. `mode` is empty for a plain TimeSeries; `why` then says why,
    and for an assumed mode what is missing."""

    mode: str
    why: str = ""
    dac: Channel | None = None


def si(unit: str) -> tuple[str, Decimal] | None:
    """``pA`` -> (``A``, 1E-12); None for what is neither a current nor a voltage."""
    match = _UNIT.fullmatch(unit.replace("\u00b5", "u").replace("\u03bc", "u"))
    return (match[2], Decimal(1).scaleb(_PREFIX[match[1]])) if match else None


def quantity(channel: Channel) -> str:
    """``V``, ``A`` or nothing."""
    known = si(channel.unit)
    return known[0] if known else ""


def roles(
    adc: Sequence[Channel], dac: Sequence[Channel], largest: Mapping[int, Decimal] | None = None
) -> Mapping[int, Role]:
    """The role of every recorded channel, by its index.

    Parameters
    ----------
    largest
        Largest absolute sample of each float channel, in its unit: float samples have no range of their own.
    """
    found = {c.index: _evident(c, (largest or {}).get(c.index, Decimal(0))) or _role(c, dac) for c in adc}
    clamped = [c for c in adc if found[c.index].mode]
    links = _links(clamped, dac)
    driven_modes = {found[i].mode for i in links}
    for channel in clamped:
        role = found[channel.index]
        if channel.index in links:
            found[channel.index] = replace(role, dac=links[channel.index])
        elif not channel.clamp and not role.why and any(d.driven for d in dac):
            found[channel.index] = _leftover(channel, role, dac, driven_modes)
    return found


def _evident(channel: Channel, largest: Decimal) -> Role | None:
    """What the unit, the range and the amplifier's telegraph settle without a look at the commands."""
    known = si(channel.unit)
    if known is None:
        return Role("", f"its unit {channel.unit!r} is neither a current nor a voltage")
    kind, factor = known
    reach = abs(channel.gain) * factor * (_COUNTS if channel.dtype.kind == "i" else largest)
    if reach > (LARGEST_CURRENT if kind == CURRENT else LARGEST_VOLTAGE):
        return Role("", f"its unit {channel.unit!r} gives an impossible range of {reach:.3g} {kind}")
    if channel.unit == VOLTAGE and reach >= DIGITIZER_VOLTS:
        return Role("", f"it is recorded in V over {reach:.3g} V, so it has no amplifier's scale")
    if not channel.clamp:
        return None
    if (kind == CURRENT) == (channel.clamp == "voltage clamp"):
        return Role(channel.clamp)
    return Role("", f"the amplifier reported {channel.clamp}, but its unit is {channel.unit}")


def _role(channel: Channel, dac: Sequence[Channel]) -> Role:
    """By the units of the commands: those that were played, or else the one of the same number."""
    mine = [d for d in dac if d.terminal == channel.terminal]
    commands = {quantity(d) for d in ([d for d in dac if d.driven] or mine)} - {""}
    kind = quantity(channel)
    if _COMMAND_OF[kind] in commands:
        return Role(_BY_UNIT[kind])
    if commands:
        return Role("", f"it records a {_WORD[kind]} while the only command is a {_WORD[kind]} too")
    return Role(_BY_UNIT[kind], "no command channel with a known unit confirms it")


def _links(clamped: Sequence[Channel], dac: Sequence[Channel]) -> dict[int, Channel]:
    """Recorded channel -> DAC that commanded it: the same number first, then what is left if it is unique."""
    links: dict[int, Channel] = {}
    free = [d for d in dac if d.driven and quantity(d)]
    for channel in clamped:
        same = [d for d in free if d.terminal == channel.terminal and quantity(d) == _COMMAND_OF[quantity(channel)]]
        if same:
            links[channel.index] = same[0]
            free.remove(same[0])
    for kind in (CURRENT, VOLTAGE):
        waiting = [c for c in clamped if c.index not in links and quantity(c) == kind]
        left = [d for d in free if quantity(d) == _COMMAND_OF[kind]]
        if len(waiting) == len(left) == 1 and not waiting[0].clamp:
            links[waiting[0].index] = left[0]
    return links


def _leftover(channel: Channel, role: Role, dac: Sequence[Channel], driven_modes: set[str]) -> Role:
    """A channel whose command is another's: a cell at rest like the others, or a monitor."""
    own = [d for d in dac if d.terminal == channel.terminal and quantity(d) == _COMMAND_OF[quantity(channel)]]
    if own and role.mode in driven_modes:
        return replace(role, why=f"no command was played on DAC {own[0].index}, which has its number")
    return Role("", "the commands were played to other channels")
