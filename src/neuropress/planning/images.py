"""Rows whose file holds several images: each that ``[images]`` names is chosen for a result of its own."""

from __future__ import annotations

from collections.abc import Iterable

from ..config import FILE, Config
from ..model.finding import Finding, finding
from ..model.images import find_images
from ..model.record import Record
from ..tables import RowId
from .targets import Wanted, list_images, raw_key


def choose_image(wanted: Wanted, config: Config) -> Config:
    """The settings with the image chosen that a result is made of, where somebody says which."""
    if not wanted.image:
        return config
    return config.choose_image(raw_key(*wanted.jobs[0], config.profile), wanted.image)


def list_choices(name: str, record: Record, config: Config) -> list[Config]:
    """The settings with each image of a row chosen; as they are where nobody says which are meant."""
    key = raw_key(name, record, config.profile)
    return [config.choose_image(key, image) for image in list_images(name, record, config.profile)] or [config]


def find_unused_images(config: Config, wanted: Iterable[Wanted], blocked: Iterable[RowId]) -> list[Finding]:
    """Entries of ``[images]`` that no row takes: they would change nothing. Rows with errors still may."""
    keys = {one.record.key for one in wanted if one.image} | {key for _, key in blocked}
    unused = (
        row for row, images in config.profile.images.items() if not any(find_images({row: images}, k) for k in keys)
    )
    return [finding("images.unused", f"no volume's row is {row}", value=f"images.{row}", file=FILE) for row in unused]
