"""An environment that speaks as neuroconv's own does: our driver runs in it, on interfaces that a test can see into."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import fragment_plugin
import pytest

from neuropress.tools.declared import get_tool

INTERFACES = '''
import json, os, pickle, shutil, socket, sys, time, uuid
from datetime import datetime
from pathlib import Path


class Stub:
    """Exports what lies in the file.

    More words.
    """

    associated_suffixes = (".stub",)
    verbose = False

    def __init__(self, file_path, sampling_frequency: float, start: str | None = None, config_file_path=None):
        self.path, self.start = Path(file_path), start
        seen = {"environment": sorted(os.environ), "argv": sys.argv, "files": sorted(map(str, self.path.parent.iterdir()))}
        (Path(__file__).parents[2] / "seen.json").write_text(json.dumps(seen))
        print("chatter on standard output")

    def get_metadata(self):
        start = datetime.fromisoformat(self.start) if self.start else None
        own = {"identifier": str(uuid.uuid4()), "source_script": __file__, "session_description": "", "notes": f"of {self.path}"}
        return {"NWBFile": own | ({"session_start_time": start} if start else {}), "Subject": {"subject_id": "M1"}}

    def create_nwbfile(self, metadata, **options):
        return self.path

    def add_to_nwbfile(self, nwbfile, metadata, stub_test: bool = False):
        raise AssertionError


class StubInterface(Stub):
    """Exports what lies in the file."""


class SecondInterface(Stub):
    """Never the same twice."""

    def create_nwbfile(self, metadata, **options):
        import h5py

        copy = Path(os.environ["HOME"]) / "copy.nwb"
        shutil.copyfile(self.path, copy)
        with h5py.File(copy, "r+") as file:
            file["acquisition/raw_voltage/data"][0, 0] = os.getpid() % 30000
        return copy


class MovieInterface(Stub):
    """Turns its frames, and not the sides that it states."""

    class imaging_extractor:
        def get_sample_shape():
            return 4, 6

    def create_nwbfile(self, metadata, **options):
        import h5py

        copy = Path(os.environ["HOME"]) / "copy.nwb"
        shutil.copyfile(self.path, copy)
        with h5py.File(copy, "r+") as file:
            for name, shape in (("movie", (3, 6, 4)), ("right", (3, 4, 6))):
                series = file.create_group(f"acquisition/{name}")
                file.copy("acquisition/raw_voltage/starting_time", series)
                series.attrs.update(neurodata_type="ImageSeries", namespace="core", object_id=name)
                series.create_dataset("data", shape, "u1").attrs.update(unit="a.u.", conversion=1.0, resolution=-1.0)
                series["dimension"] = [4, 6]
        return copy


class FolderInterface(Stub):
    """Takes a folder."""

    def __init__(self, folder_path, file_name: str = "a.stub"):
        super().__init__(Path(folder_path) / file_name, 1.0)


class Suite2pSegmentationInterface(Stub):
    """Unpickles."""


class PickleInterface(Stub):
    """Unpickles, and its name does not say so."""

    def create_nwbfile(self, metadata, **options):
        with open(self.path, "rb") as file:
            pickle.load(file)
        return Path(__file__).parents[2] / "template.nwb"


class HangInterface(Stub):
    """Never ends."""

    def get_metadata(self):
        time.sleep(60)


class NetworkInterface(Stub):
    """Calls home."""

    def get_metadata(self):
        socket.create_connection(("localhost", 9))


class WriteInterface(Stub):
    """Writes to what it reads."""

    def get_metadata(self):
        with open(self.path, "r+b") as file:
            file.write(b"spoilt")


class FailInterface(Stub):
    """Fails."""

    def get_metadata(self):
        raise KeyError(f"no frames in {self.path}, token=hunter2")


class TypesInterface(Stub):
    """Checks its arguments as pydantic does."""

    def __init__(self, file_path, sampling_frequency):
        class ValidationError(ValueError):
            def errors(self):
                return [{"loc": ("sampling_frequency",), "msg": "Input should be a number", "input": sampling_frequency}]

        raise ValidationError("1 validation error\\nsampling_frequency")


class DeathInterface(Stub):
    """Dies."""

    def get_metadata(self):
        sys.stderr.write("Killed\\n")
        sys.stderr.flush()
        os._exit(9)


interface_list = [one for one in list(globals().values()) if isinstance(one, type) and one.__name__.endswith("Interface")]
'''

PYNWB = '''
import shutil


class NWBHDF5IO:
    """Writes the export that an interface points to."""

    def __init__(self, path, mode):
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, export):
        shutil.copyfile(export, self.path)
'''


@cache
def make_exports() -> dict[str, bytes]:
    """An export with everything, and one without recordings of cells."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        whole = fragment_plugin.write_export(Path(folder) / "whole.nwb").read_bytes()
        patch.setattr(fragment_plugin, "_add_cells", lambda file: None)
        return {"whole": whole, "some": fragment_plugin.write_export(Path(folder) / "some.nwb").read_bytes()}


def install_stub(tools: Path) -> Path:
    """The stub in place of the tool ``neuroconv``; returns the folder of its environment."""
    folder = tools / get_tool("neuroconv").folder_name
    site = folder / "site"
    files = {
        "neuroconv/__init__.py": "",
        "neuroconv/utils.py": "def dict_deep_update(one, two):\n    return {**one, **two}\n",
        "neuroconv/datainterfaces/__init__.py": INTERFACES,
        "pynwb/__init__.py": PYNWB,
        "neuroconv-0.10.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: neuroconv\nVersion: 0.10.2\n",
    }
    for name, text in files.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    (site / "template.nwb").write_bytes(make_exports()["whole"])
    python = folder / "bin" / "python"
    python.parent.mkdir()
    begin = f"import runpy, sys; sys.path.insert(0, {str(site)!r}); del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
    python.write_text(f'#!/bin/sh\nshift\nexec "{sys.executable}" -I -c "{begin}" "$@"\n', "utf-8")
    python.chmod(0o755)
    return folder
