"""``view``: volumes in a browser of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from ..config import Named, find_result
from ..model.finding import problem
from ..model.parsing import parse_json
from ..results import detect_kind
from ..results.omezarr import KIND, guard, preview, stored, tables
from ..storage.remote import BucketPath, ResultPath
from ..viewing.neuroglancer import MOST_COLORS, PAGE, find_client, make_events, make_state, serve_client
from ..viewing.server import Find, Served, Server

PLUGIN = "napari-ome-zarr"
MOST_INFO = 16 * 2**20
"""Bytes of what annotations say of themselves."""


def open_viewer(named: Sequence[Named], port: int = 0) -> Server:
    """A server of volumes and of the client that draws them, not yet serving.

    Parameters
    ----------
    named
        OME-Zarr volumes, by path or URL.
    port
        Of this machine; 0 for any that is free.

    Raises
    ------
    Problem
        ``view.volume``: something else is named; ``view.client``; ``result.unsafe`` or ``result.unreadable``.
    OSError
        The port is in use.
    """
    paths = [_check_volume(find_result(name)) for name in named]
    client = serve_client(find_client())
    folders: dict[str, Find] = {f"volume{number}": _serve_volume(path) for number, path in enumerate(paths)}
    folders["v"] = lambda name: client.get(name.partition("/")[2] or "index.html")
    images = {f"volume{number}/{path.name}/": _read_metadata(path) for number, path in enumerate(paths)}
    server = Server(folders, port)
    shown = {f"{server.url}/{place}": image for place, image in images.items()}
    server.events += make_events(make_state(shown))
    return server


def make_page_url(server: Server) -> str:
    """What to open in a browser."""
    return f"{server.url}/{PAGE}"


def format_napari_line(named: Sequence[Named]) -> str:
    """The command by which napari opens the same volumes."""
    return " ".join(("napari --plugin", PLUGIN, *(str(find_result(name)) for name in named)))


def list_previews(named: Sequence[Named]) -> list[str]:
    """The pictures of those volumes that have one, by path or URL."""
    pictures = [find_result(name) / preview.NAME for name in named]
    return [str(picture) for picture in pictures if picture.is_file()]


def _check_volume(path: ResultPath) -> ResultPath:
    kind = detect_kind(path)
    if kind is not KIND:
        message = f"{path.name} is no OME-Zarr volume, which is what can be viewed"
        raise problem("view.volume", message, file=str(path))
    return path


def _serve_volume(path: ResultPath) -> Find:
    """The files that a volume has now, and no others; links are not followed."""
    names = frozenset(guard.check_store(path))

    def find(name: str) -> Served | None:
        inside = name.partition("/")[2]
        if inside not in names or inside.endswith("/"):
            return None
        file = path / inside
        size = file.size() if isinstance(file, BucketPath) else file.stat(follow_symlinks=False).st_size
        return Served(size, partial(_read_range, file))

    return find


def _read_range(file: ResultPath, start: int, length: int) -> bytes:
    if isinstance(file, BucketPath):
        return file.read_range(start, length)
    with guard.open_regular_file(file) as opened:
        opened.seek(start)
        return opened.read(length)


def _read_metadata(path: ResultPath) -> dict[str, Any]:
    """The ``ome`` attribute of a volume, with its labels and tables of points and the colours of their classes."""
    with guard.translate_errors(path):
        root = guard.read_node(path)
        labels = {name: _find_colors(path / name) for name in stored.list_image_groups(path) if name}
        found = {name: _find_class_colors(path, name) for name in tables.list_tables(path)}
        return {
            **root["attributes"]["ome"],
            "labels": {name.rpartition("/")[2]: colors for name, colors in labels.items()},
            "tables": {name.rpartition("/")[2]: colors for name, colors in found.items() if colors is not None},
            "zarr_format": root["zarr_format"],
        }


def _find_colors(group: ResultPath) -> dict[str, str]:
    """Id -> colour of the classes of labels that are drawn; the background is not."""
    stated = guard.read_node(group)["attributes"]["ome"].get("image-label", {}).get("colors", [])
    colors = ((int(one["label-value"]), [int(part) for part in one["rgba"]]) for one in stated[:MOST_COLORS])
    return {str(value): _format_color(rgba) for value, rgba in colors if value}


def _format_color(rgba: Sequence[int]) -> str:
    return "#" + "".join(f"{part & 255:02x}" for part in rgba[:3])


def _find_class_colors(path: ResultPath, table: str) -> list[str] | None:
    """Colours of the classes of a table of points by their numbers, "" for none; None where it has no annotations."""
    place = path / table / tables.ANNOTATIONS / "info"
    if not place.is_file():
        return None  # a table of another program
    with guard.open_regular_file(place) as file:
        info = parse_json(file.read(MOST_INFO + 1), MOST_INFO)
    stated = tables.read_attributes(path, table).get("points", {}).get("classes", [])
    colors = {str(one["label-value"]): _format_color(one["rgba"]) for one in stated if "rgba" in one}
    kinds: list[Any] = next((one["enum_labels"] for one in info["properties"] if one["id"] == "class"), [])
    return [colors.get(str(kind).partition(" ")[0], "") for kind in kinds]
