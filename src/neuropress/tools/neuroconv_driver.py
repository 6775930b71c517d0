"""Runs one interface of neuroconv; executed by the Python of neuroconv's own environment, never imported by neuropress.

``driver --version``, ``driver interfaces`` or ``driver REQUEST.json``. One line of JSON on standard output is the
answer; whatever libraries print goes to standard error.
"""

import inspect
import json
import os
import sys
from datetime import UTC, datetime
from difflib import get_close_matches
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("neuroconv", "pynwb", "hdmf", "h5py", "numpy", "spikeinterface", "neo", "roiextractors")
PLACES = ("file_path", "folder_path", "file_paths", "file_path_list")
"""Arguments that take what a row names, the first that an interface has."""
PATHS = ("path", "paths", "path_list", "nsx_override")
"""How arguments end that are paths; `neuropress.readers.neuroconv.make` has the same."""
UNPICKLES = ("PhySortingInterface", "SimaSegmentationInterface", "Suite2pSegmentationInterface")
"""Interfaces that unpickle or execute what they read, by their code; others are noticed when they do."""
HARMLESS = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
HARMLESS_NAMES = ("dtype", "ndarray", "scalar", "_reconstruct", "_frombuffer")
"""What numpy's own arrays and numbers are unpickled by, as PyTables has them in attributes."""


BLOCK = 1 << 20
"""Times that are shifted at once, and texts that are looked through for the scratch folder."""
TIMES = ("starting_time", "timestamps")
"""Names of times wherever they stand, ..."""
COLUMNS_OF_TIMES = ("start_time", "stop_time", "spike_times", "obs_intervals")
"""... in tables of any type, extensions' too, ..."""
DETECTED = ("EventDetection", "Clustering", "FeatureExtraction")
"""... and types whose ``times`` are."""
OF_THE_RUN = ("identifier", "source_script", "source_script_file_name", "timestamps_reference_time")
"""Metadata of this run and not of the file: an id made at random, our own script and where it lies."""
CHANGES = ("os.truncate", "os.chmod", "os.chown", "os.utime")


type Request = dict[str, Any]


class Refused(Exception):
    """Why the interface was not run, or not to its end: what sort of refusal, and words."""

    def __init__(self, sort: str, message: str) -> None:
        super().__init__(message)
        self.sort = sort


def main(arguments: list[str]) -> int:
    """Answer to one command line; returns the exit status."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if arguments == ["--version"]:
        import neuroconv  # noqa: F401 - an environment that cannot import it is broken

        answer = version("neuroconv")
    elif arguments == ["interfaces"]:
        answer = json.dumps([describe(one) for one in list_interfaces()])
    else:
        request = json.loads(Path(arguments[0]).read_text("utf-8"))
        try:
            answer = json.dumps(run(request))
        except Refused as refused:
            answer = json.dumps({"refused": refused.sort, "message": str(refused)})
        except Exception as error:  # noqa: BLE001 - of somebody else's code: any
            sort, words = describe_error(error)
            answer = json.dumps({"refused": sort, "message": words.replace(request["stage"] + os.sep, "")})
    answers.write(answer + "\n")
    answers.flush()
    return 0


def describe_error(error: Exception) -> tuple[str, str]:
    """What sort of refusal an error of others is, and its words in one line; pydantic's name the arguments."""
    found = getattr(error, "errors", None)
    if not callable(found):
        return "failed", " ".join(f"{type(error).__name__}: {error}".split())
    entries = [(".".join(map(str, one["loc"])), one["msg"], one.get("input")) for one in found()]
    return "argument", "; ".join(f"{name}: {words} ({str(value)[:80]!r})" for name, words, value in entries)


def list_interfaces() -> list[Any]:
    """Every interface of the environment's neuroconv."""
    from neuroconv.datainterfaces import interface_list

    return sorted(interface_list, key=lambda one: one.__name__)


