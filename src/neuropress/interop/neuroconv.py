"""A session of a neuropress dataset as a DataInterface of neuroconv.

neuroconv's environment cannot hold neuropress. This file imports nothing of it: copy it beside your own script
(``cp "$(neuropress tools interop)" neuropress_session.py``) and import it there. neuropress's own program is run where
it is installed; what it wrote is taken over as it is.

>>> from neuropress_session import NeuropressSessionInterface
>>> session = NeuropressSessionInterface(folder_path="ds", session="RY_S_0001", command="/opt/venv/bin/neuropress")
>>> ConverterPipe({"Trials": trials, "Session": session}).run_conversion(nwbfile_path="both.nwb")
"""

# neuroconv still supports Python 3.10, so this file does.
import contextlib
import importlib
import json
import os
import subprocess
import tempfile
import warnings
import weakref
from pathlib import Path
from typing import Any

import h5py
import hdmf
import numpy as np
import pynwb
from hdmf.data_utils import GenericDataChunkIterator
from neuroconv.basedatainterface import BaseDataInterface
from pydantic import DirectoryPath, validate_call
from pynwb.base import TimeSeriesReference, TimeSeriesReferenceVectorData

NAMED = {
    "devices": "add_device",
    "device_models": "add_device_model",
    "electrode_groups": "add_electrode_group",
    "imaging_planes": "add_imaging_plane",
    "icephys_electrodes": "add_icephys_electrode",
    "ogen_sites": "add_ogen_site",
    "acquisition": "add_acquisition",
    "stimulus": "add_stimulus",
    "stimulus_template": "add_stimulus_template",
    "analysis": "add_analysis",
    "scratch": "add_scratch",
    "intervals": "add_time_intervals",
    "events": "add_events_table",
    "lab_meta_data": "add_lab_meta_data",
}
"""Places of an NWB file that hold objects by name, and how one is added to each."""
SINGLE = (
    "electrodes",
    "epochs",
    "trials",
    "invalid_times",
    "units",
    "sweep_table",
    "external_resources",
    "intracellular_recordings",
    "icephys_simultaneous_recordings",
    "icephys_sequential_recordings",
    "icephys_repetitions",
    "icephys_experimental_conditions",
)
"""Places for one object."""
SESSION_TEXTS = (
    "session_id",
    "experiment_description",
    "institution",
    "lab",
    "notes",
    "pharmacology",
    "protocol",
    "slices",
    "data_collection",
    "surgery",
    "virus",
    "stimulus_notes",
)
SESSION = ("session_description", "identifier", *SESSION_TEXTS, "source_script", "source_script_file_name")
SESSION_LISTS = ("experimenter", "keywords", "related_publications")
SUBJECT = (
    "subject_id",
    "age",
    "description",
    "genotype",
    "sex",
    "species",
    "strain",
    "weight",
)
"""Fields that neuroconv's schema of metadata knows."""
EMPTY = (None, "", (), "no description")
"""What neuroconv writes, or leaves, where nobody stated anything."""
SMALL = 2**22
"""Bytes up to which an array is read at once; a larger one is read in pieces when it is written."""
BUFFER_GB = 0.1


def register() -> None:
    """Name the interface among neuroconv's own, where its conversion specifications in YAML look for interfaces."""
    known: Any = importlib.import_module("neuroconv.datainterfaces")
    known.NeuropressSessionInterface = NeuropressSessionInterface


class NeuropressError(RuntimeError):
    """Why a session could not be had, or does not fit into the file that it should go to."""


