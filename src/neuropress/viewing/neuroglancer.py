"""neuroglancer's client, which its package ships, and what it is to show of a volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..model.finding import problem
from .server import Served

EXTRA = "view"
METRES = {"angstrom": "1e-10", "nanometer": "1e-9", "micrometer": "1e-6", "millimeter": "1e-3"}
"""Exact, as 0.1 um times a float would be 1.0000000000000001e-07 m."""
MOST_COLORS = 10_000
"""Colours of segments that a page is told: more make it slow."""
PALETTE = ("FFD92F", "E41A1C", "4DAF4A", "377EB8", "FF7F00", "984EA3", "00CED1", "F781BF", "A65628", "FFFFFF")
"""Colours of classes of points that have none, in turn."""
MOST_SHADED = 100
"""Classes of points with a colour of their own."""
PAGE = "v/1/"
"""The packaged client asks for its events beside the folder `v` that it was loaded from."""
IMAGE_SHADER = """\
#uicontrol invlerp contrast
#uicontrol vec3 color color
void main() {
  emitRGB(color * contrast());
}
"""
GREY_SHADER = """\
#uicontrol invlerp contrast
void main() {
  emitGrayscale(contrast());
}
"""


def find_client() -> Path:
    """The folder of the client's files; the package is not imported.

    Raises
    ------
    Problem
        ``view.client``: it is not installed.
    """
    spec = find_spec("neuroglancer")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        client = Path(folder) / "static" / "client"
        if (client / "index.html").is_file():
            return client
    hint = f"Install it: python -m pip install 'neuropress[{EXTRA}]'"
    raise problem("view.client", "neuroglancer, which draws the volume, is not installed", hint=hint)


def serve_client(client: Path) -> dict[str, Served]:
    """The files of the client, by their names."""
    return {path.name: _serve_file(path) for path in client.iterdir() if path.is_file() and path.suffix != ".map"}


def make_events(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the packaged client wants to hear when it is opened: a configuration, and the state that is shown."""
    return [{"k": "c", "g": "0", "s": {}}, {"k": "s", "g": "0", "s": state}]


def _serve_file(path: Path) -> Served:
    data = path.read_bytes()
    return Served(len(data), lambda start, length: data[start : start + length], path.suffix)


def make_state(volumes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the client shows.

    Parameters
    ----------
    volumes
        URL of each volume -> what NGFF's metadata of its root say, with the format of Zarr under ``zarr_format``,
        ``labels``, the name of each -> id -> its colour (``#RRGGBB``), and ``tables``, the name of each table of
        points -> colours of its classes by their numbers, empty for those that have none.
    """
    layers: list[dict[str, Any]] = []
    for url, ome in volumes.items():
        name = url.rstrip("/").rpartition("/")[2].removesuffix(".ome.zarr")
        layers += _list_image_layers(name, url, ome)
        for label, colors in ome.get("labels", {}).items():
            source = _make_source(f"{url}labels/{label}/", ome)
            made = {"type": "segmentation", "source": source, "name": f"{name} {label}"}
            layers.append(made | ({"segmentColors": dict(colors)} if colors else {}))
        for table, colors in ome.get("tables", {}).items():
            layers.append(_make_points_layer(f"{name} {table} (points)", f"{url}tables/{table}/annotations/", colors))
    dimensions = max(map(_scale_space, volumes.values()), key=len)
    return {"dimensions": dimensions, "layers": layers, "layout": "4panel-alt"}


def _make_source(url: str, ome: Mapping[str, Any]) -> str:
    return f"{url}|zarr{ome.get('zarr_format', 3)}:"


def _scale_space(ome: Mapping[str, Any]) -> dict[str, tuple[float, str]]:
    """Voxel size along the axes in space, x first: the client's first panel shows the first two."""
    image = ome["multiscales"][0]
    scale = image["datasets"][0]["coordinateTransformations"][0]["scale"]
    sizes = {}
    for axis, step in zip(image["axes"], scale, strict=True):
        if axis["type"] == "space":
            metres = METRES.get(axis.get("unit", ""))
            sizes[axis["name"]] = (float(Decimal(repr(step)) * Decimal(metres)), "m") if metres else (step, "")
    return dict(reversed(sizes.items()))


def _list_image_layers(name: str, url: str, ome: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One layer for an image, or one for each of its channels, in its colour and window."""
    channels = ome.get("omero", {}).get("channels", [])
    if len(channels) < 2:
        made = _make_image_layer(name, _make_source(url, ome), channels[0] if channels else {})
        return [{**made, "shader": GREY_SHADER}]
    layers = []
    for number, channel in enumerate(channels):
        label = str(channel.get("label", number))
        made = _make_image_layer(f"{name} {label}", _make_source(url, ome), channel)
        made["shaderControls"]["color"] = f"#{channel.get('color', 'FFFFFF')}"
        place = {"localDimensions": {"c'": [1, ""]}, "localPosition": [number]}
        drawn = {"shader": IMAGE_SHADER, "blend": "additive", "visible": channel.get("active", True)}
        layers.append({**made, **place, **drawn})
    return layers


def _make_image_layer(name: str, source: str, channel: Mapping[str, Any]) -> dict[str, Any]:
    layer: dict[str, Any] = {"type": "image", "source": source, "name": name, "shaderControls": {}}
    window = channel.get("window", {})
    shown: Sequence[Any] = (window.get("start"), window.get("end"))
    if None not in shown:
        layer["shaderControls"]["contrast"] = {"range": list(shown)}
    return layer


def _make_points_layer(name: str, url: str, colors: Sequence[str]) -> dict[str, Any]:
    """A layer of points or boxes, in the colours of their classes where they have some."""
    layer = {"type": "annotation", "source": f"{url}|neuroglancer-precomputed:", "name": name}
    shades = [color.removeprefix("#") or PALETTE[i % len(PALETTE)] for i, color in enumerate(colors[:MOST_SHADED])]
    if not shades:
        return {**layer, "annotationColor": f"#{PALETTE[0]}"}
    chosen = "".join(f"  if (kind == {number}u) return {_format_vec3(shade)};\n" for number, shade in enumerate(shades))
    shader = f"vec3 pick(uint kind) {{\n{chosen}  return {_format_vec3(PALETTE[0])};\n}}\n"
    return {**layer, "shader": f"{shader}void main() {{\n  setColor(pick(prop_class()));\n}}\n"}


def _format_vec3(color: str) -> str:
    return f"vec3({', '.join(f'{int(color[i : i + 2], 16) / 255:.3f}' for i in (0, 2, 4))})"