def list_arguments(function: Any) -> list[dict[str, Any]]:
    """Name, type and default of what a function takes, those that neuropress gives apart."""
    found = []
    for one in inspect.signature(function).parameters.values():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) or one.name in ("self", "nwbfile", "metadata", "verbose"):
            continue
        entry = {"name": one.name, "required": one.default is one.empty}
        if one.annotation is not one.empty:
            entry["type"] = shorten_type(one.annotation)
        if one.default is not one.empty and one.default is not None:
            entry["default"] = one.default if isinstance(one.default, (str, int, float, bool)) else str(one.default)
        found.append(entry)
    return found


def shorten_type(annotation: Any) -> str:
    """A type in words: that a path was checked by pydantic is no concern of the reader."""
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    for name in ("file", "dir"):
        text = text.replace(f"typing.Annotated[pathlib.Path, PathType(path_type='{name}')]", f"path of a {name}")
    return text.replace("typing.", "").replace("pathlib.", "")


def list_init_arguments(interface: Any) -> list[dict[str, Any]]:
    """What its constructor takes; of one that takes anything, what its schema names."""
    arguments = list_arguments(interface.__init__)
    if not any(one["name"] in PLACES for one in arguments):
        known = interface.get_source_schema()
        names = [name for name in known.get("properties", {}) if name not in [one["name"] for one in arguments]]
        required = known.get("required", [])
        arguments += [{"name": name, "required": name in required} for name in names if name != "verbose"]
    return arguments


def describe(interface: Any) -> dict[str, Any]:
    """One entry of the list of interfaces."""
    words = (inspect.getdoc(interface) or "").split("\n\n")[0].replace("\n", " ")
    return {
        "name": interface.__name__,
        "about": words,
        "suffixes": list(getattr(interface, "associated_suffixes", ())),
        "arguments": list_init_arguments(interface),
        "options": list_arguments(interface.add_to_nwbfile),
        "unpickles": interface.__name__ in UNPICKLES,
    }


def run(request: Request) -> dict[str, Any]:
    """Make the fragment that a request asks for; returns what is to be known of it."""
    known = {one.__name__: one for one in list_interfaces()}
    if request["interface"] not in known:
        close = [name for name in known if request["interface"].lower().removesuffix("interface") in name.lower()]
        close = close or get_close_matches(request["interface"], known, n=3)
        words = f" (is it {' or '.join(close[:5])}?)" if close else ""
        raise Refused("unknown", f"neuroconv has no interface {request['interface']!r}{words}")
    interface = known[request["interface"]]
    unpickled = watch(request["trust"], request["stage"])
    if interface.__name__ in UNPICKLES and not request["trust"]:
        raise Refused("untrusted", "it unpickles or executes what it reads")
    made, options = make_interface(interface, request)
    metadata = made.get_metadata()
    started = metadata["NWBFile"].get("session_start_time")
    about = describe_session(metadata, request)
    write_fragment(made, metadata, request, options)
    hide_stage(request)
    corrected = order_sides(made, request["fragment"])
    if request["offset"]:
        shift_times(request["fragment"], float(Fraction(request["offset"])))
    return {
        "versions": {name: found for name in PACKAGES if (found := find_version(name))}
        | {"python": sys.version.split()[0]},
        "started": str(started.isoformat() if isinstance(started, datetime) else started or ""),
        "about": about,
        "unpickled": sorted(unpickled),
        "corrected": corrected,
    }


def describe_session(metadata: Any, request: Request) -> dict[str, Any]:
    """What the file says of the session and the subject: the same in each run."""
    stated = {name: dict(metadata.get(name) or {}) for name in ("NWBFile", "Subject")}
    kept = {name: value for name, value in stated["NWBFile"].items() if value and name not in OF_THE_RUN}
    text = json.dumps({**stated, "NWBFile": kept}, default=str)
    # Escaped as in the text itself, for folders with letters beyond ASCII.
    found: dict[str, Any] = json.loads(text.replace(json.dumps(request["folder"] + os.sep)[1:-1], ""))
    return found


