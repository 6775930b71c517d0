"""Which recorded channels are clamped cells, in which mode, and which DAC commanded them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from neuropress.mapping.units import parse_unit
from neuropress.model.content import Channel

VOLTAGE, CURRENT = "V", "A"
_COUNTS = 2**15
LARGEST_CURRENT = Decimal("1e-3")
"""A; a patch amplifier's range ends far below. A unit "A" that should be "pA" exceeds it."""
LARGEST_VOLTAGE = Decimal(100)
"""V; a digitizer's 10 V behind an amplifier of the lowest gain stay below."""
DIGITIZER_VOLTS = Decimal(1)
"""V; a channel in plain "V" of at least this range is a digitizer input without an amplifier's scale."""

SERIES = {"voltage clamp": "VoltageClampSeries", "current clamp": "CurrentClampSeries", "I=0": "IZeroClampSeries"}
_MODE_BY_QUANTITY = {CURRENT: "voltage clamp", VOLTAGE: "current clamp"}
_COMMAND_QUANTITY = {CURRENT: VOLTAGE, VOLTAGE: CURRENT}
_QUANTITY_NAMES = {CURRENT: "current", VOLTAGE: "voltage"}


@dataclass(frozen=True, slots=True)
class Role:
    """What a recorded channel is. `mode` is empty for a plain TimeSeries; `reason` then says why,
    and for an assumed mode what is missing."""

    mode: str
    reason: str = ""
    dac: Channel | None = None


def parse_si_unit(unit: str) -> tuple[str, Decimal] | None:
    """``pA`` -> (``A``, 1E-12); None for what is neither a current nor a voltage."""
    known = parse_unit(unit)
    if known is None or known.base not in (VOLTAGE, CURRENT):
        return None
    return known.base, Decimal(1).scaleb(known.exponent)


def get_quantity(channel: Channel) -> str:
    """``V``, ``A`` or nothing."""
    known = parse_si_unit(channel.unit)
    return known[0] if known else ""


def assign_roles(
    adc: Sequence[Channel], dac: Sequence[Channel], largest: Mapping[int, Decimal] | None = None
) -> Mapping[int, Role]:
    """The role of every recorded channel, by its index.

    Parameters
    ----------
    largest
        Largest absolute sample of channels without a range of their own, in their unit: floats, and whole numbers of
        other digitizers than those of 16 bits.
    """
    assigned: dict[int, Role] = {}
    for channel in adc:
        evident = _derive_role_from_channel(channel, (largest or {}).get(channel.index))
        assigned[channel.index] = evident or _derive_role_from_commands(channel, dac)
    clamped = [c for c in adc if assigned[c.index].mode]
    links = _link_commands(clamped, dac)
    driven_modes = {assigned[i].mode for i in links}
    for channel in clamped:
        role = assigned[channel.index]
        if channel.index in links:
            assigned[channel.index] = replace(role, dac=links[channel.index])
        elif not channel.clamp and not role.reason and any(d.driven for d in dac):
            assigned[channel.index] = _assign_unlinked_role(channel, role, dac, driven_modes)
    return assigned


def _derive_role_from_channel(channel: Channel, largest: Decimal | None) -> Role | None:
    """What the unit, the range and the amplifier's telegraph settle without a look at the commands."""
    known = parse_si_unit(channel.unit)
    if known is None:
        return Role("", f"its unit {channel.unit!r} is neither a current nor a voltage")
    kind, factor = known
    counts = _COUNTS if channel.dtype.kind == "i" else Decimal(0)
    full_scale = abs(channel.gain) * factor * (counts if largest is None else largest)
    if full_scale > (LARGEST_CURRENT if kind == CURRENT else LARGEST_VOLTAGE):
        return Role("", f"its unit {channel.unit!r} gives an impossible range of {full_scale:.3g} {kind}")
    if channel.unit == VOLTAGE and full_scale >= DIGITIZER_VOLTS:
        return Role("", f"it is recorded in V over {full_scale:.3g} V, so it has no amplifier's scale")
    if not channel.clamp:
        return None
    if (kind == CURRENT) == (channel.clamp == "voltage clamp"):
        return Role(channel.clamp)
    return Role("", f"the cell was in {channel.clamp}, but its unit is {channel.unit}")


def _derive_role_from_commands(channel: Channel, dac: Sequence[Channel]) -> Role:
    """By the units of the commands: those that were played, or else the one of the same number."""
    driven = [d for d in dac if d.driven]
    same_terminal = [d for d in dac if d.terminal == channel.terminal]
    commands = {get_quantity(d) for d in driven or same_terminal} - {""}
    kind = get_quantity(channel)
    if _COMMAND_QUANTITY[kind] in commands:
        return Role(_MODE_BY_QUANTITY[kind])
    if commands:
        return Role("", f"it records a {_QUANTITY_NAMES[kind]} while the only command is a {_QUANTITY_NAMES[kind]} too")
    return Role(_MODE_BY_QUANTITY[kind], "no command channel with a known unit confirms it")


def _link_commands(clamped: Sequence[Channel], dac: Sequence[Channel]) -> dict[int, Channel]:
    """Recorded channel -> DAC that commanded it: the same number first, then what is left if it is unique."""
    links: dict[int, Channel] = {}
    free = [d for d in dac if d.driven and get_quantity(d)]
    for channel in clamped:
        quantity = _COMMAND_QUANTITY[get_quantity(channel)]
        matching = [d for d in free if d.terminal == channel.terminal and get_quantity(d) == quantity]
        if matching:
            links[channel.index] = matching[0]
            free.remove(matching[0])
    for kind in (CURRENT, VOLTAGE):
        uncommanded = [c for c in clamped if c.index not in links and get_quantity(c) == kind]
        unplayed = [d for d in free if get_quantity(d) == _COMMAND_QUANTITY[kind]]
        if len(uncommanded) == len(unplayed) == 1 and not uncommanded[0].clamp:
            links[uncommanded[0].index] = unplayed[0]
    return links


def _assign_unlinked_role(channel: Channel, role: Role, dac: Sequence[Channel], driven_modes: set[str]) -> Role:
    """A channel whose command is another's: a cell at rest like the others, or a monitor."""
    quantity = _COMMAND_QUANTITY[get_quantity(channel)]
    own = [d for d in dac if d.terminal == channel.terminal and get_quantity(d) == quantity]
    if own and role.mode in driven_modes:
        return replace(role, reason=f"no command was played on DAC {own[0].index}, which has its number")
    return Role("", "the commands were played to other channels")