class NeuropressSessionInterface(BaseDataInterface):  # type: ignore[misc]
    """All that neuropress converted for one session: its objects, as they are, in the file of a conversion."""

    display_name = "neuropress session"
    keywords = ("neuropress",)
    associated_suffixes = ()
    info = "Interface for a session of a neuropress dataset."

    @validate_call
    def __init__(
        self,
        folder_path: DirectoryPath,
        session: str,
        command: str | list[str] = "neuropress",
        result: str | None = None,
        verbose: bool = False,
    ) -> None:
        """Name the session; nothing is run yet.

        Parameters
        ----------
        folder_path
            The dataset, the folder with ``neuropress.toml``.
        session
            The session's id, as in the tables.
        command
            neuropress's program, or its words: ``["ssh", ...]`` must see the same files.
        result
            The name of the session's NWB file, where ``[split]`` gives it several.
        verbose
            Unused; converters hand it on.
        """
        super().__init__(verbose=verbose, folder_path=folder_path, session=session, command=command, result=result)
        self._path: Path | None = None

    def find_result(self) -> Path:
        """Have neuropress convert the session, which costs little if it is up to date; returns its NWB file.

        Raises
        ------
        NeuropressError
            neuropress was not found, refused, or made several NWB files and `result` names none of them.
        """
        if self._path is None:
            given = self.source_data
            self._path = convert_session(given["folder_path"], given["session"], given["command"], given["result"])
        return self._path

    def get_metadata(self) -> Any:
        """The session's and the subject's fields under neuroconv's names, times in ISO 8601; ready for JSON or YAML.

        Raises
        ------
        NeuropressError
            As `find_result`.
        """
        metadata = super().get_metadata()
        with h5py.File(self.find_result(), "r") as file, open_result(file) as io:
            stated = describe_session(io.read())
        metadata.deep_update(stated)
        return metadata

    def add_to_nwbfile(self, nwbfile: pynwb.NWBFile, metadata: dict[str, Any] | None = None) -> None:
        """Put the session's objects into a file; nothing in it is replaced.

        Parameters
        ----------
        nwbfile
            Its start must be the session's, since all times are seconds from there.
        metadata
            Not used: the objects stay as neuropress wrote and proved them.

        Raises
        ------
        NeuropressError
            As `find_result`; another start, reference time or subject; a name that is taken already. The file is as it
            was then.
        """
        path = self.find_result()
        file = h5py.File(path, "r")
        io = open_result(file)
        source = io.read()
        try:
            compare_clocks(source, nwbfile)
            compare_subjects(source, nwbfile)
            refuse_clashes(source, nwbfile)
        except NeuropressError:
            io.close()
            raise
        state_session(source, nwbfile)
        # Large arrays are read when `nwbfile` is written: the result stays open for as long as that is there. `io`
        # knows the objects that `nwbfile` gets, so they go together; only the handle may be held from elsewhere.
        nwbfile.neuropress_results = [*getattr(nwbfile, "neuropress_results", ()), io]
        weakref.finalize(nwbfile, file.close)
        detach(source, path)
        move(source, nwbfile)


def convert_session(folder: Path, session: str, command: str | list[str], result: str | None) -> Path:
    """Run ``neuropress convert`` for a session; returns the path of its NWB file. Raises `NeuropressError`."""
    program = [command] if isinstance(command, str) else list(command)
    words = [*program, "convert", str(Path(folder).absolute()), "--session", session, "--json"]
    # Python's own variables would lead neuropress to this environment's packages.
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        ended = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", env=variables, check=False)
    except OSError as error:
        raise NeuropressError(
            f"{program[0]} cannot be run: {error.strerror}. Give command= the path of neuropress's program, "
            "in the environment where it is installed"
        ) from error
    said = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    bad = [f"{one['message']} ({one['id']}). {one.get('hint', '')}" for one in said if one.get("severity") == "error"]
    if ended.returncode or bad:
        bad = bad or [ended.stderr.strip()[-2000:] or f"it ended with status {ended.returncode}"]
        raise NeuropressError("neuropress did not convert " + session + ":\n" + "\n".join(bad))
    targets: list[str] = [one["target"] for one in said if "done" in one and one["target"].endswith(".nwb")]
    chosen = [target for target in targets if result in (None, target.rpartition("/")[2])]
    if len(chosen) != 1:
        names = ", ".join(target.rpartition("/")[2] for target in targets) or "none"
        wanted = f"named {result}" if result else "alone"
        raise NeuropressError(f"{session} has no NWB file {wanted}; those it has: {names}. Give result= one of them")
    return Path(folder).absolute() / "output" / chosen[0]


def open_result(file: h5py.File) -> pynwb.NWBHDF5IO:
    """Read an NWB file with pynwb, and have that know the extensions that it was written with."""
    cached = file["specifications"]
    texts = {name: {n: s[()] for n, s in list(cached[name].values())[-1].items()} for name in cached}
    for name in texts:
        _learn_namespace(name, texts)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Ignoring the following cached namespace")
        return pynwb.NWBHDF5IO(file=file, mode="r", load_namespaces=True)