def find_version(name: str) -> str | None:
    """Version of an installed package, None of one that is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def make_interface(interface: Any, request: Request) -> tuple[Any, dict[str, Any]]:
    """The interface with its arguments, and those that are for its conversion."""
    init, later = list_init_arguments(interface), list_arguments(interface.add_to_nwbfile)
    names, later_names = [one["name"] for one in init], [one["name"] for one in later]
    given = dict(request["arguments"])
    for name in [name for name in given if name not in names and name not in later_names]:
        known = [*names, *later_names]
        close = get_close_matches(name, known, n=1)
        words = f" (did you mean {close[0]}?)" if close else ""
        raise Refused("argument", f"it has no argument {name!r}{words}; it has {', '.join(known)}")
    for name, value in given.items():
        if name.endswith(PATHS):
            given[name] = resolve_paths(value, request["folder"])
    if not any(name in given for name in PLACES):
        given |= place_source(names, request)
    options = {name: given.pop(name) for name in list(given) if name not in names}
    missing = [one["name"] for one in init if one["required"] and one["name"] not in given]
    missing += [one["name"] for one in later if one["required"] and one["name"] not in options]
    if missing:
        raise Refused("argument", f"it wants {', '.join(missing)}, too")
    return interface(**given), options


def resolve_paths(value: Any, folder: str) -> Any:
    """Paths among the arguments, which start at the folder that the row's file is in, or is."""
    if isinstance(value, list):
        return [resolve_paths(one, folder) for one in value]
    if isinstance(value, dict):
        return {name: resolve_paths(one, folder) for name, one in value.items()}
    return os.path.join(folder, value)


def place_source(names: list[str], request: Request) -> dict[str, Any]:
    """The argument that takes what the row names."""
    source = request["source"]
    usable = [name for name in PLACES if name in names and (name == "folder_path" or os.path.isfile(source))]
    if not usable:
        wanted = [name for name in names if name in PLACES]
        words = f"it takes {' or '.join(wanted)}" if wanted else "it takes no file"
        raise Refused("argument", f"it cannot be given a folder: {words}; state that argument, below the folder")
    name = usable[0]
    if name == "folder_path":
        return {name: source if os.path.isdir(source) else request["folder"]}
    return {name: source if name == "file_path" else [source]}


