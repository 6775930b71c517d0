"""Readers of ours that are wrong on purpose: what each does to what the right one found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from neuropress.model.content import Channel, Image, LazyArray, Recording, Selection, Sweep

type Change = Callable[[np.ndarray], np.ndarray]


def change_array(array: LazyArray, change: Change, shape: tuple[int, ...] | None = None, **more: Any) -> LazyArray:
    """An array of which all is read, changed, and a block given."""
    whole = tuple(slice(0, n) for n in array.shape)

    def read(selection: Selection) -> np.ndarray:
        return np.ascontiguousarray(change(array.read(whole))[selection])

    return replace(array, read=read, shape=shape or array.shape, **more)


# --- recordings ------------------------------------------------------------------------------------------------------


def change_adc(r: Recording, **more: Any) -> Recording:
    return replace(r, adc=tuple(replace(c, **{k: v(c) if callable(v) else v for k, v in more.items()}) for c in r.adc))


def change_traces(r: Recording, kind: str, change: Change) -> Recording:
    arrays = {n: change_array(a, change) if f"/{kind}" in n else a for n, a in r.arrays.items()}
    return replace(r, arrays=arrays)


def change_sweeps(r: Recording, change: Callable[[Sweep], Sweep]) -> Recording:
    return replace(r, sweeps=tuple(change(s) for s in r.sweeps))


def halve_gain(r: Recording) -> Recording:
    return change_adc(r, gain=lambda c: c.gain / 2)


def drop_offset(r: Recording) -> Recording:
    return change_adc(r, offset=r.adc[0].offset * 0)


def take_nano_for_pico(r: Recording) -> Recording:
    return change_adc(r, unit=lambda c: c.unit.replace("pA", "nA"))


def double_rate(r: Recording) -> Recording:
    return replace(r, rate=r.rate * 2)


def shift_sweep(r: Recording) -> Recording:
    arrays = dict(r.arrays)
    arrays["sweep001/adc0"] = change_array(arrays["sweep001/adc0"], lambda data: np.roll(data, 1))
    return replace(r, arrays=arrays)


def repeat_sweep(r: Recording) -> Recording:
    """Sweep 0 in the place of sweep 1."""
    arrays = dict(r.arrays)
    for channel in (0, 1):
        arrays[f"sweep001/adc{channel}"] = replace(arrays[f"sweep000/adc{channel}"], name=f"sweep001/adc{channel}")
    return replace(r, arrays=arrays)


def lose_sweep(r: Recording) -> Recording:
    gone = f"sweep{len(r.sweeps) - 1:03d}/"
    arrays = {name: array for name, array in r.arrays.items() if not name.startswith(gone)}
    return replace(r, sweeps=r.sweeps[:-1], arrays=arrays)


def lose_last_sample(r: Recording) -> Recording:
    arrays = {
        n: change_array(a, lambda data: data[:-1], (a.shape[0] - 1,), block=(a.block[0] - 1,))
        for n, a in r.arrays.items()
    }
    return change_sweeps(replace(r, arrays=arrays), lambda s: replace(s, length=s.length - 1))


def swap_channels(r: Recording) -> Recording:
    arrays = dict(r.arrays)
    for sweep in range(len(r.sweeps)):
        names = [f"sweep{sweep:03d}/adc{channel}" for channel in (0, 1)]
        first, second = (r.arrays[name] for name in names)
        arrays |= {names[0]: replace(second, name=names[0]), names[1]: replace(first, name=names[1])}
    return replace(r, arrays=arrays)


def lose_channel(r: Recording) -> Recording:
    arrays = {name: array for name, array in r.arrays.items() if not name.endswith("/adc1")}
    only = change_sweeps(replace(r, arrays=arrays), lambda s: replace(s, responses={0: s.responses[0]}))
    return replace(only, adc=r.adc[:1])


def swap_bytes(r: Recording) -> Recording:
    return change_traces(r, "adc", lambda data: data.byteswap())


def change_sign(r: Recording) -> Recording:
    return change_traces(r, "adc", lambda data: -data)


def forget_commands(r: Recording) -> Recording:
    arrays = {name: array for name, array in r.arrays.items() if "/dac" not in name}
    return change_sweeps(replace(r, arrays=arrays), lambda s: replace(s, stimuli=()))


def shift_commands(r: Recording) -> Recording:
    """Without the first 1/64 of the sweep at the holding level."""
    return change_traces(r, "dac", lambda data: np.roll(data, -(len(data) // 64)))


def take_volts_for_millivolts(r: Recording) -> Recording:
    def change(channel: Channel) -> Channel:
        return replace(channel, unit=channel.unit.replace("mV", "V"))

    return replace(r, dac=tuple(change(c) for c in r.dac))


def start_late(r: Recording) -> Recording:
    assert r.started
    return replace(r, started=r.started + timedelta(seconds=90))


def forget_start(r: Recording) -> Recording:
    return replace(r, started=None)


def close_gaps(r: Recording) -> Recording:
    return change_sweeps(r, lambda s: replace(s, start=s.length * s.index / r.rate))


RECORDINGS = (
    halve_gain, drop_offset, take_nano_for_pico, double_rate, shift_sweep, repeat_sweep, lose_sweep, lose_last_sample,
    swap_channels, lose_channel, swap_bytes, change_sign, forget_commands, shift_commands, take_volts_for_millivolts,
    start_late, forget_start, close_gaps,
)  # fmt: skip


# --- images ----------------------------------------------------------------------------------------------------------


def change_pixels(image: Image, change: Change, shape: tuple[int, ...] | None = None, **more: Any) -> Image:
    return replace(image, arrays={"pixels": change_array(image.arrays["pixels"], change, shape, **more)})


def lose_page(image: Image) -> Image:
    pixels = image.arrays["pixels"]
    return change_pixels(image, lambda data: data[:-1], (pixels.shape[0] - 1, *pixels.shape[1:]))


def take_first_page_twice(image: Image) -> Image:
    return change_pixels(image, lambda data: np.concatenate([data[:1], data[:-1]]))


def reverse_pages(image: Image) -> Image:
    return change_pixels(image, lambda data: data[::-1])


def flip_rows(image: Image) -> Image:
    return change_pixels(image, lambda data: data[..., ::-1, :])


def flip_columns(image: Image) -> Image:
    return change_pixels(image, lambda data: data[..., ::-1])


def swap_pixel_bytes(image: Image) -> Image:
    return change_pixels(image, lambda data: data.byteswap())


def shift_rows(image: Image) -> Image:
    return change_pixels(image, lambda data: np.roll(data, 1, axis=-2))


def clear_lowest_bit(image: Image) -> Image:
    return change_pixels(image, lambda data: data & ~np.asarray(1, data.dtype))


def take_for_signed(image: Image) -> Image:
    dtype = np.dtype(image.arrays["pixels"].dtype.str.replace("u", "i"))
    return change_pixels(image, lambda data: data.view(dtype), dtype=dtype)


def exchange_axes(image: Image, first: str, second: str) -> Image:
    """Names stay where they are, and what they mean changes places."""
    pixels = image.arrays["pixels"]
    a, b = pixels.axes.index(first), pixels.axes.index(second)
    order = list(range(len(pixels.shape)))
    order[a], order[b] = order[b], order[a]
    shape, block = (tuple(t[i] for i in order) for t in (pixels.shape, pixels.block))
    return change_pixels(image, lambda data: data.transpose(order), shape, block=block)


def swap_rows_and_columns(image: Image) -> Image:
    return exchange_axes(image, "y", "x")


def swap_depth_and_time(image: Image) -> Image:
    return exchange_axes(image, "t", "z")


def swap_image_channels(image: Image) -> Image:
    axis = image.arrays["pixels"].axes.index("c")
    return change_pixels(image, lambda data: np.flip(data, axis))


def take_channels_for_depths(image: Image) -> Image:
    """Pages in the order of the file, but counted with the depth fastest."""
    pixels = image.arrays["pixels"]
    a, b = pixels.axes.index("z"), pixels.axes.index("c")

    def change(data: np.ndarray) -> np.ndarray:
        swapped = list(data.shape)
        swapped[a], swapped[b] = swapped[b], swapped[a]
        return data.reshape(swapped).swapaxes(a, b)

    return change_pixels(image, change)


ANY_IMAGE = (
    lose_page, take_first_page_twice, reverse_pages, flip_rows, flip_columns, swap_pixel_bytes, shift_rows,
    clear_lowest_bit, take_for_signed, swap_rows_and_columns,
)  # fmt: skip
HYPERSTACKS = (swap_depth_and_time, swap_image_channels, take_channels_for_depths)