def _learn_namespace(name: str, texts: dict[str, Any]) -> None:
    """Who writes the objects needs their types in pynwb's own registry: by their package, else as the file says."""
    if name in pynwb.available_namespaces():
        return
    if name.startswith("ndx-"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name.replace("-", "_"))
    if name in pynwb.available_namespaces():
        return
    (stated,) = json.loads(texts[name]["namespace"])["namespaces"]
    for entry in stated["schema"]:
        if "namespace" in entry:
            _learn_namespace(entry["namespace"], texts)
    with tempfile.TemporaryDirectory() as folder:
        for part, text in texts[name].items():  # JSON is YAML
            Path(folder, part).write_bytes(text if isinstance(text, bytes) else text.encode())
        pynwb.load_namespaces(str(Path(folder, "namespace")))
    # Each copy of the registry would else make classes of its own for them, which a writer would not know.
    for kind in pynwb.get_type_map().namespace_catalog.get_namespace(name).get_registered_types():
        pynwb.get_class(kind, name)


def describe_session(source: pynwb.NWBFile) -> dict[str, Any]:
    """Fields of the session and of its subject, as neuroconv's metadata have them."""
    session = {name: getattr(source, name) for name in SESSION}
    session.update({name: list(getattr(source, name) or ()) for name in SESSION_LISTS})
    session["session_start_time"] = source.session_start_time.isoformat()
    stated = {"NWBFile": {name: value for name, value in session.items() if value not in (None, [])}}
    subject = source.subject
    if type(subject) is pynwb.file.Subject:  # fields of an extension's would be lost: it is taken over as it is
        stated["Subject"] = {name: value for name in SUBJECT if (value := getattr(subject, name)) is not None}
        if subject.age is not None and subject.age__reference is not None:
            stated["Subject"]["age__reference"] = subject.age__reference
        if subject.date_of_birth is not None:
            stated["Subject"]["date_of_birth"] = subject.date_of_birth.isoformat()
    return stated


def compare_clocks(source: pynwb.NWBFile, target: pynwb.NWBFile) -> None:
    """Refuse a file that counts its seconds from another moment. Raises `NeuropressError`."""
    for name in ("session_start_time", "timestamps_reference_time"):
        ours, theirs = getattr(source, name), getattr(target, name)
        if ours != theirs:
            raise NeuropressError(
                f"{name} of the session is {ours.isoformat()}, that of the file {theirs.isoformat()}: all times would "
                f"be wrong by {(ours - theirs).total_seconds()} s. Name this session last in the pipe, or give the "
                "metadata its start, as get_metadata() states it, and shift the other interfaces' times"
            )


def compare_subjects(source: pynwb.NWBFile, target: pynwb.NWBFile) -> None:
    """Refuse a file of another animal. Raises `NeuropressError`."""
    ours, theirs = (getattr(file.subject, "subject_id", None) for file in (source, target))
    if ours and theirs and ours != theirs:
        raise NeuropressError(
            f"the session's subject is {ours}, the file's {theirs}, and a file has one. Name this session last in the "
            "pipe, or give the metadata its Subject, as get_metadata() states it"
        )


def state_session(source: pynwb.NWBFile, target: pynwb.NWBFile) -> None:
    """Fill in what the file does not say of session and subject, and tell what it says otherwise.

    In a pipe the last interface's metadata prevail; neuroconv's own have an empty description and little else.
    """
    pairs: list[tuple[Any, Any, tuple[str, ...]]] = [
        (source, target, ("session_description", *SESSION_TEXTS, *SESSION_LISTS))
    ]
    if type(source.subject) is type(target.subject) is pynwb.file.Subject:
        pairs.append((source.subject, target.subject, (*SUBJECT, "date_of_birth")))
    differing = []
    for one, other, names in pairs:
        for name in names:
            ours, theirs = (_plain(getattr(each, name)) for each in (one, other))
            if ours in EMPTY or ours == theirs:
                continue
            if theirs in EMPTY:
                other.fields[name] = ours
                if name == "age":
                    other.fields["age__reference"] = one.age__reference
            elif not (isinstance(ours, tuple) and set(ours) <= set(theirs)):
                differing.append(f"{name} ({theirs!s:.60}, not {ours!s:.60})")
    if differing:
        warnings.warn(f"the file says otherwise than the session: {', '.join(differing)}", stacklevel=3)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, tuple, np.ndarray, h5py.Dataset)) else value