def shift_times(path: str, offset: float) -> None:
    """Have all times of a fragment count from the session's start. NWB says which they are; not every interface can."""
    import h5py

    def is_time(name: str, item: Any) -> bool:
        above = item.parent.attrs
        if name in COLUMNS_OF_TIMES:
            return "colnames" in above
        if name == "times":
            return above.get("neurodata_type", "") in DETECTED
        return name in TIMES or bool(item.attrs.get("neurodata_type", "") == "TimestampVectorData")

    def visit(path: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset) or not item.size or not is_time(path.rpartition("/")[2], item):
            return
        if item.dtype.kind != "f":
            raise Refused("failed", f"/{path} has times of type {item.dtype}, which cannot be shifted by {offset} s")
        if item.ndim == 0:
            item[()] = item[()] + offset
            return
        step = max(1, BLOCK // (item.size // len(item)))
        for start in range(0, len(item), step):
            item[start : start + step] = item[start : start + step] + offset

    with h5py.File(path, "r+") as file:
        file.visititems(visit)


def write_fragment(made: Any, metadata: Any, request: Request, options: dict[str, Any]) -> None:
    """Export what the interface makes, without compression: its arrays are packed when they are taken over."""
    from neuroconv.utils import dict_deep_update
    from pynwb import NWBHDF5IO

    # The session's start is the row's; neuroconv asks for one, and pynwb would add this machine's zone.
    metadata = dict_deep_update(metadata, request["metadata"])
    metadata["NWBFile"]["session_start_time"] = datetime(1970, 1, 1, tzinfo=UTC)
    metadata["NWBFile"].pop("timestamps_reference_time", None)
    metadata.pop("Subject", None)
    nwbfile = made.create_nwbfile(metadata=metadata, **options)
    with NWBHDF5IO(request["fragment"], "w") as io:
        io.write(nwbfile)


def hide_stage(request: Request) -> None:
    """Texts that name the scratch folder name what lies there as it would be found from the result."""
    import h5py
    import numpy as np

    stage = request["folder"].rstrip(os.sep) + os.sep
    before = request["external_folder"].rstrip("/") + "/" if request["external_folder"] else ""

    def hide(value: Any) -> Any:
        """The value without the folder; None where it names none."""
        if isinstance(value, str):
            return value.replace(stage, before) if stage in value else None
        is_array = getattr(getattr(value, "dtype", None), "kind", "") == "O"
        if not is_array or not any(stage in str(text) for text in value.flat):
            return None
        found = value.copy()
        found.flat = [text.replace(stage, before) if isinstance(text, str) else text for text in value.flat]
        return found

    def visit(_: str, item: Any) -> None:
        for name, value in item.attrs.items():
            if (text := hide(value)) is not None:
                item.attrs[name] = text if isinstance(text, str) else text.astype(h5py.string_dtype())
        if not isinstance(item, h5py.Dataset) or h5py.check_string_dtype(item.dtype) is None or not item.size:
            return
        step = max(1, BLOCK // (item.size // len(item))) if item.shape else 1
        for start in range(0, len(item) if item.shape else 1, step):
            place = slice(start, start + step) if item.shape else ()
            if (found := hide(item.asstr("utf-8", "surrogateescape")[place])) is not None:
                is_fixed = item.dtype.kind == "S"
                item[place] = np.char.encode(np.asarray(found, str), "utf-8") if is_fixed else found

    with h5py.File(request["fragment"], "r+") as file:
        visit("", file)
        file.visititems(visit)


def order_sides(made: Any, path: str) -> list[str]:
    """Put the sides that a movie states in the order of its frames; returns the places of those that were not.

    neuroconv 0.10 turns its extractor's frames (rows, columns) to NWB's (width, height), and states the sides unturned.
    """
    import h5py

    extractor = getattr(made, "imaging_extractor", None)
    stated = [int(side) for side in extractor.get_sample_shape()] if extractor is not None else []
    turned = [*stated[1::-1], *stated[2:]]
    found: list[str] = []

    def visit(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Group) or "dimension" not in item or "data" not in item:
            return
        sides = item["dimension"][()].tolist()
        if sides == stated != turned and list(item["data"].shape[1:]) == turned:
            item["dimension"][()] = turned
            found.append(f"/{name}/dimension")

    if len(stated) > 1:
        with h5py.File(path, "r+") as file:
            file.visititems(visit)
    return found


def watch(trusted: bool, stage: str) -> set[str]:
    """Refuse what a file must not bring about; the names that were unpickled, as they are."""
    unpickled = set()

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "pickle.find_class":
            module, name = str(arguments[0]), str(arguments[1])
            if module not in HARMLESS or name not in HARMLESS_NAMES:
                unpickled.add(f"{module}.{name}")
                if not trusted:
                    raise Refused("untrusted", f"it unpickles {module}.{name}")
        elif event in ("socket.connect", "socket.getaddrinfo"):
            raise Refused("network", "it asks for the network")
        elif is_change(event, arguments):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if path.startswith(stage) and os.path.islink(path):
                raise Refused("written", f"it would write to {os.path.basename(path)}, which is a raw file")

    sys.addaudithook(hear)
    return unpickled


def is_change(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether a file is opened for writing, cut or given other properties, by its name."""
    if (event != "open" and event not in CHANGES) or not isinstance(arguments[0], (str, bytes)):
        return False
    return event != "open" or (isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