def refuse_clashes(source: pynwb.NWBFile, target: pynwb.NWBFile) -> None:
    """Name whatever stands in both files at the same place. Raises `NeuropressError`."""
    both = [f"{place}/{name}" for place in NAMED for name in _list(source, place) if name in _list(target, place)]
    both += [name for name in SINGLE if getattr(source, name, None) is not None and getattr(target, name) is not None]
    for name, module in source.processing.items():
        if name in target.processing:
            taken = target.processing[name].data_interfaces
            both += [f"processing/{name}/{one}" for one in module.data_interfaces if one in taken]
    if both:
        raise NeuropressError(
            f"the file already has {', '.join(both)}; nothing is replaced. Have the other interface use another name "
            "(metadata, or its metadata_key), or leave it out"
        )


def _list(file: pynwb.NWBFile, place: str) -> Any:
    return getattr(file, place, {})


def detach(source: pynwb.NWBFile, path: Path) -> None:
    """Make the objects of a file that was read as good as new, so that they are copied and not linked to."""
    for one in list(source.all_children()):
        if isinstance(one, hdmf.Data):
            one.transform(_load_column)
            if isinstance(one, TimeSeriesReferenceVectorData):
                one.transform(lambda rows: [TimeSeriesReference(*row) for row in rows])
        for name, value in list(one.fields.items()):
            if isinstance(value, h5py.Dataset):
                one.fields[name] = _load(value)
        if getattr(one, "external_file", None) is not None and not all(map(os.path.isabs, one.external_file)):
            warnings.warn(f"{one.name}: its files are named from the folder {path.parent}", stacklevel=3)
        one._AbstractContainer__container_source = None  # hdmf has no other way; it decides what becomes a link
        one.set_modified(True)


def _load(values: h5py.Dataset) -> Any:
    if values.dtype.kind == "O":
        return values[()].tolist() if values.shape else values[()]
    return ArrayInPieces(values) if values.nbytes > SMALL else values[()]


def _load_column(values: Any) -> Any:
    """A column whole: neuroconv walks through it before it is written. References become the objects."""
    if isinstance(values, h5py.Dataset):
        return values[()].tolist() if values.dtype.kind == "O" else values[()]
    return values if isinstance(values, (np.ndarray, list, tuple, str, bytes)) or np.isscalar(values) else list(values)


class ArrayInPieces(GenericDataChunkIterator):  # type: ignore[misc]
    """An array of the result, read when it is written, in the chunks that it has."""

    def __init__(self, values: h5py.Dataset) -> None:
        self.values = values
        chunks = {"chunk_shape": values.chunks} if values.chunks else {}
        super().__init__(buffer_gb=BUFFER_GB, **chunks)

    def _get_data(self, selection: tuple[slice, ...]) -> Any:
        return self.values[selection]

    def _get_maxshape(self) -> tuple[int, ...]:
        return tuple(self.values.shape)

    def _get_dtype(self) -> Any:
        return self.values.dtype


def move(source: pynwb.NWBFile, target: pynwb.NWBFile) -> None:
    """Hand over every object; links and references between them stay, as they are the same objects."""
    for name in SINGLE:  # before series that point into the table of electrodes
        one = getattr(source, name, None)
        if one is not None:
            one.reset_parent()
            setattr(target, name, one)
    for place, add in NAMED.items():
        for one in list(_list(source, place).values()):
            one.reset_parent()
            getattr(target, add)(one)
    if source.subject is not None and target.subject is None:
        source.subject.reset_parent()
        target.subject = source.subject
    for name, module in list(source.processing.items()):
        module.reset_parent()
        if name not in target.processing:
            target.add_processing_module(module)
            continue
        for one in list(module.data_interfaces.values()):
            one.reset_parent()
            target.processing[name].add(one)
    made_by = _list_programs(target)
    made_by += [row for row in _list_programs(source) if row not in made_by]
    if made_by:
        target.fields["was_generated_by"] = made_by


def _list_programs(file: pynwb.NWBFile) -> list[list[str]]:
    """Names and versions, of a file that was read or is being made."""
    stated = file.was_generated_by
    return [] if stated is None else [[str(part) for part in row] for row in stated[:]]
